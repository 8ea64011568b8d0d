//! What somebody else's change of the template was.

use probepilot_api::{ProbePair, TargetKind};

use super::{Case, messages};
use crate::baseline::{Baseline, BaselineRecord};
use crate::contest;
use crate::decision::Decision;
use crate::managed::{FieldOwner, Operation, Temper};
use crate::need::Asked;
use crate::probes::budget;
use crate::raise;

impl Case<'_> {
    /// Tells corrections, upgrades and rollbacks apart.
    pub(super) fn weigh_change(&self, baseline: &Baseline, asked: &Asked, decision: &mut Decision) {
        let current = self.current.timings();
        let mut records = self.workload.records.iter();
        let record = records.find(|record| record.container == self.current.name);
        let killed = self.kills.killed_now.as_ref();
        let look = contest::Look {
            target_uid: self.workload.uid.clone(),
            sum: self.sum(baseline),
            probes: current,
            in_place: baseline.probes != *self.current
                && record.is_some_and(|record| record.written == current),
            covered: asked
                .ask()
                .is_none_or(|ask| ask.covered_by(budget(self.current))),
            looks_undone: self.looks_undone(record, current),
            manager: self.other_manager(),
            retry: raise::due(self.observation.retry.as_ref(), self.now).0,
            killed_at: killed.map(|killed| killed.finished_at),
        };
        let change = contest::weigh(&mut decision.memory, &look, self.now);
        if change == contest::Change::Correction && !look.covered {
            decision.events.push(messages::corrected(&look.manager));
        }
    }

    pub(super) fn sum(&self, baseline: &Baseline) -> String {
        let startup = baseline.probes.startup.as_ref();
        let sum = self.workload.sum(&self.current.name);
        sum.with(startup.map(|probe| &probe.handler))
    }

    /// `kubectl rollout undo` puts back a Deployment's template together with the annotations that it
    /// had then, so our record goes with our probes; of the other kinds it writes the whole template as
    /// plain `kubectl`.
    fn looks_undone(&self, record: Option<&BaselineRecord>, current: ProbePair) -> bool {
        match self.workload.kind {
            TargetKind::Deployment => record.is_none() && self.prior.baseline == Some(current),
            TargetKind::StatefulSet | TargetKind::DaemonSet => {
                let owners = self.workload.managers.of(&self.current.name);
                let undone = |owner: &FieldOwner| {
                    owner.manager == "kubectl" && owner.operation == Operation::Update
                };
                owners.iter().any(undone)
            }
        }
    }

    /// Who else writes the container's probes; the newest entry of managedFields is the last.
    fn other_manager(&self) -> String {
        let mut owners = self.workload.managers.of(&self.current.name).iter();
        let last = owners.rfind(|owner| owner.temper() != Temper::Ours);
        last.map(|owner| owner.manager.clone()).unwrap_or_default()
    }
}
