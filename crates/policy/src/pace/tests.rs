use jiff::SignedDuration;

use super::{Extreme, counts, extend, remaining};
use crate::testing::{at, pods};

const WINDOW: u32 = 300;

/// The window's value after each look at `(seconds, count)`, and since when it waits.
fn looks(extreme: Extreme, window: u32, looks: &[(i64, i64)]) -> (i64, i64) {
    let mut pending = None;
    for &(seconds, value) in looks {
        let now = at(seconds);
        pending = Some(extend(
            pending.as_ref(),
            &[pods(value, now)],
            extreme,
            window,
            now,
        ));
    }
    let pending = pending.unwrap();
    let value = counts(&pending, extreme)[0].last.unwrap().value;
    (value, pending.since.0.duration_since(at(0)).as_secs())
}

#[test]
fn windows_remember_the_extreme() {
    use Extreme::{Highest, Lowest};
    let cases = [
        ("one look", Lowest, vec![(0, 5)], (5, 0)),
        (
            "the lowest",
            Lowest,
            vec![(0, 9), (60, 5), (120, 7)],
            (5, 0),
        ),
        (
            "the highest",
            Highest,
            vec![(0, 9), (60, 5), (120, 7)],
            (9, 0),
        ),
        (
            "one window later it still counts",
            Lowest,
            vec![(0, 5), (299, 9), (301, 8)],
            (5, 0),
        ),
        (
            "two windows later it is forgotten, and the wait goes on",
            Lowest,
            vec![(0, 5), (299, 9), (300, 9), (600, 8)],
            (8, 0),
        ),
        (
            "the same for the highest",
            Highest,
            vec![(0, 9), (300, 5), (600, 6)],
            (6, 0),
        ),
        (
            "after a long gap it starts again",
            Lowest,
            vec![(0, 5), (1201, 9)],
            (9, 1201),
        ),
        (
            "a gap of 20 minutes is no long gap",
            Lowest,
            vec![(0, 5), (1200, 9)],
            (5, 0),
        ),
    ];
    for (name, extreme, seen, expected) in cases {
        assert_eq!(looks(extreme, WINDOW, &seen), expected, "{name}");
    }
}

#[test]
fn a_window_of_nothing_is_the_present() {
    assert_eq!(looks(Extreme::Lowest, 0, &[(0, 5), (1, 9)]), (9, 0));
    assert_eq!(looks(Extreme::Highest, 0, &[(0, 9), (0, 5)]), (5, 0));
}

#[test]
fn the_extreme_covers_at_least_one_window_at_every_look() {
    // A dip at each minute of half an hour must be seen for the five minutes after it.
    for dip in 0..30_i64 {
        for end in dip..(dip + 5) {
            let seen: Vec<_> = (0..=end)
                .map(|minute| (minute * 60, if minute == dip { 1 } else { 9 }))
                .collect();
            assert_eq!(
                looks(Extreme::Lowest, WINDOW, &seen).0,
                1,
                "dip at {dip}, now {end}"
            );
        }
    }
}

#[test]
fn counts_that_were_never_read_are_not_remembered() {
    let mut count = pods(5, at(0));
    count.last = None;
    let pending = extend(None, &[count], Extreme::Lowest, WINDOW, at(0));
    assert!(pending.counts.is_empty());
}

#[test]
fn what_remains_of_a_window() {
    let cases = [
        ("just begun", 0, 300),
        ("half", 150, 150),
        ("over", 300, 0),
        ("long over", 9000, 0),
    ];
    for (name, seconds, left) in cases {
        assert_eq!(
            remaining(at(0), WINDOW, at(seconds)),
            SignedDuration::from_secs(left),
            "{name}"
        );
    }
}
