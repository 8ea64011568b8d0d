use jiff::Timestamp;
use probepilot_api::{Memory, ProbePair, ProbeTimings};
use proptest::prelude::*;

use super::{Change, Look, REMEMBERED, TEMPLATES, weigh};
use crate::testing::at;

fn pair(threshold: i32) -> ProbePair {
    let timings = ProbeTimings {
        failure_threshold: Some(threshold),
        ..ProbeTimings::default()
    };
    ProbePair {
        startup_probe: Some(timings),
        liveness_probe: None,
    }
}

fn look(sum: &str, threshold: i32) -> Look {
    Look {
        target_uid: "first".to_owned(),
        sum: sum.to_owned(),
        probes: pair(threshold),
        in_place: threshold == 12,
        covered: threshold == 12,
        looks_undone: false,
        manager: "owner".to_owned(),
        retry: None,
        killed_at: None,
    }
}

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[test]
fn what_each_change_is() {
    let undone = Look {
        looks_undone: true,
        ..look("b", 3)
    };
    let cases = [
        ("ours stay", look("b", 12), Change::None),
        ("ours stay in another template", look("c", 12), Change::None),
        ("ours alone", look("b", 3), Change::Correction),
        ("undone", undone, Change::Rollback),
        ("an older template", look("a", 3), Change::Rollback),
        ("a new template", look("c", 3), Change::Upgrade),
    ];
    for (name, next, expected) in cases {
        let mut memory = Memory::default();
        assert_eq!(weigh(&mut memory, &look("a", 12), at(0)), Change::None);
        assert_eq!(weigh(&mut memory, &look("b", 12), at(1)), Change::None);
        assert_eq!(weigh(&mut memory, &next, at(2)), expected, "{name}");
        assert_eq!(
            memory.rolled_back.is_some(),
            expected == Change::Rollback,
            "{name}"
        );
        assert_eq!(
            memory.corrections.len(),
            usize::from(expected == Change::Correction),
            "{name}"
        );
        // The same is not news again.
        assert_eq!(weigh(&mut memory, &next, at(3)), Change::None, "{name}");
    }
}

#[test]
fn nothing_was_written_so_nothing_is_taken_away() {
    let mut memory = Memory::default();
    for (second, sum) in [(0, "a"), (1, "b"), (2, "a")] {
        assert_eq!(weigh(&mut memory, &look(sum, 3), at(second)), Change::None);
    }
    assert_eq!(memory, Memory::default());
}

#[test]
fn when_corrections_are_a_contest() {
    let cases: [(&str, &[i64], bool); 7] = [
        ("once", &[0], false),
        ("twice within a day", &[0, 23 * HOUR], true),
        ("twice at exactly a day", &[0, DAY], true),
        ("twice in more than a day", &[0, DAY + 1], false),
        ("three times in a week", &[0, 3 * DAY, 7 * DAY], true),
        ("three times in more", &[0, 3 * DAY, 7 * DAY + 1], false),
        (
            "one a week, for ever",
            &[0, 8 * DAY, 16 * DAY, 24 * DAY],
            false,
        ),
    ];
    for (name, times, expected) in cases {
        let mut memory = Memory::default();
        for &time in times {
            weigh(&mut memory, &look("a", 12), at(time));
            let change = weigh(&mut memory, &look("a", 3), at(time));
            assert_eq!(change, Change::Correction, "{name}");
        }
        assert_eq!(memory.contested.is_some(), expected, "{name}");
    }
}

#[test]
fn a_contest_ends_when_the_author_says_so_and_not_by_itself() {
    let mut memory = Memory::default();
    for time in [0, 10] {
        weigh(&mut memory, &look("a", 12), at(time));
        weigh(&mut memory, &look("a", 3), at(time));
    }
    assert!(memory.contested.is_some());
    let retry = |when: i64| Look {
        retry: Some(at(when)),
        ..look("a", 3)
    };
    weigh(&mut memory, &retry(10), at(100 * DAY));
    assert!(memory.contested.is_some(), "a retry of before");
    weigh(&mut memory, &retry(11), at(100 * DAY));
    assert_eq!((memory.contested, memory.corrections.len()), (None, 0));
}

