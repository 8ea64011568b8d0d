//! What the shipped roles grant, held against what the operator really asked for.
//!
//! The API server's audit log has every request of the operator's service account. A request that
//! was denied is a right that is missing; a granted verb that no request used is a right too many.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A verb on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// API group, empty for core.
    pub group: String,
    /// Resource, with its subresource behind a slash.
    pub resource: String,
    /// Verb.
    pub verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = if self.group.is_empty() {
            "core"
        } else {
            &self.group
        };
        write!(f, "{} {}.{group}", self.verb, self.resource)
    }
}

#[derive(Deserialize)]
struct Role {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    api_groups: Vec<String>,
    resources: Vec<String>,
    verbs: Vec<String>,
}

/// Every right that the roles among `objects` grant, one for each group, resource and verb.
///
/// # Errors
/// When a role cannot be read.
pub fn granted(objects: &[serde_json::Value]) -> Result<BTreeSet<Right>> {
    let mut rights = BTreeSet::new();
    for object in objects {
        let Ok(role) = Role::deserialize(object) else {
            continue;
        };
        if role.kind != "Role" && role.kind != "ClusterRole" {
            continue;
        }
        for rule in role.rules {
            for group in &rule.api_groups {
                for resource in &rule.resources {
                    rights.extend(rule.verbs.iter().map(|verb| Right {
                        group: group.clone(),
                        resource: resource.clone(),
                        verb: verb.clone(),
                    }));
                }
            }
        }
    }
    Ok(rights)
}

/// What the audit log says of the operator's requests.
#[derive(Debug, Default)]
pub struct Used {
    /// Rights that an allowed request used.
    pub allowed: BTreeSet<Right>,
    /// Requests that were denied, as sentences.
    pub denied: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    #[serde(default, rename = "requestURI")]
    request_uri: String,
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
}

/// What the authorizer said, in an audit event's annotations. The status code does not tell: admission answers 403 too, as when
/// a namespace is being deleted.
const DECISION: &str = "authorization.k8s.io/decision";

/// Reads the audit log's lines about one user.
///
/// # Errors
/// When a line is no audit event.
pub fn used(audit_log: &str, username: &str) -> Result<Used> {
    let mut used = Used::default();
    for line in audit_log.lines() {
        let line: Line =
            serde_json::from_str(line).with_context(|| format!("no audit event: {line}"))?;
        if line.user.username != username {
            continue;
        }
        let Some(object) = line.object_ref else {
            continue;
        };
        if line.annotations.get(DECISION).map(String::as_str) == Some("forbid") {
            used.denied
                .push(format!("{} {}", line.verb, line.request_uri));
            continue;
        }
        let resource = if object.subresource.is_empty() {
            object.resource
        } else {
            format!("{}/{}", object.resource, object.subresource)
        };
        used.allowed.insert(Right {
            group: object.api_group,
            resource,
            verb: line.verb,
        });
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn right(group: &str, resource: &str, verb: &str) -> Right {
        Right {
            group: group.into(),
            resource: resource.into(),
            verb: verb.into(),
        }
    }

    #[test]
    fn a_role_grants_each_verb_on_each_resource() {
        let role = json!({"kind": "ClusterRole", "rules": [
            {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets"], "verbs": ["list", "patch"]}]});
        let other = json!({"kind": "Namespace"});
        assert_eq!(
            granted(&[role, other])
                .unwrap()
                .into_iter()
                .map(|right| right.to_string())
                .collect::<Vec<_>>(),
            [
                "list daemonsets.apps",
                "patch daemonsets.apps",
                "list deployments.apps",
                "patch deployments.apps"
            ]
        );
    }

    #[test]
    fn denied_requests_use_no_right_and_other_users_do_not_count() {
        let line = |user: &str, verb: &str, code: u16, decision: &str| {
            json!({"verb": verb, "user": {"username": user}, "requestURI": "/api/v1/pods",
                "objectRef": {"resource": "pods"}, "responseStatus": {"code": code},
                "annotations": {"authorization.k8s.io/decision": decision}})
            .to_string()
        };
        let log = [
            line("me", "list", 200, "allow"),
            line("me", "watch", 403, "forbid"),
            // A right that was there: admission refused, for the namespace was being deleted.
            line("me", "create", 403, "allow"),
            line("you", "delete", 200, "allow"),
        ]
        .join("\n");
        let used = used(&log, "me").unwrap();
        assert_eq!(
            used.allowed,
            BTreeSet::from([right("", "pods", "list"), right("", "pods", "create")])
        );
        assert_eq!(used.denied, ["watch /api/v1/pods"]);
    }
}
