//! Why a container restarted, or what it is doing.
//!
//! [`judge`] looks at the life that ended last, for the operator: it may ask to wait for an event.
//! [`diagnose`] looks at the container as it is now, for people: it always answers.
//!
//! Exit codes decide nothing about kills: real probe kills exit 0, 1, 137 and 143 (catalogue,
//! section 4). Words of the program explain only deaths that no probe caused. Where the evidence
//! does not decide, the verdict is Unknown.

mod clock;
mod life;
mod never;
mod now;
mod sentences;
mod why;

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

pub use life::judge;
pub use now::{Subject, diagnose};
pub use why::{
    Hindrance, HowKnown, NeverBecause, OwnTimeout, ProbeKill, StartupError, Undecided, Why,
};

/// The name of a verdict, as status, memory and `explain` show it. Source: design, section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The kubelet killed it because a probe failed before it was ever healthy. The only one that raises.
    StartupKill,
    /// The kubelet killed it because liveness failed after it had been healthy.
    SteadyStateKill,
    /// The startup probe that the operator added no longer asks what liveness asks.
    HandlerDrift,
    /// The probe that killed it asks something that this program never answers.
    ProbeNeverSucceeds,
    /// The kernel killed it for memory.
    OutOfMemory,
    /// It gave up waiting for its own caches.
    SyncTimeout,
    /// It lost its leadership and ended.
    LeaderLost,
    /// It could not start: a right, a kind, a certificate, a flag, a port.
    StartupError,
    /// The kubelet could not start it.
    NotStarted,
    /// It runs, was never ready and never ended.
    Unready,
    /// Nothing is wrong.
    Healthy,
    /// The evidence does not decide.
    Unknown,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::StartupKill,
        Self::SteadyStateKill,
        Self::HandlerDrift,
        Self::ProbeNeverSucceeds,
        Self::OutOfMemory,
        Self::SyncTimeout,
        Self::LeaderLost,
        Self::StartupError,
        Self::NotStarted,
        Self::Unready,
        Self::Healthy,
        Self::Unknown,
    ];
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A verdict of a later version, or no verdict at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the name of a verdict")]
pub struct NotAVerdict;

impl FromStr for Verdict {
    type Err = NotAVerdict;

    fn from_str(name: &str) -> Result<Self, NotAVerdict> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.to_string() == name)
            .ok_or(NotAVerdict)
    }
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Nothing decides.
    None,
    /// Only the length of the life or the program's own words speak.
    Inferred,
    /// The length of the life speaks, and so do earlier lives that nobody watched.
    InferredTwice,
    /// An event, the runtime or the status names the cause.
    Proven,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A cause and how sure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// What it is, with its evidence.
    pub why: Why,
    /// How sure that is.
    pub confidence: Confidence,
}

impl Diagnosis {
    fn new(why: Why, confidence: Confidence) -> Self {
        Self { why, confidence }
    }

    fn unknown(why: Undecided) -> Self {
        Self::new(Why::Unknown(why), Confidence::None)
    }

    /// The name of the cause.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.why.verdict()
    }
}

/// A diagnosis of one life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Why it ended.
    pub diagnosis: Diagnosis,
    /// When it ended.
    pub finished_at: Timestamp,
}

impl Judgement {
    /// Why it ended.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.diagnosis.verdict()
    }

    /// How sure that is.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        self.diagnosis.confidence
    }
}

/// What can be said of a life.
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and most are judgements"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A verdict.
    Judged(Judgement),
    /// Events were not read, or may still arrive; look again after so long.
    NotYet(SignedDuration),
    /// No life has ended.
    None,
}

#[cfg(test)]
mod tests;
