//! A namespace for each test.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::fleet::default_account;
use crate::process::Identity;

/// Label of the namespaces of tests; its value names the test process, so that what a killed one left can be told.
const OWNER: &str = "probepilot.test/owner";
/// The longest a request may take.
const REQUEST: Duration = Duration::from_secs(20);

/// A namespace of a name that nobody else has. End it with [`TestNamespace::delete`]; a test that fails before deletes it as it unwinds.
pub struct TestNamespace {
    client: Client,
    name: String,
    deleted: bool,
}

impl TestNamespace {
    /// Makes a namespace whose name begins with `prefix`, and waits until pods can be created in it. Deletes those of test processes that are gone.
    pub async fn create(client: &Client, prefix: &str) -> Result<Self> {
        Self::create_with_labels(client, prefix, BTreeMap::new()).await
    }

    /// As [`TestNamespace::create`], with more labels, for example Pod Security's.
    pub async fn create_with_labels(
        client: &Client,
        prefix: &str,
        mut labels: BTreeMap<String, String>,
    ) -> Result<Self> {
        let api = Api::<Namespace>::all(client.clone());
        sweep(&api).await;
        labels.insert(OWNER.to_owned(), owner());
        let namespace = Namespace {
            metadata: ObjectMeta {
                generate_name: Some(format!("{prefix}-")),
                labels: Some(labels),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        let action = format!("create a namespace {prefix}-*");
        let Ok(made) = timeout(REQUEST, api.create(&PostParams::default(), &namespace)).await
        else {
            return Err(Error::Deadline {
                action,
                seconds: REQUEST.as_secs(),
            });
        };
        let name = made.map_err(Error::kube(action))?.name_any();
        let made = Self {
            client: client.clone(),
            name,
            deleted: false,
        };
        default_account(client, &made.name).await?;
        Ok(made)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Has it deleted with all it holds; does not wait for the end, which nobody depends on since no name comes twice.
    pub async fn delete(mut self) -> Result<()> {
        self.deleted = true;
        delete(&Api::all(self.client.clone()), &self.name).await
    }
}

impl fmt::Debug for TestNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestNamespace")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if self.deleted {
            return;
        }
        let Ok(handle) = Handle::try_current() else {
            return;
        };
        let (client, name) = (self.client.clone(), self.name.clone());
        let ending = async move {
            // Best effort: the next test's sweep finds what is left.
            let _ = delete(&Api::all(client), &name).await;
        };
        // A runtime of one thread cannot wait for itself; what is spawned runs only if the test goes on.
        if handle.runtime_flavor() == RuntimeFlavor::MultiThread {
            tokio::task::block_in_place(|| handle.block_on(ending));
        } else {
            handle.spawn(ending);
        }
    }
}

async fn delete(api: &Api<Namespace>, name: &str) -> Result<()> {
    let action = || format!("delete namespace {name}");
    match timeout(REQUEST, api.delete(name, &DeleteParams::background())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) if status.is_not_found() => Ok(()),
        Ok(Err(error)) => Err(Error::kube(action())(error)),
        Err(_) => Err(Error::Deadline {
            action: action(),
            seconds: REQUEST.as_secs(),
        }),
    }
}

/// This process as a label value.
fn owner() -> String {
    let pid = i32::try_from(std::process::id()).unwrap_or(0);
    owner_of(&Identity::of(pid).unwrap_or(Identity {
        pid,
        started: 0,
        boot: String::new(),
    }))
}

fn owner_of(identity: &Identity) -> String {
    format!("{}-{}", identity.pid, identity.started)
}

/// Whether the process that a label value names still runs. A cluster does not outlive a boot, so the boot need not be in it.
fn owner_lives(value: &str) -> bool {
    let pid = value.split_once('-').and_then(|(pid, _)| pid.parse().ok());
    pid.and_then(Identity::of)
        .is_some_and(|identity| owner_of(&identity) == value)
}

/// Deletes the namespaces of test processes that are gone. Best effort.
async fn sweep(api: &Api<Namespace>) {
    let Ok(Ok(listed)) = timeout(
        REQUEST,
        api.list_metadata(&ListParams::default().labels(OWNER)),
    )
    .await
    else {
        return;
    };
    let orphans = listed.items.iter().filter(|namespace| {
        let owner = namespace
            .labels()
            .get(OWNER)
            .is_none_or(|owner| owner_lives(owner));
        !owner && namespace.metadata.deletion_timestamp.is_none()
    });
    join_all(orphans.map(|namespace| async move { delete(api, &namespace.name_any()).await }))
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners() {
        let me = owner();
        assert!(owner_lives(&me));
        let (pid, started) = me.split_once('-').unwrap();
        let cases = [
            (
                "another start time",
                format!("{pid}-{}", started.parse::<u64>().unwrap() + 1),
            ),
            ("no such process", format!("{}-1", i32::MAX)),
            ("no number", "x-1".to_owned()),
            ("no start time", pid.to_owned()),
        ];
        for (case, value) in cases {
            assert!(!owner_lives(&value), "{case}");
        }
    }
}
