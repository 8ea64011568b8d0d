use jiff::Timestamp;
use proptest::prelude::*;

use super::Curve;
use super::fit::{Dot, EXPONENTS, Line, TAU, USUAL_EXPONENT, USUAL_WEIGHT, fit};
use crate::starts::{MeasuredBy, Outcome, Start, StartKey};

use Outcome::{Healthy, Killed};

fn starts(starts: &[(i64, u32, Outcome)]) -> Vec<Start> {
    let starts = starts.iter().enumerate();
    starts
        .map(|(at, &(count, seconds, outcome))| Start {
            started_at: Timestamp::from_second(i64::try_from(at).unwrap()).unwrap(),
            seconds,
            measured_by: MeasuredBy::Started,
            outcome,
            count,
            key: StartKey::from("key".to_owned()),
            cpu_limit: None,
            own_write: false,
        })
        .collect()
}

/// The sum that the fit minimises, written down once more.
fn sum(line: Line, dots: &[Dot], usual_weight: f64) -> f64 {
    let mut sum = usual_weight * (line.exponent - USUAL_EXPONENT).abs();
    for dot in dots {
        let r = dot.y - line.level - line.exponent * dot.x;
        sum += match (r > 0.0, dot.exact) {
            (true, _) => TAU * r,
            (false, true) => (TAU - 1.0) * r,
            (false, false) => 0.0,
        };
    }
    sum
}

proptest! {
    /// No line of a fine grid around the best one, nor of a coarse one everywhere, is better.
    #[test]
    fn the_fit_is_exact(dots in prop::collection::vec((0.0..12.0_f64, 0.0..8.0_f64, prop::bool::weighted(0.6)), 1..12)) {
        let dots: Vec<Dot> = dots.into_iter().map(|(x, y, exact)| Dot { x, y, exact }).collect();
        let found = fit(&dots).unwrap().line;
        let least = sum(found, &dots, USUAL_WEIGHT);
        let (low, high) = EXPONENTS;
        prop_assert!((low..=high).contains(&found.exponent));
        for step in 0..=40 {
            let share = f64::from(step) / 40.0;
            for other in 0..=60 {
                let place = f64::from(other) / 60.0;
                let coarse = Line { exponent: low + share * (high - low), level: -24.0 + 32.0 * place };
                let fine = Line {
                    exponent: (found.exponent + 0.1 * (share - 0.5)).clamp(low, high),
                    level: found.level + 0.4 * (place - 0.5),
                };
                for line in [coarse, fine] {
                    prop_assert!(sum(line, &dots, USUAL_WEIGHT) >= least - 1e-9, "{line:?} beats {found:?}");
                }
            }
        }
    }
}

#[test]
fn curves() {
    type Case = (
        &'static str,
        &'static [(i64, u32, Outcome)],
        &'static [(i64, u32)],
    );
    const CASES: [Case; 11] = [
        (
            "one start",
            &[(1000, 60, Healthy)],
            &[(0, 60), (1, 60), (1000, 60), (2000, 120)],
        ),
        (
            "one kill",
            &[(1000, 60, Killed)],
            &[(1, 60), (1000, 60), (2000, 120)],
        ),
        (
            "two starts far apart tell the exponent",
            &[(100, 10, Healthy), (10_000, 100, Healthy)],
            &[
                (50, 10),
                (100, 10),
                (1_000, 32),
                (10_000, 100),
                (40_000, 200),
            ],
        ),
        (
            "two starts less than a doubling apart do not",
            &[(1000, 60, Healthy), (1100, 90, Healthy)],
            &[(1000, 82), (1100, 90), (2200, 180)],
        ),
        (
            "steeper than 2 is not believed",
            &[(100, 1, Healthy), (1000, 1000, Healthy)],
            &[(100, 10), (1000, 1000), (2000, 4000)],
        ),
        (
            "falling is noise",
            &[(100, 50, Healthy), (10_000, 20, Healthy)],
            &[(100, 50), (10_000, 50), (100_000, 50)],
        ),
        (
            "a kill above lifts the line",
            &[(100, 10, Healthy), (1000, 20, Healthy), (1000, 40, Killed)],
            &[(1000, 40), (10_000, 160)],
        ),
        (
            "a kill below says nothing",
            &[(100, 10, Healthy), (1000, 20, Healthy), (1000, 5, Killed)],
            &[(100, 10), (1000, 20)],
        ),
        (
            "a kill at a smaller count than all healthy starts lifts the flat part",
            &[(1000, 20, Healthy), (100, 30, Killed)],
            &[(100, 30), (500, 30), (1000, 30)],
        ),
        (
            "seconds below 1 are 1",
            &[(1000, 0, Healthy)],
            &[(1000, 1), (2000, 2)],
        ),
        (
            "far beyond it saturates",
            &[(1, 1_000_000, Healthy), (1_000_000, 4_000_000_000, Healthy)],
            &[(i64::MAX, u32::MAX)],
        ),
    ];
    for (name, seen, expected) in CASES {
        let curve = Curve::of(&starts(seen)).unwrap();
        for &(count, seconds) in expected {
            assert_eq!(curve.seconds_at(count), seconds, "{name}, at {count}");
        }
    }
}

