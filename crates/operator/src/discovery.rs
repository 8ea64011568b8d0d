//! Where the API server serves a resource.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use kube::Client;
use thiserror::Error;

use crate::failure::Failure;

/// Path and scope of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    pub base: String,
    /// Plural name.
    pub plural: String,
    /// Whether objects of it live in namespaces.
    pub namespaced: bool,
}

impl Served {
    /// Path of the collection, in one namespace or (empty) in all.
    #[must_use]
    pub fn collection(&self, namespace: &str) -> String {
        let Self { base, plural, .. } = self;
        if namespace.is_empty() {
            format!("{base}/{plural}")
        } else {
            format!("{base}/namespaces/{namespace}/{plural}")
        }
    }
}

/// Why a resource cannot be found.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    /// The group, or the resource in it, is not served, or cannot be listed.
    #[error(
        "the API server serves no resource {resource} that can be listed; check the name with kubectl api-resources, or install its CustomResourceDefinition"
    )]
    NotServed {
        /// RESOURCE.GROUP, or RESOURCE in the core group.
        resource: String,
    },
    /// The API server could not be asked.
    #[error("the API server could not say where {resource} is served: {source}")]
    Failed {
        /// RESOURCE.GROUP, or RESOURCE in the core group.
        resource: String,
        /// What went wrong.
        source: kube::Error,
    },
}

/// Finds resources by group and plural name, and remembers where they were.
#[derive(Debug, Default)]
pub struct Discovery {
    known: Mutex<HashMap<(String, String), Served>>,
}

/// RESOURCE.GROUP, as RBAC and kubectl write it.
pub(crate) fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() {
        resource.to_owned()
    } else {
        format!("{resource}.{group}")
    }
}

impl Discovery {
    /// Where the resource is served: in its group's preferred version, else in the first that has it.
    pub async fn resolve(
        &self,
        client: &Client,
        group: &str,
        plural: &str,
    ) -> Result<Served, DiscoveryError> {
        let key = (group.to_owned(), plural.to_owned());
        if let Some(served) = self.known().get(&key) {
            return Ok(served.clone());
        }
        for base in bases(client, group, plural).await? {
            if let Some(served) = find(client, &base, group, plural).await? {
                self.known().insert(key, served.clone());
                return Ok(served);
            }
        }
        Err(DiscoveryError::NotServed {
            resource: qualified(group, plural),
        })
    }

