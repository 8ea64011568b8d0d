//! What is to be done about one policy, as plain data.

use jiff::SignedDuration;
pub use probepilot_api::WriteCause as Cause;
use probepilot_api::{AdviceStatus, BudgetSource, ConditionType, Memory, OnDelete, ProbePair};

use crate::baseline::BaselineRecord;
use crate::condition::ConditionState;
use crate::observation::Count;
use crate::starts::Starts;
use crate::verdict::{Judgement, Verdict};
use crate::workload::ContainerProbes;

/// Everything that follows from one observation.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The container, once it is known.
    pub container: Option<String>,
    /// The numbers.
    pub startup: Startup,
    /// The probes that the target should carry, and the owner's own.
    pub probes: Option<Probes>,
    /// What to do to the target.
    pub action: Action,
    /// One of each condition type.
    pub conditions: Vec<ConditionState>,
    /// What to tell people now.
    pub events: Vec<Event>,
    /// What to remember.
    pub memory: Memory,
    /// The counts that were used.
    pub counts: Vec<Count>,
    /// The starts that are kept.
    pub starts: Starts,
    /// Raises in a row because of kills.
    pub raises: Option<i64>,
    /// Lives that were judged for the first time.
    pub judged: Vec<Judgement>,
    /// What would help besides probes.
    pub advice: Vec<AdviceStatus>,
    /// The verdict to show.
    pub verdict: Option<Verdict>,
    /// When to look again although nothing was seen to change.
    pub look_again: Option<SignedDuration>,
    /// What is given up.
    pub leave: Leave,
}

/// What a policy gives up of its target. Both is done one after the other, each once it is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    /// Let the container go in this way; [`crate::step`] says how.
    pub hand_back: Option<OnDelete>,
    /// A change of the policy's finalizer; one that is put on comes before any write.
    pub finalizer: Option<Finalizer>,
}

/// A change of the policy's finalizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizer {
    /// There is, or will be, something to put back.
    Put,
    /// There is nothing left to put back.
    Take,
}

impl Decision {
    /// Whether a condition of that type is there.
    pub(crate) fn has(&self, kind: ConditionType) -> bool {
        self.conditions.iter().any(|state| state.kind() == kind)
    }
}

/// The numbers behind a decision, in seconds. `None` is unknown, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// The count of the rule that decides.
    pub count: Option<i64>,
    /// The budget that rules ask for.
    pub need_seconds: Option<u32>,
    /// The budget that the template guarantees.
    pub budget_seconds: Option<u32>,
    /// Worst-case time from a hang to the kill.
    pub detection_seconds: Option<u32>,
    /// The same with the owner's own probes.
    pub baseline_detection_seconds: Option<u32>,
    /// The budget that the starts seen so far recommend.
    pub recommended_seconds: Option<u32>,
    /// What decides the need.
    pub source: Option<BudgetSource>,
    /// Place in the rollout queue.
    pub queue_position: Option<usize>,
}

/// Timings wanted and timings of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probes {
    /// What the target should carry now.
    pub desired: ProbePair,
    /// What its owner wants.
    pub baseline: ProbePair,
}

/// What to do to the target.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    None,
    /// Ask the rollout queue for a slot.
    Queue(Priority),
    /// Write these probes.
    Write(Box<Write>),
    /// Desire these probes for new pods; the status is all that is written.
    Admit(Box<Write>),
    /// Delete a killed pod that no rollout replaces.
    Replace(Replace),
}

/// The deletion of a killed pod, so that its successor gets the template's probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replace {
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod; guards against another one of that name.
    pub uid: String,
    /// Guards against every change since the pod was seen: it may be healthy by now.
    pub resource_version: String,
    /// Where its successor comes up.
    pub place: String,
    /// Why, in one sentence.
    pub sentence: String,
    /// Delivery Admission should have given it the probes already, and had not.
    pub missed: bool,
}

/// Order in the rollout queue: looping targets first, then the smallest budget for its need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The target's container is in a crash loop.
    pub looping: bool,
    /// Budget per need, in thousandths.
    pub coverage_permille: u32,
}

/// A write to the target.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The container's probes afterwards.
    pub probes: ContainerProbes,
    /// The record for the workload's annotation.
    pub record: BaselineRecord,
    /// UID of the workload.
    pub target_uid: String,
    /// Checksum of the template without what is written.
    pub template: String,
    /// Budget before, in seconds.
    pub from_seconds: u32,
    /// Budget afterwards, in seconds.
    pub to_seconds: u32,
    /// Why.
    pub cause: Cause,
    /// Why, in one sentence for status and events.
    pub sentence: String,
    /// Seconds after which the Deployment controller calls the rollout failed; `None` for other kinds.
    pub progress_deadline_seconds: Option<u32>,
    /// Whether it takes a rollout slot.
    pub takes_slot: bool,
    /// A manager that will put its own value back or fail on a conflict, where `apply.onConflict: Take`
    /// takes a timing from one, with that timing.
    pub taken: Option<(String, String)>,
}

/// Something to tell people, as an Event on the policy and, for writes, on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether somebody should look.
    pub warning: bool,
    /// CamelCase reason.
    pub reason: String,
    /// One sentence.
    pub message: String,
}
