//! One read of one count.

use http::Request;
use http::header::ACCEPT;
use kube::Client;
use probepilot_api::CountSelector;
use probepilot_policy::{CountFailure, CountFailureKind};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::discovery::{Discovery, DiscoveryError, qualified};
use crate::failure::Failure;

/// Only metadata of the one object that is sent; whole objects from servers that cannot do that.
const METADATA_ONLY: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Label of the ClusterRoles that give the operator the right to count further resources; the
/// operator's own role aggregates them.
pub const COUNT_ROLE_LABEL: &str = "probepilot.dev/aggregate-to-counter";

/// A value and what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub value: i64,
    pub bytes: usize,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default)]
    items: Option<Vec<IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    #[serde(default)]
    r#continue: String,
    remaining_item_count: Option<i64>,
}

/// Counts now.
pub(super) async fn count(
    client: &Client,
    discovery: &Discovery,
    selector: &CountSelector,
) -> Result<Reading, CountFailure> {
    let CountSelector {
        group, resource, ..
    } = selector;
    match attempt(client, discovery, selector).await {
        // Served elsewhere by now, or no more: ask where, once.
        Err(Attempt::Moved) => {
            discovery.forget(group, resource);
            attempt(client, discovery, selector).await
        }
        outcome => outcome,
    }
    .map_err(|failure| match failure {
        Attempt::Failed(failure) => failure,
        Attempt::Moved => from_discovery(&DiscoveryError::NotServed {
            resource: qualified(group, resource),
        }),
    })
}

enum Attempt {
    /// 404 where discovery found it.
    Moved,
    Failed(CountFailure),
}

async fn attempt(
    client: &Client,
    discovery: &Discovery,
    selector: &CountSelector,
) -> Result<Reading, Attempt> {
    let CountSelector {
        group,
        resource,
        namespace,
    } = selector;
    let served = discovery
        .resolve(client, group, resource)
        .await
        .map_err(|error| Attempt::Failed(from_discovery(&error)))?;
    let name = qualified(group, resource);
    if !served.namespaced && !namespace.is_empty() {
        return Err(failed(
            CountFailureKind::NoSuchResource,
            format!("{name} do not live in namespaces: remove namespace from the count"),
        ));
    }
    // No resourceVersion: with 0 the API server ignores limit and sends every object.
    let path = format!("{}?limit=1", served.collection(namespace));
    let text = match Request::get(path)
        .header(ACCEPT, METADATA_ONLY)
        .body(vec![])
    {
        Ok(request) => client.request_text(request).await,
        Err(error) => Err(kube::Error::HttpError(error)),
    };
    let text = text.map_err(|error| match Failure::of(&error) {
        Failure::NotFound => Attempt::Moved,
        Failure::Forbidden => failed(CountFailureKind::Forbidden, forbidden(selector)),
        _ => failed(
            CountFailureKind::Unavailable,
            format!("counting {name} failed and is tried again: {error}"),
        ),
    })?;
    let list: List = serde_json::from_str(&text).map_err(|error| {
        let message = format!("the answer to a count of {name} is not a list: {error}");
        failed(CountFailureKind::Unavailable, message)
    })?;
    let value = total(&list).ok_or_else(|| {
        let message = format!(
            "the API server does not say how many {name} there are (a list with continue but without remainingItemCount); count another resource"
        );
        failed(CountFailureKind::UnknownTotal, message)
    })?;
    Ok(Reading {
        value,
        bytes: text.len(),
    })
}

/// What was sent plus what the server says is left; unknown when it says only that there is more.
fn total(list: &List) -> Option<i64> {
    let sent = i64::try_from(list.items.as_ref().map_or(0, Vec::len)).ok()?;
    match list.metadata.remaining_item_count {
        Some(remaining) => sent.checked_add(remaining),
        None if list.metadata.r#continue.is_empty() => Some(sent),
        None => None,
    }
}

fn failed(kind: CountFailureKind, message: String) -> Attempt {
    Attempt::Failed(CountFailure { kind, message })
}

fn from_discovery(error: &DiscoveryError) -> CountFailure {
    let kind = match error {
        DiscoveryError::NotServed { .. } => CountFailureKind::NoSuchResource,
        DiscoveryError::Failed { source, .. } => match Failure::of(source) {
            Failure::Forbidden => CountFailureKind::Forbidden,
            _ => CountFailureKind::Unavailable,
        },
    };
    CountFailure {
        kind,
        message: error.to_string(),
    }
}

/// Names the rule that is missing, ready to paste.
fn forbidden(selector: &CountSelector) -> String {
    let CountSelector {
        group,
        resource,
        namespace,
    } = selector;
    let name = qualified(group, resource);
    let rule = format!(r#"{{apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["list"]}}"#);
    if namespace.is_empty() {
        format!(
            r#"the operator may not list {name} in all namespaces: create a ClusterRole with the label {COUNT_ROLE_LABEL}: "true" and the rule {rule}"#
        )
    } else {
        format!(
            "the operator may not list {name} in namespace {namespace}: bind its ServiceAccount to a Role there with the rule {rule}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_known_or_unknown_and_never_a_guess() {
        let cases = [
            ("empty", r#"{"metadata":{},"items":[]}"#, Some(0)),
            ("null items", r#"{"metadata":{},"items":null}"#, Some(0)),
            ("one", r#"{"metadata":{},"items":[{}]}"#, Some(1)),
            (
                "many",
                r#"{"metadata":{"continue":"x","remainingItemCount":9999},"items":[{}]}"#,
                Some(10_000),
            ),
            (
                "cut without a total",
                r#"{"metadata":{"continue":"x"},"items":[{}]}"#,
                None,
            ),
            (
                "absurd",
                r#"{"metadata":{"continue":"x","remainingItemCount":9223372036854775807},"items":[{}]}"#,
                None,
            ),
        ];
        for (name, json, expected) in cases {
            let list: List = serde_json::from_str(json).unwrap();
            assert_eq!(total(&list), expected, "{name}");
        }
    }

    #[test]
    fn a_forbidden_count_says_which_rule_to_add_where() {
        let mut selector = CountSelector {
            group: "networking.k8s.io".into(),
            resource: "ingresses".into(),
            namespace: String::new(),
        };
        assert_eq!(
            forbidden(&selector),
            r#"the operator may not list ingresses.networking.k8s.io in all namespaces: create a ClusterRole with the label probepilot.dev/aggregate-to-counter: "true" and the rule {apiGroups: ["networking.k8s.io"], resources: ["ingresses"], verbs: ["list"]}"#
        );
        let role = include_str!("../../../../config/rbac/counter.yaml");
        let label = format!("{COUNT_ROLE_LABEL}: \"true\"");
        assert!(role.contains(&label), "the shipped role aggregates it");
        selector.namespace = "team".into();
        assert!(forbidden(&selector).contains("bind its ServiceAccount to a Role there"));
    }
}
