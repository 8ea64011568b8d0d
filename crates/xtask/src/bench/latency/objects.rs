//! The objects of the benchmark.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Names of so many targets, which are those of their policies.
pub(super) fn targets(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|index| format!("web-{index:04}"))
}

/// A Deployment with the load balancer controller's probes. No node takes its pods.
pub(super) fn target(namespace: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "replicas": 1, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "schedulingGates": [{"name": "probepilot.test/never"}],
            "containers": [{"name": "web", "image": "probepilot.test/none:1", "livenessProbe": {
                "httpGet": {"path": "/healthz", "port": 61779}, "initialDelaySeconds": 30, "periodSeconds": 10,
                "timeoutSeconds": 10, "failureThreshold": 2}}]}}}})
}

/// A policy that counts pods as the seed's does and asks for what its target has, so that only a kill
/// makes it write.
pub(super) fn policy(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "mode": "Enforce",
        "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 40}]}]}})
}

/// An event of a pod that is not there any more.
pub(super) fn event(namespace: &str, index: u32) -> Value {
    let now = Timestamp::now().to_string();
    json!({"metadata": {"name": format!("gone-{index:06}"), "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": format!("gone-{}", index / 5),
            "uid": format!("00000000-0000-0000-0000-{:012}", index / 5), "fieldPath": "spec.containers{web}"},
        "reason": "Unhealthy", "type": "Warning", "count": 7,
        "message": "Readiness probe failed: Get \"http://10.0.0.1:8080/readyz\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        "source": {"component": "kubelet", "host": "node-0001"}, "reportingComponent": "kubelet", "reportingInstance": "node-0001",
        "firstTimestamp": now, "lastTimestamp": now})
}

/// The kubelet says that it kills the start: by liveness in the first round, by the startup probe that
/// the operator added in the others. `pod` is its name and UID.
pub(super) fn killing(
    namespace: &str,
    round: u32,
    (pod, uid): (&str, &str),
    at: Timestamp,
) -> Value {
    let probe = if is_first(round) {
        "liveness"
    } else {
        "startup"
    };
    json!({"metadata": {"name": format!("{pod}.{:x}", at.as_nanosecond()), "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod, "uid": uid,
            "fieldPath": "spec.containers{web}"},
        "reason": "Killing", "type": "Normal", "count": 1,
        "message": format!("Container web failed {probe} probe, will be restarted"),
        "source": {"component": "kubelet", "host": "node"}, "firstTimestamp": at, "lastTimestamp": at})
}

/// The status of a pod whose first life has begun.
pub(super) fn running(round: u32, since: Timestamp) -> Value {
    let state = json!({"running": {"startedAt": since}});
    status(&json!({"ready": false, "started": is_first(round), "restartCount": 0, "state": state}))
}

/// The status of a pod whose first life has ended and whose second has begun.
pub(super) fn kill(round: u32, started: Timestamp, finished: Timestamp) -> Value {
    status(
        &json!({"ready": false, "started": is_first(round), "restartCount": 1,
        "state": {"running": {"startedAt": finished}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished}}}),
    )
}

/// Without a startup probe a container counts as started as soon as it runs.
fn is_first(round: u32) -> bool {
    round == 1
}

fn status(container: &Value) -> Value {
    let mut container = container.clone();
    container["name"] = json!("web");
    container["image"] = json!("probepilot.test/none:1");
    container["imageID"] = json!("sha256:0");
    json!({"status": {"phase": "Running", "containerStatuses": [container]}})
}
