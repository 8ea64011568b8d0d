//! `probepilot check`: each rule on a case from the field, every output, every bad input.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use common::{probepilot, with_input};
use serde_json::Value;

/// Rules found on one container of a file, sorted.
fn rules(file: &str, container: &str, more: &[&str]) -> Vec<(String, String)> {
    let mut args = vec!["check", "-f", file, "-o", "json"];
    args.extend(more);
    let ran = probepilot(&args);
    let findings: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    findings
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["container"] == container)
        .map(|finding| (text(&finding["rule"]), text(&finding["message"])))
        .collect()
}

#[test]
fn each_rule_finds_its_case_from_the_field() {
    // (rule, file, container, what the sentence must say)
    let cases: [(&str, &str, &str, &str); 15] = [
        (
            "budget-zero",
            "prometheus.yaml",
            "prometheus",
            "between 0 and 60 s after the start",
        ),
        (
            "budget-misread",
            "stated.yaml",
            "ingester",
            "from 5 + (31 - 1) x 5 = 155 s on",
        ),
        (
            "budget-misread",
            "stated.yaml",
            "webhook",
            "from 10 + (3 - 1) x 10 = 30 s on",
        ),
        (
            "budget-over-progress-deadline",
            "mixed.yaml",
            "osd",
            "7200 s, longer than the default progressDeadlineSeconds of 600 s",
        ),
        (
            "startup-no-gain",
            "sealed-secrets.yaml",
            "controller",
            "guarantees 20 s, no more than the 20 s",
        ),
        (
            "startup-tcp",
            "mixed.yaml",
            "crossplane",
            "tcpSocket :readyz succeeds as soon as the port is bound",
        ),
        (
            "liveness-loosened",
            "mixed.yaml",
            "provider",
            "waits 240 s before it looks at all",
        ),
        (
            "delay-tax",
            "mixed.yaml",
            "manager",
            "no container is Ready before 60 s",
        ),
        (
            "liveness-threshold-one",
            "mixed.yaml",
            "provider",
            "one answer that takes longer than 30 s",
        ),
        (
            "liveness-on-readiness",
            "mixed.yaml",
            "loki",
            "asks /ready, which says whether the container can serve",
        ),
        (
            "timeout-reaches-period",
            "aws-load-balancer-controller.yaml",
            "aws-load-balancer-controller",
            "timeoutSeconds 10 is not below periodSeconds 10",
        ),
        ("timeout-implicit", "kyverno.yaml", "kyverno", "20 in a row"),
        (
            "timeout-implicit",
            "cilium.yaml",
            "cilium-agent",
            "300 in a row",
        ),
        (
            "detection-slow",
            "prometheus.yaml",
            "prometheus",
            "up to 5003 s (83 min)",
        ),
        (
            "delay-tax",
            "mixed.yaml",
            "loki",
            "no container is Ready before 45 s",
        ),
    ];
    for (rule, file, container, sentence) in cases {
        let found = rules(file, container, &[]);
        let message = found
            .iter()
            .find(|(id, _)| id == rule)
            .unwrap_or_else(|| panic!("{rule} not found on {container}: {found:?}"));
        assert!(message.1.contains(sentence), "{rule}: {}", message.1);
    }
}

#[test]
fn a_stated_helm_timeout_is_held_against_the_budget() {
    assert!(
        rules("cilium.yaml", "cilium-agent", &[])
            .iter()
            .all(|(rule, _)| rule != "budget-over-helm-timeout")
    );
    let found = rules("cilium.yaml", "cilium-agent", &["--helm-timeout", "5m"]);
    assert!(
        found
            .iter()
            .any(|(rule, message)| rule == "budget-over-helm-timeout"
                && message.contains("603 s, longer than helm's timeout of 300 s"))
    );
    assert!(
        rules("cilium.yaml", "cilium-agent", &["--helm-timeout", "603s"])
            .iter()
            .all(|(rule, _)| rule != "budget-over-helm-timeout")
    );
}