#[test]
fn fast_standbys_do_not_hide_the_slow_role() {
    let mut seen = vec![(10_000, 5, Healthy); 20];
    seen.push((10_000, 57, Killed));
    // A kill is proof down to 0.8 of its count, whatever the line says.
    let curve = Curve::of(&starts(&seen)).unwrap();
    for (count, seconds) in [(7_999, 5), (8_000, 57), (10_000, 57), (20_000, 57)] {
        assert_eq!(curve.seconds_at(count), seconds, "killed, at {count}");
    }
    // Once it was healthy it is the curve.
    seen.push((10_000, 90, Healthy));
    let curve = Curve::of(&starts(&seen)).unwrap();
    for (count, seconds) in [(400, 90), (10_000, 90), (20_000, 180)] {
        assert_eq!(curve.seconds_at(count), seconds, "healthy, at {count}");
    }
}

#[test]
fn one_of_20_starts_may_take_longer() {
    // At the same count 19 of 20 starts are below what is asked, and one may be above.
    let mut seen: Vec<_> = (1..=30).map(|more| (1000, 100 + more, Healthy)).collect();
    seen.push((1000, 290, Healthy));
    let curve = Curve::of(&starts(&seen)).unwrap();
    assert_eq!(curve.seconds_at(1000), 130);
}

#[test]
fn evidence_of_a_curve() {
    let seen = starts(&[
        (100, 10, Healthy),
        (10_000, 95, Healthy),
        (10_000, 5, Healthy),
        (20_000, 50, Killed),
        (40_000, 50, Outcome::Exited),
    ]);
    let evidence = Curve::of(&seen).unwrap().evidence();
    assert_eq!(
        (evidence.healthy, evidence.killed, evidence.other_role),
        (2, 1, 1)
    );
    assert_eq!(
        (evidence.smallest_count, evidence.largest_count),
        (100, 20_000)
    );
    assert!(evidence.exponent_measured);
    assert_eq!(evidence.exponent.to_string(), "0.49");
}

#[test]
fn roles_are_told_from_growth() {
    // seconds of one and of the other start, their counts, and whether the second is another role.
    for (name, one, other, differs) in [
        ("same count, 3 times", (1000, 30), (1000, 10), false),
        (
            "same count, more than 3 times",
            (1000, 31),
            (1000, 10),
            true,
        ),
        ("half its count", (500, 31), (1000, 10), true),
        ("less than half", (499, 31), (1000, 10), false),
        ("√2 times its count", (1414, 31), (1000, 10), true),
        ("more than √2 times: growth", (1415, 31), (1000, 10), false),
        ("absurd counts", (i64::MAX, 31), (i64::MAX, 10), true),
    ] {
        let seen = starts(&[(one.0, one.1, Healthy), (other.0, other.1, Healthy)]);
        let evidence = Curve::of(&seen).unwrap().evidence();
        assert_eq!(evidence.other_role == 1, differs, "{name}");
    }
}
