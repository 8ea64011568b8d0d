//! Starts that were reported of real controllers, by series.

use probepilot_policy::{Curve, Outcome, Start, Starts};

use crate::world::{key, start, whole};

/// One row of `fixtures/starts/field.csv`; the file names the issue where each was reported.
struct Point {
    series: String,
    count: i64,
    seconds: f64,
    bound: String,
}

fn points() -> Vec<Point> {
    include_str!("../fixtures/starts/field.csv")
        .lines()
        .skip(1)
        .map(|line| {
            let [series, _driver, count, seconds, bound, _source] =
                line.split(',').collect::<Vec<_>>().try_into().unwrap();
            Point {
                series: series.to_owned(),
                count: count.parse().unwrap(),
                seconds: seconds.parse().unwrap(),
                bound: bound.to_owned(),
            }
        })
        .collect()
}

/// What the operator would have recorded: an upper bound is a start that nobody measured.
fn seen(series: &str) -> Starts {
    let points = points();
    let of_series = points.iter().filter(|point| point.series == series);
    let starts: Vec<Start> = of_series
        .enumerate()
        .filter_map(|(number, point)| {
            let outcome = match point.bound.as_str() {
                "exact" | "approx" => Outcome::Healthy,
                "lower" => Outcome::Killed,
                "upper" => return None,
                other => panic!("no such bound: {other}"),
            };
            Some(start(number, point.count, whole(point.seconds), outcome))
        })
        .collect();
    Starts::from(starts)
}

#[test]
fn every_series_gives_a_curve_on_or_above_all_that_was_seen() {
    for point in points() {
        let starts = seen(&point.series);
        let curve = Curve::of(starts.of(&key())).unwrap();
        if point.bound != "upper" {
            let expected = curve.seconds_at(point.count);
            assert!(f64::from(expected) >= point.seconds, "{}", point.series);
        }
    }
}

#[test]
fn curves_of_the_field() {
    // series, exponent in hundredths, whether the starts tell it, (count, seconds)
    type Row = (&'static str, u8, bool, &'static [(i64, u32)]);
    const ROWS: [Row; 12] = [
        // A rule per thousand taken at 100 asks 200 s where 961 were needed.
        (
            "nic-1.12-plus-ingress",
            168,
            true,
            &[(100, 20), (1000, 961), (3000, 6097)],
        ),
        ("nic-edge-plus-vs", 37, true, &[(100, 3), (1000, 7)]),
        // The lower bound at 1000 says no more than growth in proportion does.
        (
            "nic-1.12-ap-ingress",
            100,
            false,
            &[(50, 743), (100, 743), (1000, 7430)],
        ),
        ("nic-2017", 100, false, &[(1477, 2529), (3962, 6784)]),
        // One healthy start: in proportion above it, never below it.
        ("nic-1.11", 100, false, &[(10, 49), (100, 49), (300, 147)]),
        ("kourier-2023", 100, false, &[(1000, 720)]),
        ("sealed-secrets-2026", 100, false, &[(300, 300), (600, 600)]),
        ("nvs-node-informer", 100, false, &[(53_513, 44)]),
        ("aci-2022", 100, false, &[(227, 3)]),
        // Kills alone: the longest that growth in proportion makes of one.
        (
            "lbc-podinfo",
            100,
            false,
            &[(400, 60), (10_000, 60), (30_000, 177)],
        ),
        ("kourier-1.21", 100, false, &[(350, 50), (7500, 1072)]),
        ("loki-wal", 100, false, &[(650, 70), (65, 70), (1300, 140)]),
    ];
    for (series, exponent, measured, asked) in ROWS {
        let starts = seen(series);
        let curve = Curve::of(starts.of(&key())).unwrap();
        let evidence = curve.evidence();
        assert_eq!(evidence.exponent.hundredths(), exponent, "{series}");
        assert_eq!(evidence.exponent_measured, measured, "{series}");
        for &(count, seconds) in asked {
            assert_eq!(curve.seconds_at(count), seconds, "{series} at {count}");
        }
    }
}
