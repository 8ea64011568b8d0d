//! Delivery Admission: what new pods get is changed by status alone, and nothing restarts because of it.
//!
//! So a change waits for no window, rollout or slot: only for what keeps the operator's hands off, and for a
//! canary to have shown that new pods get their probes at all. Source: design, section 9.

use probepilot_api::{
    ConditionStatus, Delivery, Memory, Mode, ProbePair, ProbePolicyStatus, RaisePolicy, Reason,
};

use super::behind::behind;
use super::plan::{Plan, Planned};
use super::{Case, conditions, memory, messages};
use crate::admission::{Support, desired};
use crate::baseline::Baseline;
use crate::condition::ConditionState;
use crate::decision::{Action, Cause, Decision, Probes, Write};
use crate::gate::{Change, brake};
use crate::need::Asked;
use crate::probes::budget;

/// What new pods get on top of the template, as the status says; nothing under delivery Template, and nothing
/// that status only shows.
pub(super) fn delivered(
    policy: &crate::policy::Policy,
    prior: &ProbePolicyStatus,
) -> Option<ProbePair> {
    if policy.delivery != Delivery::Admission || policy.mode != Mode::Enforce {
        return None;
    }
    let desired = prior.desired?;
    let handover = memory(prior).handover?;
    (handover.written? == desired.revision()).then_some(desired)
}

/// A target that is away comes back with pods at once: they get what the ones before got.
pub(super) fn kept(policy: &crate::policy::Policy, prior: &ProbePolicyStatus) -> Option<Probes> {
    let desired = delivered(policy, prior)?;
    let baseline = prior.baseline.unwrap_or_default();
    Some(Probes { desired, baseline })
}

/// Whether new pods get their probes, as a condition.
pub(super) fn support(support: &Support) -> ConditionState {
    match support {
        Support::Untried => ConditionState::new(
            Reason::AdmissionUntried,
            "it was not tried yet whether new pods get their probes",
        ),
        Support::Ready { .. } => ConditionState::new(
            Reason::AdmissionReady,
            "a dry-run pod in the operator's namespace got the probes of a canary policy",
        ),
        Support::Missing(what) => ConditionState::new(Reason::AdmissionMissing, what.clone()),
        Support::Broken(what) => ConditionState::new(Reason::AdmissionBroken, what.clone()),
    }
}

impl Case<'_> {
    /// Nothing of the template is ours, so nobody can take anything away from it.
    pub(super) fn forget_template(&self, memory: &mut Memory) {
        memory.template = None;
        memory.corrections.clear();
        (memory.contested, memory.rolled_back) = (None, None);
        if self.delivered == ProbePair::default() {
            memory.handover = None;
        }
    }

    /// Says what new pods get from now on, and what becomes of those that run.
    pub(super) fn deliver(
        &self,
        plan: Plan,
        baseline: &Baseline,
        asked: &Asked,
        decision: &mut Decision,
    ) {
        let delivery = self.delivery(&decision.memory);
        let works = delivery.reason == Reason::AdmissionReady;
        decision.conditions.push(delivery.clone());
        let mut delivered = self.delivered;
        let condition = match plan {
            Plan::Keep(settled) => self.settled(settled, works, decision),
            Plan::Change(planned) => {
                let wanted = desired(self.template, &planned.wanted);
                if self.policy.mode == Mode::Observe {
                    delivered = wanted;
                }
                let lowers = planned.cause == Cause::Lower;
                match self.closed(&planned, baseline, asked, &delivery) {
                    Some(_) if lowers => {
                        let settled = conditions::covered(self.current, baseline, asked.ask());
                        self.settled(settled, works, decision)
                    }
                    Some(closed) => closed,
                    None => {
                        delivered = wanted;
                        self.admit(&planned, baseline, asked, decision)
                    }
                }
            }
        };
        decision.conditions.push(condition);
        decision.startup.budget_seconds = self.carried_budget(works);
        decision.probes = Some(Probes {
            desired: delivered,
            baseline: baseline.probes.timings(),
        });
    }

    /// What forbids the change, where something does.
    fn closed(
        &self,
        planned: &Planned,
        baseline: &Baseline,
        asked: &Asked,
        delivery: &ConditionState,
    ) -> Option<ConditionState> {
        let write = self.write_of(planned, baseline, asked);
        let summary = messages::would(&write);
        let change = Change {
            summary: &summary,
            urgent: true,
            window_left: jiff::SignedDuration::ZERO,
            interval: (0, None),
            held_back: None,
        };
        if let Some(closed) = brake(self.policy, self.observation, self.workload, &change) {
            return Some(closed.condition);
        }
        if self.template.startup.is_some() {
            return Some(self.guarded_by_its_owner(&write));
        }
        if delivery.reason.status() != ConditionStatus::True {
            let text = format!(
                "{summary}, but new pods would not get it; see the {} condition",
                delivery.kind()
            );
            return Some(ConditionState::new(Reason::NotDelivered, text));
        }
        if planned.cause == Cause::Raise && self.policy.raise.policy == RaisePolicy::OnKill {
            let text = format!(
                "{summary}; behavior.raise.policy OnKill waits until a probe kills the start"
            );
            return Some(ConditionState::new(Reason::WaitingForKill, text));
        }
        None
    }

    /// The template has a startup probe, which is never touched: what its owner has to write.
    fn guarded_by_its_owner(&self, write: &Write) -> ConditionState {
        let owners = self.workload.managers.of(&self.template.name);
        let ours = Baseline::of(self.template, &self.workload.records, owners).startup_is_ours;
        let threshold = write.probes.startup.as_ref();
        let threshold = threshold.map_or(0, |probe| probe.timings.failure_threshold);
        let (summary, target) = (messages::would(write), self.workload.display());
        let text = if ours {
            format!(
                "{summary}, but {target} still has the startupProbe that delivery Template wrote; once it is removed, new pods get theirs: kubectl patch {target} -n {} -p '{{\"spec\":{{\"template\":{{\"spec\":{{\"containers\":[{{\"name\":\"{}\",\"startupProbe\":null}}]}}}}}}}}'",
                self.workload.namespace, self.template.name
            )
        } else {
            format!(
                "{summary}, but the startupProbe of {target} is its owner's, and delivery Admission never changes one; write in the owner's manifest, for container {}: startupProbe: {{failureThreshold: {threshold}}}; or remove that startupProbe, and new pods get one",
                self.template.name
            )
        };
        ConditionState::new(Reason::OwnerStartupProbe, text)
    }

    fn write_of(&self, planned: &Planned, baseline: &Baseline, asked: &Asked) -> Write {
        let write = self.write(
            planned.wanted.clone(),
            planned.cause,
            false,
            baseline,
            asked,
        );
        Write {
            sentence: format!(
                "{}; new pods of {} get it as they are created",
                write.sentence,
                self.workload.display()
            ),
            takes_slot: false,
            taken: None,
            ..write
        }
    }

    fn admit(
        &self,
        planned: &Planned,
        baseline: &Baseline,
        asked: &Asked,
        decision: &mut Decision,
    ) -> ConditionState {
        let write = self.write_of(planned, baseline, asked);
        let carrying = self.carrying(&planned.wanted, None);
        let condition = behind(carrying, budget(&planned.wanted));
        let condition = condition
            .unwrap_or_else(|| conditions::covered(&planned.wanted, baseline, asked.ask()));
        decision.action = Action::Admit(Box::new(write));
        condition
    }
}
