//! `probepilot explain` on files: text, JSON, every bad input, and under the name of a kubectl plugin.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod common;

use common::{probepilot, with_input};
use serde_json::Value;
use std::process::Command;

/// Objects of a real cluster; the verdicts on them are tested where they are made.
const CAPTURED: &str = "../../../policy/tests/fixtures/verdicts";

fn captured(names: &[&str]) -> Vec<String> {
    let mut args = vec!["explain".to_owned(), "-f".to_owned()];
    args.extend(names.iter().map(|name| format!("{CAPTURED}/{name}.json")));
    args
}

fn run(args: &[String]) -> common::Ran {
    probepilot(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn text_for_a_human_at_night() {
    let ran = run(&captured(&[
        "kill-exit-1",
        "not-found-404",
        "out-of-memory",
        "image-missing",
        "healthy",
        "init-done",
    ]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn text_of_a_bundle() {
    let ran = probepilot(&["explain", "-f", "explain/bundle.yaml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn json_of_a_bundle() {
    let ran = probepilot(&["explain", "-f", "explain/bundle.yaml", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn one_entry_a_container_with_the_fields_that_are_promised() {
    let mut args = captured(&[
        "first-kill-exit-137",
        "healthy",
        "init-fails",
        "sidecar-killed",
        "leader-lost",
    ]);
    args.extend(["-o", "json"].map(str::to_owned));
    let entries = run(&args).json(0);
    let entries = entries.as_array().expect("a list");
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let text = |field: &str| entry[field].as_str().expect("text").to_owned();
            assert!(
                entry["restarts"].is_i64()
                    && entry["namespace"].is_string()
                    && entry["pod"].is_string()
            );
            for list in ["evidence", "advice"] {
                assert!(
                    entry[list]
                        .as_array()
                        .is_some_and(|items| items.iter().all(Value::is_string)),
                    "{entry}"
                );
            }
            assert!(
                !entry["evidence"].as_array().expect("a list").is_empty(),
                "{entry}"
            );
            (text("container"), text("verdict"), text("confidence"))
        })
        .collect();
    let expected = [
        ("web", "StartupKill", "Proven"),
        ("web", "Healthy", "Proven"),
        ("migrate", "StartupError", "Inferred"),
        ("web", "NotStarted", "Proven"),
        ("web", "LeaderLost", "Inferred"),
        ("proxy", "StartupKill", "Proven"),
        ("web", "Healthy", "Proven"),
    ];
    let told: Vec<_> = told
        .iter()
        .map(|(container, verdict, confidence)| {
            (container.as_str(), verdict.as_str(), confidence.as_str())
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn a_target_and_a_namespace_choose_from_a_file() {
    let verdicts = |more: &[&str]| {
        let mut args = vec!["explain", "-f", "explain/bundle.yaml", "-o", "json"];
        args.extend(more);
        let found = probepilot(&args).json(0);
        let found = found.as_array().expect("a list").iter();
        found
            .map(|entry| entry["pod"].as_str().expect("text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&["deployment/api"]), ["api-7c9-x2x4z"]);
    assert_eq!(verdicts(&["sts/cache"]), ["cache-0"]);
    assert_eq!(verdicts(&["pod/cache-0", "-n", "shop"]), ["cache-0"]);
    let ran = probepilot(&["explain", "-f", "explain/bundle.yaml", "deployment/other"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(
        ran.stderr
            .contains("no pods of deployment/other in explain/bundle.yaml"),
        "{}",
        ran.stderr
    );
}

#[test]
fn yaml_and_json_of_the_same_objects_say_the_same() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/explain/bundle.yaml");
    let yaml = std::fs::read_to_string(path).expect("the fixture");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).expect("YAML");
    let list =
        serde_json::json!({"apiVersion": "v1", "kind": "List", "items": documents}).to_string();
    let from_yaml = with_input(&["explain", "-f", "-", "-o", "json"], &yaml).json(0);
    let from_json = with_input(&["explain", "-f", "-", "-o", "json"], &list).json(0);
    assert_eq!(from_yaml, from_json);
}

/// `kubectl cluster-info dump` prints lists whose items do not state their kind.
#[test]
fn lists_of_one_kind() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(CAPTURED)
        .join("first-kill-exit-0.json");
    let list: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON");
    let of = |kind: &str| {
        let mut items: Vec<Value> = list["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|item| item["kind"] == kind)
            .cloned()
            .collect();
        for item in &mut items {
            item.as_object_mut()
                .expect("an object")
                .retain(|key, _| key != "kind" && key != "apiVersion");
        }
        serde_json::json!({"apiVersion": "v1", "kind": format!("{kind}List"), "items": items})
            .to_string()
    };
    let dump = format!("{}\n---\n{}\n", of("Pod"), of("Event"));
    let found = with_input(&["explain", "-f", "-", "-o", "json"], &dump).json(0);
    assert_eq!(
        (&found[0]["verdict"], &found[0]["confidence"]),
        (&"StartupKill".into(), &"Proven".into())
    );
}

#[test]
fn bad_input() {
    let cases = [
        (
            "a file that is not there",
            vec!["-f", "nowhere.yaml"],
            "cannot read nowhere.yaml",
        ),
        (
            "a pod that is none",
            vec!["-f", "explain/bad-pod.yaml"],
            "explain/bad-pod.yaml:7: this Pod cannot be read (web)",
        ),
        (
            "no pod",
            vec!["-f", "explain/no-pod.yaml"],
            "no pod in explain/no-pod.yaml: found Deployment",
        ),
        ("neither file nor target", vec![], "<KIND/NAME>"),
        (
            "a kind that has no pods",
            vec!["service/web"],
            "`service` is not a kind",
        ),
        ("no kind", vec!["web"], "write KIND/NAME"),
    ];
    for (name, args, words) in cases {
        let mut all = vec!["explain"];
        all.extend(args);
        let ran = probepilot(&all);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (2, ""),
            "{name}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(words), "{name}: {}", ran.stderr);
    }
    let ran = with_input(&["explain", "-f", "-"], "kind: Pod\n\tmetadata: {}\n");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("<stdin>:1: not YAML"), "{}", ran.stderr);
    let ran = with_input(&["explain", "-f", "-"], "");
    assert!(
        ran.stderr.contains("no pod in -: found nothing"),
        "{}",
        ran.stderr
    );
}

#[test]
fn without_events_it_says_so() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(CAPTURED)
        .join("kill-exit-1.json");
    let mut list: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON");
    list["items"].as_array_mut().expect("a list").truncate(1);
    let ran = with_input(&["explain", "-f", "-"], &list.to_string());
    assert!(
        ran.stdout.starts_with("StartupKill (Inferred)"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("There are no events in the input"),
        "{}",
        ran.stdout
    );
}

#[test]
fn help() {
    let ran = probepilot(&["explain", "--help"]);
    assert_eq!(ran.code, 0);
    insta::assert_snapshot!(ran.stdout);
}

#[test]
fn it_works_under_the_name_of_a_kubectl_plugin() {
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("kubectl-probepilot");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_probepilot"), &link).expect("a symlink");
    let help = Command::new(&link)
        .args(["explain", "--help"])
        .output()
        .expect("it runs");
    let text = String::from_utf8(help.stdout).expect("text");
    assert!(help.status.success());
    assert!(text.contains("Usage: kubectl probepilot explain"), "{text}");
    let bundle = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/explain/bundle.yaml"
    );
    let ran = Command::new(&link)
        .args(["explain", "-f", bundle, "pod/cache-0"])
        .output()
        .expect("it runs");
    assert!(
        String::from_utf8(ran.stdout)
            .expect("text")
            .starts_with("StartupKill (Inferred)")
    );
    let own = Command::new(env!("CARGO_BIN_EXE_probepilot"))
        .args(["explain", "--help"])
        .output()
        .expect("it runs");
    assert!(
        String::from_utf8(own.stdout)
            .expect("text")
            .contains("Usage: probepilot explain")
    );
}

/// Advice of the container `api` in the bundle, with these files besides.
fn advice_of_api(files: &[&str]) -> Vec<String> {
    let mut args = vec!["explain", "-f", "explain/bundle.yaml"];
    args.extend(files);
    args.extend(["deployment/api", "-o", "json"]);
    let entries = probepilot(&args).json(0);
    let advice = entries[0]["advice"].as_array().expect("a list").iter();
    advice
        .map(|text| text.as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn advice_that_stands_in_a_policy_is_told_once_for_its_container() {
    let slow = "api-server-slow: The API server takes 4000 ms for a count.".to_owned();
    let without = advice_of_api(&[]);
    assert!(!without.contains(&slow), "{without:?}");
    let with = advice_of_api(&["explain/standing.yaml"]);
    assert_eq!(with, [without, vec![slow]].concat());
}
