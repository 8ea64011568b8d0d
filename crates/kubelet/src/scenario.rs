//! Everything one simulated run depends on.

use crate::behaviour::Behaviour;
use crate::container::{Container, ProbeKind};
use crate::kubelet::Kubelet;
use serde::{Deserialize, Serialize};

/// Where the tickers of the workers stand when the container starts: each ticks first this many
/// milliseconds after the container's start (or after a kubelet restart), any value in `[0, P)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phases {
    /// Of the startup probe's worker.
    pub startup_ms: u64,
    /// Of the liveness probe's worker.
    pub liveness_ms: u64,
    /// Of the readiness probe's worker.
    pub readiness_ms: u64,
}

impl Phases {
    /// All workers began to tick this long *before* the container started: K2's `d`. Small for the
    /// first container of a pod whose image is there, any value for a restarted one.
    #[must_use]
    pub fn workers_ahead_by(container: &Container, lead_ms: u64) -> Self {
        Self::from_offset(container, |period_ms| {
            (period_ms - lead_ms % period_ms) % period_ms
        })
    }

    /// All workers tick as tickers do that were started together `offset_ms` after the container.
    pub(crate) fn workers_behind_by(container: &Container, offset_ms: u64) -> Self {
        Self::from_offset(container, |period_ms| offset_ms % period_ms)
    }

    fn from_offset(container: &Container, phase: impl Fn(u64) -> u64) -> Self {
        let of = |kind| {
            container
                .probe(kind)
                .map_or(0, |probe| phase(probe.timings.period_ms()))
        };
        Self {
            startup_ms: of(ProbeKind::Startup),
            liveness_ms: of(ProbeKind::Liveness),
            readiness_ms: of(ProbeKind::Readiness),
        }
    }

    pub(crate) fn of(&self, kind: ProbeKind) -> u64 {
        match kind {
            ProbeKind::Startup => self.startup_ms,
            ProbeKind::Liveness => self.liveness_ms,
            ProbeKind::Readiness => self.readiness_ms,
        }
    }
}

/// The kubelet restarts: workers, streaks and back-off are lost, containers run on (K15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KubeletRestart {
    /// When it is back, in milliseconds from the start of the first container.
    pub at_ms: u64,
    /// How long each new worker sleeps before its first look: `[0, P)` where the period is longer
    /// than the kubelet is up (K3).
    pub phases: Phases,
}

/// One run: a container on a kubelet, with everything fixed that is chance on a real node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scenario {
    /// Probes, grace and restart policy.
    pub container: Container,
    /// Version and settings.
    pub kubelet: Kubelet,
    /// What the container does in each life.
    pub behaviour: Behaviour,
    /// Where the tickers stand.
    #[serde(default)]
    pub phases: Phases,
    /// Where in a second of the wall clock the first container starts, 0 to 999. The worker reads
    /// `startedAt` cut to the second (status_manager.go, `normalizeStatus`), so it may probe up to
    /// one second earlier than the true start would allow (K2).
    #[serde(default)]
    pub wall_offset_ms: u64,
    /// Failures in a row that a predecessor left behind by dying by itself (K10).
    #[serde(default)]
    pub inherited_failures: u32,
    /// Restarts of the kubelet, in order.
    #[serde(default)]
    pub kubelet_restarts: Vec<KubeletRestart>,
    /// When the pod is deleted, if it is (K5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at_ms: Option<u64>,
    /// The run ends here.
    pub until_ms: u64,
}

impl Scenario {
    /// A run with all tickers in phase zero, no kubelet restart and no deletion.
    #[must_use]
    pub fn new(
        container: Container,
        kubelet: Kubelet,
        behaviour: Behaviour,
        until_ms: u64,
    ) -> Self {
        Self {
            container,
            kubelet,
            behaviour,
            phases: Phases::default(),
            wall_offset_ms: 0,
            inherited_failures: 0,
            kubelet_restarts: Vec::new(),
            deleted_at_ms: None,
            until_ms,
        }
    }

    /// The same run with these ticker phases.
    #[must_use]
    pub fn with_phases(mut self, phases: Phases) -> Self {
        self.phases = phases;
        self
    }
}
