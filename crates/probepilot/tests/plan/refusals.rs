//! Policies, workloads, curves and command lines that cannot be used.

use crate::common::{probepilot, with_input};
use crate::{lbc, plan, policy, rules};
use serde_json::json;
use std::fmt::Write as _;

#[test]
fn refusals_say_what_to_write_instead() {
    let lbc = "aws-load-balancer-controller.yaml";
    let line = json!({"linear": {"baseSeconds": 90, "secondsPerThousand": 0}});
    let target = |kind: &str, name: &str| json!({"rules": [line], "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name}});
    let mut all = String::new();
    for (name, spec, file) in [
        ("no such workload", target("Deployment", "lbc"), lbc),
        (
            "another kind",
            target("DaemonSet", "aws-load-balancer-controller"),
            lbc,
        ),
        (
            "no such container",
            json!({"rules": [line], "containerName": "manager"}),
            lbc,
        ),
        ("no probe", rules(&line), "plan/no-probe.yaml"),
        (
            "two containers with probes",
            rules(&line),
            "plan/two-containers.yaml",
        ),
        (
            "a sidecar",
            json!({"rules": [line], "containerName": "proxy"}),
            "plan/two-containers.yaml",
        ),
        (
            "made by another controller",
            rules(&line),
            "plan/owned.yaml",
        ),
        (
            "annotated to be left alone",
            rules(&line),
            "plan/ignored.yaml",
        ),
        (
            "held by Argo CD",
            json!({"rules": [line]}),
            "plan/held.yaml",
        ),
        ("another namespace", rules(&line), "plan/elsewhere.yaml"),
        (
            "a wrong field of the workload",
            rules(&line),
            "plan/quoted-replicas.yaml",
        ),
    ] {
        for more in [&["--count", "5"][..], &[]] {
            let ran = plan(&spec, file, more);
            assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}");
            if more.is_empty() {
                let _ = write!(all, "{name}\n  {}", ran.stderr);
            }
        }
    }
    insta::assert_snapshot!("plan_refusals", all);
}

#[test]
fn a_bad_policy_is_refused_as_by_the_api_server_with_file_and_line() {
    let mut all = String::new();
    for file in [
        "bad-version",
        "no-spec",
        "no-target",
        "unknown-field",
        "quoted-number",
        "out-of-bounds",
        "bad-mode",
        "too-many-rules",
        "two-forms",
        "not-rising",
        "limits",
        "no-name",
    ] {
        let path = format!("plan/bad/{file}.yaml");
        let ran = probepilot(&[
            "plan",
            "-f",
            &path,
            "-f",
            "aws-load-balancer-controller.yaml",
        ]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{file}");
        assert!(ran.stderr.contains(&path), "{}", ran.stderr);
        all.push_str(&ran.stderr);
    }
    insta::assert_snapshot!("plan_bad_policies", all);
}

#[test]
fn one_policy_is_chosen_out_of_several() {
    let mut second = policy(&rules(
        &json!({"linear": {"baseSeconds": 90, "secondsPerThousand": 0}}),
    ));
    second["metadata"]["name"] = json!("second");
    let list = json!({"kind": "List", "items": [policy(&json!({})), second]}).to_string();
    let run = |more: &[&str]| {
        let mut args = vec![
            "plan",
            "-f",
            "-",
            "aws-load-balancer-controller.yaml",
            "--count",
            "5",
            "-o",
            "json",
        ];
        args.extend(more);
        with_input(&args, &list)
    };
    assert_eq!(run(&["--policy", "second"]).json(0)["needSeconds"], 90);
    assert_eq!(
        run(&["--policy", "kube-system/lbc"]).json(0)["needSeconds"],
        40
    );
    for (more, expected) in [
        (
            vec![],
            "several policies: choose one with `--policy NAME` out of kube-system/lbc, kube-system/second",
        ),
        (
            vec!["--policy", "third"],
            "no ProbePolicy is called third; there are: kube-system/lbc, kube-system/second",
        ),
    ] {
        let ran = run(&more);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    let none = probepilot(&["plan", "-f", "aws-load-balancer-controller.yaml"]);
    assert!(
        none.stderr.contains("no ProbePolicy in the files"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_bad_curve_or_range_is_explained() {
    for (name, args, expected) in [
        (
            "no file",
            vec!["--curve", "plan/none.csv"],
            "cannot read plan/none.csv",
        ),
        (
            "no curve",
            vec!["--curve", "plan/bad/starts.csv"],
            "plan/bad/starts.csv:3: bound: expected exact, approx, lower or upper, found `roughly`",
        ),
        (
            "backwards",
            vec!["--from", "9", "--to", "3"],
            "--from 9 is larger than --to 3: swap them",
        ),
        (
            "both",
            vec!["--count", "9", "--to", "10"],
            "cannot be used with",
        ),
        ("negative", vec!["--count=-1"], "0..=1000000000"),
    ] {
        let ran = lbc(&args);
        assert_eq!(ran.code, 2, "{name}");
        assert!(ran.stderr.contains(expected), "{name}: {}", ran.stderr);
    }
}

#[test]
fn standard_input_is_read_once() {
    let ran = probepilot(&["plan", "-f", "-", "--curve", "-"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("give -f or --curve a file"),
        "{}",
        ran.stderr
    );
}
