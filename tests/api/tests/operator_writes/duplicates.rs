//! Two policies for one container: the older scales it, the younger waits and takes over.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::stage::{Stage, chart_liveness, deployment, ready, reason, shown, web};
use serde_json::{Value, json};

/// Far below the resync of 5 min, with which a younger policy would take over anyway.
const PROMPTLY: Duration = Duration::from_secs(40);

fn two_containers() -> Value {
    deployment(
        "web",
        json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/a")},
            {"name": "b", "image": "none", "livenessProbe": chart_liveness("/b")}]),
    )
}

/// Names that also sort by age: creation is stamped in whole seconds.
async fn two_policies(stage: &Stage, older: Value, younger: Value) {
    stage
        .create_policy(stage.policy("a-older", "web", older))
        .await;
    stage
        .create_policy(stage.policy("b-younger", "web", younger))
        .await;
}

async fn until_duplicate(stage: &Stage) {
    let status = stage
        .status("b-younger", "Duplicate", |status| {
            reason(status, "Ready") == "Duplicate"
        })
        .await;
    assert_eq!(ready(&status), "False Duplicate");
    assert_eq!(status.desired, None);
    assert_eq!(status.last_write, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_takes_over_when_the_older_goes() {
    let stage = Stage::new("writes-duplicate").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    let larger = json!({"rules": [{"count": {"resource": "configmaps", "namespace": stage.scene.ns()},
        "steps": [{"atLeast": 0, "startupSeconds": 300}]}]});
    two_policies(&stage, json!({}), larger).await;
    let operator = stage.start();
    stage
        .until_probes(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            2,
        ))
        .await;
    until_duplicate(&stage).await;
    stage.in_sync("a-older", "Covered").await;
    stage.quiet().await;
    assert_eq!(
        stage.shown().await.generation,
        2,
        "the younger writes nothing"
    );

    stage.delete_policy("a-older").await;
    let status = stage
        .status_within(PROMPTLY, "b-younger", "Covered", |status| {
            reason(status, "InSync") == "Covered"
        })
        .await;
    assert_eq!(ready(&status), "True Enforcing");
    let baseline = status.baseline.unwrap();
    assert_eq!(
        baseline.startup_probe, None,
        "the older's values are not the owner's"
    );
    assert_eq!(
        stage.shown().await,
        shown("0/10/10/31 /healthz:61779", "30/10/10/2 /healthz:61779", 3)
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_younger_takes_over_when_the_older_names_something_else() {
    let stage = Stage::new("writes-duplicate").await;
    stage.scene.create::<Deployment>(two_containers()).await;
    let named = |name: &str| json!({"containerName": name});
    two_policies(&stage, named("a"), named("a")).await;
    let operator = stage.start();
    until_duplicate(&stage).await;
    stage.in_sync("a-older", "Covered").await;

    // Another container.
    stage.edit_policy("a-older", named("b")).await;
    let covered = |status: &ProbePolicyStatus| reason(status, "InSync") == "Covered";
    stage
        .status_within(PROMPTLY, "b-younger", "Covered", covered)
        .await;
    stage.in_sync("a-older", "Covered").await;
    // Back: the younger is one too many again.
    stage.edit_policy("a-older", named("a")).await;
    let duplicate = |status: &ProbePolicyStatus| reason(status, "Ready") == "Duplicate";
    stage
        .status_within(PROMPTLY, "b-younger", "Duplicate", duplicate)
        .await;
    // Another target.
    let elsewhere =
        json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "elsewhere"}});
    stage.edit_policy("a-older", elsewhere).await;
    let status = stage
        .status_within(PROMPTLY, "b-younger", "Covered", covered)
        .await;
    assert_eq!(status.container.as_deref(), Some("a"));
    let missing = |status: &ProbePolicyStatus| reason(status, "TargetFound") == "NotFound";
    stage.status("a-older", "NotFound", missing).await;
    // What the older wrote to b was let go as it went back; what it wrote to a is the younger's. Nothing is written twice.
    assert_eq!(stage.told("ProbesKept", 1).await.len(), 1);
    stage.quiet().await;
    assert_eq!(
        stage.shown().await,
        shown("0/10/10/7 /a:61779", "30/10/10/2 /a:61779", 4)
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_policy_without_a_container_stands_in_nobodys_way() {
    let stage = Stage::new("writes-duplicate").await;
    stage.scene.create::<Deployment>(two_containers()).await;
    two_policies(&stage, json!({}), json!({"containerName": "b"})).await;
    let operator = stage.start();
    stage.in_sync("b-younger", "Covered").await;
    let status = stage
        .status("a-older", "Ambiguous", |status| {
            reason(status, "Ready") == "AmbiguousContainer"
        })
        .await;
    assert_eq!(ready(&status), "False AmbiguousContainer");

    // It names the other container: both work.
    stage
        .edit_policy("a-older", json!({"containerName": "a"}))
        .await;
    stage.in_sync("a-older", "Covered").await;
    stage.quiet().await;
    let status = stage.in_sync("b-younger", "Covered").await;
    assert_eq!(ready(&status), "True Enforcing");
    // It names the same: the younger is told.
    stage
        .edit_policy("a-older", json!({"containerName": "b"}))
        .await;
    let duplicate = |status: &ProbePolicyStatus| reason(status, "Ready") == "Duplicate";
    stage
        .status_within(PROMPTLY, "b-younger", "Duplicate", duplicate)
        .await;
    // What the older wrote to a is let go.
    assert_eq!(stage.told("ProbesKept", 1).await.len(), 1);
    assert_eq!(stage.shown().await.generation, 4);
    operator.stop().await;
    stage.end().await;
}
