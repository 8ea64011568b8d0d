//! What forbids every write: annotations, `--read-only`, mode Observe.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use probepilot_test_api::stage::{Stage, chart_liveness, reason, shown, sync_message, web};
use serde_json::{Value, json};

async fn annotate_namespace(stage: &Stage, value: Value) {
    let api: Api<Namespace> = Api::all(stage.scene.admin.clone());
    let patch =
        Patch::Merge(json!({"metadata": {"annotations": {"probepilot.dev/ignore": value}}}));
    api.patch(stage.scene.ns(), &PatchParams::default(), &patch)
        .await
        .unwrap();
}

async fn annotate_target(stage: &Stage, value: Value) {
    stage
        .edit(
            "web",
            json!({"metadata": {"annotations": {"probepilot.dev/ignore": value}}}),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_on_workload_and_namespace_and_mode_observe() {
    let stage = Stage::new("writes-brake").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    annotate_target(&stage, json!("true")).await;
    annotate_namespace(&stage, json!("true")).await;
    stage.enforce(json!({"mode": "Observe"})).await;
    let operator = stage.start();
    // Annotations of a Deployment move its generation: one was put on and one was taken off.
    let untouched = shown("", "30/10/10/2 /healthz:61779", 3);
    let status = stage.in_sync("web", "Ignored").await;
    let message = sync_message(&status);
    assert!(
        message.contains("deployment/web is annotated probepilot.dev/ignore"),
        "{message}"
    );

    annotate_target(&stage, Value::Null).await;
    let status = stage.in_sync("web", "ObserveOnly").await;
    assert_eq!(
        status
            .desired
            .unwrap()
            .startup_probe
            .unwrap()
            .failure_threshold,
        Some(7),
        "what would be written"
    );
    stage.edit_policy("web", json!({"mode": "Enforce"})).await;
    let status = stage.in_sync("web", "Ignored").await;
    let message = sync_message(&status);
    assert!(
        message.contains("the namespace is annotated probepilot.dev/ignore"),
        "{message}"
    );
    stage.quiet().await;
    assert_eq!(stage.shown().await, untouched);

    // Nobody tells when the namespace's annotation goes; it is looked at each half minute.
    annotate_namespace(&stage, Value::Null).await;
    let covered =
        |status: &probepilot_api::ProbePolicyStatus| reason(status, "InSync") == "Covered";
    stage
        .status_within(Duration::from_mins(1), "web", "Covered", covered)
        .await;
    assert_eq!(
        stage.shown().await,
        shown("0/10/10/7 /healthz:61779", "30/10/10/2 /healthz:61779", 4)
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_operator_says_what_it_would_do() {
    let stage = Stage::new("writes-read-only").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    stage.enforce(json!({})).await;
    let operator = stage.start_read_only();
    let status = stage.in_sync("web", "ReadOnly").await;
    assert_eq!(
        sync_message(&status),
        "needs a startup budget of 60 s and has 40 s, but the operator runs with --read-only"
    );
    assert_eq!(status.startup.unwrap().need_seconds, Some(60));
    stage.quiet().await;
    assert_eq!(
        stage.shown().await,
        shown("", "30/10/10/2 /healthz:61779", 1)
    );
    operator.stop().await;

    let operator = stage.start();
    stage
        .until_shown(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            2,
        ))
        .await;
    operator.stop().await;
    stage.end().await;
}
