//! The objects of the benchmark.

use probepilot_test_cluster::BUSYBOX;
use serde_json::{Value, json};

/// Seconds between two attempts of the owner's liveness probe.
const PERIOD: u32 = 5;
/// Attempts that fail before it kills.
const FAILURES: u32 = 3;

/// What the owner's liveness probe guarantees a start of so many seconds: three fifths of what it needs. Unit: seconds.
pub(super) fn budget(start: u32) -> u32 {
    start * 3 / 5
}

/// A controller that serves after `start` seconds. Its owner's liveness probe guarantees [`budget`] and then kills it.
pub(super) fn controller(namespace: &str, name: &str, start: u32) -> Value {
    let labels = json!({"app": name});
    let program = format!(
        "trap 'exit 1' TERM; /bin/busybox sleep {start} & wait $!; mkdir -p /tmp/w; echo ok > /tmp/w/healthz; \
         exec /bin/busybox httpd -f -p 8080 -h /tmp/w"
    );
    let handler = json!({"path": "/healthz", "port": 8080});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 10, "containers": [{
                "name": "web", "image": BUSYBOX, "imagePullPolicy": "Never",
                "command": ["/bin/busybox", "sh", "-c", program],
                "livenessProbe": {"httpGet": handler, "initialDelaySeconds": budget(start) - (FAILURES - 1) * PERIOD,
                    "periodSeconds": PERIOD, "failureThreshold": FAILURES},
                "readinessProbe": {"httpGet": handler, "periodSeconds": 1},
            }]},
        }},
    })
}

/// A policy that acts on kills and on nothing else.
pub(super) fn policy(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": name, "namespace": namespace},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "mode": "Enforce", "rules": []},
    })
}

/// What somebody writes who knows that a start takes `start` seconds: a startup probe with half as much again.
pub(super) fn right_probe(start: u32) -> Value {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": PERIOD,
        "failureThreshold": (start + start / 2).div_ceil(PERIOD) + 1});
    json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "startupProbe": probe}]}}}})
}
