//! What kills ask for: a floor under the need, raised kill by kill until a start is healthy.
//!
//! A kill under a budget that covered the need shows that more is needed. A kill under less shows
//! nothing new: what is needed is known and on its way. So however many replicas or events report a
//! kill, it raises once, and a policy in Observe, which never delivers, raises once as well.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{BudgetSource, Exhaustion, Floor, Memory, RaiseSeries};

use crate::kills::{KilledNow, Kills};
use crate::need::{Ask, Asked};
use crate::observation::Retry;
use crate::policy::{Bounds, Policy, RaiseOnKill};
use crate::starts::StartKey;

/// A floor holds while the count is at least so many percent of what it was. Source: design, section 6.
const SAME_COUNT_PERCENT: i128 = 80;
/// A series ends once no start was killed for so many times the need. Source: design, section 8.
const QUIET_NEEDS: i64 = 2;

/// What is known of the target when a kill is weighed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// Key of the target's program.
    pub key: &'a StartKey,
    /// What rules and starts ask.
    pub rules: &'a Asked,
    /// Count of the policy's driver: always the same thing is compared, whichever rule decides.
    pub count: Option<i64>,
    /// Budget of the template in seconds.
    pub budget_seconds: u32,
    /// Whether every pod that should run does, and is healthy.
    pub all_healthy: bool,
    /// What the author wrote to have it tried again.
    pub retry: Option<&'a Retry>,
}

/// Raises of a series that were written, where there are any.
pub(crate) fn written(series: Option<&RaiseSeries>) -> Option<i64> {
    let raises = series.map(|series| series.raises);
    raises.filter(|raises| *raises > 0)
}

/// What became of the memory of kills.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weighed {
    /// A series of so many raises ended with a healthy start.
    pub ended: Option<i64>,
    /// When a series may end although nothing is seen to change.
    pub look_again: Option<SignedDuration>,
}

/// Weighs the kills there are: ends a series, begins or continues one.
pub(crate) fn weigh(
    policy: &Policy,
    kills: &Kills,
    scene: Scene<'_>,
    memory: &mut Memory,
    now: Timestamp,
) -> Weighed {
    let Some(raise) = policy.kills else {
        (memory.floor, memory.series) = (None, None);
        return Weighed::default();
    };
    let (since, comes) = due(scene.retry, now);
    forgive(memory, since);
    let mut weighed = match &kills.killed_most {
        Some(kill) if since.is_none_or(|since| kill.finished_at > since) => {
            note(policy.limits, raise, kill, scene, memory);
            Weighed::default()
        }
        // It counts no longer, and nothing is well either.
        Some(_) => Weighed::default(),
        None => end(scene, memory, now),
    };
    weighed.look_again = [weighed.look_again, comes].into_iter().flatten().min();
    weighed
}

/// From when on kills count; before that time has come it asks for nothing, and in how long it does.
pub(crate) fn due(
    retry: Option<&Retry>,
    now: Timestamp,
) -> (Option<Timestamp>, Option<SignedDuration>) {
    match retry {
        Some(Retry::From(since)) if *since <= now => (Some(*since), None),
        Some(Retry::From(since)) => (None, Some(since.duration_since(now))),
        Some(Retry::NoTime(_)) | None => (None, None),
    }
}

/// Whether the author asked for another try after the last kill.
fn forgive(memory: &mut Memory, retry: Option<Timestamp>) {
    let asked_again = |series: &RaiseSeries| {
        series.exhausted.is_some() && retry.is_some_and(|retry| retry > series.killed_at.0)
    };
    if memory.series.as_ref().is_some_and(asked_again) {
        memory.series = None;
    }
}

