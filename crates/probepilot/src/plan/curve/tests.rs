use super::csv::parse;
use super::*;

/// A count, seconds, and what is known of them.
type Given = (i64, f64, Bound);

fn measured(points: &[Given]) -> Vec<Measured> {
    let point = |&(count, seconds, bound): &Given| Measured {
        count,
        seconds,
        bound,
    };
    points.iter().map(point).collect()
}

fn curve(points: &[Given]) -> Curve {
    Curve::new(measured(points))
}

use Bound::{Approx, Exact, Lower, Upper};

#[test]
fn between_and_beyond_the_points() {
    // nginx/kubernetes-ingress#1886: exponent 1.68.
    let nginx = curve(&[(1000, 961.0, Exact), (100, 20.0, Exact)]);
    for (count, seconds) in [
        // Nothing says that a smaller cluster is faster.
        (0, 20),
        (10, 20),
        (100, 20),
        (316, 139),
        (1000, 961),
        (10_000, 46_177),
    ] {
        assert_eq!(nginx.seconds(count), seconds, "{count}");
    }
    assert!(nginx.is_certain_at(1_000_000));
    assert_eq!(nginx.certain_to(), None);
}

#[test]
fn what_is_certain() {
    // (name, points, the last count that is certain)
    let cases: [(&str, &[Given], Option<i64>); 8] = [
        (
            "one point says nothing of growth",
            &[(1000, 60.0, Exact)],
            Some(1000),
        ),
        (
            "two points do",
            &[(100, 6.0, Exact), (1000, 60.0, Approx)],
            None,
        ),
        ("lower bounds alone", &[(1000, 60.0, Lower)], Some(0)),
        (
            "a lower bound that bends",
            &[
                (100, 6.0, Exact),
                (1000, 60.0, Exact),
                (10_000, 700.0, Lower),
            ],
            Some(1000),
        ),
        (
            "a lower bound that the curve fulfils",
            &[
                (100, 6.0, Exact),
                (1000, 60.0, Exact),
                (10_000, 500.0, Lower),
            ],
            None,
        ),
        (
            "a lower bound before all others",
            &[(10, 50.0, Lower), (100, 6.0, Exact), (1000, 60.0, Exact)],
            Some(0),
        ),
        (
            "a lower bound in between",
            &[(100, 6.0, Exact), (500, 59.0, Lower), (1000, 60.0, Upper)],
            Some(100),
        ),
        (
            "aws-load-balancer-controller",
            &[
                (400, 60.0, Upper),
                (10_000, 59.0, Lower),
                (30_000, 60.0, Lower),
            ],
            Some(400),
        ),
    ];
    for (name, points, expected) in cases {
        assert_eq!(curve(points).certain_to(), expected, "{name}");
    }
}

#[test]
fn what_survives() {
    let bent = curve(&[
        (100, 6.0, Exact),
        (1000, 59.5, Exact),
        (10_000, 700.0, Lower),
    ]);
    for (name, count, budget, expected) in [
        ("no probe kills", 1_000_000, None, true),
        ("enough", 100, Some(6), true),
        ("one second short", 100, Some(5), false),
        ("nobody knows how long", 1001, Some(10_000), false),
    ] {
        assert_eq!(bent.survives(count, budget), expected, "{name}");
    }
    let straight = curve(&[(100, 6.0, Exact), (1000, 59.5, Exact)]);
    assert!(!straight.survives(1000, Some(59)), "half a second short");
    assert!(straight.survives(1000, Some(60)), "rounded up");
    assert!(
        bent.seconds(1000) > straight.seconds(1000),
        "a lower bound only pushes up"
    );
    let beyond = bent.first_beyond(|count| Some(if count < 5000 { 60 } else { 600 }));
    assert_eq!(beyond.map(|point| point.count), Some(10_000));
    assert_eq!(bent.first_beyond(|_| None), None);
}

#[test]
fn more_objects_never_make_a_start_faster() {
    let noisy = curve(&[(100, 30.0, Exact), (200, 20.0, Exact), (200, 25.0, Exact)]);
    assert_eq!((noisy.seconds(100), noisy.seconds(200)), (30, 30));
}

#[test]
fn files_as_people_have_them() {
    let bare = measured(&[(100, 20.0, Exact), (1000, 961.0, Lower)]);
    for (name, text) in [
        (
            "as documented",
            "count,seconds,bound\n100,20,exact\n1000,961,lower\n",
        ),
        ("no header", "100,20,exact\n1000,961,lower\n"),
        ("no bound", "count,seconds,bound\n100,20\n1000,961,lower\n"),
        (
            "spaces and comments",
            "# nginx\n count , seconds , bound\n 100 , 20 ,\n\n1000,961,lower",
        ),
        (
            "other columns and order",
            "note,bound,seconds,count\n\"a, b\",exact,20,100\n,lower,961,1000\n",
        ),
        (
            "from a spreadsheet",
            "\u{feff}count,seconds,bound\r\n100,20,exact\r\n1000,961,lower\r\n",
        ),
        (
            "ranges count for their worst",
            "count,seconds,bound\n100-300,10-20,exact\n1000-2000,961-1200,lower\n",
        ),
    ] {
        assert_eq!(parse("x.csv", text.as_bytes()).unwrap(), bare, "{name}");
    }
}

#[test]
fn files_that_cannot_be_used() {
    for (text, expected) in [
        (
            "",
            "x.csv: no points: expected a header count,seconds,bound and at least one line like 1000,63,exact",
        ),
        (
            "count,seconds,bound\n",
            "x.csv: no points: expected a header count,seconds,bound and at least one line like 1000,63,exact",
        ),
        (
            "pods,seconds\n1,2\n",
            "x.csv:1: no column `count`: expected the columns count,seconds,bound, found pods,seconds",
        ),
        (
            "count,seconds\n1000,fast\n",
            "x.csv:2: seconds: expected seconds like 63 or 48.9, found `fast`",
        ),
        (
            "count,seconds\n1000\n",
            "x.csv:2: seconds: expected seconds like 63 or 48.9, found ``",
        ),
        (
            "count,seconds\n1000,-5\n",
            "x.csv:2: seconds: expected seconds like 63 or 48.9, found `-5`",
        ),
        (
            "count,seconds\n1000,NaN\n",
            "x.csv:2: seconds: expected seconds like 63 or 48.9, found `NaN`",
        ),
        (
            "count,seconds\n1e3,5\n",
            "x.csv:2: count: expected a whole number like 1000, found `1e3`",
        ),
        (
            "count,seconds\n300-100,5\n",
            "x.csv:2: count: expected a whole number like 1000, found `300-100`",
        ),
        (
            "count,seconds,bound\n\n# two\n100,20,about\n",
            "x.csv:4: bound: expected exact, approx, lower or upper, found `about`",
        ),
        (
            "count,seconds\n100,\u{0}20\n",
            "x.csv:2: seconds: expected seconds like 63 or 48.9, found `\u{0}20`",
        ),
    ] {
        let error = parse("x.csv", text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text:?}");
    }
    let latin = parse("x.csv", b"count,seconds\n100,\xe9\n")
        .unwrap_err()
        .to_string();
    assert!(latin.starts_with("x.csv:2: not CSV: "), "{latin}");
}
