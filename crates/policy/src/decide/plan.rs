//! What should become of the probes, before any gate is asked.

use jiff::SignedDuration;
use probepilot_api::RaisePolicy;

use super::{Case, conditions, memory, sooner};
use crate::baseline::Baseline;
use crate::condition::ConditionState;
use crate::decision::{Cause, Decision};
use crate::need::{Ask, Asked};
use crate::pace::{self, Extreme, HEARTBEAT};
use crate::probes::{Held, Wish, budget, probes};
use crate::workload::{ContainerProbes, Probe, Strategy};

/// Seconds between two writes that lower: at most one a day. Source: design, section 6.
const LOWER_INTERVAL_SECONDS: u32 = 86_400;
/// Counts of several rules that rose and fell in turn are looked at again after so long.
const COUNTS_AGREE: SignedDuration = SignedDuration::from_secs(30);

/// What should become of the probes, before any gate is asked.
pub(super) enum Plan {
    /// Nothing: the condition says why.
    Keep(ConditionState),
    /// Other probes, once the gates are open.
    Change(Planned),
}

pub(super) struct Planned {
    pub wanted: ContainerProbes,
    pub cause: Cause,
    pub window_left: SignedDuration,
    /// Goes with a handler that has to follow at once, so it waits for nothing and takes no slot.
    pub rides: bool,
}

