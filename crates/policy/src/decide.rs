//! The one function that decides, over plain data: observation in, decision out.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::{
    AdviceStatus, BudgetSource, ConditionType, Delivery, Memory, ProbePair, ProbePolicyStatus,
};

use crate::admission::given;
use crate::advice::{Standing, news};
use crate::baseline::Baseline;
use crate::choose::choose;
use crate::condition::ConditionState;
use crate::decision::{Action, Decision, Leave, Probes, Startup};
use crate::events;
use crate::handover;
use crate::kills::Kills;
use crate::need::{Ask, Asked, need};
use crate::observation::{Count, Observation, Target};
use crate::policy::Policy;
use crate::probes::{Held, budget};
use crate::raise::{self, Scene};
use crate::starts::{StartKey, Starts};
use crate::workload::{ContainerProbes, Workload};

mod admission;
mod behind;
mod change;
mod conditions;
mod gates;
mod going;
mod learning;
mod messages;
mod obstacles;
mod plan;
mod stuck;

use learning::Learning;
use plan::Plan;

/// Decides about one policy. `prior` is the policy's status, which is all the memory there is.
#[must_use]
pub fn decide(
    policy: &Policy,
    observation: &Observation,
    prior: &ProbePolicyStatus,
    now: Timestamp,
) -> Decision {
    let at_rest = going::at_rest(policy, observation);
    let policy = at_rest.as_ref().unwrap_or(policy);
    let mut decision = look(policy, observation, prior, now);
    going::weigh(policy, observation, prior, &mut decision);
    decision
        .conditions
        .extend(conditions::counts(policy, observation));
    if policy.delivery == Delivery::Admission && !decision.has(ConditionType::Delivery) {
        let support = admission::support(&observation.admission.support);
        decision.conditions.push(support);
    }
    let contested = conditions::contested(&decision.memory, policy);
    decision.conditions.push(contested);
    decision.conditions.sort_by_key(ConditionState::kind);
    let told = events::of(&decision, prior);
    decision.events.extend(told);
    decision.events.extend(news(&decision.advice, prior));
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
        Target::Unread => {
            let mut decision = blank(policy, prior, observation, conditions::unread(policy));
            // A restarted operator has not looked yet: its windows go on where they were.
            decision.memory = memory(prior);
            decision.advice.clone_from(&prior.advice);
            return decision;
        }
        Target::Missing => {
            let mut decision = blank(policy, prior, observation, conditions::missing(policy));
            decision.probes = admission::kept(policy, prior);
            return decision;
        }
    };
    let template = match choose(policy, pinned(policy, prior), workload) {
        Ok(container) => container,
        Err(problem) => {
            return blank(
                policy,
                prior,
                observation,
                conditions::no_container(policy, workload, problem),
            );
        }
    };
    let delivered = admission::delivered(policy, prior);
    let given = delivered.map(|desired| given(template, &desired));
    let kills = Kills::of(
        &template.name,
        &observation.pods,
        memory(prior).judged.as_slice(),
        now,
    );
    let learning = Learning::of(policy, observation, prior, workload, &template.name);
    let case = Case {
        starts: learning.starts(&kills, now),
        key: learning.key,
        policy,
        observation,
        prior,
        workload,
        template,
        current: given.as_ref().unwrap_or(template),
        delivered: delivered.unwrap_or_default(),
        kills,
        now,
    };
    case.decide()
}

/// The container that `status` pins; it is pinned for the target that status names, not for another.
#[must_use]
pub fn pinned<'a>(policy: &Policy, status: &'a ProbePolicyStatus) -> Option<&'a str> {
    let same_target = status.target.as_ref() == Some(&policy.target.display());
    status.container.as_deref().filter(|_| same_target)
}