    /// Forgets where a resource was, because it answers 404 there.
    pub fn forget(&self, group: &str, plural: &str) {
        self.known().remove(&(group.to_owned(), plural.to_owned()));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), Served>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Base paths of the group's versions, the preferred one first.
async fn bases(client: &Client, group: &str, plural: &str) -> Result<Vec<String>, DiscoveryError> {
    if group.is_empty() {
        return Ok(vec!["/api/v1".to_owned()]);
    }
    let found: APIGroup = ask(client, &format!("/apis/{group}"), group, plural).await?;
    let preferred = found.preferred_version.map(|one| one.group_version);
    let mut versions: Vec<_> = found
        .versions
        .into_iter()
        .map(|one| one.group_version)
        .collect();
    // Stable: the server's own order stays among the others.
    versions.sort_by_key(|version| Some(version) != preferred.as_ref());
    Ok(versions
        .iter()
        .map(|version| format!("/apis/{version}"))
        .collect())
}

async fn find(
    client: &Client,
    base: &str,
    group: &str,
    plural: &str,
) -> Result<Option<Served>, DiscoveryError> {
    let list: APIResourceList = ask(client, base, group, plural).await?;
    let resource = list
        .resources
        .into_iter()
        .find(|resource| resource.name == plural);
    Ok(resource
        .filter(|resource| resource.verbs.iter().any(|verb| verb == "list"))
        .map(|resource| Served {
            base: base.to_owned(),
            plural: plural.to_owned(),
            namespaced: resource.namespaced,
        }))
}

async fn ask<T: serde::de::DeserializeOwned>(
    client: &Client,
    path: &str,
    group: &str,
    plural: &str,
) -> Result<T, DiscoveryError> {
    let resource = || qualified(group, plural);
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(|source| DiscoveryError::Failed {
            resource: resource(),
            source: kube::Error::HttpError(source),
        })?;
    client
        .request(request)
        .await
        .map_err(|source| match Failure::of(&source) {
            Failure::NotFound => DiscoveryError::NotServed {
                resource: resource(),
            },
            _ => DiscoveryError::Failed {
                resource: resource(),
                source,
            },
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{MockServer, mock};

    fn resources(version: &str, names: &[&str]) -> Value {
        let resources: Vec<_> = names
            .iter()
            .map(|name| {
                json!({"name": name, "singularName": "", "namespaced": *name != "nodes",
                    "kind": "X", "verbs": if *name == "bindings" { json!(["create"]) } else { json!(["list"]) }})
            })
            .collect();
        json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources})
    }

    fn ask_for(
        discovery: &Arc<Discovery>,
        client: &Client,
        group: &'static str,
        plural: &'static str,
    ) -> tokio::task::JoinHandle<Result<Served, DiscoveryError>> {
        let (discovery, client) = (Arc::clone(discovery), client.clone());
        tokio::spawn(async move { discovery.resolve(&client, group, plural).await })
    }

    async fn group(server: &mut MockServer) {
        let versions = json!([
            {"groupVersion": "example.io/v2", "version": "v2"},
            {"groupVersion": "example.io/v1", "version": "v1"},
        ]);
        let call = server.expect("GET /apis/example.io").await;
        call.answer(
            &json!({"kind": "APIGroup", "name": "example.io", "versions": versions,
            "preferredVersion": {"groupVersion": "example.io/v1", "version": "v1"}}),
        );
    }

    #[tokio::test(start_paused = true)]
    async fn core_is_asked_once_and_remembered_until_it_is_forgotten() {
        let (client, mut server) = mock();
        let discovery = Arc::new(Discovery::default());
        let asked = ask_for(&discovery, &client, "", "nodes");
        let list = resources("v1", &["pods", "nodes"]);
        server.expect("GET /api/v1").await.answer(&list);
        let found = asked.await.unwrap().unwrap();
        assert_eq!(found.collection(""), "/api/v1/nodes");
        assert!(!found.namespaced);

        let again = ask_for(&discovery, &client, "", "nodes").await.unwrap();
        assert_eq!(again.unwrap(), found);
        assert_eq!(server.waiting(), 0);

        discovery.forget("", "nodes");
        let _asked = ask_for(&discovery, &client, "", "nodes");
        server.expect("GET /api/v1").await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_preferred_version_is_looked_at_first_and_the_others_after_it() {
        let (client, mut server) = mock();
        let asked = ask_for(&Arc::default(), &client, "example.io", "gadgets");
        group(&mut server).await;
        let first = server.expect("GET /apis/example.io/v1").await;
        first.answer(&resources("example.io/v1", &["widgets"]));
        let second = server.expect("GET /apis/example.io/v2").await;
        second.answer(&resources("example.io/v2", &["gadgets"]));
        let found = asked.await.unwrap().unwrap();
        assert_eq!(
            found.collection("team"),
            "/apis/example.io/v2/namespaces/team/gadgets"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_listed_is_not_served() {
        let (client, mut server) = mock();
        let discovery = Arc::default();
        let asked = ask_for(&discovery, &client, "", "bindings");
        let list = resources("v1", &["bindings"]);
        server.expect("GET /api/v1").await.answer(&list);
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, DiscoveryError::NotServed { resource } if resource == "bindings"));

        let asked = ask_for(&discovery, &client, "absent.io", "things");
        let call = server.expect("GET /apis/absent.io").await;
        call.refuse(404, "NotFound");
        let error = asked.await.unwrap().unwrap_err();
        assert!(
            matches!(error, DiscoveryError::NotServed { resource } if resource == "things.absent.io")
        );
    }
}
