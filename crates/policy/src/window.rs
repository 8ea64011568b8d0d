//! How long a life lasts that a probe ends during the start.

use jiff::SignedDuration;
use probepilot_kubelet::{StartGuard, Timings};

use crate::pod::{ContainerView, Life, PodView};

/// What a kill may take beyond grace when the kernel has to end the program.
const KILL_SLACK: SignedDuration = SignedDuration::from_secs(2);
/// Resolution of timestamps in a status.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// Exit code of SIGKILL: the grace period may have run out.
const SIGKILLED: i32 = 137;

/// Lengths of life that a kill during the start can give: from the guaranteed budget to the latest
/// kill, the grace period and 2 s of slack (design, section 8; K12, K16). preStop is paid out of the
/// grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeWindow {
    /// No kill is earlier.
    pub earliest: SignedDuration,
    /// No kill is later.
    pub latest: SignedDuration,
}

impl LifeWindow {
    /// The window of the pod's own probes, or `None` where no probe guards the start.
    #[must_use]
    pub fn of(pod: &PodView, container: &ContainerView) -> Option<Self> {
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
            latest: seconds(latest_kill_seconds(timings)) + seconds(grace) + KILL_SLACK,
        })
    }

    /// Whether a kill can have given this life. The window is a second narrower for a program that
    /// ended before the kernel had to end it.
    #[must_use]
    pub fn contains(self, life: &Life) -> bool {
        let latest = if life.exit_code == SIGKILLED {
            self.latest
        } else {
            self.latest - SECOND
        };
        !self.is_after(life) && life.length() <= latest
    }

    /// Whether the life ended before any kill was possible.
    #[must_use]
    pub fn is_after(self, life: &Life) -> bool {
        life.length() + SECOND < self.earliest
    }
}

impl Life {
    /// How long it ran.
    #[must_use]
    pub fn length(&self) -> SignedDuration {
        self.finished_at.duration_since(self.started_at)
    }
}

/// Latest decision to kill a start that hangs: `D + P + (F-1)*max(P,T) + T` (K16).
fn latest_kill_seconds(timings: Timings) -> u32 {
    timings
        .initial_delay_seconds
        .saturating_add(timings.detection_seconds())
}