impl Case<'_> {
    pub(super) fn plan(
        &self,
        baseline: &Baseline,
        held: &Held,
        asked: &Asked,
        decision: &mut Decision,
    ) -> Plan {
        let plan = self.plan_budget(baseline, held, asked, decision);
        match self.follow_handler(baseline) {
            Some(followed) => self.with_handler(plan, followed),
            None => plan,
        }
    }

    /// The correction of a handler restarts the pods anyway, so a raise that is due goes with it: one
    /// write, one rollout. A lower waits for a time when nothing rolls out.
    fn with_handler(&self, plan: Plan, followed: ContainerProbes) -> Plan {
        let due = |raise: &Planned| match raise.cause {
            Cause::Kill => true,
            Cause::Raise => {
                raise.window_left <= SignedDuration::ZERO
                    && self.policy.raise.policy != RaisePolicy::OnKill
            }
            Cause::Lower | Cause::Handler => false,
        };
        match plan {
            // Without liveness nothing is left that could be raised.
            Plan::Change(raise) if followed.liveness.is_some() && due(&raise) => {
                Plan::Change(Planned {
                    rides: true,
                    ..raise
                })
            }
            Plan::Change(_) | Plan::Keep(_) => Plan::Change(Planned {
                wanted: followed,
                cause: Cause::Handler,
                window_left: SignedDuration::ZERO,
                rides: true,
            }),
        }
    }

    /// What the budget asks for, whatever the handlers are.
    fn plan_budget(
        &self,
        baseline: &Baseline,
        held: &Held,
        asked: &Asked,
        decision: &mut Decision,
    ) -> Plan {
        let ask = match asked {
            Asked::Unknown => {
                // Windows go on; one that is not looked at for too long starts again by itself.
                let before = memory(self.prior);
                decision.memory.pending_raise = before.pending_raise;
                decision.memory.pending_lower = before.pending_lower;
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
                wanted.startup = wanted.startup.map(|probe| Probe {
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
            self.policy.raise.window_seconds,
            self.now,
        );
        let mut window_left =
            pace::remaining(pending.since.0, self.policy.raise.window_seconds, self.now);
        let counts = pace::counts(&pending, Extreme::Lowest);
        let lowest = self.asked(&counts, baseline, &decision.memory);
        decision.memory.pending_raise = Some(pending);
        let ask = match &lowest {
            _ if killed => ask,
            Asked::Ask(lowest) if !lowest.covered_by(budget(self.current)) => lowest,
            // Counts of several rules fell and rose in turn: each look asked for more, all together do not.
            _ => {
                window_left = window_left.max(COUNTS_AGREE);
                ask
            }
        };
        let wanted = self.wanted(baseline, held, ask);
        if budget(&wanted) <= budget(self.current) {
            let free = self.wanted(baseline, &Held::default(), ask);
            return Plan::Keep(conditions::yielded(
                self.workload,
                self.current,
                &free,
                ask,
                held,
            ));
        }
        let cause = if killed { Cause::Kill } else { Cause::Raise };
        Plan::Change(Planned {
            wanted,
            cause,
            window_left,
            rides: false,
        })
    }

    fn plan_lower(
        &self,
        baseline: &Baseline,
        held: &Held,
        ask: Option<&Ask>,
        decision: &mut Decision,
    ) -> Plan {
        let keep = Plan::Keep(self.covered(baseline, ask));
        let Some(lower) = self.policy.lower else {
            return keep;
        };
        let present = budget(self.current);
        let below = |wanted: &ContainerProbes| {
            let most = u64::from(present) * u64::from(100 - lower.tolerance_percent) / 100;
            let enough = ask.is_none_or(|ask| ask.covered_by(budget(wanted)));
            enough && budget(wanted) < present && u64::from(budget(wanted)) <= most
        };
        let wanted_for = |asked: &Asked| match asked {
            Asked::Ask(ask) => Some(self.wanted(baseline, held, ask)),
            Asked::Nothing { .. } => Some(baseline.probes.clone()),
            Asked::Unknown => None,
        };
        let now_asked = self.asked(&self.observation.counts, baseline, &decision.memory);
        if !wanted_for(&now_asked).is_some_and(|wanted| below(&wanted)) {
            return keep;
        }
        if !self.counts_are_fresh() || self.kills.killed_now.is_some() {
            // The window goes on, but nothing is lowered on what is not known, nor under a kill.
            decision
                .memory
                .pending_lower
                .clone_from(&memory(self.prior).pending_lower);
            return keep;
        }
        let pending = pace::extend(
            memory(self.prior).pending_lower.as_ref(),
            &self.observation.counts,
            Extreme::Highest,
            lower.window_seconds,
            self.now,
        );
        let counts = pace::counts(&pending, Extreme::Highest);
        let highest = self.asked(&counts, baseline, &decision.memory);
        let lowered = memory(self.prior)
            .lowered_at
            .map_or(SignedDuration::ZERO, |at| {
                pace::remaining(at.0, LOWER_INTERVAL_SECONDS, self.now)
            });
        let window_left =
            pace::remaining(pending.since.0, lower.window_seconds, self.now).max(lowered);
        decision.memory.pending_lower = Some(pending);
        if window_left > SignedDuration::ZERO {
            decision.look_again = Some(sooner(decision.look_again, window_left.min(HEARTBEAT)));
            return keep;
        }
        match wanted_for(&highest).filter(below) {
            Some(wanted) if !self.rolling() => Plan::Change(Planned {
                wanted,
                cause: Cause::Lower,
                window_left: SignedDuration::ZERO,
                rides: false,
            }),
            _ => keep,
        }
    }

    /// The probes that an ask leads to, a function of it and of the baseline alone. Where the owner's
    /// own cover it they stay as they are, without headroom and whatever limits say.
    fn wanted(&self, baseline: &Baseline, held: &Held, ask: &Ask) -> ContainerProbes {
        if ask.covered_by(budget(&baseline.probes)) {
            return baseline.probes.clone();
        }
        let wish = Wish {
            seconds: ask.write_seconds,
            liveness: ask.liveness,
            probe: self.policy.probe,
        };
        probes(&baseline.probes, wish, held)
    }

    /// Whether a probe kills the target now under a smaller budget than is needed.
    fn is_killed_below(&self, need_seconds: u32) -> bool {
        self.kills
            .killed_now
            .as_ref()
            .is_some_and(|killed| killed.budget_seconds < need_seconds)
    }

    fn rolling(&self) -> bool {
        self.workload.rollout.in_progress && self.workload.strategy != Strategy::OnDelete
    }

    /// Whether every count was read lately: one that failed or stands still lowers nothing.
    fn counts_are_fresh(&self) -> bool {
        self.policy.counted().iter().all(|selector| {
            let mut counts = self.observation.counts.iter();
            let count = counts.find(|count| count.selector == *selector);
            count.is_some_and(|count| {
                count.failure.is_none()
                    && count.last.is_some_and(|sample| {
                        self.now.duration_since(sample.at) <= pace::LONGEST_GAP
                    })
            })
        })
    }
}
