//! From a plan to a write, past every gate, or to the reason why it waits.

use probepilot_api::{OnConflict, Reason};

use super::plan::Planned;
use super::{Case, conditions, memory, messages, sooner};
use crate::baseline::{Baseline, BaselineRecord};
use crate::condition::ConditionState;
use crate::decision::{Action, Cause, Decision, Priority, Write};
use crate::gate::{Change, Closed, Gate, gate};
use crate::managed::{ProbeField, Taken, Temper};
use crate::need::Asked;
use crate::observation::Slot;
use crate::probes::{Held, budget};
use crate::timing::TimingField;
use crate::workload::ContainerProbes;

impl Case<'_> {
    pub(super) fn pass_gates(
        &self,
        planned: Planned,
        baseline: &Baseline,
        asked: &Asked,
        decision: &mut Decision,
    ) {
        let Planned {
            wanted,
            cause,
            window_left,
            rides,
        } = planned;
        let write = self.write(wanted, cause, rides, baseline, asked);
        let summary = messages::would(&write);
        let last_write = self.prior.last_write.as_ref().map(|write| write.at.0);
        let change = Change {
            summary: &summary,
            urgent: !write.takes_slot,
            window_left,
            interval: (self.policy.raise.min_interval_seconds, last_write),
            held_back: conditions::held_back(&decision.memory, &summary, cause),
        };
        let gate = gate(
            self.policy,
            self.observation,
            self.workload,
            &change,
            self.now,
        );
        let gate = self.refused(&write).filter(|_| gate.lets()).unwrap_or(gate);
        match gate {
            Gate::Open => {
                decision
                    .conditions
                    .push(ConditionState::new(Reason::Writing, write.sentence.clone()));
                decision.action = Action::Write(Box::new(write));
            }
            // A target whose budget covers the need is in sync, whatever a lower waits for.
            Gate::Queue | Gate::Closed(_) if cause == Cause::Lower => {
                let covered = self.covered(baseline, asked.ask());
                decision.conditions.push(covered);
                self.wait(&gate, asked, decision);
            }
            Gate::Queue => {
                decision.conditions.push(ConditionState::new(
                    Reason::Queued,
                    format!("{summary}; it waits for its turn in the queue of rollouts"),
                ));
                self.wait(&gate, asked, decision);
            }
            Gate::Closed(ref closed) => {
                decision.conditions.push(closed.condition.clone());
                self.wait(&gate, asked, decision);
            }
        }
    }

    /// Takes a place in the queue, or looks again when time has opened the gate.
    fn wait(&self, gate: &Gate, asked: &Asked, decision: &mut Decision) {
        let closed = match gate {
            Gate::Open => return,
            Gate::Queue => None,
            Gate::Closed(closed) => Some(closed),
        };
        if closed.is_none_or(|closed| closed.condition.reason == Reason::Queued) {
            decision.action = Action::Queue(self.priority(asked));
            if let Slot::Waiting { position } = self.observation.slot {
                decision.startup.queue_position = Some(position);
            }
        }
        if let Some(opens) = closed.and_then(|closed| closed.opens_after) {
            decision.look_again = Some(sooner(decision.look_again, opens));
        }
    }

    /// The same write was refused lately.
    fn refused(&self, write: &Write) -> Option<Gate> {
        let refusal = self.observation.refusal.as_ref();
        let refusal = refusal.filter(|refusal| refusal.probes == write.probes)?;
        Some(Gate::Closed(Closed {
            condition: refusal.condition.clone(),
            opens_after: Some(refusal.retry_in),
        }))
    }

    pub(super) fn write(
        &self,
        wanted: ContainerProbes,
        cause: Cause,
        rides: bool,
        baseline: &Baseline,
        asked: &Asked,
    ) -> Write {
        let (from_seconds, to_seconds) = (budget(self.current), budget(&wanted));
        Write {
            record: BaselineRecord {
                container: wanted.name.clone(),
                baseline: baseline.probes.timings(),
                written: wanted.timings(),
                taken: self.taken_before(&wanted),
                released: self.released(),
            },
            target_uid: self.workload.uid.clone(),
            template: self.sum(baseline),
            sentence: messages::why(
                cause,
                rides,
                from_seconds,
                to_seconds,
                asked,
                &self.kills,
                memory(self.prior).series.as_ref(),
            ),
            progress_deadline_seconds: self.workload.rollout.progress_deadline_seconds,
            taken: self.taken(baseline, &wanted),
            takes_slot: matches!(cause, Cause::Raise | Cause::Lower) && !rides,
            probes: wanted,
            from_seconds,
            to_seconds,
            cause,
        }
    }

    /// From whom timings were taken, by this write and by those before it.
    fn taken_before(&self, wanted: &ContainerProbes) -> Vec<Taken> {
        let record = self.workload.record(&self.current.name);
        let mut all = record.map_or_else(Vec::new, |record| record.taken.clone());
        let probes = [
            (
                ProbeField::Liveness,
                &self.current.liveness,
                &wanted.liveness,
            ),
            (ProbeField::Startup, &self.current.startup, &wanted.startup),
        ];
        let owners = self.workload.managers.of(&self.current.name);
        for owner in owners.iter().filter(|one| one.temper() != Temper::Ours) {
            for (probe, from, to) in probes {
                let Some((from, to)) = from.as_ref().zip(to.as_ref()) else {
                    continue;
                };
                let taken = TimingField::ALL.into_iter().filter(|timing| {
                    owner.owns(probe, timing.key())
                        && timing.get(from.timings) != timing.get(to.timings)
                });
                let taken: Vec<_> = taken.collect();
                if taken.is_empty() {
                    continue;
                }
                let place = all.iter().position(|one: &Taken| one.is_from(owner));
                let place = place.unwrap_or_else(|| {
                    all.push(Taken::nothing(owner));
                    all.len() - 1
                });
                all[place].of(probe).extend(taken);
            }
        }
        all
    }

    fn released(&self) -> bool {
        let record = self.workload.record(&self.current.name);
        record.is_some_and(|record| record.released)
    }

    /// The first timing that is taken from a manager that would fight for it.
    fn taken(&self, baseline: &Baseline, wanted: &ContainerProbes) -> Option<(String, String)> {
        let owners = self.workload.managers.of(&self.current.name);
        let held = Held::by(owners, OnConflict::Auto, &baseline.probes);
        held.broken_by(self.current, wanted)
    }

    fn priority(&self, asked: &Asked) -> Priority {
        let need = asked
            .ask()
            .map_or(1, |ask| u64::from(ask.need_seconds.max(1)));
        let coverage = u64::from(budget(self.current)) * 1000 / need;
        Priority {
            looping: self.kills.backing_off || self.kills.repeated,
            coverage_permille: u32::try_from(coverage).unwrap_or(u32::MAX),
        }
    }
}
