//! The pod of a configuration.

use probed::{GRPC_PORT, HTTP_PORT};
use probepilot_kubelet::{Handler, Probe, ProbeKind};
use serde_json::{Map, Value, json};

use crate::Config;

/// The image of `probed`.
pub const IMAGE: &str = "probepilot.test/probed:1";
/// The container that is looked at.
pub const CONTAINER: &str = "probed";
/// Where the image has the program.
pub const PROGRAM: &str = "/probed";

/// The pod, as it is created and as a mismatch prints it.
#[must_use]
pub fn pod(config: &Config) -> Value {
    let mut container = json!({
        "name": CONTAINER, "image": IMAGE, "imagePullPolicy": "Never", "args": config.arguments(),
    });
    for kind in [ProbeKind::Startup, ProbeKind::Liveness] {
        if let Some(given) = config.container.probe(kind) {
            container[format!("{}Probe", kind.as_str())] = probe(given);
        }
    }
    if let Some(hook_ms) = config.container.pre_stop_ms {
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": hook_ms / 1000}}});
    }
    let mut spec = json!({
        "terminationGracePeriodSeconds": config.container.termination_grace_period_seconds,
        "automountServiceAccountToken": false, "enableServiceLinks": false,
    });
    if config.container.sidecar {
        container["restartPolicy"] = json!("Always");
        spec["initContainers"] = json!([container]);
        spec["containers"] =
            json!([{"name": "beside", "image": IMAGE, "imagePullPolicy": "Never"}]);
    } else {
        spec["containers"] = json!([container]);
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": config.name}, "spec": spec})
}

fn probe(given: &Probe) -> Value {
    let mut probe = Map::new();
    let (field, handler) = match given.handler {
        Handler::Http => ("httpGet", json!({"path": "/", "port": HTTP_PORT})),
        Handler::Tcp => ("tcpSocket", json!({"port": HTTP_PORT})),
        Handler::Exec => ("exec", json!({"command": [PROGRAM, "ask"]})),
        Handler::Grpc => ("grpc", json!({"port": GRPC_PORT})),
    };
    probe.insert(field.to_owned(), handler);
    let timings = given.timings;
    for (field, seconds) in [
        ("initialDelaySeconds", Some(timings.initial_delay_seconds)),
        ("periodSeconds", Some(timings.period_seconds)),
        ("timeoutSeconds", Some(timings.timeout_seconds)),
        ("failureThreshold", Some(timings.failure_threshold)),
        (
            "terminationGracePeriodSeconds",
            given.termination_grace_period_seconds,
        ),
    ] {
        if let Some(seconds) = seconds {
            probe.insert(field.to_owned(), json!(seconds));
        }
    }
    Value::Object(probe)
}
