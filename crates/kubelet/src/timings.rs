//! Closed forms over one probe's timings.

use probepilot_api::ProbeTimings;
use serde::{Deserialize, Serialize};

/// The timings of one probe with the API server's defaults filled in.
///
/// `D`, `P`, `T` and `F` below stand for the four fields in order. All arithmetic saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// `D`: seconds after `state.running.startedAt` before the first attempt (K2, K4).
    pub initial_delay_seconds: u32,
    /// `P`: seconds between attempts; at least 1.
    pub period_seconds: u32,
    /// `T`: seconds an attempt may take before it counts as a failure; at least 1.
    pub timeout_seconds: u32,
    /// `F`: failures in a row that make the kubelet act (K7); at least 1.
    pub failure_threshold: u32,
}

impl Default for Timings {
    /// The API server's defaults: 0, 10, 1, 3.
    fn default() -> Self {
        Self {
            initial_delay_seconds: 0,
            period_seconds: 10,
            timeout_seconds: 1,
            failure_threshold: 3,
        }
    }
}

impl From<ProbeTimings> for Timings {
    /// Missing fields take the API server's default; a value out of the API's range is clamped.
    fn from(given: ProbeTimings) -> Self {
        let default = Self::default();
        let at_least = |value: Option<i32>, min: u32, or: u32| {
            value.map_or(or, |v| u32::try_from(v).unwrap_or(0).max(min))
        };
        Self {
            initial_delay_seconds: at_least(given.initial_delay_seconds, 0, 0),
            period_seconds: at_least(given.period_seconds, 1, default.period_seconds),
            timeout_seconds: at_least(given.timeout_seconds, 1, default.timeout_seconds),
            failure_threshold: at_least(given.failure_threshold, 1, default.failure_threshold),
        }
    }
}

impl From<Timings> for ProbeTimings {
    fn from(timings: Timings) -> Self {
        let field = |seconds: u32| Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        Self {
            initial_delay_seconds: field(timings.initial_delay_seconds),
            period_seconds: field(timings.period_seconds),
            timeout_seconds: field(timings.timeout_seconds),
            failure_threshold: field(timings.failure_threshold),
        }
    }
}

impl Timings {
    /// The period in milliseconds, at least one second.
    pub(crate) fn period_ms(&self) -> u64 {
        u64::from(self.period_seconds.max(1)) * 1000
    }

    /// The timeout in milliseconds.
    pub(crate) fn timeout_ms(&self) -> u64 {
        u64::from(self.timeout_seconds) * 1000
    }

    /// Seconds for which the kubelet is certain not to act on this probe: `D + (F-1)*P` (K16).
    ///
    /// The phase of the worker adds up to one period and a hanging attempt adds its timeout; neither
    /// is guaranteed, so neither counts.
    #[must_use]
    pub fn budget_seconds(&self) -> u32 {
        self.initial_delay_seconds.saturating_add(
            self.failure_threshold
                .saturating_sub(1)
                .saturating_mul(self.period_seconds),
        )
    }

    /// Worst-case seconds from a hang of a healthy container to its kill:
    /// `P + (F-1)*max(P,T) + T` (K11, K16).
    #[must_use]
    pub fn detection_seconds(&self) -> u32 {
        let spacing = self.period_seconds.max(self.timeout_seconds);
        self.period_seconds
            .saturating_add(
                self.failure_threshold
                    .saturating_sub(1)
                    .saturating_mul(spacing),
            )
            .saturating_add(self.timeout_seconds)
    }
}

/// The probe whose budget bounds the start of a container (K6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StartGuard {
    /// A startup probe: liveness does not run before it has succeeded once.
    Startup(Timings),
    /// No startup probe, so liveness runs from the start.
    Liveness(Timings),
    /// Neither: no probe can end the start.
    None,
}

impl StartGuard {
    /// The startup budget in seconds, or `None` where no probe can kill the start.
    #[must_use]
    pub fn budget_seconds(&self) -> Option<u32> {
        match self {
            Self::Startup(timings) | Self::Liveness(timings) => Some(timings.budget_seconds()),
            Self::None => None,
        }
    }
}

/// Which of a container's probes guards its start (K6).
#[must_use]
pub fn guard(startup: Option<Timings>, liveness: Option<Timings>) -> StartGuard {
    match (startup, liveness) {
        (Some(startup), _) => StartGuard::Startup(startup),
        (None, Some(liveness)) => StartGuard::Liveness(liveness),
        (None, None) => StartGuard::None,
    }
}
