//! The ProbePolicy API, `probepilot.dev/v1alpha1`: types, defaults and the generated
//! CustomResourceDefinition.
//!
//! Types here are plain structs with options, as the schema has them; they become enums when
//! `probepilot-policy` parses them. Every number, list and string is bounded, because a bad policy
//! is refused at `kubectl apply` and because the API server's CEL cost limits demand it.
//!
//! No client, clock or I/O belongs in this crate.

mod behavior;
mod conditions;
mod crash_loop;
mod crd;
mod learning;
mod memory;
mod policy;
mod rules;
mod status;
mod timings;

pub use behavior::{
    Apply, Behavior, Delivery, GuardProbe, Limits, LowerBehavior, LowerPolicy, OnConflict,
    OnDelete, RaiseBehavior, RaisePolicy,
};
pub use conditions::{ConditionStatus, ConditionType, Reason};
pub use crash_loop::CrashLoop;
pub use crd::{crd, crd_yaml, reference_markdown};
pub use learning::{Learning, MeasuredBy, StartOutcome, StartRecord};
pub use memory::{
    Correction, Exhaustion, Floor, Handover, Intent, JudgedLife, Memory, Pending, RaiseSeries,
    ReplacedPod, TemplateMemory, WriteCause,
};
pub use policy::{Mode, ProbePolicy, ProbePolicySpec, TargetKind, TargetRef};
pub use rules::{CountSelector, Linear, Point, ScalingRule, Step};
pub use status::{
    AdviceStatus, BudgetSource, CountStatus, LastWrite, ProbePair, ProbePolicyStatus, StartupStatus,
};
pub use timings::ProbeTimings;

/// API group of ProbePolicy, and the prefix of every annotation that the operator reads or writes.
pub const GROUP: &str = "probepilot.dev";

/// Field manager of every write to a workload.
pub const FIELD_MANAGER: &str = "probepilot";

/// Annotation on a workload: what its owner wants and what was written, as JSON.
pub const BASELINE_ANNOTATION: &str = "probepilot.dev/baseline";

/// Annotation on a workload whose probes were let go and stay as they are: the command that takes them away.
pub const KEPT_ANNOTATION: &str = "probepilot.dev/kept";

/// Finalizer on a policy with `apply.onDelete: Restore` that has written something.
pub const RESTORE_FINALIZER: &str = "probepilot.dev/restore";

/// Annotation on a policy with `apply.onDelete: Restore` that is being deleted: any value but `false` puts the
/// owner's probes back although more is needed than they give, which may begin the crash loop anew.
pub const RESTORE_ANYWAY_ANNOTATION: &str = "probepilot.dev/restore-anyway";

/// Annotation on a pod that got probes at its admission: `POLICY:REVISION`, more of them behind commas. The
/// revision is `ProbePair::revision`.
pub const ADMITTED_ANNOTATION: &str = "probepilot.dev/probes";

/// Name of the MutatingAdmissionPolicy and of its binding (config/admission).
pub const ADMISSION_POLICY: &str = "probepilot-probes";

/// Name of the policy, in the operator's own namespace, with which delivery Admission is tried
/// (config/admission). It scales nothing.
pub const CANARY_POLICY: &str = "probepilot-canary";

/// Annotation on a policy: a time that has come, RFC 3339. Kills before it no longer count: an exhausted
/// policy is so no more, and the next kill begins a new series of raises. Nothing is raised for the kill
/// that was there already, because whoever tries again has changed something. A contested or rolled-back target may be
/// written again.
pub const RETRY_ANNOTATION: &str = "probepilot.dev/retry";

/// Annotation on a workload or namespace: any value but `false` keeps the operator's hands off.
pub const IGNORE_ANNOTATION: &str = "probepilot.dev/ignore";
