use probepilot_api::{BudgetSource, CountSelector, ProbePolicySpec, ProbeTimings};
use serde_json::{Value, json};

use super::{Ask, Asked, interpolate, lengthened, line, need, with_headroom};
use crate::observation::{Count, Sample};
use crate::policy::{CurvePoint, Policy};
use crate::testing::{at, pods, seed_rules, spec, timings};

fn policy(rules: &Value) -> Policy {
    Policy::try_from(&spec(
        json!({"rules": rules, "limits": {"minStartupSeconds": 1, "maxStartupSeconds": 86400}}),
    ))
    .unwrap()
}

fn ask(rules: &Value, count: i64) -> Ask {
    match need(
        &policy(rules),
        &[pods(count, at(0))],
        Some(timings(30, 10, 10, 2)),
    ) {
        Asked::Ask(ask) => ask,
        other => panic!("{other:?}"),
    }
}

fn count_of(resource: &str, value: Option<i64>) -> Count {
    Count {
        selector: CountSelector {
            resource: resource.to_owned(),
            ..CountSelector::default()
        },
        last: value.map(|value| Sample { value, at: at(0) }),
        failure: None,
    }
}

#[test]
fn ladders_apply_the_highest_rung_reached() {
    let ladder = json!([{"steps": [
        {"atLeast": 100, "startupSeconds": 60},
        {"atLeast": 1000, "startupSeconds": 120},
        {"atLeast": 5000, "startupSeconds": 90},
    ]}]);
    let cases = [
        ("below the first rung", 99, None),
        ("no object at all", 0, None),
        ("on the first edge", 100, Some(60)),
        ("below the second edge", 999, Some(60)),
        ("on the second edge", 1000, Some(120)),
        ("a later rung may ask for less", 5000, Some(90)),
        ("far beyond the last", i64::MAX, Some(90)),
        ("a negative count", i64::MIN, None),
    ];
    for (name, count, expected) in cases {
        let asked = need(&policy(&ladder), &[pods(count, at(0))], None);
        let seconds = asked.ask().map(|ask| ask.need_seconds);
        assert_eq!(seconds, expected, "{name}");
        if expected.is_none() {
            assert_eq!(asked, Asked::Nothing { count: Some(count) }, "{name}");
        }
    }
}

#[test]
fn a_rungs_liveness_timings_ask_for_their_budget_on_top_of_the_owner() {
    let t = |d: Option<i32>, p: Option<i32>, to: Option<i32>, f: Option<i32>| ProbeTimings {
        initial_delay_seconds: d,
        period_seconds: p,
        timeout_seconds: to,
        failure_threshold: f,
    };
    // Owner 30/10/10/2.
    let cases = [
        (
            "all four",
            t(Some(60), Some(10), Some(30), Some(6)),
            None,
            110,
        ),
        (
            "delay alone keeps the owner's threshold",
            t(Some(60), None, None, None),
            None,
            70,
        ),
        (
            "threshold alone keeps the owner's delay",
            t(None, None, None, Some(6)),
            None,
            80,
        ),
        (
            "timeout alone changes no budget",
            t(None, None, Some(30), None),
            None,
            40,
        ),
        (
            "a delay below the owner's asks for what it says",
            t(Some(5), None, None, Some(3)),
            None,
            25,
        ),
        (
            "a period below the owner's asks for what it says",
            t(None, Some(1), None, Some(3)),
            None,
            32,
        ),
        (
            "startupSeconds above the timings",
            t(None, None, None, Some(6)),
            Some(200),
            200,
        ),
        (
            "startupSeconds below the timings",
            t(None, None, None, Some(6)),
            Some(20),
            80,
        ),
    ];
    for (name, liveness, startup, expected) in cases {
        let mut step = json!({"atLeast": 0, "livenessProbe": liveness});
        if let Some(seconds) = startup {
            step["startupSeconds"] = json!(seconds);
        }
        let ask = ask(&json!([{"steps": [step]}]), 7);
        assert_eq!(ask.need_seconds, expected, "{name}");
        assert_eq!(
            ask.write_seconds, expected,
            "{name}: rungs have no headroom"
        );
        assert_eq!(ask.liveness, Some(liveness), "{name}");
    }
}

#[test]
fn without_a_liveness_probe_a_rungs_timings_stand_on_the_api_defaults() {
    let rules = json!([{"steps": [{"atLeast": 0, "livenessProbe": {"initialDelaySeconds": 60}}]}]);
    let asked = need(&policy(&rules), &[pods(1, at(0))], None);
    assert_eq!(asked.ask().unwrap().need_seconds, 80, "60 + (3-1)*10");
}

#[test]
fn the_seed_ladder() {
    assert_eq!(ask(&seed_rules(), 200).need_seconds, 60);
    assert_eq!(ask(&seed_rules(), 200).liveness, None);
    assert_eq!(ask(&seed_rules(), 9_999).need_seconds, 60);
    assert_eq!(ask(&seed_rules(), 10_000).need_seconds, 110);
}

