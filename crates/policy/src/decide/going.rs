//! What a policy gives up of its target: when it is deleted, and when its mode becomes Observe.
//!
//! Whatever is on the target is read from the target. Under Keep the policy is gone when its deletion is
//! seen, unless somebody else's finalizer holds it; the caller lets go then without asking here. A policy
//! with the finalizer is asked until nothing of it is left.

use probepilot_api::{
    BudgetSource, ConditionType, Delivery, Mode, OnDelete, ProbePolicyStatus,
    RESTORE_ANYWAY_ANNOTATION, Reason,
};

use super::messages::at_count;
use super::pinned;
use crate::condition::ConditionState;
use crate::decision::{Action, Decision, Finalizer, Leave};
use crate::leave::{PutBack, Step, step};
use crate::observation::{Brake, Observation, Target};
use crate::policy::Policy;
use crate::workload::Workload;

/// The policy as it decides while it is being deleted: nothing new is written.
pub(super) fn at_rest(policy: &Policy, observation: &Observation) -> Option<Policy> {
    observation.going.deleting.then(|| Policy {
        mode: Mode::Observe,
        ..policy.clone()
    })
}

/// Adds to a decision what is given up, and why something is not.
pub(super) fn weigh(
    policy: &Policy,
    observation: &Observation,
    prior: &ProbePolicyStatus,
    decision: &mut Decision,
) {
    let going = &observation.going;
    let container = decision.container.clone();
    let container = container.or_else(|| pinned(policy, prior).map(str::to_owned));
    let found = match (&observation.target, &container) {
        (Target::Unread, _) => return,
        (Target::Found(workload), Some(container)) => Some((workload.as_ref(), container.as_str())),
        (Target::Missing | Target::Found(_), _) => None,
    };
    // Somebody else's business, or nobody's.
    let elsewhere = observation.duplicate_of.is_some()
        || policy.delivery == Delivery::Admission
        || (going.deleting && going.successor.is_some());
    let Some((workload, container)) = found.filter(|_| !elsewhere) else {
        let unwanted = going.deleting || policy.on_delete == OnDelete::Keep;
        decision.leave.finalizer = (going.finalizer && unwanted).then_some(Finalizer::Take);
        return;
    };
    let lets_go = Leaving {
        observation,
        workload,
        container,
    };
    decision.leave = match (policy.mode, policy.on_delete) {
        (Mode::Enforce, how) => lets_go.stays(how, decision),
        (Mode::Observe, OnDelete::Restore) if going.deleting && going.finalizer => {
            lets_go.restores(decision)
        }
        (Mode::Observe, _) => lets_go.keeps(),
    };
}

struct Leaving<'a> {
    observation: &'a Observation,
    workload: &'a Workload,
    container: &'a str,
}

impl Leaving<'_> {
    /// A policy that goes on writing holds what there is to put back.
    fn stays(&self, how: OnDelete, decision: &Decision) -> Leave {
        let has = self.observation.going.finalizer;
        let writes = matches!(decision.action, Action::Write(_));
        let finalizer = match how {
            OnDelete::Keep => has.then_some(Finalizer::Take),
            OnDelete::Restore if has => None,
            OnDelete::Restore => (writes || self.next(how) != Step::Done).then_some(Finalizer::Put),
        };
        Leave {
            hand_back: None,
            finalizer,
        }
    }

    /// Let go, and leave everything as it is.
    fn keeps(&self) -> Leave {
        if self.next(OnDelete::Keep) == Step::Done {
            let has = self.observation.going.finalizer;
            return Leave {
                hand_back: None,
                finalizer: has.then_some(Finalizer::Take),
            };
        }
        Leave {
            hand_back: self.brake().is_none().then_some(OnDelete::Keep),
            finalizer: None,
        }
    }

    fn restores(&self, decision: &mut Decision) -> Leave {
        let next = self.next(OnDelete::Restore);
        if next == Step::Done {
            return Leave {
                hand_back: None,
                finalizer: Some(Finalizer::Take),
            };
        }
        let refused = match &next {
            Step::PutBack(back) => self.refusal(back, decision),
            // The values are the owner's already.
            Step::LetGo(_) | Step::Done => None,
        };
        let held = self.brake().map(|brake| {
            let text = format!(
                "the policy is being deleted, but {brake}, so the owner's probes are not put back; allow it, or set apply.onDelete to Keep"
            );
            ConditionState::new(Reason::RestoreHeld, text)
        });
        let waits = held.or(refused);
        let hand_back = waits.is_none().then_some(OnDelete::Restore);
        let state = waits.unwrap_or_else(|| {
            let text = format!(
                "the owner's probes of {} are put back, because the policy is being deleted",
                self.workload.display()
            );
            ConditionState::new(Reason::Restoring, text)
        });
        let conditions = &mut decision.conditions;
        conditions.retain(|one| one.kind() != ConditionType::InSync);
        conditions.push(state);
        Leave {
            hand_back,
            finalizer: None,
        }
    }

    fn next(&self, how: OnDelete) -> Step {
        step(self.workload, self.container, how)
    }

    /// The owner's probes are not put back while a start would be killed again.
    fn refusal(&self, back: &PutBack, decision: &Decision) -> Option<ConditionState> {
        if self.observation.going.anyway {
            return None;
        }
        let startup = decision.startup;
        let why = match (startup.need_seconds, startup.source) {
            (Some(_), Some(BudgetSource::Owner)) => return None,
            (Some(need), _) if need <= back.to_seconds => return None,
            (Some(need), _) => format!(
                "a startup budget of {need} s is needed{} and the owner's probes give {} s, so the next start would be killed",
                at_count(startup.count),
                back.to_seconds
            ),
            (None, _) => "the needed budget is not known, see the other conditions".to_owned(),
        };
        let text = format!(
            "the policy is being deleted, but {why}: give the owner's own probes more, or set apply.onDelete to Keep, or annotate the policy {RESTORE_ANYWAY_ANNOTATION}=true to put them back all the same"
        );
        Some(ConditionState::new(Reason::RestoreRefused, text))
    }

    /// What forbids to touch the workload.
    fn brake(&self) -> Option<String> {
        let ignored = |what: String| format!("{what} is annotated probepilot.dev/ignore");
        if self.workload.ignored {
            return Some(ignored(self.workload.display()));
        }
        match self.observation.brake? {
            Brake::NamespaceIgnored => Some(ignored("the namespace".to_owned())),
            Brake::ReadOnly => Some("the operator runs with --read-only".to_owned()),
        }
    }
}
