//! What starts seen so far may do to the budget, and how they are recorded.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is learnt from starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Learning {
    /// What a budget that is written gets on top of what 95 % of starts are expected to need. Unit: percent. Default: 50.
    #[schemars(range(min = 0, max = 400))]
    pub headroom_percent: i32,
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            headroom_percent: 50,
        }
    }
}

/// One start that was seen: a run of the container from its beginning to its first healthy answer, or to its end before that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartRecord {
    /// When the container began to run.
    pub started_at: Time,
    /// How long it ran until the outcome. Unit: seconds.
    #[schemars(range(min = 0))]
    pub seconds: i64,
    /// What showed the outcome.
    pub measured_by: MeasuredBy,
    /// How the start ended.
    pub outcome: StartOutcome,
    /// The count at that time: that of the first rule, or of all pods where there are no rules. Unit: objects.
    #[schemars(range(min = 0))]
    pub count: i64,
    /// Image, command, arguments and size of the CPU limit, as a checksum; starts of different keys are not compared.
    #[schemars(length(max = 64))]
    pub key: String,
    /// The container's CPU limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cpu_limit: Option<String>,
    /// Whether a write of the operator caused this start. Such a start asks for no write by itself while the count is about the same. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_write: bool,
}

/// What showed how a start ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum MeasuredBy {
    /// The container status `started` turned true: there is a startup probe.
    Started,
    /// The condition ContainersReady turned true: there is a readiness probe.
    ContainersReady,
    /// The container terminated.
    Terminated,
}

/// How a start ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum StartOutcome {
    /// With the first healthy answer: the length is exact.
    Healthy,
    /// With a kill for a failed probe: the length is a lower bound.
    Killed,
    /// By itself. No probe decided that, so it says nothing about how long a start takes.
    Exited,
}
