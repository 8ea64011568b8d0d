//! `probepilot recommend` on files: YAML to commit, JSON, and every bad input.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use common::{probepilot, with_input};

const SEEN: &str = "recommend/seen.yaml";

#[test]
fn a_policy_to_commit() {
    let ran = probepilot(&["recommend", "-f", SEEN]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn json_says_the_same() {
    let printed = probepilot(&["recommend", "-f", SEEN, "-o", "json"]).json(0);
    let points = printed["points"].as_array().expect("points");
    assert_eq!(
        &printed["policy"]["spec"]["rules"][0]["interpolate"],
        &printed["points"]
    );
    let rises = |key: &str| {
        points
            .windows(2)
            .all(|pair| pair[0][key].as_i64() <= pair[1][key].as_i64())
    };
    assert!(rises("count") && rises("startupSeconds"), "{points:?}");
    assert_eq!(printed["starts"].as_array().map(Vec::len), Some(5));
    assert!(
        printed["recommendedSeconds"].as_i64() > Some(57),
        "{printed}"
    );
}

#[test]
fn what_it_prints_plans_as_it_is() {
    let policy = probepilot(&["recommend", "-f", SEEN]).stdout;
    let args = [
        "plan",
        "-f",
        "-",
        "-f",
        "aws-load-balancer-controller.yaml",
        "--count",
        "20000",
        "-o",
        "json",
    ];
    let planned = with_input(&args, &policy).json(0);
    assert!(planned["needSeconds"].as_i64() > Some(57), "{planned}");
}

#[test]
fn bad_input_says_what_to_give() {
    for (name, args, sentence) in [
        (
            "nothing was measured",
            vec!["recommend", "-f", "recommend/fresh.yaml"],
            "has seen no start yet",
        ),
        (
            "how to measure",
            vec!["recommend", "-f", "recommend/fresh.yaml"],
            "kubectl rollout restart deployment/aws-load-balancer-controller",
        ),
        (
            "no policy",
            vec!["recommend", "-f", "aws-load-balancer-controller.yaml"],
            "no ProbePolicy in the files",
        ),
        (
            "another name",
            vec!["recommend", "-f", SEEN, "--", "other"],
            "there are: kube-system/aws-load-balancer-controller",
        ),
        (
            "another namespace",
            vec!["recommend", "-f", SEEN, "-n", "shop"],
            "no such ProbePolicy in the files",
        ),
        ("nothing", vec!["recommend"], "required arguments"),
        (
            "several",
            vec!["recommend", "-f", SEEN, "-f", "recommend/fresh.yaml"],
            "several policies: name one of",
        ),
        ("no file", vec!["recommend", "-f", "none.yaml"], "none.yaml"),
    ] {
        let ran = probepilot(&args);
        assert_eq!(ran.code, 2, "{name}: {}", ran.stdout);
        assert!(ran.stderr.contains(sentence), "{name}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{name}");
    }
}
