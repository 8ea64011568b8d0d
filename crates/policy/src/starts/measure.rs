//! From what is seen of the pods to records of their starts.

use jiff::{SignedDuration, Timestamp};

use super::{MeasuredBy, Outcome, Start, StartKey, Starts};
use crate::kills::Kills;
use crate::observation::Sample;
use crate::pod::{ContainerView, Life, PodView};
use crate::verdict::{Confidence, Verdict};

/// A start is recorded with the count of its time, so one that was seen later than this after its outcome could be known is not
/// recorded.
const FRESH: SignedDuration = SignedDuration::from_mins(2);

/// The container's runs, and what is known of their time.
pub(crate) struct Runs<'a> {
    /// Name of the container.
    pub container: &'a str,
    /// Pods of the target.
    pub pods: &'a [PodView],
    /// What they say about kills; lives judged now are recorded.
    pub kills: &'a Kills,
    /// Count of what the starts are held against.
    pub count: Option<Sample>,
    /// The key of a pod's container.
    pub key: &'a dyn Fn(&ContainerView) -> StartKey,
    /// From when on the operator's own write starts pods, while the template is still as it left it.
    pub own_write: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// The starts whose outcome is known and that `before` does not have yet. Nothing while the count is unknown.
pub(crate) fn measured(runs: &Runs<'_>, before: &Starts) -> Vec<Start> {
    let Some(count) = runs.count else {
        return Vec::new();
    };
    let mut starts = Vec::new();
    for pod in runs.pods {
        let Some(view) = pod.containers.get(runs.container) else {
            continue;
        };
        let healthy = view.seen.iter().filter_map(|seen| {
            let known_for = pod.start_known_for(view, seen, runs.now)?;
            let (at, by) = seen.healthy_at?;
            Some((known_for, (seen.started_at, at, by, Outcome::Healthy)))
        });
        let ended = runs
            .ended(pod, view)
            .map(|ended| (runs.now.duration_since(ended.1), ended));
        for (known_for, (started_at, at, measured_by, outcome)) in healthy.chain(ended) {
            let lived = at.duration_since(started_at);
            let seen_late = known_for > FRESH;
            if seen_late || lived.is_negative() {
                continue;
            }
            let start = Start {
                started_at,
                seconds: whole_seconds(lived),
                measured_by,
                outcome,
                count: count.value,
                key: (runs.key)(view),
                cpu_limit: view.cpu_limit.map(|limit| format!("{}m", limit.milli())),
                own_write: runs.own_write.is_some_and(|since| started_at >= since)
                    && view.restart_count == 0,
            };
            let known = before.as_slice().iter().chain(&starts);
            if !known.into_iter().any(|known| is_same(known, &start)) {
                starts.push(start);
            }
        }
    }
    starts
}

impl Runs<'_> {
    /// The last life, where it was judged now and ended before it was healthy.
    fn ended(
        &self,
        pod: &PodView,
        view: &ContainerView,
    ) -> Option<(Timestamp, Timestamp, MeasuredBy, Outcome)> {
        let life = view.last_life.as_ref()?;
        let (_, judgement) = self.kills.new.iter().find(|(name, judgement)| {
            *name == pod.name && judgement.finished_at == life.finished_at
        })?;
        if judgement.verdict() == Verdict::StartupKill {
            // What was inferred once is not certain enough to stand for ever.
            let certain = judgement.confidence() > Confidence::Inferred;
            let until = killed_at(view, life);
            return certain.then_some((
                life.started_at,
                until,
                MeasuredBy::Terminated,
                Outcome::Killed,
            ));
        }
        let mut seen = view.seen.iter();
        let while_starting =
            seen.any(|start| start.started_at == life.started_at && start.healthy_at.is_none());
        while_starting.then_some((
            life.started_at,
            life.finished_at,
            MeasuredBy::Terminated,
            Outcome::Exited,
        ))
    }
}

/// Until when a killed start certainly was not healthy: the Killing event, or else the budget, for a program may go on for its
/// whole grace period after the kill.
fn killed_at(view: &ContainerView, life: &Life) -> Timestamp {
    let kills = view.kills.iter().flatten();
    let within = |at: &Timestamp| (life.started_at..=life.finished_at).contains(at);
    let told = kills.map(|kill| kill.last_at).filter(within).max();
    let budget = view.guard().budget_seconds().unwrap_or(0);
    let lived = life.finished_at.duration_since(life.started_at);
    let guaranteed = lived.min(SignedDuration::from_secs(budget.into()));
    told.unwrap_or(life.started_at + guaranteed)
}

/// Whether two records are of one start. The count may have moved between two looks at it.
fn is_same(one: &Start, other: &Start) -> bool {
    let what = |start: &Start| (start.started_at, start.seconds, start.outcome);
    what(one) == what(other) && one.key == other.key
}

fn whole_seconds(lived: SignedDuration) -> u32 {
    let up = i64::from(lived.subsec_nanos() > 0);
    u32::try_from(lived.as_secs() + up).unwrap_or(u32::MAX)
}