fn note(
    limits: Bounds,
    raise: RaiseOnKill,
    kill: &KilledNow,
    scene: Scene<'_>,
    memory: &mut Memory,
) {
    if kill.budget_seconds < scene.budget_seconds {
        // An older, smaller budget.
        return;
    }
    if let Some(series) = &mut memory.series {
        series.killed_at = Time(series.killed_at.0.max(kill.finished_at));
    }
    let needed = with_floor(
        scene.rules,
        memory.floor.as_ref(),
        (scene.key, scene.count),
        limits,
    );
    if needed
        .ask()
        .is_some_and(|ask| !ask.covered_by(kill.budget_seconds))
    {
        // More is needed already.
        return;
    }
    let raises = memory.series.as_ref().map_or(0, |series| series.raises);
    let longer = longer(kill, raise.percent);
    let exhausted = if raises >= i64::from(raise.most) {
        Some(Exhaustion::MaxRaises)
    } else if limits.clip(longer) <= kill.budget_seconds {
        Some(Exhaustion::MaxStartup)
    } else {
        None
    };
    memory.series = Some(RaiseSeries {
        // Counted when it is written: a policy in Observe writes none.
        raises,
        killed_at: Time(kill.finished_at),
        exhausted,
    });
    if exhausted.is_none() {
        memory.floor = Some(Floor {
            seconds: longer.into(),
            count: scene.count,
            key: scene.key.as_str().to_owned(),
        });
    }
}

/// The budget that a killed life asks for, in seconds. It lived at least as long as its own budget.
fn longer(kill: &KilledNow, percent: u32) -> u32 {
    let life = u64::from(kill.life_seconds.max(kill.budget_seconds));
    let longer = life.saturating_mul(100 + u64::from(percent)).div_ceil(100);
    u32::try_from(longer).unwrap_or(u32::MAX)
}

/// Ends the series once every pod is healthy and no start was killed for twice the need: a fast
/// standby beside a slow leader ends nothing.
fn end(scene: Scene<'_>, memory: &mut Memory, now: Timestamp) -> Weighed {
    let Some(series) = memory.series.as_ref().filter(|_| scene.all_healthy) else {
        return Weighed::default();
    };
    let need = memory.floor.as_ref().map_or(0, |floor| floor.seconds);
    let need = need.max(scene.budget_seconds.into());
    let quiet = SignedDuration::from_secs(need.saturating_mul(QUIET_NEEDS));
    let left = quiet - now.duration_since(series.killed_at.0);
    if left > SignedDuration::ZERO {
        return Weighed {
            look_again: Some(left),
            ..Weighed::default()
        };
    }
    let ended = Some(series.raises);
    memory.series = None;
    Weighed {
        ended,
        ..Weighed::default()
    }
}

/// What is needed: what rules and starts ask, and never less than the floor where that holds.
pub(crate) fn with_floor(
    rules: &Asked,
    floor: Option<&Floor>,
    (key, count): (&StartKey, Option<i64>),
    limits: Bounds,
) -> Asked {
    let holds = |floor: &&Floor| floor.key == key.as_str() && is_as_large(count, floor.count);
    let Some(floor) = floor.filter(holds) else {
        return rules.clone();
    };
    let seconds = u32::try_from(floor.seconds).unwrap_or(u32::MAX);
    let need_seconds = limits.clip(seconds);
    match rules {
        Asked::Ask(ask) if ask.need_seconds >= need_seconds => rules.clone(),
        _ => Asked::Ask(Ask {
            bare_seconds: seconds,
            need_seconds,
            write_seconds: need_seconds.max(rules.ask().map_or(0, |ask| ask.write_seconds)),
            liveness: rules.ask().and_then(|ask| ask.liveness),
            count,
            source: if need_seconds == seconds {
                BudgetSource::Raise
            } else {
                BudgetSource::Limit
            },
        }),
    }
}

/// An unknown count is not a small one.
fn is_as_large(count: Option<i64>, then: Option<i64>) -> bool {
    let pair = count.zip(then);
    pair.is_none_or(|(count, then)| {
        i128::from(count) * 100 >= i128::from(then) * SAME_COUNT_PERCENT
    })
}