#[test]
fn the_default_progress_deadline_can_be_given() {
    let rule = "budget-over-progress-deadline";
    let has = |more: &[&str]| {
        rules("mixed.yaml", "osd", more)
            .iter()
            .any(|(id, _)| id == rule)
    };
    assert!(has(&[]));
    assert!(!has(&["--progress-deadline", "2h"]));
    assert!(!has(&["--ignore", rule]));
}

/// A Deployment with one container that has these probes.
fn deployment(probes: &str) -> String {
    let indented = format!("        {}\n", probes.replace('\n', "\n        "));
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        image: registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0\n{indented}"
    )
}

fn rules_of(probes: &str) -> Vec<String> {
    let ran = with_input(&["check", "-f", "-", "-o", "json"], &deployment(probes));
    let findings: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    findings
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| finding["rule"].as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn each_rule_lets_the_sound_neighbour_of_its_case_pass() {
    let cases: [(&str, &str, &[&str]); 14] = [
        (
            "sound",
            "startupProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 30}\nlivenessProbe: {httpGet: {path: /healthz, port: 80}, periodSeconds: 10, timeoutSeconds: 5}",
            &[],
        ),
        (
            "threshold 2 guarantees one period",
            "startupProbe: {exec: {command: [check]}, periodSeconds: 60, timeoutSeconds: 5, failureThreshold: 2}",
            &[],
        ),
        (
            "a delay is a budget",
            "livenessProbe: {exec: {command: [check]}, initialDelaySeconds: 30, timeoutSeconds: 5, failureThreshold: 1}",
            &["liveness-threshold-one"],
        ),
        (
            "the right number in the comment",
            "# up to 290s\nstartupProbe: {exec: {command: [check]}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 30}",
            &[],
        ),
        (
            "the wrong number in the comment",
            "# up to 300s\nstartupProbe: {exec: {command: [check]}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 30}",
            &["budget-misread"],
        ),
        (
            "a comment on something else",
            "# 300s\nworkingDir: /\nstartupProbe: {exec: {command: [check]}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 30}",
            &[],
        ),
        (
            "startup barely more generous",
            "startupProbe: {exec: {command: [a]}, timeoutSeconds: 5, failureThreshold: 4}\nlivenessProbe: {exec: {command: [a]}, timeoutSeconds: 5}",
            &[],
        ),
        (
            "tcp liveness is no tcp startup",
            "livenessProbe: {tcpSocket: {port: 80}}",
            &[],
        ),
        (
            "delay just below",
            "livenessProbe: {exec: {command: [a]}, timeoutSeconds: 5, initialDelaySeconds: 59}\nreadinessProbe: {exec: {command: [a]}, initialDelaySeconds: 14}",
            &[],
        ),
        (
            "delay just there",
            "livenessProbe: {exec: {command: [a]}, timeoutSeconds: 5, initialDelaySeconds: 60}\nreadinessProbe: {exec: {command: [a]}, initialDelaySeconds: 15}",
            &["liveness-loosened", "delay-tax"],
        ),
        (
            "detection just below",
            "startupProbe: {exec: {command: [a]}, timeoutSeconds: 5, failureThreshold: 99}\nlivenessProbe: {exec: {command: [a]}, timeoutSeconds: 5, failureThreshold: 59}",
            &["budget-over-progress-deadline"],
        ),
        (
            "detection just beyond",
            "startupProbe: {exec: {command: [a]}, timeoutSeconds: 5, failureThreshold: 61}\nlivenessProbe: {exec: {command: [a]}, timeoutSeconds: 5, failureThreshold: 60}",
            &["detection-slow"],
        ),
        (
            "kube-state-metrics /livez asks the API server",
            "livenessProbe: {httpGet: {path: /livez, port: 80}, timeoutSeconds: 5}",
            &["liveness-on-readiness"],
        ),
        (
            "a readiness path for readiness",
            "readinessProbe: {httpGet: {path: /ready, port: 80}}",
            &[],
        ),
    ];
    for (name, probes, expected) in cases {
        assert_eq!(rules_of(probes), expected, "{name}");
    }
}

#[test]
fn threshold_one_with_a_startup_probe_names_the_bug_since_1_35() {
    let probes = |delay| {
        format!(
            "startupProbe: {{exec: {{command: [a]}}, timeoutSeconds: 5, failureThreshold: 30}}\nlivenessProbe: {{exec: {{command: [a]}}, timeoutSeconds: 5, failureThreshold: 1, initialDelaySeconds: {delay}}}"
        )
    };
    for (delay, named) in [(0, true), (10, true), (11, false)] {
        let ran = with_input(&["check", "-f", "-"], &deployment(&probes(delay)));
        assert_eq!(
            ran.stdout.contains("kubernetes/kubernetes#141155"),
            named,
            "delay {delay}: {}",
            ran.stdout
        );
    }
}

#[test]
fn exit_codes() {
    let sound =
        deployment("livenessProbe: {httpGet: {path: /healthz, port: 80}, timeoutSeconds: 5}");
    let clean = with_input(&["check", "-f", "-"], &sound);
    assert_eq!(
        (clean.code, clean.stdout.as_str()),
        (0, "1 workload and 1 container checked: nothing found\n")
    );
    assert_eq!(probepilot(&["check", "-f", "prometheus.yaml"]).code, 1);
    assert_eq!(probepilot(&["check", "-f", "missing.yaml"]).code, 2);
    assert_eq!(probepilot(&["check"]).code, 2);
    assert_eq!(
        probepilot(&["check", "-f", "prometheus.yaml", "--ignore", "no-such-rule"]).code,
        2
    );
    assert_eq!(probepilot(&["check", "--list-rules"]).code, 0);
}

#[test]
fn bad_input_names_file_line_and_what_was_expected() {
    let files = [
        "quoted-number.yaml",
        "negative.yaml",
        "no-list.yaml",
        "no-name.yaml",
        "helm-template.yaml",
        "tab.yaml",
        "open-bracket.yaml",
        "no-workload.yaml",
        "not-an-object.yaml",
        "missing.yaml",
    ];
    let mut all = String::new();
    for file in files {
        let path = format!("bad/{file}");
        for command in ["check", "simulate"] {
            let ran = probepilot(&[command, "-f", &path]);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{command} {file}");
            assert!(ran.stderr.contains(&path), "{}", ran.stderr);
            if command == "check" {
                all.push_str(&ran.stderr);
            }
        }
    }
    insta::assert_snapshot!("check_bad_input", all);
}

#[test]
fn text_json_and_sarif() {
    for (name, output) in [("text", "text"), ("json", "json"), ("sarif", "sarif")] {
        let ran = probepilot(&[
            "check",
            "-f",
            "mixed.yaml",
            "stated.yaml",
            "prometheus.yaml",
            "-o",
            output,
        ]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        insta::assert_snapshot!(format!("check_{name}"), ran.stdout);
    }
    insta::assert_snapshot!("check_rules", probepilot(&["check", "--list-rules"]).stdout);
}

#[test]
fn sarif_points_at_lines_and_declared_rules() {
    let log = probepilot(&["check", "-f", "mixed.yaml", "-o", "sarif"]).json(1);
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let lines = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/mixed.yaml"
    ))
    .unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    let results = run["results"].as_array().expect("results");
    assert!(!results.is_empty());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"];
        assert_eq!(location["artifactLocation"]["uri"], "mixed.yaml");
        let line =
            usize::try_from(location["region"]["startLine"].as_u64().expect("a line")).unwrap();
        assert!(
            lines[line - 1].contains("Probe:"),
            "line {line}: {}",
            lines[line - 1]
        );
    }
    let clean = with_input(
        &["check", "-f", "-", "-o", "sarif"],
        &deployment("workingDir: /"),
    )
    .json(0);
    assert_eq!(clean["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn two_hundred_workloads_at_once() {
    let one = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/kyverno.yaml"
    ))
    .unwrap();
    let many: Vec<String> = (0..200)
        .map(|n| one.replace("kyverno-admission-controller", &format!("kyverno-{n:03}")))
        .collect();
    let ran = with_input(&["check", "-f", "-"], &many.join("---\n"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("deployment/kyverno-199 in namespace kyverno (<stdin>:")
    );
    assert!(
        ran.stdout
            .ends_with("200 workloads and 200 containers checked: 200 findings in 200 workloads\n"),
        "{}",
        ran.stdout
    );
}
