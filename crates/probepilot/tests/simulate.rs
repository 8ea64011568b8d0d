//! `probepilot simulate`: every output, every way in.

mod common;

use common::{probepilot, with_input};
use serde_json::{Value, json};

const LBC: &str = "aws-load-balancer-controller.yaml";

fn simulate(file: &str, more: &[&str]) -> Value {
    let mut args = vec!["simulate", "-f", file, "-o", "json"];
    args.extend(more);
    probepilot(&args).json(0)
}

#[test]
fn json_is_the_documented_form() {
    let result = simulate(LBC, &["--start", "63", "--while-starting", "hang"]);
    assert_eq!(
        result,
        json!([{
            "namespace": "kube-system",
            "workload": "deployment/aws-load-balancer-controller",
            "container": "aws-load-balancer-controller",
            "guard": "liveness",
            "guaranteedSeconds": 40,
            "kill": {"earliestSeconds": 50, "latestSeconds": 60},
            "outcome": "Killed",
            "detectionSeconds": 30,
            "warnings": [{
                "rule": "timeout-reaches-period",
                "message": "livenessProbe timeoutSeconds 10 is not below periodSeconds 10: attempts on a hanging container come without a pause, one every 10 s, and 2 of them take 20 s",
            }],
        }])
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table")]
fn outcomes_of_real_charts() {
    // (name, file, container, options, guard, guaranteed, outcome, kill)
    let cases = [
        (
            "LBC refuses",
            LBC,
            "aws-load-balancer-controller",
            "63 refused",
            "liveness",
            json!(40),
            "Killed",
            json!([40, 50]),
        ),
        (
            "LBC on the brink",
            LBC,
            "aws-load-balancer-controller",
            "45 refused",
            "liveness",
            json!(40),
            "MayBeKilled",
            json!([40, 45]),
        ),
        (
            "LBC just in time",
            LBC,
            "aws-load-balancer-controller",
            "40 503",
            "liveness",
            json!(40),
            "Survives",
            json!(null),
        ),
        (
            "LBC never",
            LBC,
            "aws-load-balancer-controller",
            "never 503",
            "liveness",
            json!(40),
            "Killed",
            json!([40, 50]),
        ),
        (
            "LBC healthy at once",
            LBC,
            "aws-load-balancer-controller",
            "never 200",
            "liveness",
            json!(40),
            "Survives",
            json!(null),
        ),
        (
            "kyverno with its startup probe",
            "kyverno.yaml",
            "kyverno",
            "100 refused",
            "startup",
            json!(116),
            "Survives",
            json!(null),
        ),
        (
            "kyverno never",
            "kyverno.yaml",
            "kyverno",
            "never refused",
            "startup",
            json!(116),
            "Killed",
            json!([116, 122]),
        ),
        (
            "cilium with 300 tries",
            "cilium.yaml",
            "cilium-agent",
            "300 refused",
            "startup",
            json!(603),
            "Survives",
            json!(null),
        ),
        (
            "kourier, a grpc probe",
            "kubectl-get.json",
            "controller",
            "never refused",
            "liveness",
            json!(50),
            "Killed",
            json!([51, 61]),
        ),
        (
            "no probe at all",
            "kubectl-get.json",
            "web",
            "never refused",
            "none",
            json!(null),
            "Survives",
            json!(null),
        ),
        (
            "a sidecar",
            "kubectl-get.json",
            "proxy",
            "never refused",
            "startup",
            json!(599),
            "Killed",
            json!([599, 600]),
        ),
        (
            "a tcp probe on a bound port",
            "mixed.yaml",
            "crossplane",
            "never hang",
            "startup",
            json!(58),
            "Survives",
            json!(null),
        ),
        (
            "prometheus, budget zero",
            "prometheus.yaml",
            "prometheus",
            "30 refused",
            "startup",
            json!(0),
            "MayBeKilled",
            json!([0, 30]),
        ),
    ];
    for (name, file, container, options, guard, guaranteed, outcome, kill) in cases {
        let (start, answer) = options.split_once(' ').expect("two options");
        let result = simulate(
            file,
            &[
                "--container",
                container,
                "--start",
                start,
                "--while-starting",
                answer,
            ],
        );
        let found = &result[0];
        assert_eq!(found["guard"], guard, "{name}");
        assert_eq!(found["guaranteedSeconds"], guaranteed, "{name}");
        assert_eq!(found["outcome"], outcome, "{name}");
        let window = match &found["kill"] {
            Value::Null => Value::Null,
            kill => json!([kill["earliestSeconds"], kill["latestSeconds"]]),
        };
        assert_eq!(window, kill, "{name}");
    }
}

#[test]
fn every_container_and_sidecar_is_listed_and_init_containers_are_not() {
    let result = simulate("kubectl-get.json", &[]);
    let names: Vec<_> = result
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                entry["workload"].as_str().unwrap(),
                entry["container"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            "deployment/net-kourier-controller controller",
            "pod/with-sidecar web",
            "pod/with-sidecar proxy"
        ]
    );
}

#[test]
fn the_version_of_the_kubelet_is_asked_for() {
    let ran = probepilot(&["simulate", "-f", LBC, "--kubelet", "v1.34.2", "-o", "json"]);
    assert_eq!(ran.code, 0);
    let ran = probepilot(&["simulate", "-f", LBC, "--kubelet", "newest"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("write it like 1.36"), "{}", ran.stderr);
}

#[test]
fn standard_input_json_lists_and_several_files() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/kubectl-get.json"
    ))
    .unwrap();
    let piped = with_input(&["simulate", "-f", "-", "-o", "json"], &text).json(0);
    assert_eq!(piped, simulate("kubectl-get.json", &[]));
    let several = probepilot(&[
        "simulate",
        "-f",
        LBC,
        "kyverno.yaml",
        "-f",
        "cilium.yaml",
        "-o",
        "json",
    ])
    .json(0);
    assert_eq!(several.as_array().map(Vec::len), Some(3));
}

