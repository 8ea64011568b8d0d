//! Deployments as tests write them, and their probes as tests compare them.

use serde::Serialize;
use serde_json::{Value, json};

/// The probes of a workload's container, as `initialDelay/period/timeout/failureThreshold path:port`; empty without the
/// probe. Other handlers than httpGet are shown as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// startupProbe.
    pub startup: String,
    /// livenessProbe.
    pub liveness: String,
    /// metadata.generation.
    pub generation: i64,
}

/// What is expected of a Deployment.
#[must_use]
pub fn shown(startup: &str, liveness: &str, generation: i64) -> Shown {
    Shown {
        startup: startup.to_owned(),
        liveness: liveness.to_owned(),
        generation,
    }
}

impl Shown {
    /// The probes of one container.
    #[must_use]
    pub fn of(workload: &impl Serialize, container: &str) -> Self {
        let json = serde_json::to_value(workload).expect("JSON");
        let containers = json["spec"]["template"]["spec"]["containers"].as_array();
        let mut containers = containers.into_iter().flatten();
        let found = containers.find(|one| one["name"] == container);
        let found = found.expect("the container");
        Self {
            startup: show(&found["startupProbe"]),
            liveness: show(&found["livenessProbe"]),
            generation: json["metadata"]["generation"]
                .as_i64()
                .expect("a generation"),
        }
    }
}

fn show(probe: &Value) -> String {
    let Some(fields) = probe.as_object() else {
        return String::new();
    };
    let number = |key: &str| probe[key].as_i64().unwrap_or(0);
    let http = &probe["httpGet"];
    let handler = if http.is_object() {
        let path = http["path"].as_str().unwrap_or_default();
        format!("{path}:{}", http["port"])
    } else {
        let kinds = fields.iter().filter(|(_, value)| value.is_object());
        let kinds: Vec<_> = kinds
            .map(|(kind, value)| format!("{kind} {value}"))
            .collect();
        kinds.join(" ")
    };
    format!(
        "{}/{}/{}/{} {handler}",
        number("initialDelaySeconds"),
        number("periodSeconds"),
        number("timeoutSeconds"),
        number("failureThreshold"),
    )
}

/// A liveness probe as aws-load-balancer-controller's chart has it, 30/10/10/2.
#[must_use]
pub fn chart_liveness(path: &str) -> Value {
    json!({"httpGet": {"path": path, "port": 61779, "scheme": "HTTP"}, "initialDelaySeconds": 30,
        "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2})
}

/// A Deployment `name` without pods, whose containers are these.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
pub fn deployment(name: &str, containers: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}}})
}

/// The Deployment `web` whose container `a` has this liveness probe.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
pub fn web(liveness: Value) -> Value {
    deployment(
        "web",
        json!([{"name": "a", "image": "none", "livenessProbe": liveness}]),
    )
}
