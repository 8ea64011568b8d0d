//! The one function that decides, over plain data: observation in, decision out.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::{BudgetSource, Memory, ProbePolicyStatus, Reason};

use crate::baseline::{Baseline, BaselineRecord};
use crate::choose::choose;
use crate::condition::ConditionState;
use crate::decision::{Action, Cause, Decision, Priority, Probes, Startup, Write};
use crate::events;
use crate::gate::{Change, Gate, gate};
use crate::kills::Kills;
use crate::need::{Ask, Asked, need};
use crate::observation::{Observation, Target};
use crate::pace::{self, Extreme, HEARTBEAT};
use crate::policy::Policy;
use crate::probes::{Held, Wish, budget, probes};
use crate::workload::{ContainerProbes, Workload};

mod conditions;
mod messages;

/// Seconds between two writes that lower: at most one a day. Source: design, section 6.
const LOWER_INTERVAL_SECONDS: u32 = 86_400;

/// Decides about one policy. `prior` is the policy's status, which is all the memory there is.
#[must_use]
pub fn decide(
    policy: &Policy,
    observation: &Observation,
    prior: &ProbePolicyStatus,
    now: Timestamp,
) -> Decision {
    let mut decision = look(policy, observation, prior, now);
    decision
        .conditions
        .extend(conditions::counts(policy, observation));
    decision.conditions.sort_by_key(ConditionState::kind);
    decision.events = events::of(&decision, prior);
    decision
}

fn look(
    policy: &Policy,
    observation: &Observation,
    prior: &ProbePolicyStatus,
    now: Timestamp,
) -> Decision {
    let workload = match &observation.target {
        Target::Found(workload) => workload,
        Target::Unread => return blank(prior, observation, conditions::unread(policy)),
        Target::Missing => return blank(prior, observation, conditions::missing(policy)),
    };
    let current = match choose(policy, prior.container.as_deref(), workload) {
        Ok(container) => container,
        Err(problem) => {
            return blank(
                prior,
                observation,
                conditions::no_container(policy, workload, problem),
            );
        }
    };
    let kills = Kills::of(
        &current.name,
        &observation.pods,
        memory(prior).judged.as_slice(),
        now,
    );
    let case = Case {
        policy,
        observation,
        prior,
        workload,
        current,
        kills,
        now,
    };
    case.decide()
}

/// A decision that leaves everything as it is.
fn blank(
    prior: &ProbePolicyStatus,
    observation: &Observation,
    conditions: Vec<ConditionState>,
) -> Decision {
    Decision {
        container: prior.container.clone(),
        startup: Startup::default(),
        probes: None,
        action: Action::None,
        conditions,
        events: Vec::new(),
        memory: Memory {
            pending_raise: None,
            pending_lower: None,
            ..memory(prior)
        },
        counts: observation.counts.clone(),
        verdict: None,
        look_again: None,
    }
}

fn memory(prior: &ProbePolicyStatus) -> Memory {
    prior.memory.clone().unwrap_or_default()
}

/// A target with its container, and everything that bears on it.
struct Case<'a> {
    policy: &'a Policy,
    observation: &'a Observation,
    prior: &'a ProbePolicyStatus,
    workload: &'a Workload,
    current: &'a ContainerProbes,
    kills: Kills,
    now: Timestamp,
}

/// What should become of the probes, before any gate is asked.
enum Plan {
    /// Nothing: the condition says why.
    Keep(ConditionState),
    /// Other probes, once the gates are open.
    Change(Planned),
}

struct Planned {
    wanted: ContainerProbes,
    cause: Cause,
    window_left: SignedDuration,
}

