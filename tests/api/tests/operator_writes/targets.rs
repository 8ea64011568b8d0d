//! Targets that come, go and come again; policies that do.

use std::time::Instant;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use probepilot_test_api::stage::{Stage, chart_liveness, reason, shown, web};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_missing_comes_goes_and_comes_again() {
    let stage = Stage::new("writes-target").await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let status = stage
        .status("web", "TargetFound NotFound", |status| {
            reason(status, "TargetFound") == "NotFound"
        })
        .await;
    assert_eq!(
        reason(&status, "Ready"),
        "Enforcing",
        "waiting is no failure"
    );
    assert_eq!(stage.told("NotFound", 1).await.len(), 1);

    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    let raised = shown("0/10/10/7 /healthz:61779", "30/10/10/2 /healthz:61779", 2);
    let status = stage.until_shown(raised.clone()).await;
    assert_eq!(reason(&status, "TargetFound"), "Found");

    let first = stage.get("web").await.metadata.uid;
    stage
        .scene
        .api::<Deployment>()
        .delete("web", &DeleteParams::foreground())
        .await
        .unwrap();
    stage
        .status("web", "TargetFound NotFound", |status| {
            reason(status, "TargetFound") == "NotFound"
        })
        .await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    stage.until_shown(raised).await;
    assert_ne!(stage.get("web").await.metadata.uid, first);
    let status = stage.in_sync("web", "Covered").await;
    assert_eq!(status.last_write.unwrap().generation, Some(2));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_created_again_knows_whose_the_values_are() {
    let stage = Stage::new("writes-again").await;
    stage
        .kubectl(&["apply", "-f", "-"], &web(chart_liveness("/healthz")))
        .await
        .unwrap();
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let raised = shown("0/10/10/7 /healthz:61779", "30/10/10/2 /healthz:61779", 2);
    stage.until_shown(raised.clone()).await;

    let before = Instant::now();
    stage.delete_policy("web").await;
    stage.enforce(json!({})).await;
    let status = stage.in_sync("web", "Covered").await;
    let baseline = status.baseline.unwrap();
    assert_eq!(baseline.startup_probe, None, "the startup probe is ours");
    assert_eq!(
        baseline.liveness_probe.unwrap().initial_delay_seconds,
        Some(30)
    );
    stage.quiet().await;
    assert_eq!(stage.shown().await, raised);
    assert_eq!(stage.patches_since(before), 0);
    operator.stop().await;
    stage.end().await;
}
