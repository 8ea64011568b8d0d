//! What the starts that were seen say to a decision.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::{CountSelector, Learning as Defaults, ProbePolicyStatus};

use super::{Case, messages};
use crate::decision::Event;
use crate::evidence::Quantity;
use crate::kills::Kills;
use crate::learning::{Learned, Unlearned, recommendation};
use crate::need::{self, Ask};
use crate::observation::{Count, Observation};
use crate::pace::LONGEST_GAP;
use crate::pod::ContainerView;
use crate::policy::Policy;
use crate::starts::{Runs, Start, StartKey, Starts, measured};
use crate::workload::Workload;

/// A write starts pods for so long, also where the rollout is not seen to go on.
const ROLLOUT: SignedDuration = SignedDuration::from_mins(15);
/// Counts within these percents of one another are about the same.
const SAME_COUNT_PERCENT: std::ops::RangeInclusive<i128> = 80..=125;

/// What is known of a target's starts before a decision.
pub(super) struct Learning<'a> {
    policy: &'a Policy,
    observation: &'a Observation,
    prior: &'a ProbePolicyStatus,
    workload: &'a Workload,
    container: &'a str,
    driver: CountSelector,
    before: Starts,
    known: Vec<StartKey>,
    /// Of the program that the template runs.
    pub key: StartKey,
}

impl<'a> Learning<'a> {
    pub fn of(
        policy: &'a Policy,
        observation: &'a Observation,
        prior: &'a ProbePolicyStatus,
        workload: &'a Workload,
        container: &'a str,
    ) -> Self {
        let driver = policy.driver();
        let before = Starts::from(prior.starts.as_slice());
        let memory = prior.memory.as_ref();
        let floor = memory.and_then(|memory| memory.floor.as_ref());
        let floor = floor.map(|floor| StartKey::from(floor.key.clone()));
        let known: Vec<_> = before.keys().into_iter().cloned().chain(floor).collect();
        let program = workload.program(container).cloned().unwrap_or_default();
        Self {
            key: program.key(&driver, &known),
            policy,
            observation,
            prior,
            workload,
            container,
            driver,
            before,
            known,
        }
    }

    /// The starts there are, with those that are seen now. A policy that waits behind an older one records none.
    pub fn starts(&self, kills: &Kills, now: Timestamp) -> Starts {
        let mut starts = self.before.clone();
        if self.observation.duplicate_of.is_some() {
            return starts;
        }
        let count = need::sample(&self.observation.counts, &self.policy.driver());
        let runs = Runs {
            container: self.container,
            pods: &self.observation.pods,
            kills,
            count: count.filter(|sample| now.duration_since(sample.at) <= LONGEST_GAP),
            key: &|view| self.key_of(view),
            own_write: self.own_write(now),
            now,
        };
        for start in measured(&runs, &self.before) {
            starts.record(start);
        }
        starts
    }

    fn key_of(&self, view: &ContainerView) -> StartKey {
        let sum = view.program.counted(&self.driver);
        StartKey::with_sum(sum, view.cpu_limit.map(Quantity::milli), &self.known)
    }

    /// From when on the operator's own write starts pods: while nobody has changed the workload since, and its rollout goes on.
    fn own_write(&self, now: Timestamp) -> Option<Timestamp> {
        let write = self.prior.last_write.as_ref()?;
        let unchanged = write.generation == Some(self.workload.generation);
        let goes_on =
            self.workload.rollout.in_progress || now.duration_since(write.at.0) <= ROLLOUT;
        (unchanged && goes_on).then_some(write.at.0)
    }
}

impl Case<'_> {
    /// Count of the policy's driver among these.
    pub(super) fn count(&self, counts: &[Count]) -> Option<i64> {
        need::sample(counts, &self.policy.driver()).map(|sample| sample.value)
    }

    /// What starts ask at these counts, where they may. A start that the operator's own write caused says nothing while the
    /// count is about what it was: else each write would be the reason of the next.
    pub(super) fn learned(&self, counts: &[Count]) -> Option<Ask> {
        let headroom = self.policy.learning?;
        let count = self.count(counts)?;
        let heard = |start: &&Start| !(start.own_write && is_about(count, start.count));
        let starts: Vec<_> = self
            .starts
            .as_slice()
            .iter()
            .filter(heard)
            .cloned()
            .collect();
        let learned = recommendation(&Starts::from(starts), &self.key, count, headroom);
        Some(Ask::learned(self.policy.limits, learned.need()?))
    }

    /// What all starts recommend at the present count; `None` while that is not known.
    pub(super) fn recommended(&self) -> Option<Learned> {
        let count = self.count(&self.observation.counts)?;
        let usual = || u32::try_from(Defaults::default().headroom_percent).unwrap_or(0);
        let headroom = self.policy.learning.unwrap_or_else(usual);
        Some(recommendation(&self.starts, &self.key, count, headroom))
    }

    /// Told once: when a recommendation goes because no start of the new program is known.
    pub(super) fn starts_over(&self, recommended: Option<Learned>) -> Option<Event> {
        let before = self.prior.startup.as_ref()?.recommended_seconds;
        match (before, recommended) {
            (Some(_), Some(Learned::Nothing(why @ Unlearned::NewKey { .. }))) => {
                Some(messages::starts_over(why))
            }
            _ => None,
        }
    }
}

fn is_about(count: i64, then: i64) -> bool {
    let percent = i128::from(count) * 100 / i128::from(then.max(1));
    SAME_COUNT_PERCENT.contains(&percent)
}
