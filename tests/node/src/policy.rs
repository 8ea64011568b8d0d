//! The policies of the story.

use podcache::NAME as CONTROLLER;
use serde_json::{Value, json};

/// The count from which the controller needs more than its chart allows.
pub const LARGE: u64 = 10_000;

/// The policy of design section 3 for the controller of a namespace. Its windows are 0 seconds, so that nobody has to wait for them.
#[derive(Debug, Clone)]
pub struct StoryPolicy {
    mode: &'static str,
    rules: bool,
    large: Value,
    lower: Value,
    apply: Value,
}

impl StoryPolicy {
    /// From 10,000 pods on it asks for liveness timings of 60/10/30/6, as people set them by hand today.
    #[must_use]
    pub fn timings(mode: &'static str) -> Self {
        Self {
            mode,
            rules: true,
            large: json!({"atLeast": LARGE, "livenessProbe": {
                "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}}),
            lower: json!({}),
            apply: json!({}),
        }
    }

    /// From 10,000 pods on it asks for a startup budget.
    #[must_use]
    pub fn budget(mode: &'static str, seconds: u32) -> Self {
        Self {
            large: json!({"atLeast": LARGE, "startupSeconds": seconds}),
            ..Self::timings(mode)
        }
    }

    /// Without any rule: only kills ask for a budget.
    #[must_use]
    pub fn kills_alone(mode: &'static str) -> Self {
        Self {
            rules: false,
            ..Self::timings(mode)
        }
    }

    /// Lowers again as soon as the count does, without the usual day of patience.
    #[must_use]
    pub fn lowering_at_once(mut self) -> Self {
        self.lower = json!({"policy": "Enabled", "stabilizationWindowSeconds": 0});
        self
    }

    /// By delivery Admission instead of a patch of the template.
    #[must_use]
    pub fn by_admission(mut self) -> Self {
        self.apply = json!({"delivery": "Admission"});
        self
    }

    /// The object, as a user would write it.
    #[must_use]
    pub fn object(&self, namespace: &str) -> Value {
        let mut behavior =
            json!({"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}});
        if self.lower != json!({}) {
            behavior["lower"] = self.lower.clone();
        }
        let rule = json!({
            "count": {"group": "", "resource": "pods", "namespace": ""},
            "steps": [{"atLeast": 0, "startupSeconds": 60}, self.large],
        });
        let rules = if self.rules { vec![rule] } else { Vec::new() };
        json!({
            "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
            "metadata": {"name": CONTROLLER, "namespace": namespace},
            "spec": {
                "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": CONTROLLER},
                "containerName": CONTROLLER,
                "mode": self.mode,
                "rules": rules,
                "apply": self.apply,
                "behavior": behavior,
            },
        })
    }
}
