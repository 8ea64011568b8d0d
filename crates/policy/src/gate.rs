//! What a change of probes has to wait for.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::{Delivery, Mode, RaisePolicy, Reason};

use crate::condition::ConditionState;
use crate::observation::{Brake, Observation, Slot};
use crate::pace::remaining;
use crate::policy::Policy;
use crate::workload::{Strategy, Workload};

/// Whether a change may be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Now.
    Open,
    /// As soon as the rollout queue grants a slot.
    Queue,
    /// Not now.
    Closed(Closed),
}

impl Gate {
    /// Whether nothing but a slot is waited for.
    #[must_use]
    pub fn lets(&self) -> bool {
        !matches!(self, Self::Closed(_))
    }
}

/// Why a change may not be written now.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// The InSync condition that says so.
    pub condition: ConditionState,
    /// When to look again, where time alone opens the gate.
    pub opens_after: Option<SignedDuration>,
}

/// A change that asks to be written.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// What it would do, as a clause: `would raise the budget from 40 s to 110 s`.
    pub summary: &'a str,
    /// The target is being killed, or our own probe is wrong: it waits for nothing but a brake.
    pub urgent: bool,
    /// What remains of the window.
    pub window_left: SignedDuration,
    /// Seconds that must pass since the last such write, and when that was.
    pub interval: (u32, Option<Timestamp>),
    /// Why it must not be written although no brake is on: somebody took it away.
    pub held_back: Option<ConditionState>,
}

/// Asks every gate in turn; the first that is closed answers.
#[must_use]
pub fn gate(
    policy: &Policy,
    observation: &Observation,
    workload: &Workload,
    change: &Change<'_>,
    now: Timestamp,
) -> Gate {
    let brakes = brake(policy, observation, workload, change).or_else(|| {
        let condition = change.held_back.clone()?;
        Some(Closed {
            condition,
            opens_after: None,
        })
    });
    let closed = brakes.or_else(|| {
        if change.urgent {
            None
        } else {
            proactive(policy, observation, workload, change, now)
        }
    });
    match (closed, observation.slot) {
        (Some(closed), _) => Gate::Closed(closed),
        (None, Slot::Granted) => Gate::Open,
        (None, _) if change.urgent => Gate::Open,
        (None, _) => Gate::Queue,
    }
}

fn closed(reason: Reason, message: String) -> Closed {
    Closed {
        condition: ConditionState::new(reason, message),
        opens_after: None,
    }
}

fn closed_for(reason: Reason, left: SignedDuration, message: String) -> Closed {
    Closed {
        opens_after: Some(left),
        ..closed(reason, message)
    }
}

/// What forbids even an urgent write.
pub(crate) fn brake(
    policy: &Policy,
    observation: &Observation,
    workload: &Workload,
    change: &Change<'_>,
) -> Option<Closed> {
    let summary = change.summary;
    if workload.ignored {
        let target = workload.display();
        return Some(closed(
            Reason::Ignored,
            format!(
                "{summary}, but {target} is annotated probepilot.dev/ignore; remove the annotation to allow it"
            ),
        ));
    }
    match observation.brake {
        Some(Brake::NamespaceIgnored) => {
            return Some(closed(
                Reason::Ignored,
                format!(
                    "{summary}, but the namespace is annotated probepilot.dev/ignore; remove the annotation to allow it"
                ),
            ));
        }
        Some(Brake::ReadOnly) => {
            return Some(closed(
                Reason::ReadOnly,
                format!("{summary}, but the operator runs with --read-only"),
            ));
        }
        None => {}
    }
    // New pods are nothing that a controller of the workload would revert.
    if let Some(controller) = &workload.controller
        && policy.delivery == Delivery::Template
    {
        return Some(closed(
            Reason::OwnedByController,
            format!(
                "{summary}, but {} is made by {controller}, which would revert it; set the probe in that object",
                workload.display()
            ),
        ));
    }
    if policy.mode == Mode::Observe {
        return Some(closed(
            Reason::ObserveOnly,
            format!("{summary}; mode Observe writes nothing, set spec.mode to Enforce to allow it"),
        ));
    }
    None
}

/// What a write waits for that restarts pods which nothing has killed.
fn proactive(
    policy: &Policy,
    observation: &Observation,
    workload: &Workload,
    change: &Change<'_>,
    now: Timestamp,
) -> Option<Closed> {
    let summary = change.summary;
    if policy.raise.policy == RaisePolicy::OnKill {
        return Some(closed(
            Reason::WaitingForKill,
            format!("{summary}; behavior.raise.policy OnKill waits until a probe kills the start"),
        ));
    }
    let rollout = workload.rollout;
    if rollout.paused {
        return Some(closed(
            Reason::Paused,
            format!(
                "{summary}, but {} is paused; it is written once rollouts resume",
                workload.display()
            ),
        ));
    }
    let rolling = rollout.in_progress
        && !rollout.deadline_exceeded
        && workload.strategy != Strategy::OnDelete;
    let stops_first =
        workload.strategy == Strategy::StopsFirst && policy.raise.policy == RaisePolicy::Safe;
    if stops_first && !rolling {
        return Some(closed(
            Reason::RestartNeeded,
            format!(
                "{summary}, but that stops healthy pods before new ones run; it waits for a kill or for the owner's next rollout (behavior.raise.policy Always writes at once)"
            ),
        ));
    }
    if rolling && !stops_first {
        return Some(closed(
            Reason::RollingOut,
            format!("{summary}, once the rollout under way is done"),
        ));
    }
    let left = change.window_left;
    if left > SignedDuration::ZERO {
        return Some(closed_for(
            Reason::Stabilizing,
            left,
            format!(
                "{summary}, if the count still asks for it in {} s",
                left.as_secs().max(1)
            ),
        ));
    }
    let (interval, last) = change.interval;
    let left = last.map_or(SignedDuration::ZERO, |last| remaining(last, interval, now));
    if left > SignedDuration::ZERO {
        return Some(closed_for(
            Reason::MinInterval,
            left,
            format!(
                "{summary}, but the last write is less than {interval} s ago; {} s to go",
                left.as_secs().max(1)
            ),
        ));
    }
    if let Slot::Waiting { position } = observation.slot {
        return Some(closed(
            Reason::Queued,
            format!("{summary}; other rollouts come first, place {position} in the queue"),
        ));
    }
    None
}

#[cfg(test)]
mod tests;
