//! What the operator reports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Memory, ProbeTimings, StartRecord};

/// What was observed, decided and done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbePolicyStatus {
    /// The metadata.generation that this status answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// The target as kubectl addresses it, for example deployment/aws-load-balancer-controller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub target: Option<String>,

    /// The container whose probes are scaled; pinned once chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub container: Option<String>,

    /// Why the container last restarted. Empty when it never did, and after 24 hours of health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub verdict: Option<String>,

    /// What would help besides other probes, at most one entry for each rule. Nothing of it is ever acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub advice: Vec<AdviceStatus>,

    /// The numbers behind the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<StartupStatus>,

    /// Raises written in a row because of kills, without a healthy start between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub raises: Option<i64>,

    /// The counts that the rules used, one entry for each thing counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub counts: Vec<CountStatus>,

    /// Timings that the target should carry now; what Enforce writes. Timings only, no handlers. Under delivery Admission it is what new pods get: a whole startup probe, and only those liveness timings that differ from the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<ProbePair>,

    /// Timings as the owner of the target wants them, without anything written by the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<ProbePair>,

    /// Starts that were seen, oldest first: of each program the longest healthy and the longest killed one of each doubling of the count, then the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub starts: Vec<StartRecord>,

    /// What a restart of the operator must not forget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,

    /// The last write to the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_write: Option<LastWrite>,

    /// Ready, TargetFound, InSync, CrashLooping, Contested, Exhausted and CountFresh, and Delivery under delivery Admission.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), transform = bound_conditions, extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// Bounds that metav1.Condition states for itself and that its generated schema leaves out.
fn bound_conditions(list: &mut Schema) {
    let bounds = [
        ("/items/properties/type/maxLength", json!(316)),
        (
            "/items/properties/status/enum",
            json!(["True", "False", "Unknown"]),
        ),
        ("/items/properties/reason/minLength", json!(1)),
        ("/items/properties/reason/maxLength", json!(1024)),
        ("/items/properties/message/maxLength", json!(32768)),
        ("/items/properties/observedGeneration/minimum", json!(0)),
    ];
    for (path, bound) in bounds {
        let (field, keyword) = path.rsplit_once('/').unwrap_or_default();
        if let Some(field) = list.pointer_mut(field).and_then(Value::as_object_mut) {
            field.insert(keyword.to_owned(), bound);
        }
    }
}

/// A remedy that no probe can give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdviceStatus {
    /// Id of the rule that gives it, for example out-of-memory.
    #[schemars(length(max = 63))]
    pub rule: String,
    /// What to do, in sentences.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// The numbers behind the decision. All seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartupStatus {
    /// The count of the rule that decides. Unit: objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub count: Option<i64>,

    /// The startup budget that rules ask for now. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub need_seconds: Option<i64>,

    /// The startup budget that the target's template guarantees now. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub budget_seconds: Option<i64>,

    /// Worst-case time from a hang of the healthy container to its kill. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub detection_seconds: Option<i64>,

    /// The same with the owner's own probes. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub baseline_detection_seconds: Option<i64>,

    /// The startup budget that the starts seen so far recommend at the present count. Unset while too little was seen. Unit: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub recommended_seconds: Option<i64>,

    /// What decides the need: Owner, Rule, Learned, Raise or Limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<BudgetSource>,

    /// Place in the queue of rollouts, 1 is next. Unset when the target does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub queue_position: Option<i64>,
}

/// What decides the need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BudgetSource {
    /// No rule asks for more than the owner's probes give.
    Owner,
    /// A rule.
    Rule,
    /// The starts that were seen, where learning is set.
    Learned,
    /// A kill.
    Raise,
    /// A rule, a kill or learning, clipped by limits.
    Limit,
}

/// One count and when it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountStatus {
    /// API group of the resource counted.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub group: String,
    /// Plural name of the resource counted.
    #[schemars(length(max = 63))]
    pub resource: String,
    /// Namespace counted in; empty means all.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The last value read. Unset when none could be read: an unknown is never zero. Unit: objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub value: Option<i64>,
    /// When the value was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Time>,
}

/// Timings of the two probes that can end a container's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbePair {
    /// Timings of the startup probe. Unset when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_probe: Option<ProbeTimings>,
    /// Timings of the liveness probe. Unset when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<ProbeTimings>,
}

impl ProbePair {
    /// These timings as the annotation on a pod has them: `s0.10.10.13_l60.10.30.6`, the startup probe's and
    /// the liveness probe's initialDelaySeconds, periodSeconds, timeoutSeconds and failureThreshold. What is not
    /// set is a dash, and a probe that is not there is left out. config/admission builds the same.
    #[must_use]
    pub fn revision(&self) -> String {
        let probe = |letter: char, timings: Option<ProbeTimings>| {
            let timings = timings?;
            let fields = [
                timings.initial_delay_seconds,
                timings.period_seconds,
                timings.timeout_seconds,
                timings.failure_threshold,
            ];
            let fields =
                fields.map(|field| field.map_or("-".to_owned(), |field| field.to_string()));
            Some(format!("{letter}{}", fields.join(".")))
        };
        let probes = [
            probe('s', self.startup_probe),
            probe('l', self.liveness_probe),
        ];
        probes.into_iter().flatten().collect::<Vec<_>>().join("_")
    }
}

/// The last write to the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastWrite {
    /// When it was accepted.
    pub at: Time,
    /// The target's metadata.generation after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,
    /// The budget before it. Unit: seconds.
    #[schemars(range(min = 0))]
    pub from_seconds: i64,
    /// The budget it gave; 0 when no probe can end the start any more. Unit: seconds.
    #[schemars(range(min = 0))]
    pub to_seconds: i64,
    /// Why, in one sentence.
    #[schemars(length(max = 1024))]
    pub reason: String,
}
