//! What the operator tells of a kill besides the write: metrics.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::net::{SocketAddr, TcpListener};

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
