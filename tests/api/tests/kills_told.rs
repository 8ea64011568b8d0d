//! What the operator tells of a kill besides the write: metrics and advice.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::program::program;
use probepilot_test_api::stage::{Stage, chart_liveness, get, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

/// An address where nobody listens.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A rule that asks for no more than the chart's 40 s: only kills ask for more.
fn covered_by_the_owner(stage: &Stage) -> Value {
    json!({"rules": [{"count": {"resource": "configmaps", "namespace": stage.scene.ns()},
        "steps": [{"atLeast": 0, "startupSeconds": 40}]}]})
}

/// A series in an answer to /metrics.
fn series(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// Waits until a series has this value; gives the whole answer.
async fn scrape(address: SocketAddr, name: &str, value: f64) -> String {
    let look = || async {
        let text = get(address, "/metrics").await?;
        let found = series(&text, name);
        Ok::<_, std::io::Error>(if found == Some(value) {
            Seen::Done(text)
        } else {
            Seen::NotYet(format!("{found:?}"))
        })
    };
    until(&format!("{name} {value}"), look).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_its_raise_and_their_distance_are_measured_once() {
    let stage = Stage::new("told").await;
    let pod = stage.gated(chart_liveness("/healthz"), &json!({})).await;
    stage.enforce(covered_by_the_owner(&stage)).await;
    let address = free();
    let operator = stage.start_serving(address);
    stage.in_sync("web", "Covered").await;
    let before = get(address, "/metrics").await.unwrap();
    assert_eq!(series(&before, "probepilot_raises_total"), Some(0.0));
    assert!(!before.contains("probepilot_kills_total{"), "{before}");

    stage.killed(&pod, 57).await;
    let after = scrape(address, "probepilot_raises_total", 1.0).await;
    for (name, expected) in [
        ("probepilot_kills_total{basis=\"Proven\"}", 1.0),
        ("probepilot_verdicts_total{verdict=\"StartupKill\"}", 1.0),
        ("probepilot_writes_total{reason=\"kill\"}", 1.0),
        ("probepilot_kill_to_write_seconds_count", 1.0),
        ("probepilot_kill_to_write_seconds_bucket{le=\"+Inf\"}", 1.0),
    ] {
        assert_eq!(series(&after, name), Some(expected), "{name}");
    }
    let took = series(&after, "probepilot_kill_to_write_seconds_sum").unwrap();
    assert!(took > 0.0, "the write comes after the kill: {took}");
    for part in [&pod.name, &pod.uid] {
        assert!(!after.contains(part), "no series names a pod");
    }

    // The new pod ends by itself, for memory: a verdict, and neither a kill nor a raise.
    stage.written("web", 2).await;
    let pod = stage.pod_besides(&[&pod]).await;
    let life = json!({"exitCode": 137, "reason": "OOMKilled"});
    stage.ended(&pod, 20, life).await;
    let name = "probepilot_verdicts_total{verdict=\"OutOfMemory\"}";
    scrape(address, name, 1.0).await;
    stage.quiet().await;
    let last = get(address, "/metrics").await.unwrap();
    for (name, expected) in [
        ("probepilot_kills_total{basis=\"Proven\"}", 1.0),
        ("probepilot_raises_total", 1.0),
        ("probepilot_kill_to_write_seconds_count", 1.0),
        (name, 1.0),
    ] {
        assert_eq!(series(&last, name), Some(expected), "{name}");
    }
    operator.stop().await;
    stage.end().await;
}

/// Ends of the pod's first life, what the pod's container has besides, the rule that speaks, and a
/// word of what it says.
async fn advised(prefix: &str, container: Value, lived: i64, end: Value, rule: &str, word: &str) {
    let stage = Stage::new(prefix).await;
    let pod = stage.gated(chart_liveness("/healthz"), &container).await;
    stage.enforce(covered_by_the_owner(&stage)).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.ended(&pod, lived, end).await;
    let spoken = |status: &ProbePolicyStatus| !status.advice.is_empty();
    let status = stage.status("web", "advice", spoken).await;
    let rules: Vec<_> = status.advice.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(rules, [rule]);
    assert!(status.advice[0].message.contains(word), "{status:?}");
    let told = stage.told("Advice", 1).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(rule), "{told:?}");

    // Neither further reconciles nor a new process tell it again or act on it.
    operator.stop().await;
    let operator = stage.start();
    stage.quiet().await;
    assert_eq!(stage.told_so_far("Advice").await.unwrap(), told);
    let later = stage.status("web", "advice", spoken).await;
    assert_eq!(later.advice, status.advice);
    assert_eq!(stage.shown().await.generation, 1, "never acted on");

    let printed = Command::new(program().await)
        .args(["explain", "-n", stage.scene.ns(), "deployment/web", "-o"])
        .arg("json")
        .arg("--kubeconfig")
        .arg(stage.scene.cluster.kubeconfig())
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains(&format!("\"{rule}: ")), "{printed}");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_stands_in_status_is_told_once_and_explained() {
    let memory = json!({"resources": {"limits": {"memory": "128Mi"}}});
    let oom = json!({"exitCode": 137, "reason": "OOMKilled"});
    let said = json!({"message": "timed out waiting for caches to sync\n"});
    tokio::join!(
        advised("oom", memory, 20, oom, "out-of-memory", "128Mi"),
        advised("clock", json!({}), 20, said, "sync-timeout", "timeout"),
    );
}
