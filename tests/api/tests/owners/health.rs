//! What kstatus takes for healthy, asked of Flux, which waits for what it applies with it.

use std::time::Duration;

use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_api::stage::{Stage, chart_liveness, deployment, ready, reason};
use serde_json::{Value, json};

use crate::flux::Flux;

/// A Kustomization is healthy once everything it applied is.
fn waits() -> Value {
    json!({"wait": true, "timeout": "8s"})
}

fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions
        .find(|condition| condition["type"] == kind)
        .unwrap_or(&Value::Null)
}

fn is_ready(status: &Value) -> bool {
    condition(status, "Ready")["status"] == "True"
}

async fn status(stage: &Stage, policy: &str) -> ProbePolicyStatus {
    let policy = stage.scene.api::<ProbePolicy>().get(policy).await.unwrap();
    policy.status.unwrap_or_default()
}

/// A policy and its target in one Kustomization: the policy waits for nobody's apply but its own, so a target that is
/// missing, or that has to wait, holds up no deployment.
#[tokio::test(flavor = "multi_thread")]
async fn flux_takes_a_policy_for_healthy_once_the_operator_has_looked_at_it() {
    let stage = Stage::new("owners-healthy").await;
    let target = deployment(
        "web",
        json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz")}]),
    );
    let manifests = [
        target,
        stage.policy("web", "web", json!({})),
        stage.policy("early", "not-there-yet", json!({})),
    ];
    let flux = Flux::start(&stage, &waits(), &manifests).await;
    // Nobody has looked at the policies: without a status kstatus takes them for current at once, so the first answer
    // says nothing. From then on each apply waits for what the operator says.
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    flux.three_intervals().await;
    let seen = flux.until("health", is_ready).await;
    assert_eq!(condition(&seen, "Healthy")["status"], "True", "{seen}");
    assert_eq!(
        reason(&status(&stage, "early").await, "TargetFound"),
        "NotFound"
    );
    operator.stop().await;
    flux.stop().await;
    stage.end().await;
}

/// What can never work as written is not healthy, and Flux names the policy.
#[tokio::test(flavor = "multi_thread")]
async fn flux_names_a_policy_that_can_never_work() {
    let stage = Stage::new("owners-unhealthy").await;
    let operator = stage.start();
    let manifests = [
        deployment("bare", json!([{"name": "a", "image": "none"}])),
        stage.policy("bare", "bare", json!({})),
    ];
    let flux = Flux::start(&stage, &waits(), &manifests).await;
    let failed = |status: &Value| condition(status, "Ready")["reason"] == "HealthCheckFailed";
    let seen = flux.until("a failed health check", failed).await;
    let message = condition(&seen, "Ready")["message"].as_str().unwrap();
    assert!(message.contains("ProbePolicy/"), "{message}");
    assert!(message.contains("/bare"), "{message}");
    assert_eq!(ready(&status(&stage, "bare").await), "False NoProbe");
    operator.stop().await;
    flux.stop().await;
    tokio::time::timeout(Duration::from_mins(1), stage.end())
        .await
        .unwrap();
}
