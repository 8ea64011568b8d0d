//! Pure decisions: rules to need, facts to verdicts, need to probes.
//!
//! [`decide`] is one function over plain data; the operator, the command line and every simulation
//! call the same one. No client, clock, randomness or environment belongs in this crate: time comes
//! in as an argument and everything observed as an [`Observation`].

mod admission;
mod advice;
mod baseline;
mod catalogue;
mod choose;
mod condition;
mod contest;
mod curve;
mod decide;
mod decision;
mod events;
mod evidence;
mod gate;
mod handover;
mod kills;
mod learning;
mod leave;
mod managed;
mod need;
mod observation;
mod pace;
mod patch;
mod pod;
mod policy;
mod probes;
mod queue;
mod raise;
mod report;
mod starts;
#[cfg(test)]
mod testing;
mod timing;
mod verdict;
mod window;
mod workload;

pub use admission::{Admission, Support};
pub use advice::{ADVICE_RULES, Advice, AdviceRule, Facts, Latency, Measured, Unmeasured, advise};
pub use baseline::{Baseline, BaselineRecord};
pub use choose::choose;
pub use condition::ConditionState;
pub use curve::{Curve, Evidence, Exponent};
pub use decide::{decide, pinned};
pub use decision::{
    Action, Cause, Decision, Event, Finalizer, Leave, Priority, Probes, Replace, Startup, Write,
};
pub use evidence::{
    Answer, Complaint, Handler, LastWords, ProbeKind, Quantity, Quote, Said, StartupErrorKind,
    Told, Trouble,
};
pub use handover::{after_write, replaced, settle_replacement};
pub use kills::{KilledNow, Kills, earlier_runs, unread};
pub use learning::{Learned, Recommendation, Unlearned, recommendation};
pub use leave::{LetGo, PutBack, Step, step};
pub use managed::{FieldOwner, ManagedProbes, Operation, ProbeField, Taken, Temper};
pub use need::{Ask, Asked, interpolate, need};
pub use observation::{
    Brake, Count, CountFailure, CountFailureKind, Going, Observation, Refusal, Retry, Sample, Slot,
    Target,
};
pub use patch::patch;
pub use pod::{
    ContainerView, FailedProbe, KillingEvent, Life, Owner, PodView, ReadyTurned, Role, SeenStart,
    Usage,
};
pub use policy::{Bounds, CurvePoint, Form, Lower, Policy, PolicyError, Raise, Rule, Rung};
pub use probes::{Held, HeldField, Wish, budget, probes};
pub use queue::{PolicyKey, RolloutQueue};
pub use report::{
    Settled, admitted, intent, last_write, raises, remember_write, settle_intent, status,
    worth_writing,
};
pub use starts::{
    MAX_KEYS, MAX_STARTS, MeasuredBy, Outcome, ProgramSum, Start, StartKey, Starts, Template,
};
pub use timing::TimingField;
pub use verdict::{
    Confidence, Diagnosis, Finding, Hindrance, HowKnown, Judgement, NeverBecause, NotAVerdict,
    OwnTimeout, ProbeKill, StartupError, Subject, Undecided, Verdict, Why, diagnose, judge,
};
pub use window::LifeWindow;
pub use workload::{
    Annotated, ContainerProbes, Probe, Revision, Rollout, Strategy, Workload, WorkloadError,
};
