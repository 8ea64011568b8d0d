//! Why a container restarted, judged from one ended life.
//!
//! Exit codes decide nothing: real probe kills exit 0, 1, 137 and 143 (catalogue, section 4).

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use probepilot_kubelet::{StartGuard, Timings};

use crate::pod::{ContainerView, FailedProbe, KillingEvent, Life, PodView};

/// Why a container restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The kubelet killed it because a probe failed before it was ever healthy.
    StartupKill,
    /// The kubelet killed it because liveness failed after it had been healthy.
    SteadyStateKill,
    /// The kernel killed it for memory.
    OutOfMemory,
    /// The evidence does not decide.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Only the length of the life speaks.
    Inferred,
    /// The length of the life speaks, and so do earlier lives that nobody watched.
    InferredTwice,
    /// An event or the runtime names the cause.
    Proven,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A verdict about one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Why it ended.
    pub verdict: Verdict,
    /// How sure that is.
    pub confidence: Confidence,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// What can be said of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A verdict.
    Judged(Judgement),
    /// Events were not read, or may still arrive; look again after so long.
    NotYet(SignedDuration),
    /// No life has ended.
    None,
}

/// How long after the end of a life a missing event may still arrive. Source: design, section 8.
const EVENT_PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// What a kill may take beyond preStop and grace, and the resolution of timestamps.
const SLACK: SignedDuration = SignedDuration::from_secs(2);
/// The kubelet writes the event before it stops the container; both stamps are whole seconds (K12).
const EVENT_SLACK: SignedDuration = SignedDuration::from_secs(1);
/// Restarts from which a container that nobody watched counts as looping.
const LOOPING_RESTARTS: i32 = 3;

/// Judges the container's last ended life.
#[must_use]
pub fn judge(pod: &PodView, container: &ContainerView, now: Timestamp) -> Finding {
    let Some(life) = &container.last_life else {
        return Finding::None;
    };
    let judged = |verdict, confidence| {
        Finding::Judged(Judgement {
            verdict,
            confidence,
            finished_at: life.finished_at,
        })
    };
    if life.reason == "OOMKilled" {
        return judged(Verdict::OutOfMemory, Confidence::Proven);
    }
    let Some(kills) = &container.kills else {
        return Finding::NotYet(SignedDuration::ZERO);
    };
    let window = KillWindow::of(pod, container);
    let within = window.is_some_and(|window| window.contains(life));
    if let Some(kill) = kills.iter().find(|kill| kill.falls_into(life)) {
        let verdict = match (kill.probe, container.guard()) {
            (FailedProbe::Startup, _) => Verdict::StartupKill,
            (FailedProbe::Liveness, StartGuard::Liveness(_)) if within => Verdict::StartupKill,
            (FailedProbe::Liveness, _) => Verdict::SteadyStateKill,
        };
        return judged(verdict, Confidence::Proven);
    }
    if !within || container.healthy() {
        return judged(Verdict::Unknown, Confidence::Inferred);
    }
    let waited = now.duration_since(life.finished_at);
    if container.restart_count >= LOOPING_RESTARTS {
        // Killing events stop after about six kills, so an earlier one speaks for this life too.
        let confidence = if kills.is_empty() {
            Confidence::InferredTwice
        } else {
            Confidence::Proven
        };
        return judged(Verdict::StartupKill, confidence);
    }
    if waited < EVENT_PATIENCE {
        return Finding::NotYet(SignedDuration::from_secs(if waited.as_secs() < 3 {
            1
        } else {
            3
        }));
    }
    judged(Verdict::StartupKill, Confidence::Inferred)
}

impl KillingEvent {
    /// Whether its last sighting lies in this life.
    fn falls_into(&self, life: &Life) -> bool {
        self.last_at >= life.started_at
            && self.last_at.duration_since(life.finished_at) <= EVENT_SLACK
    }
}

impl Life {
    /// How long it ran.
    #[must_use]
    pub fn length(&self) -> SignedDuration {
        self.finished_at.duration_since(self.started_at)
    }
}

/// Lengths of life that a kill during the start can give.
#[derive(Clone, Copy, Debug)]
struct KillWindow {
    earliest: SignedDuration,
    latest: SignedDuration,
}

impl KillWindow {
    /// The window of the pod's own probes, or `None` where no probe guards the start.
    ///
    /// The latest end adds the grace period, out of which preStop is paid as well (K12).
    fn of(pod: &PodView, container: &ContainerView) -> Option<Self> {
        let (StartGuard::Startup(timings) | StartGuard::Liveness(timings)) = container.guard()
        else {
            return None;
        };
        let grace = container
            .probe_grace_seconds
            .unwrap_or(pod.grace_seconds)
            .max(2);
        let seconds = |value: u32| SignedDuration::from_secs(value.into());
        Some(Self {
            earliest: seconds(timings.budget_seconds()),
            latest: seconds(latest_kill_seconds(timings)) + seconds(grace) + SLACK,
        })
    }

    fn contains(self, life: &Life) -> bool {
        let length = life.length() + EVENT_SLACK;
        length >= self.earliest && life.length() <= self.latest
    }
}

/// Latest decision to kill a start that hangs: `D + P + (F-1)*max(P,T) + T` (K16).
fn latest_kill_seconds(timings: Timings) -> u32 {
    timings
        .initial_delay_seconds
        .saturating_add(timings.detection_seconds())
}

#[cfg(test)]
mod tests;
