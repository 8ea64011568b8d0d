//! Rules: from a count to a startup budget.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::ProbeTimings;

/// One way in which the budget grows: a count and exactly one of steps, linear or interpolate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.steps), has(self.linear), has(self.interpolate)].filter(given, given).size() == 1")
    .message("give exactly one of steps, linear or interpolate in each rule; use a second rule for a second form"))]
pub struct ScalingRule {
    /// What is counted. Default: all pods of the cluster, completed ones too.
    #[serde(default)]
    pub count: CountSelector,

    /// A ladder: the highest rung whose atLeast the count reaches applies; below the first rung the rule says nothing. Default: unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = Rule::new("self.map(step, step.atLeast).isSorted() && self.all(a, self.exists_one(b, b.atLeast == a.atLeast))")
        .message("steps must rise strictly: sort them by atLeast and give each atLeast once"))]
    pub steps: Option<Vec<Step>>,

    /// A straight line: base plus so many seconds for each thousand counted. Default: unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<Linear>,

    /// Measured points, joined by power laws (straight lines on log-log paper) and extended beyond both ends; exponents are clamped to 0..2 and a count of 0 is taken as 1. Default: unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(validation = Rule::new("self.map(point, point.count).isSorted() && self.all(a, self.exists_one(b, b.count == a.count))")
        .message("interpolate points must rise strictly: sort them by count and give each count once"))]
    pub interpolate: Option<Vec<Point>>,
}

/// What a rule counts: objects of one resource, in one namespace or in all.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, KubeSchema,
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.group != '' || self.resource != 'secrets'")
    .message("secrets cannot be counted: the operator has no right to read them; count what the controller caches besides, for example configmaps or services"))]
pub struct CountSelector {
    /// API group of the resource, as kubectl api-resources shows it. Default: "", the core group.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub group: String,

    /// Plural name of the resource, in lower case. Default: pods.
    #[serde(default = "pods")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]+$')")
        .message("resource must be the plural name in lower case, as kubectl api-resources lists it: pods, services, ingresses"))]
    pub resource: String,

    /// Namespace to count in. Default: "", all namespaces.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
}

fn pods() -> String {
    "pods".to_owned()
}

impl Default for CountSelector {
    fn default() -> Self {
        Self {
            group: String::new(),
            resource: pods(),
            namespace: String::new(),
        }
    }
}

/// One rung of a ladder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.startupSeconds) || has(self.livenessProbe)")
    .message("a step must set something: startupSeconds, livenessProbe or both"))]
pub struct Step {
    /// The count from which this rung applies. Unit: objects. No default.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub at_least: i64,

    /// The startup budget that this rung asks for. Unit: seconds. Default: the budget of livenessProbe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub startup_seconds: Option<i32>,

    /// Liveness timings to write as they are; a timing left out keeps the owner's value. Default: unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("has(self.initialDelaySeconds) || has(self.periodSeconds) || has(self.timeoutSeconds) || has(self.failureThreshold)")
        .message("livenessProbe must set a timing: initialDelaySeconds, periodSeconds, timeoutSeconds or failureThreshold"))]
    pub liveness_probe: Option<ProbeTimings>,
}

/// A straight line through the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.baseSeconds > 0 || self.secondsPerThousand > 0")
    .message("linear must ask for something: set baseSeconds or secondsPerThousand above 0"))]
pub struct Linear {
    /// The budget at a count of 0. Unit: seconds. No default.
    #[schemars(range(min = 0, max = 86_400))]
    pub base_seconds: i32,

    /// What each thousand counted adds. Unit: seconds. No default.
    #[schemars(range(min = 0, max = 86_400))]
    pub seconds_per_thousand: i32,
}

/// One measured point of a curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// The count at which the start was measured; 0 is taken as 1. Unit: objects. No default.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub count: i64,

    /// How long the start took. Unit: seconds. No default.
    #[schemars(range(min = 1, max = 86_400))]
    pub startup_seconds: i32,
}
