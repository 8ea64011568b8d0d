//! Limits, delivery and pace: everything that shapes a write besides the rules.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The range into which what rules ask for is clipped. A limit is never a reason to write by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minStartupSeconds <= self.maxStartupSeconds")
    .message("limits.minStartupSeconds must not exceed limits.maxStartupSeconds: lower the first or raise the second"))]
pub struct Limits {
    /// No write asks for less. Unit: seconds. Default: 10.
    #[serde(default = "min_startup_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub min_startup_seconds: i32,

    /// No write asks for more. Unit: seconds. Default: 1800.
    #[serde(default = "max_startup_seconds")]
    #[schemars(range(min = 1, max = 86_400))]
    pub max_startup_seconds: i32,
}

fn min_startup_seconds() -> i32 {
    10
}

fn max_startup_seconds() -> i32 {
    1800
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            min_startup_seconds: min_startup_seconds(),
            max_startup_seconds: max_startup_seconds(),
        }
    }
}

/// How a budget is given to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Apply {
    /// Startup puts the budget into a startupProbe with liveness's own handler; Liveness puts it into liveness's initialDelaySeconds. A startup probe of the owner takes the budget either way. Default: Startup.
    pub probe: GuardProbe,

    /// What becomes of a timing that another manager declares: Auto takes it from managers that write only when somebody runs them and leaves it to those that apply or correct again and again; Take takes it from all; Yield takes it from none. Whatever it says, a startupProbe that nobody declares may be added. Default: Auto.
    pub on_conflict: OnConflict,

    /// How timings reach pods: Template patches the workload, which rolls its pods; Admission writes nothing to the workload and gives new pods a startupProbe as they are created, by the MutatingAdmissionPolicy in config/admission (Kubernetes 1.36 or newer). Default: Template.
    pub delivery: Delivery,

    /// What becomes of what was written once the policy is deleted: Keep leaves the probes as they are, gives up every field of them, and annotates the workload with the command that removes them; Restore puts the owner's own values back first, for which the policy carries the finalizer probepilot.dev/restore, and waits while more is needed than they give (see the annotation probepilot.dev/restore-anyway). Default: Keep.
    pub on_delete: OnDelete,
}

/// How timings reach pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// A patch of the workload's template.
    #[default]
    Template,
    /// Admission of new pods.
    Admission,
}

/// The probe that is given the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GuardProbe {
    /// A startupProbe with liveness's handler: a fast start is seen at once.
    #[default]
    Startup,
    /// Liveness's initialDelaySeconds.
    Liveness,
}

/// What becomes of a timing that another manager declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnConflict {
    /// Taken from one-shot tools, left to appliers and correctors.
    #[default]
    Auto,
    /// Taken from every manager.
    Take,
    /// Left to every manager.
    Yield,
}

/// What becomes of what was written once the policy is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OnDelete {
    /// The probes stay, and nobody owns them any more.
    #[default]
    Keep,
    /// The owner's own values are put back.
    Restore,
}

/// When the operator may write. The words are HorizontalPodAutoscaler's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Behavior {
    /// When a budget may grow. A target whose probe is killing it waits for nothing of this. Default: Safe, after 300 seconds.
    pub raise: RaiseBehavior,

    /// When a budget may shrink. Default: never.
    pub lower: LowerBehavior,
}

/// When a budget may grow before anything was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RaiseBehavior {
    /// Safe writes when the target's strategy starts new pods before it stops old ones, and otherwise waits for a kill or for the owner's next rollout; Always writes anyway; OnKill waits for a kill. Default: Safe.
    pub policy: RaisePolicy,

    /// How long the count must ask for more before the budget grows; the lowest count of the window counts. Unit: seconds. Default: 300.
    #[schemars(range(min = 0, max = 604_800))]
    pub stabilization_window_seconds: i32,

    /// Least time between two such writes. Unit: seconds. Default: 300.
    #[schemars(range(min = 0, max = 604_800))]
    pub min_interval_seconds: i32,
}

impl Default for RaiseBehavior {
    fn default() -> Self {
        Self {
            policy: RaisePolicy::Safe,
            stabilization_window_seconds: 300,
            min_interval_seconds: 300,
        }
    }
}

/// Which proactive writes are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RaisePolicy {
    /// Only where the rollout that a write causes starts new pods before it stops old ones.
    #[default]
    Safe,
    /// Whatever the rollout does.
    Always,
    /// Never before a kill.
    OnKill,
}

/// When a budget may shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LowerBehavior {
    /// Disabled never lowers; Enabled lowers at most once a day. Default: Disabled.
    pub policy: LowerPolicy,

    /// How far below the budget the need must lie. Unit: percent of the budget. Default: 30.
    #[schemars(range(min = 0, max = 100))]
    pub tolerance_percent: i32,

    /// How long the count must ask for less before the budget shrinks; the highest count of the window counts. Unit: seconds. Default: 86400.
    #[schemars(range(min = 0, max = 604_800))]
    pub stabilization_window_seconds: i32,
}

impl Default for LowerBehavior {
    fn default() -> Self {
        Self {
            policy: LowerPolicy::Disabled,
            tolerance_percent: 30,
            stabilization_window_seconds: 86_400,
        }
    }
}

/// Whether a budget may shrink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LowerPolicy {
    /// Never lower.
    #[default]
    Disabled,
    /// Lower when the window and the tolerance say so.
    Enabled,
}
