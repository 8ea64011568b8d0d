//! One Deployment, its policy, and what must come of them.

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_api::ProbePolicy;
use probepilot_policy::Verdict;
use probepilot_test_cluster::BUSYBOX;
use serde_json::{Value, json};

use crate::common::from_json;

/// Name of the container.
pub const CONTAINER: &str = "web";
/// What the owner's liveness probe guarantees a start, in seconds; it kills two seconds later at most (K16).
pub const BUDGET: i64 = 12;
/// Longer than a kill takes that comes 5 s late, and 5 s shorter than what the first raise gives (2 x 12 s).
pub const SLOW: u32 = 19;

/// What comes of a Deployment.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// So many writes raise the budget, and then every pod is ready without a restart.
    Rescued { raises: i64 },
    /// The budget was raised once, as far as it may be, and stays there.
    Exhausted { budget_seconds: i64 },
    /// The verdict says what it is, and nothing was written after so many restarts.
    LeftAlone { verdict: Verdict, restarts: i32 },
    /// Nothing has ended, so there is nothing to judge and to write; this is what it is.
    NothingEnded { is: Verdict },
}

/// One Deployment and what comes of it.
pub struct Case {
    /// Name of Deployment and policy.
    pub name: &'static str,
    /// Script of the container.
    pub program: String,
    /// Fields of the container besides the usual; null takes one away.
    pub container: Value,
    /// Fields of the pod's spec besides the usual.
    pub pod: Value,
    /// How many pods.
    pub replicas: i32,
    /// Fields of the policy's spec.
    pub policy: Value,
    /// What comes of it.
    pub end: End,
    /// Part of a sentence that `explain` says of it.
    pub says: &'static str,
}

/// A web server that is healthy at once.
pub const SERVE: &str = "mkdir -p /tmp/w; echo ok > /tmp/w/healthz; trap - TERM; exec /bin/busybox httpd -f -p 8080 -h /tmp/w";

/// Serves after so many seconds; SIGTERM before that does `on_term`.
pub fn slow(seconds: u32, on_term: &str) -> String {
    format!("trap '{on_term}' TERM; /bin/busybox sleep {seconds} & wait $!; {SERVE}")
}

/// Asks this for [`BUDGET`].
pub fn liveness(path: &str, port: u16) -> Value {
    json!({"httpGet": {"path": path, "port": port}, "initialDelaySeconds": 10, "periodSeconds": 2, "failureThreshold": 2})
}

impl Case {
    /// A Deployment of one pod with the usual probes.
    pub fn new(name: &'static str, program: String, end: End) -> Self {
        Self {
            name,
            program,
            container: json!({}),
            pod: json!({}),
            replicas: 1,
            policy: json!({}),
            end,
            says: "",
        }
    }

    /// The Deployment.
    pub fn deployment(&self) -> Deployment {
        let labels = json!({"app": self.name});
        let mut container = json!({
            "name": CONTAINER, "image": BUSYBOX, "imagePullPolicy": "Never",
            "command": ["/bin/busybox", "sh", "-c", self.program],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "livenessProbe": liveness("/healthz", 8080),
            // The kubelet writes one event after the other: where too many fail each second, that of a kill comes late.
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 3},
        });
        overlay(&mut container, &self.container);
        let mut pod = json!({"terminationGracePeriodSeconds": 1, "containers": [container]});
        overlay(&mut pod, &self.pod);
        from_json(json!({
            "metadata": {"name": self.name},
            "spec": {"replicas": self.replicas, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels}, "spec": pod,
            }},
        }))
    }

    /// A policy without rules for it.
    pub fn policy(&self) -> ProbePolicy {
        let mut spec = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "mode": "Enforce",
        });
        overlay(&mut spec, &self.policy);
        from_json(json!({
            "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
            "metadata": {"name": self.name}, "spec": spec,
        }))
    }
}

fn overlay(base: &mut Value, over: &Value) {
    for (key, value) in over.as_object().unwrap() {
        base[key] = value.clone();
    }
}
