//! What a decision judged, for metrics: each life and each raise once, however often a reconcile is
//! tried again.

use jiff::Timestamp;
use probepilot_api::{Memory, ProbePolicyStatus};
use probepilot_policy::{Decision, Verdict};

use crate::metrics::Metrics;

/// Counts what `decision` judged once `after`, the status as it is held now, remembers it. A reconcile
/// that failed before that judges the same again.
pub(super) fn tally(
    metrics: &Metrics,
    decision: &Decision,
    before: &ProbePolicyStatus,
    after: &ProbePolicyStatus,
) {
    let nothing = Memory::default();
    let before = before.memory.as_ref().unwrap_or(&nothing);
    let after = after.memory.as_ref().unwrap_or(&nothing);
    if before.judged != after.judged {
        decision.judged.iter().for_each(|life| metrics.judged(life));
    }
    let new = raises(before, after);
    if new > 0 {
        metrics.raised(new);
    }
}

/// Raises that `after` knows and `before` does not. An exhausted series that goes on, or fewer raises
/// than before, are another series.
fn raises(before: &Memory, after: &Memory) -> u64 {
    let Some(now) = &after.series else { return 0 };
    let same = before.series.as_ref().filter(|series| {
        series.raises <= now.raises && (series.exhausted.is_none() || now.exhausted.is_some())
    });
    let new = now.raises - same.map_or(0, |series| series.raises);
    u64::try_from(new).unwrap_or(0)
}

/// When the newest killed start ended.
pub(super) fn killed_at(memory: &Memory) -> Option<Timestamp> {
    let judged = memory.judged.iter();
    let kills = judged.filter(|life| life.verdict.parse() == Ok(Verdict::StartupKill));
    kills.map(|life| life.finished_at.0).max()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use probepilot_api::{Exhaustion, JudgedLife, RaiseSeries};

    use super::*;

    fn series(raises: i64) -> Memory {
        Memory {
            series: Some(RaiseSeries {
                raises,
                killed_at: Time(Timestamp::UNIX_EPOCH),
                exhausted: None,
            }),
            ..Memory::default()
        }
    }

    #[test]
    fn raises_are_counted_over_series() {
        let none = Memory::default();
        let mut exhausted = series(1);
        exhausted.series.as_mut().unwrap().exhausted = Some(Exhaustion::MaxRaises);
        let cases = [
            ("nothing", &none, &none, 0),
            ("the first", &none, &series(1), 1),
            ("the same again", &series(1), &series(1), 0),
            ("one more", &series(1), &series(2), 1),
            ("the series ended", &series(3), &none, 0),
            ("another began", &series(3), &series(1), 1),
            ("exhausted", &series(1), &exhausted, 0),
            ("tried again after that", &exhausted, &series(1), 1),
        ];
        for (name, before, after, expected) in cases {
            assert_eq!(raises(before, after), expected, "{name}");
        }
    }

    #[test]
    fn the_newest_kill_is_the_one_answered() {
        let life = |second, verdict: &str| JudgedLife {
            pod_uid: "p".to_owned(),
            finished_at: Time(Timestamp::from_second(second).unwrap()),
            verdict: verdict.to_owned(),
            confidence: "Proven".to_owned(),
            seconds: None,
        };
        let memory = Memory {
            judged: vec![
                life(9, "StartupKill"),
                life(5, "StartupKill"),
                life(20, "OutOfMemory"),
            ],
            ..Memory::default()
        };
        assert_eq!(killed_at(&memory), Timestamp::from_second(9).ok());
        assert_eq!(killed_at(&Memory::default()), None);
    }
}
