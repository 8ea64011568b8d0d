//! The result for one container, in the form of `-o json`.

use crate::check::Finding;
use crate::manifest::{ContainerSpec, Workload};
use probepilot_kubelet::{Outcome, ProbeKind, StartOutcome};
use serde::{Serialize, Serializer};

/// What becomes of one container's start.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The workload's namespace.
    pub(super) namespace: String,
    /// `deployment/NAME`.
    pub(super) workload: String,
    /// The container.
    pub(super) container: String,
    /// The probe that guards the start: `startup`, `liveness` or `none`.
    pub(super) guard: &'static str,
    /// Seconds for which it cannot be killed.
    pub(super) guaranteed_seconds: Option<Seconds>,
    /// When this start is killed; `null` where nothing can kill it.
    pub(super) kill: Option<KillSeconds>,
    /// The answer.
    pub(super) outcome: Outcome,
    /// The worst-case seconds from a hang of the healthy container to its kill.
    pub(super) detection_seconds: Option<u64>,
    /// What `probepilot check` finds on this container.
    pub(super) warnings: Vec<Warning>,
    /// Share of the phases that kill, for the text.
    #[serde(skip)]
    pub(super) killed_per_mille: u32,
}

/// First and last moment of a kill.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KillSeconds {
    /// No kill is earlier.
    pub(super) earliest_seconds: Seconds,
    /// No kill is later.
    pub(super) latest_seconds: Seconds,
}

/// A finding of `probepilot check`.
#[derive(Debug, Serialize)]
pub(super) struct Warning {
    /// The rule's id.
    pub(super) rule: &'static str,
    /// What is wrong.
    pub(super) message: String,
}

impl Report {
    pub(super) fn new(
        workload: &Workload,
        spec: &ContainerSpec,
        outcome: &StartOutcome,
        findings: Vec<Finding>,
    ) -> Self {
        let StartOutcome {
            guard,
            guaranteed_ms,
            kill,
            outcome,
            killed_per_mille,
        } = *outcome;
        Self {
            namespace: workload.namespace.clone(),
            workload: workload.label(),
            container: spec.name.clone(),
            guard: guard.map_or("none", ProbeKind::as_str),
            guaranteed_seconds: guaranteed_ms.map(Seconds),
            kill: kill.map(|window| KillSeconds {
                earliest_seconds: Seconds(window.earliest_ms),
                latest_seconds: Seconds(window.latest_ms),
            }),
            outcome,
            detection_seconds: spec
                .container
                .liveness
                .map(|probe| u64::from(probe.timings.detection_seconds())),
            warnings: findings
                .into_iter()
                .map(|finding| Warning {
                    rule: finding.rule,
                    message: finding.message,
                })
                .collect(),
            killed_per_mille,
        }
    }
}

/// Milliseconds that are written as seconds: a whole number where they are whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds(pub(super) u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1000) {
            serializer.serialize_u64(self.0 / 1000)
        } else {
            // Times below a thousand years lose nothing here.
            #[allow(clippy::cast_precision_loss)]
            let seconds = self.0 as f64 / 1000.0;
            serializer.serialize_f64(seconds)
        }
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            let digits = format!("{rest:03}");
            write!(f, "{whole}.{}", digits.trim_end_matches('0'))
        }
    }
}
