//! What is asked about.

use k8s_openapi::api::core::v1::Pod;
use probepilot_api::TargetKind;
use std::str::FromStr;

/// A workload or a pod, by kind and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TargetRef {
    /// A pod.
    Pod(String),
    /// Pods of a workload.
    Workload(TargetKind, String),
}

/// A text that names nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetRefError {
    /// No slash, or nothing on one side of it.
    #[error("write KIND/NAME, for example deployment/web or pod/web-5d9c7-x2x4z")]
    Form,
    /// A kind that has no containers that are looked at here.
    #[error(
        "`{0}` is not a kind that can be explained: use deployment, statefulset, daemonset or pod"
    )]
    Kind(String),
}

impl FromStr for TargetRef {
    type Err = TargetRefError;

    /// The kinds as kubectl takes them: singular, plural and short, with or without group.
    fn from_str(text: &str) -> Result<Self, TargetRefError> {
        let (kind, name) = text.split_once('/').ok_or(TargetRefError::Form)?;
        if kind.is_empty() || name.is_empty() || name.contains('/') {
            return Err(TargetRefError::Form);
        }
        let lower = kind.to_lowercase();
        let plain = lower.strip_suffix(".apps").unwrap_or(&lower);
        let workload = |kind| Ok(Self::Workload(kind, name.to_owned()));
        match plain {
            "pod" | "pods" | "po" => Ok(Self::Pod(name.to_owned())),
            "deployment" | "deployments" | "deploy" => workload(TargetKind::Deployment),
            "statefulset" | "statefulsets" | "sts" => workload(TargetKind::StatefulSet),
            "daemonset" | "daemonsets" | "ds" => workload(TargetKind::DaemonSet),
            _ => Err(TargetRefError::Kind(kind.to_owned())),
        }
    }
}

impl std::fmt::Display for TargetRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pod(name) => write!(f, "pod/{name}"),
            Self::Workload(kind, name) => {
                write!(f, "{}/{name}", format!("{kind:?}").to_lowercase())
            }
        }
    }
}

/// The workload that a pod belongs to by its controller reference; a Deployment by the name of its
/// ReplicaSet, which is its own and the pod's template hash.
pub(super) fn workload_of(pod: &Pod) -> Option<(TargetKind, String)> {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.controller == Some(true))?;
    match controller.kind.as_str() {
        "StatefulSet" => Some((TargetKind::StatefulSet, controller.name.clone())),
        "DaemonSet" => Some((TargetKind::DaemonSet, controller.name.clone())),
        "ReplicaSet" => {
            let hash = pod.metadata.labels.as_ref()?.get("pod-template-hash")?;
            let name = controller
                .name
                .strip_suffix(hash.as_str())?
                .strip_suffix('-')?;
            Some((TargetKind::Deployment, name.to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_as_kubectl_takes_them() {
        let cases = [
            ("deployment/web", Some("deployment/web")),
            ("deploy/web", Some("deployment/web")),
            ("Deployments.apps/web", Some("deployment/web")),
            ("sts/db", Some("statefulset/db")),
            ("ds/agent", Some("daemonset/agent")),
            ("po/web-1", Some("pod/web-1")),
            ("service/web", None),
            ("web", None),
            ("pod/", None),
            ("/web", None),
            ("pod/a/b", None),
        ];
        for (text, expected) in cases {
            let target: Result<TargetRef, _> = text.parse();
            assert_eq!(
                target.ok().map(|target| target.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