impl Case<'_> {
    fn decide(&self) -> Decision {
        let owners = self.workload.managers.of(&self.current.name);
        let baseline = Baseline::of(self.current, self.workload.record.as_ref(), owners);
        let held = Held::by(owners);
        let mut decision = blank(self.prior, self.observation, Vec::new());
        decision.container = Some(self.current.name.clone());
        decision.verdict = self.kills.shown;
        decision.memory.judged.clone_from(&self.kills.judged);
        decision.look_again = self.kills.look_again;
        decision.conditions = vec![
            conditions::found(self.workload),
            conditions::looping(&self.kills),
        ];
        if let Some(other) = &self.observation.duplicate_of {
            decision.conditions.extend(conditions::duplicate(other));
            return decision;
        }
        let asked = need(self.policy, &self.observation.counts, liveness(&baseline));
        decision.startup = self.startup(&baseline, &asked);
        let plan = self.plan(&baseline, &held, &asked, &mut decision);
        decision.probes = Some(Probes {
            desired: match &plan {
                Plan::Keep(_) => self.current.timings(),
                Plan::Change(planned) => planned.wanted.timings(),
            },
            baseline: baseline.probes.timings(),
        });
        decision
            .conditions
            .push(conditions::ready(self.policy, self.workload, &baseline));
        match plan {
            Plan::Keep(condition) => decision.conditions.push(condition),
            Plan::Change(planned) => self.pass_gates(planned, &baseline, &asked, &mut decision),
        }
        decision
    }

    fn startup(&self, baseline: &Baseline, asked: &Asked) -> Startup {
        let budget_seconds = self.current.guard().budget_seconds();
        let (count, need_seconds, source) = match asked {
            Asked::Ask(ask)
                if ask.need_seconds > baseline.probes.guard().budget_seconds().unwrap_or(0) =>
            {
                (Some(ask.count), Some(ask.need_seconds), Some(ask.source))
            }
            Asked::Ask(ask) => (
                Some(ask.count),
                Some(ask.need_seconds),
                Some(BudgetSource::Owner),
            ),
            Asked::Nothing { count } => (*count, budget_seconds, Some(BudgetSource::Owner)),
            Asked::Unknown => (None, None, None),
        };
        Startup {
            count,
            need_seconds,
            budget_seconds,
            detection_seconds: self.current.detection_seconds(),
            baseline_detection_seconds: baseline.probes.detection_seconds(),
            source,
            queue_position: None,
        }
    }

    fn plan(
        &self,
        baseline: &Baseline,
        held: &Held,
        asked: &Asked,
        decision: &mut Decision,
    ) -> Plan {
        if let Some(wanted) = self.follow_handler(baseline) {
            return Plan::Change(Planned {
                wanted,
                cause: Cause::Handler,
                window_left: SignedDuration::ZERO,
            });
        }
        let ask = match asked {
            Asked::Unknown => {
                decision
                    .memory
                    .pending_raise
                    .clone_from(&memory(self.prior).pending_raise);
                return Plan::Keep(conditions::need_unknown());
            }
            Asked::Nothing { .. } => return self.plan_lower(baseline, held, None, decision),
            Asked::Ask(ask) => ask,
        };
        if ask.covered_by(budget(self.current)) {
            return self.plan_lower(baseline, held, Some(ask), decision);
        }
        self.plan_raise(baseline, held, ask, decision)
    }

    /// Our startup probe goes with the owner's liveness probe: same handler, or none at all.
    fn follow_handler(&self, baseline: &Baseline) -> Option<ContainerProbes> {
        let startup = self
            .current
            .startup
            .as_ref()
            .filter(|_| baseline.startup_is_ours)?;
        let mut wanted = self.current.clone();
        match &self.current.liveness {
            None => wanted.startup = None,
            Some(liveness) if liveness.handler == startup.handler => return None,
            Some(liveness) => {
                wanted.startup = wanted.startup.map(|probe| crate::workload::Probe {
                    timings: probe.timings,
                    ..liveness.clone()
                });
            }
        }
        Some(wanted)
    }

    fn plan_raise(
        &self,
        baseline: &Baseline,
        held: &Held,
        ask: &Ask,
        decision: &mut Decision,
    ) -> Plan {
        let killed = self.is_killed_below(ask.need_seconds);
        let pending = pace::extend(
            memory(self.prior).pending_raise.as_ref(),
            &self.observation.counts,
            Extreme::Lowest,
            self.now,
        );
        let mut window_left =
            pace::remaining(pending.since.0, self.policy.raise.window_seconds, self.now);
        let lowest = need(self.policy, &pace::counts(&pending), liveness(baseline));
        decision.memory.pending_raise = Some(pending);
        let ask = match &lowest {
            _ if killed => ask,
            Asked::Ask(lowest) if !lowest.covered_by(budget(self.current)) => lowest,
            // Counts of several rules fell and rose in turn: each look asked for more, all together do not.
            _ => {
                window_left = window_left.max(SignedDuration::from_secs(1));
                ask
            }
        };
        let wanted = probes(&baseline.probes, self.wish(Some(ask)), held);
        if budget(&wanted) <= budget(self.current) {
            return Plan::Keep(conditions::yielded(self.current, ask, held));
        }
        let cause = if killed { Cause::Kill } else { Cause::Raise };
        Plan::Change(Planned {
            wanted,
            cause,
            window_left,
        })
    }

    fn plan_lower(
        &self,
        baseline: &Baseline,
        held: &Held,
        ask: Option<&Ask>,
        decision: &mut Decision,
    ) -> Plan {
        let keep = Plan::Keep(conditions::covered(self.current, baseline, ask));
        let Some(lower) = self.policy.lower else {
            return keep;
        };
        let fresh = self.policy.rules.iter().all(|rule| {
            let mut counts = self.observation.counts.iter();
            counts.any(|count| {
                count.selector == rule.count && count.last.is_some() && count.failure.is_none()
            })
        });
        let present = budget(self.current);
        let below = |wanted: &ContainerProbes| {
            let most = u64::from(present) * u64::from(100 - lower.tolerance_percent) / 100;
            wanted != self.current && budget(wanted) < present && u64::from(budget(wanted)) <= most
        };
        let wanted_for = |asked: &Asked| match asked {
            Asked::Ask(ask) => Some(probes(&baseline.probes, self.wish(Some(ask)), held)),
            Asked::Nothing { .. } => Some(baseline.probes.clone()),
            Asked::Unknown => None,
        };
        let now_asked = need(self.policy, &self.observation.counts, liveness(baseline));
        if !fresh || !wanted_for(&now_asked).is_some_and(|wanted| below(&wanted)) {
            return keep;
        }
        let pending = pace::extend(
            memory(self.prior).pending_lower.as_ref(),
            &self.observation.counts,
            Extreme::Highest,
            self.now,
        );
        let highest = need(self.policy, &pace::counts(&pending), liveness(baseline));
        let lowered = memory(self.prior)
            .lowered_at
            .map_or(SignedDuration::ZERO, |at| {
                pace::remaining(at.0, LOWER_INTERVAL_SECONDS, self.now)
            });
        let window_left =
            pace::remaining(pending.since.0, lower.window_seconds, self.now).max(lowered);
        decision.memory.pending_lower = Some(pending);
        if window_left > SignedDuration::ZERO {
            decision.look_again = sooner(decision.look_again, window_left.min(HEARTBEAT));
            return keep;
        }
        match wanted_for(&highest).filter(below) {
            Some(wanted) if !self.rolling() => Plan::Change(Planned {
                wanted,
                cause: Cause::Lower,
                window_left: SignedDuration::ZERO,
            }),
            _ => keep,
        }
    }

    fn pass_gates(
        &self,
        planned: Planned,
        baseline: &Baseline,
        asked: &Asked,
        decision: &mut Decision,
    ) {
        let write = self.write(planned.wanted, planned.cause, baseline, asked);
        let summary = messages::would(&write);
        let last_write = self.prior.last_write.as_ref().map(|write| write.at.0);
        let change = Change {
            summary: &summary,
            urgent: !write.takes_slot,
            window_left: planned.window_left,
            interval: (self.policy.raise.min_interval_seconds, last_write),
        };
        match gate(
            self.policy,
            self.observation,
            self.workload,
            change,
            self.now,
        ) {
            Gate::Open => {
                decision
                    .conditions
                    .push(ConditionState::new(Reason::Writing, write.sentence.clone()));
                decision.action = Action::Write(Box::new(write));
            }
            Gate::Queue => {
                decision.conditions.push(ConditionState::new(
                    Reason::Queued,
                    format!("{summary}; it waits for its turn in the queue of rollouts"),
                ));
                decision.action = Action::Queue(self.priority(asked));
            }
            // A target whose budget covers the need is in sync, whatever a lower waits for.
            Gate::Closed(_) if planned.cause == Cause::Lower => {
                decision
                    .conditions
                    .push(conditions::covered(self.current, baseline, asked.ask()));
            }
            Gate::Closed(closed) => {
                if closed.condition.reason == Reason::Queued {
                    decision.action = Action::Queue(self.priority(asked));
                    if let crate::observation::Slot::Waiting { position } = self.observation.slot {
                        decision.startup.queue_position = Some(position);
                    }
                }
                if let Some(opens) = closed.opens_after {
                    decision.look_again = sooner(decision.look_again, opens);
                }
                decision.conditions.push(closed.condition);
            }
        }
    }

    fn write(
        &self,
        wanted: ContainerProbes,
        cause: Cause,
        baseline: &Baseline,
        asked: &Asked,
    ) -> Write {
        let (from_seconds, to_seconds) = (budget(self.current), budget(&wanted));
        Write {
            record: BaselineRecord {
                container: wanted.name.clone(),
                baseline: baseline.probes.timings(),
                written: wanted.timings(),
            },
            sentence: messages::why(cause, from_seconds, to_seconds, asked, &self.kills),
            progress_deadline_seconds: self.workload.rollout.progress_deadline_seconds,
            takes_slot: matches!(cause, Cause::Raise | Cause::Lower),
            probes: wanted,
            from_seconds,
            to_seconds,
            cause,
        }
    }

    fn wish(&self, ask: Option<&Ask>) -> Wish {
        Wish {
            seconds: ask.map_or(0, |ask| ask.write_seconds),
            liveness: ask.and_then(|ask| ask.liveness),
            probe: self.policy.probe,
        }
    }

    /// Whether a probe kills the target now under a smaller budget than is needed.
    fn is_killed_below(&self, need_seconds: u32) -> bool {
        self.kills
            .killed_now
            .as_ref()
            .is_some_and(|killed| killed.budget_seconds < need_seconds)
    }

    fn rolling(&self) -> bool {
        self.workload.rollout.in_progress
            && self.workload.strategy != crate::workload::Strategy::OnDelete
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

fn liveness(baseline: &Baseline) -> Option<probepilot_kubelet::Timings> {
    baseline.probes.liveness.as_ref().map(|probe| probe.timings)
}

fn sooner(one: Option<SignedDuration>, other: SignedDuration) -> Option<SignedDuration> {
    Some(one.map_or(other, |one| one.min(other)))
}

#[cfg(test)]
mod tests;
