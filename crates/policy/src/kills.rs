//! What the pods of a target say about kills: which lives are new, whether the target is being
//! killed now, and what of it is remembered.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::JudgedLife;

use crate::pod::{ContainerView, PodView};
use crate::verdict::{Confidence, Finding, Judgement, Verdict, judge};

/// Lives remembered (schema: maxItems of status.memory.judged).
const REMEMBERED: usize = 16;
/// A verdict is shown for so long after the end of the life. Source: design, section 3.
const SHOWN_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Two kills within this time are a loop. Source: design, section 8.
const LOOP_WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// What the pods say about kills.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kills {
    /// Every life judged so far, oldest first.
    pub judged: Vec<JudgedLife>,
    /// Lives judged now for the first time.
    pub new: Vec<(String, Judgement)>,
    /// A pod that its probe kills now, with the budget in seconds that its own probes gave it.
    pub killed_now: Option<KilledNow>,
    /// The pod that its probe kills now under the largest budget; of those, the longest life.
    pub killed_most: Option<KilledNow>,
    /// UIDs of all pods that their probe kills now.
    pub killed_pods: Vec<String>,
    /// A pod waits in CrashLoopBackOff.
    pub backing_off: bool,
    /// Two startup kills within ten minutes, and the container is not healthy.
    pub repeated: bool,
    /// When to look again for an event that may still arrive.
    pub look_again: Option<SignedDuration>,
    /// The verdict to show.
    pub shown: Option<Verdict>,
}

/// A pod that its probe kills now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KilledNow {
    /// Name of the pod.
    pub pod: String,
    /// Startup budget of the pod's own probes in seconds; the smallest of all killed pods.
    pub budget_seconds: u32,
    /// Proven or inferred.
    pub confidence: Confidence,
    /// How long the killed life was, in seconds, rounded up.
    pub life_seconds: u32,
    /// When it ended.
    pub finished_at: Timestamp,
}

/// Pods whose last life has to be judged and needs their events for it.
pub fn unread<'a>(
    container: &'a str,
    pods: &'a [PodView],
    judged: &'a [JudgedLife],
) -> impl Iterator<Item = &'a PodView> {
    pods.iter().filter(move |pod| {
        let view = pod.containers.get(container);
        view.is_some_and(|view| {
            let life = view.last_life.as_ref();
            life.is_some_and(|life| {
                life.reason != "OOMKilled" && !pod.deleting && is_new(judged, pod, life.finished_at)
            })
        })
    })
}

impl Kills {
    /// Judges every new life of `container` and sums up.
    #[must_use]
    pub fn of(
        container: &str,
        pods: &[PodView],
        remembered: &[JudgedLife],
        now: Timestamp,
    ) -> Self {
        let mut kills = Self {
            judged: remembered.to_vec(),
            ..Self::default()
        };
        let views: Vec<_> = pods
            .iter()
            .filter_map(|pod| Some((pod, pod.containers.get(container)?)))
            .collect();
        for (pod, view) in &views {
            kills.judge(pod, view, remembered, now);
        }
        kills.judged.sort_by(|a, b| age(a).cmp(&age(b)));
        for (pod, view) in &views {
            kills.note_killed_now(pod, view, now);
            kills.backing_off |= view.waiting_reason.as_deref() == Some("CrashLoopBackOff");
        }
        let unhealthy = views.iter().any(|(pod, view)| !view.healthy_by(pod, now));
        kills.repeated = unhealthy
            && kills
                .recent(now, LOOP_WINDOW)
                .filter(|life| is_start_kill(life))
                .count()
                >= 2;
        kills.shown = kills
            .recent(now, SHOWN_FOR)
            .last()
            .and_then(|life| parse(&life.verdict));
        kills.forget();
        kills
    }

    fn judge(
        &mut self,
        pod: &PodView,
        view: &ContainerView,
        remembered: &[JudgedLife],
        now: Timestamp,
    ) {
        let Some(life) = &view.last_life else { return };
        // A container that ends because its pod is deleted did not restart: every rollout does that.
        if pod.deleting || !is_new(remembered, pod, life.finished_at) {
            return;
        }
        let view = ContainerView {
            earlier_runs: earlier_runs(remembered, pod, life.finished_at),
            ..view.clone()
        };
        match judge(pod, &view, now) {
            Finding::None => {}
            Finding::NotYet(wait) => {
                self.look_again = Some(self.look_again.map_or(wait, |before| before.min(wait)));
            }
            Finding::Judged(judgement) => {
                self.judged.push(JudgedLife {
                    pod_uid: pod.uid.clone(),
                    finished_at: Time(judgement.finished_at),
                    verdict: judgement.verdict().to_string(),
                    confidence: judgement.confidence().to_string(),
                    seconds: Some(life.length().as_secs()),
                });
                self.new.push((pod.name.clone(), judgement));
            }
        }
    }

