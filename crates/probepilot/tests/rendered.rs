//! What `kubectl kustomize` and `helm template` print, given to all three commands.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use common::{Ran, probepilot, with_input};
use probepilot_test_cluster::{Kubectl, Progress};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// What the real kubectl makes of a folder with a kustomization and these files.
fn kustomize(kustomization: &str, files: &[&Path]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("resources:\n");
    for (position, file) in files.iter().enumerate() {
        let name = format!("{position}.yaml");
        std::fs::copy(file, folder.path().join(&name)).unwrap();
        let _ = writeln!(text, "- {name}");
    }
    text.push_str(kustomization);
    std::fs::write(folder.path().join("kustomization.yaml"), text).unwrap();
    let kubectl = Kubectl::offline(&Progress::stderr()).expect("kubectl is built");
    let output = kubectl
        .command()
        .arg("kustomize")
        .arg(folder.path())
        .output()
        .expect("kubectl runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(command: &str, manifests: &str, more: &[&str]) -> Ran {
    let mut args = vec![command, "-f", "-", "-o", "json"];
    args.extend(more);
    with_input(&args, manifests)
}

#[test]
fn kubectl_kustomize() {
    let sample = Path::new(HERE).join("../../config/samples/aws-load-balancer-controller.yaml");
    let chart = Path::new(HERE).join("tests/fixtures/aws-load-balancer-controller.yaml");
    let overlay = "
labels:
- pairs: {team: network}
  includeSelectors: true
patches:
- target: {kind: Deployment}
  patch: |
    - {op: replace, path: /spec/template/spec/containers/0/livenessProbe/failureThreshold, value: 3}
";
    let rendered = kustomize(overlay, &[&sample, &chart]);
    assert!(rendered.contains("team: network"), "{rendered}");

    let simulated = json_of(
        "simulate",
        &rendered,
        &["--start", "63", "--while-starting", "hang"],
    )
    .json(0);
    assert_eq!(simulated[0]["guaranteedSeconds"], 50, "{simulated}");
    assert_eq!(
        simulated[0]["kill"],
        json!({"earliestSeconds": 60, "latestSeconds": 63})
    );

    let found = json_of("check", &rendered, &[]).json(1);
    assert_eq!(found[0]["rule"], "timeout-reaches-period", "{found}");

    let planned = json_of("plan", &rendered, &["--count", "9999"]).json(0);
    assert_eq!(planned["startupProbe"]["failureThreshold"], 7, "{planned}");
    assert_eq!(planned["livenessProbe"]["failureThreshold"], 3, "{planned}");
    let range = json_of("plan", &rendered, &["--from", "0", "--to", "20000"]).json(0);
    let counts: Vec<&Value> = range["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| &point["count"])
        .collect();
    assert_eq!(counts, [0, 10_000, 20_000], "{range}");
}

#[test]
fn kubectl_kustomize_of_all_samples_beside_their_workloads() {
    let mut files = Vec::new();
    for folder in ["../../config/samples", "../../tests/api/fixtures"] {
        for entry in std::fs::read_dir(Path::new(HERE).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == "yaml") {
                files.push(path);
            }
        }
    }
    files.sort();
    let paths: Vec<&Path> = files.iter().map(AsRef::as_ref).collect();
    let rendered = kustomize("", &paths);
    // (policy, count, need, budget today, budget then)
    for (policy, count, need, today, then) in [
        ("aws-load-balancer-controller", "10000", 110, 40, 110),
        ("azure-service-operator", "800", 220, 80, 220),
        ("cilium", "5", 603, 208, 604),
        ("ingress-nginx", "40000", 490, 50, 620),
        ("net-kourier", "1000", 770, 50, 970),
        ("sealed-secrets", "300", 320, 20, 400),
    ] {
        let one = json_of("plan", &rendered, &["--policy", policy, "--count", count]).json(0);
        assert_eq!(one["needSeconds"], need, "{policy}: {one}");
        assert_eq!(one["budgetSeconds"], then, "{policy}: {one}");
        let range = json_of("plan", &rendered, &["--policy", policy]).json(0);
        assert_eq!(range["today"]["budgetSeconds"], today, "{policy}: {range}");
    }
    let simulated = json_of("simulate", &rendered, &[]).json(0);
    assert!(simulated.as_array().unwrap().len() >= 6, "{simulated}");
    assert_eq!(json_of("check", &rendered, &[]).code, 1);
}

#[test]
fn helm_template() {
    let file = "helm-template.yaml";
    let simulated = probepilot(&["simulate", "-f", file, "--start", "45", "-o", "json"]).json(0);
    let containers: Vec<&Value> = simulated
        .as_array()
        .unwrap()
        .iter()
        .map(|found| &found["container"])
        .collect();
    assert_eq!(containers, ["slow-controller", "wget"], "{simulated}");
    assert_eq!(simulated[0]["outcome"], "MayBeKilled", "{simulated}");

    let found = probepilot(&["check", "-f", file, "-o", "json"]).json(1);
    let text = std::fs::read_to_string(Path::new(HERE).join("tests/fixtures").join(file)).unwrap();
    let line = usize::try_from(found[0]["line"].as_u64().unwrap()).unwrap();
    assert!(
        text.lines()
            .nth(line - 1)
            .unwrap()
            .contains("livenessProbe:"),
        "{found}"
    );

    // Neither the chart's objects nor the policy say their namespace: `helm install -n` does.
    let planned = probepilot(&["plan", "-f", file, "--count", "5000", "-o", "json"]).json(0);
    assert_eq!(
        (
            &planned["needSeconds"],
            &planned["budgetSeconds"],
            &planned["changed"]
        ),
        (&json!(60), &json!(80), &json!(true)),
        "{planned}"
    );
}
