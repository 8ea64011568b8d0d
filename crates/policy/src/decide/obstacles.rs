//! What the API server refuses to the owner because of fields that were written beside his, told before he tries.
//!
//! Two handlers in one probe are refused whoever wrote the first (S5), and so is dropping a probe of which a leaf
//! stays behind (S4). The operator never hears of such a try, so the InSync condition names the way out beforehand.

use probepilot_api::Mode;

use super::Case;
use crate::baseline::Baseline;
use crate::managed::{FieldOwner, Operation, ProbeField, Temper};
use crate::timing::TimingField;

impl Case<'_> {
    /// What the owner cannot do as it stands, and what to do first; `None` where he can do all.
    pub(super) fn obstacles(&self, baseline: &Baseline) -> Option<String> {
        let owners = self.workload.managers.of(&self.template.name).iter();
        let mut others = owners.filter(|owner| owner.temper() != Temper::Ours);
        let applied = others.any(|owner| owner.operation == Operation::Apply);
        let handler = baseline.startup_is_ours.then(|| {
            let startup = self.template.startup.as_ref();
            let mut kinds = startup.into_iter().flat_map(|probe| probe.handler.keys());
            let kind = kinds.next().map_or("that", String::as_str);
            let unforced = if applied {
                ", or applied without force"
            } else {
                ""
            };
            format!(
                "a startupProbe of its owner's own (with another handler than {kind}{unforced})"
            )
        });
        let leaves = Some(self.leaves(baseline)).filter(|leaves| applied && !leaves.is_empty());
        let apply = leaves.map(|leaves| {
            format!(
                "an apply that drops the probe around {} or, without force, declares other values there",
                leaves.join(", ")
            )
        });
        let enforced = self.policy.mode == Mode::Enforce;
        let steps = [
            enforced.then_some("set spec.mode to Observe"),
            handler
                .as_ref()
                .map(|_| "run the command of the annotation probepilot.dev/kept"),
        ];
        let steps: Vec<_> = steps.into_iter().flatten().collect();
        let refused: Vec<_> = handler.into_iter().chain(apply).collect();
        (!refused.is_empty() && !steps.is_empty()).then(|| {
            format!(
                "while probepilot's values are there, the API server refuses {}: {} first",
                refused.join(", and "),
                steps.join(" and ")
            )
        })
    }

    /// Paths of the timings that are the operator's inside a probe of the owner's.
    fn leaves(&self, baseline: &Baseline) -> Vec<String> {
        let owners = self.workload.managers.of(&self.template.name);
        let ours = |owner: &&FieldOwner| owner.temper() == Temper::Ours;
        let probes = [
            (
                ProbeField::Liveness,
                "livenessProbe",
                &baseline.probes.liveness,
            ),
            (
                ProbeField::Startup,
                "startupProbe",
                &baseline.probes.startup,
            ),
        ];
        let his = probes.into_iter().filter(|(_, _, probe)| probe.is_some());
        let paths = his.flat_map(|(field, name, _)| {
            let owned = TimingField::ALL.into_iter().filter(move |timing| {
                let mut ours = owners.iter().filter(ours);
                ours.any(|owner| owner.owns(field, timing.key()))
            });
            owned.map(move |timing| format!("{name}.{}", timing.key()))
        });
        paths.collect()
    }
}
