//! What the operator reports, and whatever a restart of it must not forget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ProbeTimings, StartRecord};

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

/// What a restart of the operator must not forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Since when more is needed than there is, with the lowest need of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_raise: Option<Pending>,
    /// Since when less is needed than there is, with the highest need of that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_lower: Option<Pending>,
    /// When the budget was last lowered; it is lowered at most once a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowered_at: Option<Time>,
    /// Lives that were judged, newest last; each is judged once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub judged: Vec<JudgedLife>,
    /// What kills showed to be too little; the need stays at or above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Floor>,
    /// The raises that go on now; unset once a start was healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<RaiseSeries>,
    /// A write that was about to happen; cleared once its outcome is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The pod template in which the last write was seen, so that a change of it can be told from a correction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateMemory>,
    /// Changes by others of nothing but what was written, newest last; they are forgotten after 7 days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub corrections: Vec<Correction>,
    /// Since when nothing is written because of repeated corrections; cleared by the annotation probepilot.dev/retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contested: Option<Time>,
    /// Since when nothing is written because somebody rolled the target back; cleared by the next startup kill or a new template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<Time>,
    /// How the last write reaches killed pods that no rollout replaces. Unset for Deployments, which replace every pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<Handover>,
}

/// The pod template in which the last write was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMemory {
    /// Checksum of the template without the timings and the startup probe that the operator may write.
    #[schemars(length(max = 32))]
    pub sum: String,
    /// The timings that were written. Unset once somebody took them away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<ProbePair>,
    /// Checksums of templates before, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), inner(length(max = 32)))]
    pub earlier: Vec<String>,
}

/// A change by somebody else of nothing but what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Correction {
    /// When it was seen.
    pub at: Time,
    /// The field manager, as far as it is known; empty when it is not.
    #[serde(default)]
    #[schemars(length(max = 128))]
    pub manager: String,
}

/// How the last write reaches pods that no rollout replaces: a killed one is deleted, if its successor will differ by the operator's writes alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// UID of the target.
    #[schemars(length(max = 64))]
    pub target_uid: String,
    /// The target's metadata.generation after the write.
    #[schemars(range(min = 0))]
    pub generation: i64,
    /// Revisions of the template that differ from the written one by the operator's writes alone, newest last. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 253)))]
    pub earlier: Vec<String>,
    /// Revision of the template that was written. Unset until the target's controller has named it. Under delivery Admission: the revision of the timings that new pods get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub written: Option<String>,
    /// The pod that was deleted last for this write. Unset when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ReplacedPod>,
    /// When a pod was deleted that delivery Admission should have given the written revision, and had not. Unset when none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Time>,
}

/// A killed pod that is deleted, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplacedPod {
    /// Where its successor comes up: the pod's name in a StatefulSet, the node's in a DaemonSet, empty in a Deployment.
    #[schemars(length(max = 253))]
    pub place: String,
    /// UID of the pod.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// When its deletion was decided.
    pub at: Time,
    /// Why, in one sentence.
    #[schemars(length(max = 1024))]
    pub reason: String,
    /// Whether the deletion is known to be done, and was told. Default: false.
    #[serde(default)]
    pub told: bool,
}

/// A change of need that waits for its window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// Since when the need lies on this side of the budget.
    pub since: Time,
    /// When that was last seen; a long gap starts the window again.
    pub observed_at: Time,
    /// The extreme of each count since turnedAt: the lowest for a raise, the highest for a lower.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub counts: Vec<CountStatus>,
    /// Since when counts holds the extremes; it moves on by a window at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_at: Option<Time>,
    /// The extreme of each count in the window before turnedAt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub earlier: Vec<CountStatus>,
}

/// A budget that a kill asked for. It holds for the same program while the count is at least 80 % of what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    /// The budget. Unit: seconds.
    #[schemars(range(min = 0))]
    pub seconds: i64,
    /// The count at the kill. Unset when none was known. Unit: objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub count: Option<i64>,
    /// Image, command, arguments and size of the CPU limit, as a checksum, and what was counted where that is not all pods.
    #[schemars(length(max = 64))]
    pub key: String,
}

/// Raises in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RaiseSeries {
    /// How many were written so far. Unit: raises.
    #[schemars(range(min = 0))]
    pub raises: i64,
    /// When the last killed life ended.
    pub killed_at: Time,
    /// Why there may be no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhausted: Option<Exhaustion>,
}

/// Why the budget may grow no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Exhaustion {
    /// After crashLoop.maxRaises raises.
    MaxRaises,
    /// limits.maxStartupSeconds allows no more.
    MaxStartup,
}

/// One life of the container that was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct JudgedLife {
    /// UID of the pod.
    #[schemars(length(max = 64))]
    pub pod_uid: String,
    /// When this life ended.
    pub finished_at: Time,
    /// Why it ended.
    #[schemars(length(max = 63))]
    pub verdict: String,
    /// Proven when an event names the probe, Inferred when only the length of the life speaks.
    #[schemars(length(max = 16))]
    pub confidence: String,
    /// How long it ran; runs that all last the same tell of a timeout of the program's own. Unit: seconds. Default: unset, when an earlier version judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub seconds: Option<i64>,
}

/// A write that was about to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// When it was decided.
    pub at: Time,
    /// UID of the target.
    #[schemars(length(max = 64))]
    pub target_uid: String,
    /// The target's metadata.generation before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,
    /// Revision of the target's template before it. Unset where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub template: Option<String>,
    /// The timings that it writes.
    pub probes: ProbePair,
    /// Why it is written: Kill, Raise, Lower or Handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<WriteCause>,
    /// What becomes of lastWrite once it is seen to be done.
    pub write: LastWrite,
}

/// Why probes are written.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum WriteCause {
    /// More is needed, and a probe is killing the target.
    Kill,
    /// More is needed, and nothing was killed.
    Raise,
    /// Less is needed, for the whole window.
    Lower,
    /// The operator's startup probe no longer matches the owner's liveness probe.
    Handler,
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
