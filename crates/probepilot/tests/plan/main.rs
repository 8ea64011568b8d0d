//! `probepilot plan`: what it answers, what it prints, and what it refuses.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod outputs;
mod refusals;

use common::{Ran, probepilot, with_input};
use serde_json::{Value, json};

const LBC: [&str; 4] = [
    "-f",
    "../../../../config/samples/aws-load-balancer-controller.yaml",
    "-f",
    "aws-load-balancer-controller.yaml",
];
const STARTS: &str = "plan/lbc-starts.csv";

/// Plans the sample policy for the chart of aws-load-balancer-controller.
fn lbc(more: &[&str]) -> Ran {
    let mut args = vec!["plan"];
    args.extend(LBC);
    args.extend(more);
    probepilot(&args)
}

/// Plans a policy with these fields for a workload of the fixtures.
fn plan(spec: &Value, file: &str, more: &[&str]) -> Ran {
    let mut args = vec!["plan", "-f", "-", "-f", file];
    args.extend(more);
    with_input(&args, &policy(spec).to_string())
}

/// A policy for the Deployment of the fixture aws-load-balancer-controller, with other fields.
fn policy(fields: &Value) -> Value {
    let mut spec = json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "aws-load-balancer-controller"},
        "mode": "Enforce",
    });
    for (key, value) in fields.as_object().expect("fields") {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "probepilot.dev/v1alpha1",
        "kind": "ProbePolicy",
        "metadata": {"name": "lbc", "namespace": "kube-system"},
        "spec": spec,
    })
}

fn rules(rule: &Value) -> Value {
    json!({"rules": [rule]})
}

/// The budget needed and what is written, at one count.
fn at(spec: &Value, count: i64) -> Value {
    let count = count.to_string();
    let args = ["--count", &count, "-o", "json"];
    plan(spec, "aws-load-balancer-controller.yaml", &args).json(0)
}

