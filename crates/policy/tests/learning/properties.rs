//! What holds for any starts.

use jiff::Timestamp;
use probepilot_policy::{Curve, MeasuredBy, Outcome, Start, StartKey, Starts, recommendation};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{key, start};

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![4 => Just(Outcome::Healthy), 3 => Just(Outcome::Killed), 1 => Just(Outcome::Exited)]
}

/// Counts that are near each other as often as far.
fn count() -> impl Strategy<Value = i64> {
    prop_oneof![1_i64..20, 900_i64..1100, 1_i64..100_000]
}

fn starts() -> impl Strategy<Value = Vec<Start>> {
    let one = (count(), 1_u32..2000, outcome());
    vec(one, 0..20).prop_map(|starts| {
        let starts = starts.into_iter().enumerate();
        starts
            .map(|(number, (count, seconds, outcome))| start(number, count, seconds, outcome))
            .collect()
    })
}

fn anything() -> impl Strategy<Value = Start> {
    let counts = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), Just(0)];
    let seconds = prop_oneof![any::<u32>(), Just(0), Just(u32::MAX)];
    (counts, seconds, outcome(), any::<i32>(), 0_u8..5).prop_map(
        |(count, seconds, outcome, at, key)| Start {
            started_at: Timestamp::from_second(at.into()).unwrap(),
            seconds,
            measured_by: MeasuredBy::Started,
            outcome,
            count,
            key: StartKey::from(key.to_string()),
            cpu_limit: None,
            own_write: false,
        },
    )
}

fn seconds(starts: &[Start], count: i64) -> Option<u32> {
    Some(Curve::of(starts)?.seconds_at(count))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_kill_never_lowers_what_its_count_needs(starts in starts(), count in count(), lived in 1_u32..4000) {
        let before = seconds(&starts, count);
        let mut starts = starts;
        starts.push(start(starts.len(), count, lived, Outcome::Killed));
        let after = seconds(&starts, count).unwrap();
        prop_assert!(after >= before.unwrap_or(0), "{before:?} -> {after}");
        prop_assert!(after >= lived);
    }

    #[test]
    fn one_start_is_never_undercut(at in count(), took in 1_u32..100_000, killed: bool, count in count()) {
        let outcome = if killed { Outcome::Killed } else { Outcome::Healthy };
        let curve = Curve::of(&[start(0, at, took, outcome)]).unwrap();
        prop_assert!(curve.seconds_at(count) >= took);
        prop_assert_eq!(curve.seconds_at(at), took);
    }

    #[test]
    fn fewer_than_20_starts_are_all_on_or_below_the_curve(starts in starts()) {
        let Some(curve) = Curve::of(&starts) else { return Ok(()) };
        let used = starts.iter().filter(|start| start.outcome != Outcome::Exited);
        if curve.evidence().other_role == 0 {
            for start in used {
                prop_assert!(curve.seconds_at(start.count) >= start.seconds, "{start:?}");
            }
        }
    }

    #[test]
    fn more_objects_never_need_less(starts in starts(), one in count(), other in count()) {
        let Some(curve) = Curve::of(&starts) else { return Ok(()) };
        prop_assert!(curve.seconds_at(one.min(other)) <= curve.seconds_at(one.max(other)));
    }

    #[test]
    fn starts_that_take_c_times_as_long_need_c_times_as_much(starts in starts(), count in count(), c in 1_u32..50) {
        let longer: Vec<Start> = starts.iter().cloned().map(|mut start| { start.seconds *= c; start }).collect();
        let (Some(before), Some(after)) = (seconds(&starts, count), seconds(&longer, count)) else { return Ok(()) };
        if after < u32::MAX / 100 {
            // Seconds are rounded up once before and once after.
            let before = u64::from(before) * u64::from(c);
            prop_assert!(u64::from(after).abs_diff(before) <= u64::from(c), "{before} {after}");
        }
    }

    #[test]
    fn the_order_of_starts_does_not_matter(starts in starts(), count in count(), turns in 0_usize..20) {
        let mut turned = starts.clone();
        turned.rotate_left(turns.min(starts.len()));
        turned.reverse();
        prop_assert_eq!(Curve::of(&starts), Curve::of(&turned));
        prop_assert_eq!(
            recommendation(&Starts::from(starts), &key(), count, 50),
            recommendation(&Starts::from(turned), &key(), count, 50)
        );
    }

    #[test]
    fn exits_say_nothing(starts in starts(), count in count()) {
        let without: Vec<Start> = starts.iter().filter(|start| start.outcome != Outcome::Exited).cloned().collect();
        prop_assert_eq!(seconds(&starts, count), seconds(&without, count));
    }

    #[test]
    fn absurd_starts_are_survived(starts in vec(anything(), 0..60), count: i64, headroom: u32, key in 0_u8..5) {
        let starts = Starts::from(starts);
        let learned = recommendation(&starts, &StartKey::from(key.to_string()), count, headroom);
        prop_assert!(!learned.sentence().is_empty());
        if let Some(need) = learned.need() {
            prop_assert!(need.seconds >= need.bare_seconds && need.bare_seconds >= 1);
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_settled(starts in vec(anything(), 0..120)) {
        let kept = Starts::from(starts.clone());
        prop_assert!(kept.as_slice().len() <= probepilot_policy::MAX_STARTS);
        prop_assert!(kept.keys().len() <= probepilot_policy::MAX_KEYS);
        prop_assert_eq!(&Starts::from(kept.as_slice().to_vec()), &kept);
        let json = serde_json::to_value(&kept).unwrap();
        prop_assert_eq!(serde_json::from_value::<Starts>(json).unwrap(), kept.clone());
        if let Some(newest) = starts.iter().max() && kept.as_slice().len() < probepilot_policy::MAX_STARTS {
            prop_assert_eq!(kept.as_slice().last(), Some(newest));
        }
    }
}