#[test]
fn what_ends_the_wait_after_a_rollback() {
    let killed = |when: i64| Look {
        killed_at: Some(at(when)),
        ..look("a", 3)
    };
    let retried = Look {
        retry: Some(at(6)),
        ..look("a", 3)
    };
    let cases = [
        ("nothing", look("a", 3), true),
        ("a kill before it", killed(4), true),
        ("a kill after it", killed(6), false),
        ("a retry", retried, false),
        ("a new template", look("c", 3), false),
        ("ours are back", look("a", 12), false),
    ];
    for (name, next, waits) in cases {
        let mut memory = Memory::default();
        weigh(&mut memory, &look("a", 12), at(0));
        weigh(&mut memory, &look("b", 12), at(1));
        weigh(&mut memory, &look("a", 3), at(5));
        assert!(memory.rolled_back.is_some());
        weigh(&mut memory, &next, at(10));
        assert_eq!(memory.rolled_back.is_some(), waits, "{name}");
    }
}

#[test]
fn who_sets_enough_is_not_fought() {
    let enough = Look {
        covered: true,
        ..look("a", 30)
    };
    let mut memory = Memory::default();
    for time in 0..5 {
        weigh(&mut memory, &look("a", 12), at(time));
        weigh(&mut memory, &enough, at(time));
    }
    assert_eq!((memory.corrections.len(), memory.contested), (0, None));
}

#[test]
fn a_target_that_is_created_again_was_rolled_back_by_nobody() {
    let undone = |target_uid: &str| Look {
        target_uid: target_uid.to_owned(),
        looks_undone: true,
        ..look("a", 3)
    };
    for (target_uid, expected) in [("first", Change::Rollback), ("second", Change::None)] {
        let mut memory = Memory::default();
        weigh(&mut memory, &look("a", 12), at(0));
        assert_eq!(weigh(&mut memory, &undone(target_uid), at(1)), expected);
        assert_eq!(memory.rolled_back.is_some(), expected == Change::Rollback);
    }
    // It was rolled back, and then made anew.
    let mut memory = Memory::default();
    weigh(&mut memory, &look("a", 12), at(0));
    weigh(&mut memory, &undone("first"), at(1));
    weigh(&mut memory, &undone("second"), at(2));
    assert_eq!((memory.rolled_back, memory.template), (None, None));
}

fn looks() -> impl Strategy<Value = (i64, Look)> {
    let sums = prop::sample::select((0..20).map(|sum| format!("{sum:016x}")).collect::<Vec<_>>());
    let thresholds = prop::sample::select(vec![3, 7, 12]);
    (0..10 * DAY, sums, thresholds, any::<bool>(), any::<bool>()).prop_map(
        |(wait, sum, threshold, looks_undone, covered)| {
            let look = Look {
                covered,
                looks_undone,
                ..look(&sum, threshold)
            };
            (wait, look)
        },
    )
}

proptest! {
    #[test]
    fn memory_is_bounded_and_contests_stay(history in prop::collection::vec(looks(), 1..80)) {
        let mut memory = Memory::default();
        let mut now: Timestamp = at(0);
        for (wait, look) in history {
            now += jiff::SignedDuration::from_secs(wait);
            let before = memory.clone();
            let change = weigh(&mut memory, &look, now);
            prop_assert!(memory.corrections.len() <= REMEMBERED);
            let template = memory.template.clone().unwrap_or_default();
            prop_assert!(template.earlier.len() <= TEMPLATES);
            prop_assert!(!template.earlier.contains(&template.sum));
            prop_assert!(before.contested.is_none() || memory.contested == before.contested);
            if change == Change::Upgrade {
                prop_assert_eq!(&before.corrections, &memory.corrections);
            }
        }
    }
}