    /// A pod is killed now when it is not healthy and its last life was a startup kill: proven, or
    /// inferred for the second time.
    fn note_killed_now(&mut self, pod: &PodView, view: &ContainerView, now: Timestamp) {
        let Some(life) = &view.last_life else { return };
        let Some(judged) = known(&self.judged, pod, life.finished_at) else {
            return;
        };
        if view.healthy_by(pod, now) || pod.deleting || !is_start_kill(judged) {
            return;
        }
        let once = Confidence::Inferred.to_string();
        let inferred = self
            .judged
            .iter()
            .filter(|life| is_start_kill(life))
            .count();
        if judged.confidence == once && inferred < 2 {
            return;
        }
        let proven = judged.confidence == Confidence::Proven.to_string();
        let budget = view.guard().budget_seconds().unwrap_or(u32::MAX);
        let lived = life.finished_at.duration_since(life.started_at).as_secs();
        let killed = KilledNow {
            pod: pod.name.clone(),
            budget_seconds: budget,
            confidence: if proven {
                Confidence::Proven
            } else {
                Confidence::InferredTwice
            },
            life_seconds: u32::try_from(lived).unwrap_or(0),
            finished_at: life.finished_at,
        };
        self.killed_pods.push(pod.uid.clone());
        let strength = |killed: &KilledNow| (killed.budget_seconds, killed.life_seconds);
        let most = self.killed_most.as_ref();
        if most.is_none_or(|most| strength(&killed) > strength(most)) {
            self.killed_most = Some(killed.clone());
        }
        let least = self.killed_now.as_ref();
        if least.is_none_or(|least| budget < least.budget_seconds) {
            self.killed_now = Some(killed);
        }
    }

    /// How many lives of that pod were startup kills, as far as is remembered.
    #[must_use]
    pub fn start_kills_of(&self, pod_uid: &str) -> usize {
        let lives = self.judged.iter().filter(|life| is_start_kill(life));
        lives.filter(|life| life.pod_uid == pod_uid).count()
    }

    fn recent(&self, now: Timestamp, window: SignedDuration) -> impl Iterator<Item = &JudgedLife> {
        self.judged
            .iter()
            .filter(move |life| now.duration_since(life.finished_at.0) <= window)
    }

    fn forget(&mut self) {
        let surplus = self.judged.len().saturating_sub(REMEMBERED);
        self.judged.drain(..surplus);
    }
}

fn known<'a>(
    judged: &'a [JudgedLife],
    pod: &PodView,
    finished_at: Timestamp,
) -> Option<&'a JudgedLife> {
    judged
        .iter()
        .find(|life| life.pod_uid == pod.uid && life.finished_at.0 == finished_at)
}

/// How long the pod's remembered runs before this end lasted, oldest first. `judged` is
/// status.memory.judged of its policy.
#[must_use]
pub fn earlier_runs(
    judged: &[JudgedLife],
    pod: &PodView,
    finished_at: Timestamp,
) -> Vec<SignedDuration> {
    judged
        .iter()
        .filter(|life| life.pod_uid == pod.uid && life.finished_at.0 < finished_at)
        .filter_map(|life| life.seconds.map(SignedDuration::from_secs))
        .collect()
}

/// Whether a life was not judged yet. Memory is bounded, so what ended before everything that a full
/// memory holds counts as judged: a DaemonSet of killed pods must not be judged again for ever. Ends
/// are whole seconds and many pods may share one, so the UID decides among them.
fn is_new(judged: &[JudgedLife], pod: &PodView, finished_at: Timestamp) -> bool {
    let oldest = judged.first().map(age);
    let forgotten = judged.len() >= REMEMBERED
        && oldest.is_some_and(|oldest| (finished_at, pod.uid.as_str()) < oldest);
    !forgotten && known(judged, pod, finished_at).is_none()
}

/// The order in which lives are forgotten.
fn age(life: &JudgedLife) -> (Timestamp, &str) {
    (life.finished_at.0, &life.pod_uid)
}

fn is_start_kill(life: &JudgedLife) -> bool {
    parse(&life.verdict) == Some(Verdict::StartupKill)
}

fn parse(name: &str) -> Option<Verdict> {
    name.parse().ok()
}

#[cfg(test)]
mod tests;