#[test]
fn json_of_one_count_is_the_documented_form() {
    let owner = json!({"initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2});
    assert_eq!(
        lbc(&["--count", "9999", "-o", "json"]).json(0),
        json!({
            "count": 9999,
            "needSeconds": 60,
            "budgetSeconds": 60,
            "detectionSeconds": 30,
            "startupProbe": {"initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 7},
            "livenessProbe": owner,
            "changed": true,
        })
    );
    assert_eq!(
        lbc(&["--count", "10000", "-o", "json"]).json(0),
        json!({
            "count": 10_000,
            "needSeconds": 110,
            "budgetSeconds": 110,
            "detectionSeconds": 190,
            "startupProbe": null,
            "livenessProbe": {"initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6},
            "changed": true,
        })
    );
    let enough = rules(&json!({"steps": [{"atLeast": 0, "startupSeconds": 35}]}));
    assert_eq!(
        at(&enough, 7),
        json!({
            "count": 7,
            "needSeconds": 35,
            "budgetSeconds": 40,
            "detectionSeconds": 30,
            "startupProbe": null,
            "livenessProbe": owner,
            "changed": false,
        })
    );
}

#[test]
fn every_form_of_rule() {
    let line = rules(&json!({"linear": {"baseSeconds": 30, "secondsPerThousand": 6}}));
    let curve = rules(
        &json!({"interpolate": [{"count": 100, "startupSeconds": 20}, {"count": 1000, "startupSeconds": 961}]}),
    );
    let both = json!({"rules": [line["rules"][0], curve["rules"][0]]});
    let liveness = json!({"rules": line["rules"], "apply": {"probe": "Liveness"}});
    let observe = json!({"rules": line["rules"], "mode": "Observe", "behavior": {"raise": {"policy": "OnKill"}}});
    // (name, policy, count, need, budget, changed)
    for (name, spec, count, need, budget, changed) in [
        ("nothing asked", &json!({}), 5, 40, 40, false),
        ("a line, covered", &line, 1000, 36, 40, false),
        ("a line, with headroom", &line, 10_000, 90, 120, true),
        ("a curve", &curve, 1000, 961, 1210, true),
        ("a curve beyond the limit", &curve, 10_000, 1800, 1800, true),
        ("the larger of two", &both, 10_000, 1800, 1800, true),
        (
            "into the delay of liveness",
            &liveness,
            10_000,
            90,
            113,
            true,
        ),
        (
            "mode and caution do not matter",
            &observe,
            10_000,
            90,
            120,
            true,
        ),
    ] {
        let point = at(spec, count);
        assert_eq!(point["needSeconds"], need, "{name}: {point}");
        assert_eq!(point["budgetSeconds"], budget, "{name}: {point}");
        assert_eq!(point["changed"], changed, "{name}: {point}");
    }
}

/// Counts, budgets and whether something is written, of a range.
fn points(ran: &Ran) -> Vec<(i64, i64, bool)> {
    let range = ran.json(0);
    let points = range["points"].as_array().expect("points").iter();
    let point = |point: &Value| {
        (
            point["count"].as_i64().unwrap(),
            point["budgetSeconds"].as_i64().unwrap(),
            point["changed"].as_bool().unwrap(),
        )
    };
    points.map(point).collect()
}

#[test]
fn a_range_finds_each_count_at_which_something_is_written() {
    let over = |spec: &Value, from: &str, to: &str| {
        let args = ["--from", from, "--to", to, "-o", "json"];
        points(&plan(spec, "aws-load-balancer-controller.yaml", &args))
    };
    let steps = rules(&json!({"steps": [
        {"atLeast": 3, "startupSeconds": 60},
        {"atLeast": 5000, "startupSeconds": 61},
        {"atLeast": 5001, "startupSeconds": 20},
        {"atLeast": 70_000, "startupSeconds": 400},
    ]}));
    assert_eq!(
        over(&steps, "0", "100000"),
        [
            (0, 40, false),
            (3, 60, true),
            (5000, 70, true),
            (70_000, 400, true),
            (100_000, 400, false)
        ]
    );
    assert_eq!(over(&steps, "4", "4"), [(4, 60, true)]);
    assert_eq!(
        over(&steps, "69999", "70000"),
        [(69_999, 40, false), (70_000, 400, true)]
    );
    // Each write lasts until the line has used up its headroom: 40 s, 60 s (51.25), 80 s (76.25).
    let line = rules(&json!({"linear": {"baseSeconds": 30, "secondsPerThousand": 10}}));
    assert_eq!(
        over(&line, "0", "6000"),
        [
            (0, 40, false),
            (1001, 60, true),
            (3001, 80, true),
            (5001, 110, true),
            (6000, 110, false)
        ]
    );
    let lowering = json!({
        "rules": steps["rules"],
        "behavior": {"lower": {"policy": "Enabled", "tolerancePercent": 10}},
    });
    assert_eq!(
        over(&lowering, "3", "6000"),
        [
            (3, 60, true),
            (5000, 70, true),
            (5001, 40, true),
            (6000, 40, false)
        ]
    );
}

#[test]
fn each_point_of_a_range_is_what_one_count_says_where_nothing_came_before() {
    for count in ["0", "9999", "10000", "123456"] {
        let one = lbc(&["--count", count, "-o", "json"]).json(0);
        let range = lbc(&["--from", count, "--to", count, "-o", "json"]).json(0);
        assert_eq!(range["points"], json!([one]), "{count}");
    }
}

#[test]
fn the_largest_count_that_survives() {
    // Two counts so close together tell little of how starts grow: the fit takes seconds to grow almost with the count, so 60 s
    // are reached before 1000 pods.
    let starts = "count,seconds\n500,40\n1000,60\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("starts.csv");
    std::fs::write(&path, starts).unwrap();
    let survives = |from: &str, to: &str| {
        let curve = path.to_str().unwrap();
        let args = ["--from", from, "--to", to, "--curve", curve, "-o", "json"];
        lbc(&args).json(0)["survivesUpTo"].clone()
    };
    assert_eq!(
        survives("1", "100000"),
        json!({"today": 500, "policy": 750})
    );
    assert_eq!(
        survives("600", "900"),
        json!({"today": null, "policy": 750})
    );
    // From 10,000 pods on the policy asks for more, but starts are too long from 751 on.
    assert_eq!(
        survives("2000", "20000"),
        json!({"today": null, "policy": null})
    );
    assert_eq!(survives("1", "500"), json!({"today": 500, "policy": 500}));
    let without = lbc(&["-o", "json"]).json(0);
    assert_eq!(without.get("survivesUpTo"), None);
}

#[test]
fn what_was_written_before_is_not_taken_for_the_owners() {
    // As `kubectl get -o yaml` prints it after the operator wrote: no managedFields, but the record.
    let file = "plan/written-before.yaml";
    let line = rules(&json!({"linear": {"baseSeconds": 30, "secondsPerThousand": 6}}));
    let at = |count: &str| plan(&line, file, &["--count", count, "-o", "json"]).json(0);
    let small = at("9000");
    assert_eq!(
        (&small["budgetSeconds"], &small["changed"]),
        (&json!(90), &json!(false)),
        "{small}"
    );
    let large = at("20000");
    assert_eq!(large["startupProbe"]["failureThreshold"], 20, "{large}");
    assert_eq!(large["changed"], true);
    let text = plan(&line, file, &["--count", "20000"]);
    assert!(
        text.stdout
            .contains("the manifest carries what probepilot wrote before"),
        "{}",
        text.stdout
    );
    // A rung with liveness timings is computed from the owner's, so the startup probe goes again.
    let rung =
        rules(&json!({"steps": [{"atLeast": 0, "livenessProbe": {"initialDelaySeconds": 90}}]}));
    let rung = plan(&rung, file, &["--count", "5", "-o", "json"]).json(0);
    assert_eq!(rung["startupProbe"], Value::Null, "{rung}");
    assert_eq!(rung["livenessProbe"]["initialDelaySeconds"], 90);
}

#[test]
fn notes_say_what_the_policy_would_wait_for() {
    let line = |more: Value| {
        let mut spec = rules(&json!({"linear": {"baseSeconds": 30, "secondsPerThousand": 60}}));
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    let lbc = "aws-load-balancer-controller.yaml";
    for (name, spec, file, count, expected) in [
        (
            "mode",
            line(json!({"mode": "Observe"})),
            lbc,
            "1000",
            "mode Observe writes nothing, set spec.mode to Enforce",
        ),
        (
            "on kill",
            line(json!({"behavior": {"raise": {"policy": "OnKill"}}})),
            lbc,
            "1000",
            "waits until a probe kills the start",
        ),
        (
            "safe",
            line(json!({})),
            "plan/recreate.yaml",
            "1000",
            "it waits for a kill or for the owner's next rollout",
        ),
        (
            "deadline",
            line(json!({})),
            lbc,
            "20000",
            "exceeds progressDeadlineSeconds 600",
        ),
    ] {
        let ran = plan(&spec, file, &["--count", count]);
        let flat = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.contains(expected),
            "{name}: {}{}",
            ran.stdout,
            ran.stderr
        );
        let range = plan(&spec, file, &["--from", "0", "--to", count, "-o", "json"]).json(0);
        assert!(
            range["notes"].to_string().contains(expected),
            "{name}: {range}"
        );
    }
    let twice = json!({"rules": [
        {"linear": {"baseSeconds": 60, "secondsPerThousand": 6}},
        {"count": {"group": "networking.k8s.io", "resource": "ingresses", "namespace": "web"}, "linear": {"baseSeconds": 0, "secondsPerThousand": 9}},
    ]});
    let ran = plan(&twice, lbc, &["--count", "5"]);
    assert!(
        ran.stdout
            .contains("counts pods and ingresses.networking.k8s.io in namespace web")
            && ran.stdout.contains("each of them is given the same count"),
        "{}",
        ran.stdout
    );
}
