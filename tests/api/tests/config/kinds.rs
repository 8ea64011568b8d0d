//! The kinds of objects that the operator writes.

use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};

/// The kinds of targets.
pub const KINDS: &[&str] = &["Deployment", "StatefulSet", "DaemonSet"];

/// Objects of one of these kinds, or policies, as whoever writes them sees them.
pub fn objects_of(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = match kind {
        "ProbePolicy" => ("probepilot.dev", "v1alpha1"),
        _ => ("apps", "v1"),
    };
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Api::namespaced_with(client.clone(), namespace, &resource)
}
