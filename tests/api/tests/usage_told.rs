//! What metrics.k8s.io says of a killed container becomes advice: asked once, for that pod alone, and in nobody's way.
//!
//! The proxy answers in the place of an aggregated API; without that the API server itself does, which serves no metrics here.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::time::Instant;

use http::StatusCode;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::stage::{Stage, chart_liveness, shown};
use serde_json::{Value, json};

const METRICS: &str = "/apis/metrics.k8s.io/";

/// Kills the start of a container with limits while metrics are answered so; the advice that status shows, in order.
async fn advice(prefix: &str, answer: Option<(StatusCode, Value)>) -> Vec<String> {
    let stage = Stage::new(prefix).await;
    if let Some((status, body)) = answer {
        stage.proxy.stub(METRICS, status, body);
    }
    let limits = json!({"resources": {"limits": {"cpu": "200m", "memory": "256Mi"}}});
    let pod = stage.gated(chart_liveness("/healthz"), &limits).await;
    stage
        .enforce(
            json!({"rules": [{"count": {"resource": "configmaps", "namespace": stage.scene.ns()},
            "steps": [{"atLeast": 0, "startupSeconds": 40}]}]}),
        )
        .await;
    let from = Instant::now();
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    let asked = || {
        let seen = stage.proxy.since(from).into_iter();
        seen.map(|seen| seen.line)
            .filter(|line| line.contains(METRICS))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        asked(),
        [] as [String; 0],
        "a pod that is well is nobody's business"
    );
    stage.killed(&pod, 57).await;
    // Whatever became of the question, the kill is answered.
    stage
        .until_shown(shown(
            "0/10/10/13 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            2,
        ))
        .await;
    let spoken = |status: &ProbePolicyStatus| !status.advice.is_empty();
    let status = stage.status("web", "advice", spoken).await;
    let told = stage.told("Advice", status.advice.len()).await;
    stage.quiet().await;
    let line = format!(
        "GET {METRICS}v1beta1/namespaces/{}/pods/{}",
        stage.scene.ns(),
        pod.name
    );
    assert_eq!(asked(), [line], "one request");
    let advice: Vec<_> = status
        .advice
        .iter()
        .map(|one| format!("{}: {}", one.rule, one.message))
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|one| one.replacen("ProbePolicy: ", "", 1))
        .collect();
    let mut expected = advice.clone();
    expected.sort();
    assert_eq!(told, expected, "each is told once");
    operator.stop().await;
    stage.end().await;
    advice
}

fn metrics(cpu: &str, memory: &str) -> (StatusCode, Value) {
    let metrics = json!({"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": {"name": "x"},
        "timestamp": "2026-01-01T00:00:00Z", "window": "15s",
        "containers": [{"name": "another", "usage": {"cpu": "0", "memory": "0"}},
            {"name": "a", "usage": {"cpu": cpu, "memory": memory}}]});
    (StatusCode::OK, metrics)
}

fn refusal(code: StatusCode, reason: &str) -> (StatusCode, Value) {
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason,
        "code": code.as_u16(), "message": "refused by the test"});
    (code, status)
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_hold_a_killed_start_back_are_told() {
    let (both, one) = tokio::join!(
        advice("used", Some(metrics("190m", "250Mi"))),
        advice("near", Some(metrics("179m", "231Mi"))),
    );
    let [cpu, memory] = both.as_slice() else {
        panic!("{both:?}");
    };
    assert!(
        cpu.starts_with("cpu-throttled: It uses 190m of its CPU limit of 200m (95 %)"),
        "{cpu}"
    );
    assert!(
        memory.starts_with("memory-near-limit: It uses 97 % of its memory limit of 256Mi"),
        "{memory}"
    );
    let [memory] = one.as_slice() else {
        panic!("{one:?}");
    };
    assert!(
        memory.starts_with("memory-near-limit: It uses 90 %"),
        "89 % of the CPU limit is none: {memory}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_not_to_be_measured() {
    let (absent, forbidden, broken) = tokio::join!(
        advice("absent", None),
        advice(
            "forbidden",
            Some(refusal(StatusCode::FORBIDDEN, "Forbidden"))
        ),
        advice(
            "broken",
            Some(refusal(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable"
            ))
        ),
    );
    for (advice, why) in [
        (
            absent,
            "metrics.k8s.io is not served or has no sample of this pod",
        ),
        (forbidden, "get of pods.metrics.k8s.io is forbidden"),
        (broken, "metrics.k8s.io does not answer"),
    ] {
        let [only] = advice.as_slice() else {
            panic!("{advice:?}");
        };
        let expected = format!(
            "cpu-throttled: Whether its CPU limit of 200m holds it back is not measured: {why}."
        );
        assert_eq!(*only, expected);
    }
}