#[test]
fn lengthened_takes_the_longer_of_each_timing() {
    let given = ProbeTimings {
        initial_delay_seconds: Some(60),
        period_seconds: Some(5),
        timeout_seconds: None,
        failure_threshold: Some(-4),
    };
    assert_eq!(
        lengthened(timings(30, 10, 10, 2), given),
        timings(60, 10, 10, 2)
    );
}

#[test]
fn lines() {
    let cases = [
        ("at 0", 30, 6, 0, 30),
        (
            "a started thousand counts by its part, rounded up",
            30,
            6,
            1,
            31,
        ),
        ("one thousand", 30, 6, 1000, 36),
        ("between", 30, 6, 1500, 39),
        ("ten thousand", 30, 6, 10_000, 90),
        ("a negative count is none", 30, 6, -5, 30),
        ("saturates", u32::MAX, u32::MAX, i64::MAX, u32::MAX),
    ];
    for (name, base, slope, count, expected) in cases {
        assert_eq!(line(base, slope, count), expected, "{name}");
    }
}

#[test]
fn curves() {
    let points = |list: &[(i64, u32)]| -> Vec<_> {
        list.iter()
            .map(|&(count, seconds)| CurvePoint { count, seconds })
            .collect()
    };
    // Exponent 1 between 100 and 1,000, then 0.30103 up to 10,000.
    let bent = points(&[(100, 10), (1000, 100), (10_000, 200)]);
    let steep = points(&[(100, 20), (1000, 20_000)]);
    let flat = points(&[(100, 60), (1000, 60)]);
    let cases = [
        ("through the first point", &bent, 100, 10),
        ("through the middle point", &bent, 1000, 100),
        ("through the last point", &bent, 10_000, 200),
        ("between, log-log", &bent, 500, 50),
        ("between, after the bend", &bent, 3162, 142),
        ("beyond the last, by the last two", &bent, 100_000, 400),
        ("below the first, by the first two", &bent, 10, 1),
        ("count 0 is 1", &bent, 0, 1),
        ("a negative count is 1", &bent, -3, 1),
        ("flat stays flat", &flat, 1_000_000, 60),
        ("the exponent is clamped to 2 between", &steep, 200, 80),
        ("and beyond, from the last point", &steep, 2000, 80_000),
        ("saturates", &steep, i64::MAX, u32::MAX),
        (
            "a single point is a constant",
            &points(&[(1, 60)]),
            5000,
            60,
        ),
    ];
    for (name, points, count, expected) in cases {
        assert_eq!(interpolate(points, count), expected, "{name}");
    }
}

#[test]
fn curve_points_that_fall_are_noise() {
    let rules = json!([{"interpolate": [
        {"count": 100, "startupSeconds": 60}, {"count": 1000, "startupSeconds": 40}, {"count": 10000, "startupSeconds": 90},
    ]}]);
    let asks = [100, 500, 1000, 10_000].map(|count| ask(&rules, count).need_seconds);
    assert_eq!(asks, [60, 60, 60, 90]);
}

#[test]
fn counts_0_and_1_are_the_same_point_of_a_curve() {
    let rules = json!([{"interpolate": [
        {"count": 0, "startupSeconds": 20}, {"count": 1, "startupSeconds": 30}, {"count": 100, "startupSeconds": 300},
    ]}]);
    assert_eq!(
        [0, 1, 10].map(|count| ask(&rules, count).need_seconds),
        [30, 30, 95]
    );
}

#[test]
fn curves_are_written_with_a_quarter_on_top() {
    let curve = json!([{"linear": {"baseSeconds": 30, "secondsPerThousand": 6}}]);
    let ask = ask(&curve, 10_000);
    assert_eq!(
        (ask.bare_seconds, ask.need_seconds, ask.write_seconds),
        (90, 90, 113)
    );
    assert_eq!(with_headroom(u32::MAX), (u32::MAX, u32::MAX), "saturates");
}

#[test]
fn the_largest_budget_of_several_rules_wins() {
    let rules = json!([
        {"steps": [{"atLeast": 0, "startupSeconds": 60, "livenessProbe": {"timeoutSeconds": 5}}]},
        {"linear": {"baseSeconds": 50, "secondsPerThousand": 10}, "count": {"resource": "services"}},
        {"steps": [{"atLeast": 0, "startupSeconds": 20, "livenessProbe": {"timeoutSeconds": 30}}], "count": {"resource": "ingresses", "group": "networking.k8s.io"}},
    ]);
    let mut ingresses = count_of("ingresses", Some(9));
    ingresses.selector.group = "networking.k8s.io".to_owned();
    let counts = |services| {
        [
            pods(5, at(0)),
            count_of("services", services),
            ingresses.clone(),
        ]
    };
    let cases = [
        ("the first rule", Some(0), 60, 5),
        ("the second rule", Some(5000), 100, 5000),
        ("an unknown count says nothing", None, 60, 5),
    ];
    for (name, services, seconds, count) in cases {
        let asked = need(&policy(&rules), &counts(services), None);
        let ask = asked.ask().unwrap();
        assert_eq!(
            (ask.need_seconds, ask.count),
            (seconds, Some(count)),
            "{name}"
        );
        let timeout = ask.liveness.and_then(|timings| timings.timeout_seconds);
        assert_eq!(timeout, Some(30), "{name}: the longest timing of all rungs");
    }
}

