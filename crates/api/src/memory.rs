//! What a restart of the operator must not forget.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CountStatus, LastWrite, ProbePair};

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
    /// UID of the target that has it; one that is created again has a template of its own. Default: empty, as an earlier version wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub target_uid: String,
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