#[test]
fn a_wrong_container_or_start_is_explained() {
    for (name, args, expected) in [
        (
            "container",
            vec!["--container", "web"],
            "no container is called web; there are: aws-load-balancer-controller",
        ),
        (
            "start",
            vec!["--start", "soon"],
            "write it like 300, 300s, 5m or 1h30m, or `never`",
        ),
        (
            "answer",
            vec!["--while-starting", "slow"],
            "neither `refused` nor `hang` nor an HTTP status like 503",
        ),
    ] {
        let mut all = vec!["simulate", "-f", LBC];
        all.extend(args);
        let ran = probepilot(&all);
        assert_eq!(ran.code, 2, "{name}");
        assert!(ran.stderr.contains(expected), "{name}: {}", ran.stderr);
    }
}

#[test]
fn text_of_every_kind() {
    for (name, args) in [
        (
            "killed",
            vec![LBC, "--start", "63", "--while-starting", "hang"],
        ),
        ("may_be_killed", vec![LBC, "--start", "45"]),
        ("startup_survives", vec!["cilium.yaml", "--start", "5m"]),
        ("startup_killed", vec!["kyverno.yaml", "--start", "150"]),
        ("never", vec!["kyverno.yaml"]),
        (
            "no_guard",
            vec!["kubectl-get.json", "--container", "web", "--start", "20"],
        ),
        ("several", vec!["mixed.yaml", "--start", "30"]),
    ] {
        let mut all = vec!["simulate", "-f"];
        all.extend(args);
        let ran = probepilot(&all);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        insta::assert_snapshot!(format!("simulate_{name}"), ran.stdout);
    }
}

#[test]
fn svg_follows_the_theme_and_needs_no_font_file() {
    let ran = probepilot(&[
        "simulate",
        "-f",
        LBC,
        "--start",
        "63",
        "--while-starting",
        "hang",
        "-o",
        "svg",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("prefers-color-scheme: dark"));
    insta::assert_snapshot!("simulate_svg", ran.stdout);
}

#[test]
fn every_colour_of_the_picture_has_a_dark_one() {
    let ran = probepilot(&["simulate", "-f", "mixed.yaml", "--start", "45", "-o", "svg"]);
    let (style, body) = ran.stdout.split_once("</style>").expect("a style sheet");
    for attribute in ["fill=\"#", "stroke=\"#"] {
        for part in body.split(attribute).skip(1) {
            let colour = &part[..6];
            assert!(
                style.contains(&format!("[{attribute}{colour}\"]")),
                "#{colour} stays as it is in the dark"
            );
        }
    }
}

#[test]
fn the_result_can_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("start.svg");
    let ran = probepilot(&[
        "simulate",
        "-f",
        LBC,
        "-o",
        "svg",
        "--out",
        path.to_str().unwrap(),
    ]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""));
    assert!(std::fs::read_to_string(path).unwrap().starts_with("<svg"));
    let ran = probepilot(&["simulate", "-f", LBC, "--out", "no/such/folder/x"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("cannot write no/such/folder/x"),
        "{}",
        ran.stderr
    );
}

#[test]
fn help_has_examples() {
    for command in ["simulate", "check", "plan"] {
        let ran = probepilot(&[command, "--help"]);
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("\nExamples:\n"), "{}", ran.stdout);
        insta::assert_snapshot!(format!("help_{command}"), ran.stdout);
    }
}
