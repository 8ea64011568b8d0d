//! What the owner wants, without anything that the operator wrote.

use probepilot_api::{FIELD_MANAGER, ProbePair, ProbeTimings};
use probepilot_kubelet::Timings;
use serde::{Deserialize, Serialize};

use crate::managed::{FieldOwner, ProbeField, Taken};
use crate::timing::TimingField;
use crate::workload::{ContainerProbes, Probe};

/// The record that a write leaves in the workload's annotation, so that neither a re-created policy
/// nor a restarted operator takes its own values for the owner's. The annotation lists one for each
/// container that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BaselineRecord {
    /// The container that was written.
    pub container: String,
    /// The owner's timings before.
    pub baseline: ProbePair,
    /// The timings after.
    pub written: ProbePair,
    /// From whom timings were taken, so that they can be given back. Default: from nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<Taken>,
    /// Whether every field was given up once. What nobody owns and still is as written is the operator's
    /// then, so that a policy that comes back finds the owner's probes. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}

/// The owner's probes and what of the present ones is the operator's.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The probes as the owner wants them.
    pub probes: ContainerProbes,
    /// Whether the present startup probe was added by the operator.
    pub startup_is_ours: bool,
}

impl Baseline {
    /// Separates the owner's probes from what the operator wrote.
    ///
    /// A timing is the operator's when its manager owns it and it still has the value last written;
    /// then the owner's is the one on record. Everything else is the owner's as it stands, so a
    /// change by any other manager refreshes the baseline. A field that is owned by both and equals
    /// the last write is the operator's (design, section 7).
    #[must_use]
    pub fn of(
        current: &ContainerProbes,
        records: &[BaselineRecord],
        owners: &[FieldOwner],
    ) -> Self {
        let mut records = records.iter();
        let Some(record) = records.find(|record| record.container == current.name) else {
            return Self {
                probes: current.clone(),
                startup_is_ours: false,
            };
        };
        let ours = Ours {
            owners,
            released: record.released,
        };
        let startup_is_ours = current.startup.as_ref().is_some_and(|probe| {
            record.baseline.startup_probe.is_none()
                && record.written.startup_probe.is_some()
                && ours.handler(probe, record.written.startup_probe)
        });
        let restore = |probe: &Option<Probe>, field, baseline: Option<ProbeTimings>, written| {
            probe.as_ref().map(|probe| Probe {
                timings: ours.restore(probe.timings, field, baseline, written),
                ..probe.clone()
            })
        };
        let (before, after) = (record.baseline, record.written);
        Self {
            probes: ContainerProbes {
                name: current.name.clone(),
                startup: if startup_is_ours {
                    None
                } else {
                    restore(
                        &current.startup,
                        ProbeField::Startup,
                        before.startup_probe,
                        after.startup_probe,
                    )
                },
                liveness: restore(
                    &current.liveness,
                    ProbeField::Liveness,
                    before.liveness_probe,
                    after.liveness_probe,
                ),
            },
            startup_is_ours,
        }
    }
}

/// What of a container's probes the operator's field manager owns.
struct Ours<'a> {
    owners: &'a [FieldOwner],
    /// Everything was given up once.
    released: bool,
}

impl Ours<'_> {
    fn owns(&self, field: ProbeField, key: &str) -> bool {
        let mut ours = self
            .owners
            .iter()
            .filter(|owner| owner.manager == FIELD_MANAGER);
        ours.any(|owner| owner.owns(field, key)) || self.released && !self.shared(field, key)
    }

    fn shared(&self, field: ProbeField, key: &str) -> bool {
        let mut others = self
            .owners
            .iter()
            .filter(|owner| owner.manager != FIELD_MANAGER);
        others.any(|owner| owner.owns(field, key))
    }

    /// Whether the startup probe's handler was put there by the operator: it owns it alone, or
    /// shares it while the timings are those last written.
    fn handler(&self, probe: &Probe, written: Option<ProbeTimings>) -> bool {
        let mut keys = probe.handler.keys();
        let untouched = written.map(Timings::from) == Some(probe.timings);
        keys.any(|key| {
            self.owns(ProbeField::Startup, key)
                && (untouched || !self.shared(ProbeField::Startup, key))
        })
    }

    fn restore(
        &self,
        current: Timings,
        field: ProbeField,
        baseline: Option<ProbeTimings>,
        written: Option<ProbeTimings>,
    ) -> Timings {
        let (Some(baseline), Some(written)) = (baseline, written) else {
            return current;
        };
        let (baseline, written) = (Timings::from(baseline), Timings::from(written));
        TimingField::ALL
            .into_iter()
            .fold(current, |restored, timing| {
                let ours =
                    timing.get(current) == timing.get(written) && self.owns(field, timing.key());
                if ours {
                    timing.set(restored, timing.get(baseline))
                } else {
                    restored
                }
            })
    }
}

#[cfg(test)]
mod tests;
