//! Everything a decision looks at, as plain data.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::CountSelector;

use crate::admission::Admission;
use crate::advice::Latency;
use crate::condition::ConditionState;
use crate::pod::PodView;
use crate::workload::{ContainerProbes, Workload};

/// What the operator saw before it decides about one policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// The policy's metadata.generation.
    pub generation: i64,
    /// One entry for each distinct thing that the rules count; a missing entry was not read yet.
    pub counts: Vec<Count>,
    /// The workload that the policy names.
    pub target: Target,
    /// Pods of the workload; at most 200, unhealthy ones first.
    pub pods: Vec<PodView>,
    /// Namespace/name of an older policy for the same container.
    pub duplicate_of: Option<String>,
    /// What forbids writing besides the policy itself.
    pub brake: Option<Brake>,
    /// Whether this policy may start a rollout now.
    pub slot: Slot,
    /// What the policy's author wrote to have it tried again.
    pub retry: Option<Retry>,
    /// A write that the API server refused lately, for this generation of policy and target.
    pub refusal: Option<Refusal>,
    /// How long the API server takes for a count, once it was counted often enough to tell.
    pub latency: Option<Latency>,
    /// Whether delivery Admission works.
    pub admission: Admission,
    /// Whether the policy leaves.
    pub going: Going,
}

/// What a policy's own object says about its leaving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Going {
    /// It is being deleted.
    pub deleting: bool,
    /// It has the finalizer of `apply.onDelete: Restore`.
    pub finalizer: bool,
    /// Its author wants the owner's probes back although more is needed.
    pub anyway: bool,
    /// Namespace/name of another policy that scales the same container from now on.
    pub successor: Option<String>,
}

/// A write that the API server refused. The same is not asked again for a while: somebody has to
/// change something first.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The probes that were refused.
    pub probes: ContainerProbes,
    /// The InSync condition that says so.
    pub condition: ConditionState,
    /// When to ask again.
    pub retry_in: SignedDuration,
}

/// The workload that a policy names.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// Not read yet.
    Unread,
    /// No such workload in the namespace.
    Missing,
    /// The workload as last seen.
    Found(Box<Workload>),
}

/// The annotation that asks to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Kills before this no longer count.
    From(Timestamp),
    /// The value is no time, and asks for nothing.
    NoTime(String),
}

impl Retry {
    /// Characters kept of a value that is no time.
    const SHOWN: usize = 64;

    /// Reads the annotation's value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let shown = || Self::NoTime(value.chars().take(Self::SHOWN).collect());
        value.trim().parse().map_or_else(|_| shown(), Self::From)
    }
}

/// What forbids every write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// The operator runs with `--read-only`.
    ReadOnly,
    /// The workload's namespace carries the ignore annotation.
    NamespaceIgnored,
}

/// A place in the rollout queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Not asked for.
    None,
    /// Waiting; 1 is next.
    Waiting {
        /// Place in the queue, from 1.
        position: usize,
    },
    /// This policy may start a rollout.
    Granted,
}

/// What is known of one count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// What is counted.
    pub selector: CountSelector,
    /// The last value read, with its time. It outlives failures; an unknown is never zero.
    pub last: Option<Sample>,
    /// Why the latest read gave no value.
    pub failure: Option<CountFailure>,
}

/// A count at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Objects counted.
    pub value: i64,
    /// When the API server answered.
    pub at: Timestamp,
}

/// A read that gave no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountFailure {
    /// What kind of failure.
    pub kind: CountFailureKind,
    /// One sentence that says what to do.
    pub message: String,
}

/// Kinds of failed count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountFailureKind {
    /// The operator's role may not list the resource.
    Forbidden,
    /// The API server does not serve the resource.
    NoSuchResource,
    /// The list was cut without a total.
    UnknownTotal,
    /// No answer, or an error that may pass.
    Unavailable,
}