#[test]
fn the_order_of_rules_that_ask_for_the_same_does_not_matter() {
    let step = json!({"steps": [{"atLeast": 0, "startupSeconds": 100}]});
    let line = json!({"linear": {"baseSeconds": 100, "secondsPerThousand": 0}});
    assert_eq!(ask(&json!([step, line]), 1), ask(&json!([line, step]), 1));
}

#[test]
fn what_is_not_known_is_never_zero() {
    let rules = json!([{"steps": [{"atLeast": 0, "startupSeconds": 60}]}]);
    let cases = [
        ("no count was read", vec![]),
        ("the count has no value yet", vec![count_of("pods", None)]),
        (
            "another resource was read",
            vec![count_of("services", Some(5))],
        ),
    ];
    for (name, counts) in cases {
        assert_eq!(
            need(&policy(&rules), &counts, None),
            Asked::Unknown,
            "{name}"
        );
    }
    assert_eq!(
        need(&policy(&json!([])), &[], None),
        Asked::Nothing { count: None },
        "no rules"
    );
}

#[test]
fn limits_clip_what_rules_ask() {
    let cases = [
        ("inside", 60, 60, BudgetSource::Rule),
        ("below", 5, 10, BudgetSource::Limit),
        ("on the lower edge", 10, 10, BudgetSource::Rule),
        ("above", 4000, 1800, BudgetSource::Limit),
        ("on the upper edge", 1800, 1800, BudgetSource::Rule),
    ];
    for (name, asked, expected, source) in cases {
        let rules = json!([{"steps": [{"atLeast": 0, "startupSeconds": asked}]}]);
        let policy = Policy::try_from(&spec(json!({"rules": rules}))).unwrap();
        let asked = need(&policy, &[pods(1, at(0))], None);
        let ask = asked.ask().unwrap();
        assert_eq!((ask.need_seconds, ask.source), (expected, source), "{name}");
    }
}

#[test]
fn headroom_is_clipped_too() {
    let rules = json!([{"linear": {"baseSeconds": 1700, "secondsPerThousand": 0}}]);
    let policy = Policy::try_from(&spec(json!({"rules": rules}))).unwrap();
    let asked = need(&policy, &[pods(1, at(0))], None);
    assert_eq!(asked.ask().unwrap().write_seconds, 1800);
}

#[test]
fn limits_are_no_reason_to_write() {
    let at_limit = |bare, need_seconds| Ask {
        bare_seconds: bare,
        need_seconds,
        write_seconds: need_seconds,
        liveness: None,
        count: Some(1),
        source: BudgetSource::Limit,
    };
    let cases = [
        (
            "the lower limit asks for more than the rule",
            at_limit(5, 10),
            5,
            true,
        ),
        ("less than the rule asks", at_limit(5, 10), 4, false),
        (
            "the upper limit is enough",
            at_limit(4000, 1800),
            1800,
            true,
        ),
        (
            "less than the upper limit",
            at_limit(4000, 1800),
            1799,
            false,
        ),
    ];
    for (name, ask, budget, expected) in cases {
        assert_eq!(ask.covered_by(budget), expected, "{name}");
    }
}

#[test]
fn bad_specs_are_refused_with_advice() {
    let step = json!({"atLeast": 5, "startupSeconds": 60});
    let point = json!({"count": 5, "startupSeconds": 60});
    let cases = [
        (
            json!([{}]),
            "give exactly one of steps, linear or interpolate",
        ),
        (
            json!([{"steps": [step], "linear": {"baseSeconds": 1, "secondsPerThousand": 1}}]),
            "give exactly one",
        ),
        (
            json!([{"steps": [step, step]}]),
            "spec.rules[0]: steps must rise strictly",
        ),
        (
            json!([{"interpolate": [point, point]}]),
            "interpolate points must rise strictly",
        ),
        (json!([{"interpolate": [point]}]), "at least two points"),
    ];
    for (rules, expected) in cases {
        let spec: ProbePolicySpec = spec(json!({"rules": rules}));
        let error = Policy::try_from(&spec).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let limits = spec(json!({"limits": {"minStartupSeconds": 20, "maxStartupSeconds": 10}}));
    let error = Policy::try_from(&limits).unwrap_err().to_string();
    assert_eq!(
        error,
        "spec.limits: minStartupSeconds 20 exceeds maxStartupSeconds 10"
    );
}