/// A decision that leaves everything as it is.
fn blank(
    policy: &Policy,
    prior: &ProbePolicyStatus,
    observation: &Observation,
    conditions: Vec<ConditionState>,
) -> Decision {
    Decision {
        container: pinned(policy, prior).map(str::to_owned),
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
        raises: prior.raises,
        judged: Vec::new(),
        starts: Starts::from(prior.starts.as_slice()),
        advice: Vec::new(),
        verdict: None,
        look_again: None,
        leave: Leave::default(),
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
    /// The container's probes in the workload's template.
    template: &'a ContainerProbes,
    /// What new pods get: the template's, and under delivery Admission what is desired on top.
    current: &'a ContainerProbes,
    /// What new pods get on top of the template; empty under delivery Template.
    delivered: ProbePair,
    kills: Kills,
    /// Of the program that the template runs.
    key: StartKey,
    /// Every start that is kept, those seen now among them.
    starts: Starts,
    now: Timestamp,
}

impl Case<'_> {
    fn decide(&self) -> Decision {
        let (baseline, held) = self.owners();
        let mut decision = blank(self.policy, self.prior, self.observation, Vec::new());
        decision.container = Some(self.current.name.clone());
        decision.verdict = self.kills.shown;
        decision.memory.judged.clone_from(&self.kills.judged);
        let new = self.kills.new.iter();
        decision.judged = new.map(|(_, judgement)| judgement.clone()).collect();
        decision.look_again = self.kills.look_again;
        decision.starts.clone_from(&self.starts);
        decision.conditions = vec![
            conditions::found(self.workload),
            conditions::looping(&self.kills),
        ];
        if let Some(other) = &self.observation.duplicate_of {
            decision.conditions.extend(conditions::duplicate(other));
            return decision;
        }
        let by_admission = self.policy.delivery == Delivery::Admission;
        if by_admission {
            self.forget_template(&mut decision.memory);
        } else {
            handover::learn(&mut decision.memory, self.workload);
        }
        self.weigh_kills(&baseline, &mut decision);
        let asked = self.asked(&self.observation.counts, &baseline, &decision.memory);
        decision.startup = self.startup(&baseline, &asked);
        let recommended = self.recommended();
        decision.startup.recommended_seconds = recommended
            .as_ref()
            .and_then(|learned| Some(learned.need()?.seconds));
        decision.events.extend(self.starts_over(recommended));
        if !by_admission {
            self.weigh_change(&baseline, &asked, &mut decision);
        }
        decision.advice = self.advice(decision.startup.count);
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
            plan if by_admission => self.deliver(plan, &baseline, &asked, &mut decision),
            Plan::Keep(condition) => self.hand_over(condition, &mut decision),
            Plan::Change(planned) => self.pass_gates(planned, &baseline, &asked, &mut decision),
        }
        decision
    }

    /// In sync, with what that costs the owner.
    fn covered(&self, baseline: &Baseline, ask: Option<&Ask>) -> ConditionState {
        let covered = conditions::covered(self.current, baseline, ask);
        let by_template = self.policy.delivery == Delivery::Template;
        match self.obstacles(baseline).filter(|_| by_template) {
            Some(obstacles) => {
                ConditionState::new(covered.reason, format!("{}; {obstacles}", covered.message))
            }
            None => covered,
        }
    }

    /// What would help besides probes.
    fn advice(&self, count: Option<i64>) -> Vec<AdviceStatus> {
        let standing = Standing {
            container: &self.current.name,
            kills: &self.kills,
            workload: self.workload,
            observation: self.observation,
            max_startup_seconds: self.policy.limits.max_seconds,
            count,
            prior: self.prior,
            now: self.now,
        };
        standing.advice()
    }

    /// The owner's probes, and what of them is left to managers that would fight. Nothing that delivery
    /// Admission does is in the template, so there all of it is the owner's and nobody fights.
    fn owners(&self) -> (Baseline, Held) {
        if self.policy.delivery == Delivery::Admission {
            let baseline = Baseline {
                probes: self.template.clone(),
                startup_is_ours: false,
            };
            return (baseline, Held::default());
        }
        let owners = self.workload.managers.of(&self.current.name);
        let baseline = Baseline::of(self.current, &self.workload.records, owners);
        let held = Held::by(owners, self.policy.on_conflict, &baseline.probes);
        (baseline, held)
    }

    /// Begins, continues or ends a series of raises.
    fn weigh_kills(&self, baseline: &Baseline, decision: &mut Decision) {
        let scene = Scene {
            key: &self.key,
            rules: &self.bare(&self.observation.counts, baseline),
            count: self.count(&self.observation.counts),
            budget_seconds: budget(self.current),
            all_healthy: self.all_healthy(),
            retry: self.observation.retry.as_ref(),
        };
        let weighed = raise::weigh(
            self.policy,
            &self.kills,
            scene,
            &mut decision.memory,
            self.now,
        );
        if let Some(left) = weighed.look_again {
            decision.look_again = Some(sooner(decision.look_again, left));
        }
        if let Some(raises) = weighed.ended.filter(|raises| *raises > 0) {
            decision
                .events
                .push(messages::ended(raises, budget(self.current)));
        }
        let series = decision.memory.series.as_ref();
        decision.raises = raise::written(series);
        decision.conditions.push(conditions::exhausted(
            self.policy,
            series,
            self.current,
            self.observation.retry.as_ref(),
            self.now,
        ));
    }

    /// Whether the target's pods are all there and healthy.
    fn all_healthy(&self) -> bool {
        let mut pods = self.observation.pods.iter().peekable();
        let settled = !self.workload.rollout.in_progress && pods.peek().is_some();
        settled
            && pods.all(|pod| {
                let view = pod.containers.get(&self.current.name);
                view.is_some_and(|view| view.healthy_by(pod, self.now))
            })
    }

    /// What rules and starts ask at these counts, and never less than what kills showed to be too little.
    fn asked(&self, counts: &[Count], baseline: &Baseline, memory: &Memory) -> Asked {
        let bare = self.bare(counts, baseline);
        let (floor, limits) = (memory.floor.as_ref(), self.policy.limits);
        raise::with_floor(&bare, floor, (&self.key, self.count(counts)), limits)
    }

    /// What rules and starts ask at these counts.
    fn bare(&self, counts: &[Count], baseline: &Baseline) -> Asked {
        need(self.policy, counts, liveness(baseline)).or_learned(self.learned(counts))
    }

    fn startup(&self, baseline: &Baseline, asked: &Asked) -> Startup {
        let budget_seconds = self.current.guard().budget_seconds();
        let (count, need_seconds, source) = match asked {
            Asked::Ask(ask)
                if ask.need_seconds > baseline.probes.guard().budget_seconds().unwrap_or(0) =>
            {
                (ask.count, Some(ask.need_seconds), Some(ask.source))
            }
            Asked::Ask(ask) => (ask.count, Some(ask.need_seconds), Some(BudgetSource::Owner)),
            Asked::Nothing { count } => (*count, budget_seconds, Some(BudgetSource::Owner)),
            Asked::Unknown => (None, None, None),
        };
        Startup {
            count,
            need_seconds,
            budget_seconds,
            detection_seconds: self.current.detection_seconds(),
            baseline_detection_seconds: baseline.probes.detection_seconds(),
            recommended_seconds: None,
            source,
            queue_position: None,
        }
    }
}

fn liveness(baseline: &Baseline) -> Option<probepilot_kubelet::Timings> {
    baseline.probes.liveness.as_ref().map(|probe| probe.timings)
}

fn sooner(one: Option<SignedDuration>, other: SignedDuration) -> SignedDuration {
    one.map_or(other, |one| one.min(other))
}

#[cfg(test)]
mod tests;
