//! Advice that status shows: what the last verdict gave, for as long as it tells of something that is
//! still there, and what is measured now.

use jiff::Timestamp;
use probepilot_api::{AdviceStatus, ProbePolicyStatus};

use super::{Advice, Facts, Measured, advise, cures, load};
use crate::decision::Event;
use crate::kills::Kills;
use crate::observation::Observation;
use crate::pod::{ContainerView, PodView};
use crate::verdict::{Diagnosis, Subject, diagnose};
use crate::workload::Workload;

/// Entries of status.advice (schema: maxItems).
const MOST: usize = 8;
/// Characters of one (schema: maxLength).
const LONGEST: usize = 1024;
/// What the policy does by itself is no advice to its owner.
const OWN: [&str; 2] = [cures::STARTUP_BUDGET.id, cures::HANDLER_DRIFT.id];
/// Rules that look at what is measured now; the others look at how a life ended.
const NOW: [&str; 2] = [load::CLUSTER_LARGE.id, load::API_SERVER_SLOW.id];

/// What advice for a target rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    /// The container.
    pub container: &'a str,
    /// What its pods say.
    pub kills: &'a Kills,
    /// The target.
    pub workload: &'a Workload,
    /// Its pods, and what was measured.
    pub observation: &'a Observation,
    /// limits.maxStartupSeconds.
    pub max_startup_seconds: u32,
    /// The count of the rule that decides.
    pub count: Option<i64>,
    /// The status before.
    pub prior: &'a ProbePolicyStatus,
    /// The present time.
    pub now: Timestamp,
}

impl Standing<'_> {
    /// The advice for status, in the order of the rules.
    pub(crate) fn advice(self) -> Vec<AdviceStatus> {
        let mut advice = self.of_lives();
        advice.extend(self.of_now());
        advice.truncate(MOST);
        advice
    }

    /// Advice of the newest life judged now, or else of the one before while that stands.
    fn of_lives(self) -> Vec<AdviceStatus> {
        let new = self.kills.new.iter();
        let newest = new.max_by_key(|(_, judgement)| judgement.finished_at);
        let Some((pod, judgement)) = newest else {
            return self.kept();
        };
        let pods = self.observation.pods.iter();
        let pod = pods.into_iter().find(|one| one.name == *pod);
        let seen = pod.and_then(|pod| Some((pod, pod.containers.get(self.container)?)));
        let Some((pod, view)) = seen else {
            return self.kept();
        };
        let advice = self.advise(pod, view, &judgement.diagnosis);
        let of_life = |advice: &Advice| !OWN.contains(&advice.rule) && !NOW.contains(&advice.rule);
        advice
            .iter()
            .filter(|advice| of_life(advice))
            .map(shown)
            .collect()
    }

    /// It stands while its verdict is shown and its pod is there; our own write takes the pod and
    /// leaves what the advice is about.
    fn kept(self) -> Vec<AdviceStatus> {
        let judged = self.kills.judged.last();
        let there = judged.is_some_and(|life| {
            let mut pods = self.observation.pods.iter();
            pods.any(|pod| pod.uid == life.pod_uid && !pod.deleting)
        });
        let ours = self.prior.last_write.as_ref();
        let ours = ours.is_some_and(|write| write.generation == Some(self.workload.generation));
        if self.kills.shown.is_none() || !(there || ours) {
            return Vec::new();
        }
        let before = self.prior.advice.iter();
        before
            .filter(|advice| !NOW.contains(&advice.rule.as_str()))
            .cloned()
            .collect()
    }

    /// Advice of what is measured now; the first pod stands for all.
    fn of_now(self) -> Vec<AdviceStatus> {
        let pod = self.observation.pods.first();
        let seen = pod.and_then(|pod| Some((pod, pod.containers.get(self.container)?)));
        let advice = seen.map(|(pod, view)| {
            let name = self.container;
            let diagnosis = diagnose(Subject { pod, name, view }, self.now);
            self.advise(pod, view, &diagnosis)
        });
        let advice = advice.unwrap_or_default();
        let of_now = advice.iter().filter(|one| NOW.contains(&one.rule));
        of_now.map(shown).collect()
    }

    fn advise(self, pod: &PodView, view: &ContainerView, diagnosis: &Diagnosis) -> Vec<Advice> {
        advise(&Facts {
            diagnosis,
            pod,
            view,
            measured: Measured {
                count: self.count,
                max_startup_seconds: Some(self.max_startup_seconds),
                latency: self.observation.latency,
                memory_used: view.usage.memory,
                cpu_used: view.usage.cpu,
                unmeasured: view.usage.unmeasured,
                raises: self.prior.raises,
            },
        })
    }
}

fn shown(advice: &Advice) -> AdviceStatus {
    AdviceStatus {
        rule: advice.rule.to_owned(),
        message: advice.text.chars().take(LONGEST).collect(),
    }
}

/// One event for each rule that did not speak before.
pub(crate) fn news<'a>(
    advice: &'a [AdviceStatus],
    prior: &'a ProbePolicyStatus,
) -> impl Iterator<Item = Event> + 'a {
    let known = |one: &&AdviceStatus| prior.advice.iter().any(|before| before.rule == one.rule);
    let new = advice.iter().filter(move |one| !known(one));
    new.map(|one| Event {
        warning: false,
        reason: "Advice".to_owned(),
        message: format!("{}: {}", one.rule, one.message),
    })
}
