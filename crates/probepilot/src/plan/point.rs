//! One answer as JSON.

use probepilot_api::{ProbePair, ProbeTimings};
use serde::Serialize;

/// What the operator would have a container carry at a count. Timings only, as in a policy's status.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Point {
    /// The count asked about.
    pub(super) count: i64,
    /// The startup budget that is needed, in seconds.
    pub(super) need_seconds: Option<u32>,
    /// The startup budget that the probes guarantee, in seconds.
    pub(super) budget_seconds: Option<u32>,
    /// Worst-case seconds from a hang to the kill; null without a liveness probe.
    pub(super) detection_seconds: Option<u32>,
    /// The startup probe's timings; null where there is none.
    pub(super) startup_probe: Option<ProbeTimings>,
    /// The liveness probe's timings; null where there is none.
    pub(super) liveness_probe: Option<ProbeTimings>,
    /// Whether the operator would write.
    pub(super) changed: bool,
}

/// The probes as the manifest has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Today {
    /// The startup budget that they guarantee, in seconds.
    pub(super) budget_seconds: Option<u32>,
    /// Worst-case seconds from a hang to the kill; null without a liveness probe.
    pub(super) detection_seconds: Option<u32>,
    /// The startup probe's timings; null where there is none.
    pub(super) startup_probe: Option<ProbeTimings>,
    /// The liveness probe's timings; null where there is none.
    pub(super) liveness_probe: Option<ProbeTimings>,
}

impl Today {
    /// The timings alone.
    pub(super) fn probes(&self) -> ProbePair {
        ProbePair {
            startup_probe: self.startup_probe,
            liveness_probe: self.liveness_probe,
        }
    }
}
