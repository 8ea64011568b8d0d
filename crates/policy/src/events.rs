//! Which parts of a decision are news for people.

use probepilot_api::{ConditionStatus, ConditionType, ProbePolicyStatus, Reason};

use crate::condition::ConditionState;
use crate::decision::{Action, Decision, Event, Write};

/// Events of a decision: conditions that changed to something worth telling, and cautions about a
/// budget that is about to be given.
#[must_use]
pub(crate) fn of(decision: &Decision, prior: &ProbePolicyStatus) -> Vec<Event> {
    let changed = decision
        .conditions
        .iter()
        .filter(|state| state.is_news(&prior.conditions));
    let mut events: Vec<_> = changed.filter_map(|state| about(state, prior)).collect();
    // A write that is tried again, after no answer or a refusal, was announced already.
    let announced = [Reason::Writing, Reason::WriteRefused];
    let writing = |state: &ConditionState| {
        let known =
            announced.map(|reason| ConditionState::new(reason, "").is_news(&prior.conditions));
        state.reason == Reason::Writing && known == [true; 2]
    };
    if let Action::Admit(write) = &decision.action {
        events.extend(cautions(write));
    }
    if let Action::Write(write) = &decision.action
        && decision.conditions.iter().any(writing)
    {
        events.extend(cautions(write));
    }
    events
}

fn about(state: &ConditionState, prior: &ProbePolicyStatus) -> Option<Event> {
    let kind = state.kind().to_string();
    let was_false = |name: &str| {
        let before = prior
            .conditions
            .iter()
            .find(|condition| condition.type_ == name);
        before.is_some_and(|condition| condition.status == ConditionStatus::False.to_string())
    };
    let was_true = || {
        prior
            .conditions
            .iter()
            .any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let (tell, warning) = match (state.kind(), state.reason.status()) {
        // A write tells its own story, before and after.
        (ConditionType::InSync, _)
            if [Reason::Writing, Reason::ReplacingPod, Reason::Restoring]
                .contains(&state.reason) =>
        {
            (false, false)
        }
        (ConditionType::InSync, ConditionStatus::False) => {
            let waits = [
                Reason::Stabilizing,
                Reason::MinInterval,
                Reason::Queued,
                Reason::RollingOut,
                Reason::ObserveOnly,
                Reason::PodsBehind,
            ];
            (true, !waits.contains(&state.reason))
        }
        (ConditionType::InSync, ConditionStatus::True) => {
            (state.reason == Reason::WouldShorten, false)
        }
        // A loop goes back and forth between its two reasons; only its beginning and end are news.
        (ConditionType::CrashLooping, ConditionStatus::True) => (!was_true(), true),
        (ConditionType::Exhausted | ConditionType::Contested, ConditionStatus::True) => {
            (true, true)
        }
        (ConditionType::CrashLooping | ConditionType::Exhausted | ConditionType::Contested, _) => {
            (was_true(), false)
        }
        (_, ConditionStatus::False) => (true, true),
        (_, ConditionStatus::True) => (was_false(&kind), false),
        (_, ConditionStatus::Unknown) => (false, false),
    };
    tell.then(|| Event {
        warning,
        reason: state.reason.to_string(),
        message: state.message.clone(),
    })
}

/// What a reader should know about the budget that is being given.
fn cautions(write: &Write) -> Vec<Event> {
    let mut cautions = Vec::new();
    if let Some(liveness) = &write.probes.liveness
        && liveness.timings.failure_threshold == 1
    {
        cautions.push(Event {
            warning: true,
            reason: "LivenessThresholdOne".to_owned(),
            message: "liveness failureThreshold is 1: one slow answer kills, and kubelets 1.35 and 1.36 may probe liveness once before a restarted container's startup probe has passed (kubernetes/kubernetes#141155); 2 or more is safe".to_owned(),
        });
    }
    if let Some((manager, field)) = &write.taken {
        cautions.push(Event {
            warning: true,
            reason: "TakenFrom".to_owned(),
            message: format!("apply.onConflict Take takes {field} from {manager}, which will put its own value back or fail on a conflict unless it stops declaring it"),
        });
    }
    if let Some(deadline) = write.progress_deadline_seconds
        && write.to_seconds > deadline
    {
        cautions.push(Event {
            warning: true,
            reason: "BudgetOverProgressDeadline".to_owned(),
            message: format!("the startup budget of {} s exceeds progressDeadlineSeconds {deadline}: a slow but healthy rollout will be reported as failed; raise the deadline in the Deployment", write.to_seconds),
        });
    }
    cautions
}

#[cfg(test)]
mod tests;
