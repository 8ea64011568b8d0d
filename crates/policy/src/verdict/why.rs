//! The causes, each with the evidence it stands on.

use jiff::{SignedDuration, Timestamp};

use super::Verdict;
use crate::evidence::{Complaint, Handler, Quantity, Quote, StartupErrorKind};
use crate::pod::FailedProbe;
use crate::window::LifeWindow;

/// Why a container restarted, or what it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// See [`Verdict::StartupKill`].
    StartupKill(ProbeKill),
    /// See [`Verdict::SteadyStateKill`].
    SteadyStateKill(ProbeKill),
    /// See [`Verdict::HandlerDrift`].
    HandlerDrift {
        /// The kill.
        kill: ProbeKill,
        /// What our startup probe asks.
        startup: Handler,
        /// What liveness asks.
        liveness: Handler,
    },
    /// See [`Verdict::ProbeNeverSucceeds`].
    ProbeNeverSucceeds {
        /// The kill.
        kill: ProbeKill,
        /// Why no budget is long enough.
        because: NeverBecause,
    },
    /// See [`Verdict::OutOfMemory`].
    OutOfMemory {
        /// The container's limit; without one the node's memory ran out.
        limit: Option<Quantity>,
    },
    /// See [`Verdict::SyncTimeout`].
    SyncTimeout(OwnTimeout),
    /// See [`Verdict::LeaderLost`].
    LeaderLost {
        /// Its words.
        said: Quote,
    },
    /// See [`Verdict::StartupError`].
    StartupError(StartupError),
    /// See [`Verdict::NotStarted`].
    NotStarted(Hindrance),
    /// See [`Verdict::Unready`].
    Unready {
        /// Since when it runs.
        since: Timestamp,
        /// Whether its startup probe has not succeeded yet.
        starting: bool,
        /// What the probe that holds it back got last.
        complaint: Option<Complaint>,
    },
    /// See [`Verdict::Healthy`].
    Healthy {
        /// Since when it runs; `None` when it has ended well.
        since: Option<Timestamp>,
    },
    /// See [`Verdict::Unknown`].
    Unknown(Undecided),
}

impl Why {
    /// The name.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::StartupKill(_) => Verdict::StartupKill,
            Self::SteadyStateKill(_) => Verdict::SteadyStateKill,
            Self::HandlerDrift { .. } => Verdict::HandlerDrift,
            Self::ProbeNeverSucceeds { .. } => Verdict::ProbeNeverSucceeds,
            Self::OutOfMemory { .. } => Verdict::OutOfMemory,
            Self::SyncTimeout(_) => Verdict::SyncTimeout,
            Self::LeaderLost { .. } => Verdict::LeaderLost,
            Self::StartupError(_) => Verdict::StartupError,
            Self::NotStarted(_) => Verdict::NotStarted,
            Self::Unready { .. } => Verdict::Unready,
            Self::Healthy { .. } => Verdict::Healthy,
            Self::Unknown(_) => Verdict::Unknown,
        }
    }

    /// The kill, where a probe was the killer.
    #[must_use]
    pub fn kill(&self) -> Option<&ProbeKill> {
        match self {
            Self::StartupKill(kill)
            | Self::SteadyStateKill(kill)
            | Self::HandlerDrift { kill, .. }
            | Self::ProbeNeverSucceeds { kill, .. }
            | Self::Unknown(Undecided::Unguarded(kill) | Undecided::Prolonged(kill)) => Some(kill),
            _ => None,
        }
    }
}

/// A restart by the kubelet because a probe failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeKill {
    /// The probe.
    pub probe: FailedProbe,
    /// How this is known.
    pub known: HowKnown,
    /// What the probe got last in that life, where an event tells.
    pub complaint: Option<Complaint>,
}

/// How a kill is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HowKnown {
    /// A Killing event of this life.
    Event {
        /// When it was last seen.
        at: Timestamp,
    },
    /// A Killing event of an earlier life; later ones are not written (facts, "Event strings").
    EarlierEvent {
        /// When it was last seen.
        at: Timestamp,
    },
    /// The length of the life.
    Length(LifeWindow),
}

/// Why no budget is long enough for a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeverBecause {
    /// The answer says that the question is wrong.
    Answer,
    /// Nobody listens on the port though the program serves: its own words.
    ServesElsewhere(Quote),
    /// Nobody listens on the port though the readiness probe was answered on another.
    ReadyElsewhere(Handler),
}

/// An own timeout of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnTimeout {
    /// It says so.
    Said(Quote),
    /// It ended after the time of a known clock.
    Clock {
        /// The clock.
        seconds: u32,
        /// Whose clock that is.
        of: &'static str,
    },
    /// Its runs all have the same length.
    Constant {
        /// The length of the last one.
        length: SignedDuration,
        /// How many runs were compared.
        runs: usize,
    },
}

/// An error that kept the program from starting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupError {
    /// Which.
    pub kind: StartupErrorKind,
    /// Its words.
    pub said: Option<Quote>,
}

/// What keeps the kubelet from starting a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The reason in the status.
    pub reason: Quote,
    /// What is said about it.
    pub message: Option<Quote>,
}

/// Why the evidence does not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecided {
    /// The pod is being deleted, which ends every container.
    PodDeleted,
    /// The pod was ended as a whole.
    PodEnded(Quote),
    /// The runtime or the node lost the container.
    Lost(Quote),
    /// It restarted, but how it ended is not recorded any more.
    NoRecord,
    /// The status says nothing of the container yet.
    NoStatus,
    /// The length fits a kill and a clock of the program's own.
    OwnTimeoutInWindow {
        /// The clock.
        seconds: u32,
        /// Lengths that a kill gives.
        window: LifeWindow,
    },
    /// The length fits a kill during the start, but it was ready in that life.
    WasReady,
    /// The length fits a kill during the start, but it is healthy now and no event speaks.
    HealthyNow,
    /// Liveness killed it, and may never have been answered in that life though a startup probe was to hold it back.
    Unguarded(ProbeKill),
    /// Liveness killed it later than it kills a start, but it was never ready in that life.
    Prolonged(ProbeKill),
    /// It ended by itself after the start.
    EndedItself {
        /// Lengths that a kill during the start gives, where a probe can kill.
        window: Option<LifeWindow>,
    },
    /// It ended by itself before a probe could kill it, and not with an error.
    EndedEarly {
        /// Lengths that a kill during the start gives, where a probe can kill.
        window: Option<LifeWindow>,
    },
}
