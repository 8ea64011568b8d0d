//! The four timings of a probe as fields, so that each is handled by the same code.

use probepilot_kubelet::Timings;
use serde::{Deserialize, Serialize};

/// One timing of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TimingField {
    /// initialDelaySeconds.
    #[serde(rename = "initialDelaySeconds")]
    InitialDelay,
    /// periodSeconds.
    #[serde(rename = "periodSeconds")]
    Period,
    /// timeoutSeconds.
    #[serde(rename = "timeoutSeconds")]
    Timeout,
    /// failureThreshold.
    FailureThreshold,
}

impl TimingField {
    /// All four, in the order in which manifests list them.
    pub const ALL: [Self; 4] = [
        Self::InitialDelay,
        Self::Period,
        Self::Timeout,
        Self::FailureThreshold,
    ];

    /// The field's name in a probe.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::InitialDelay => "initialDelaySeconds",
            Self::Period => "periodSeconds",
            Self::Timeout => "timeoutSeconds",
            Self::FailureThreshold => "failureThreshold",
        }
    }

    /// Its value in `timings`.
    #[must_use]
    pub fn get(self, timings: Timings) -> u32 {
        match self {
            Self::InitialDelay => timings.initial_delay_seconds,
            Self::Period => timings.period_seconds,
            Self::Timeout => timings.timeout_seconds,
            Self::FailureThreshold => timings.failure_threshold,
        }
    }

    /// `timings` with its value replaced.
    #[must_use]
    pub fn set(self, mut timings: Timings, value: u32) -> Timings {
        let field = match self {
            Self::InitialDelay => &mut timings.initial_delay_seconds,
            Self::Period => &mut timings.period_seconds,
            Self::Timeout => &mut timings.timeout_seconds,
            Self::FailureThreshold => &mut timings.failure_threshold,
        };
        *field = value;
        timings
    }
}
