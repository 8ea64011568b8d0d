//! mode Enforce -> Observe lets go as onDelete Keep does.

use probepilot_test_api::stage::{Shown, Stage, chart_liveness, shown, web};
use serde_json::json;

use crate::seen::{LIVENESS, STARTUP, kept, let_go, until_finalizers};

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_observes_owns_nothing_and_finds_its_way_back() {
    let stage = Stage::new("leave-observe").await;
    stage
        .apply("helm", &web(chart_liveness("/healthz")))
        .await
        .unwrap();
    stage
        .enforce(json!({"apply": {"onDelete": "Restore"}}))
        .await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    until_finalizers(&stage, "web", &["probepilot.dev/restore"]).await;

    stage.edit_policy("web", json!({"mode": "Observe"})).await;
    let after = let_go(&stage).await;
    assert_eq!(Shown::of(&after, "a"), shown(STARTUP, LIVENESS, 3));
    assert!(kept(&after).is_some());
    assert_eq!(
        stage.told("ProbesKept", 2).await.len(),
        2,
        "on policy and target"
    );
    // There is nothing left to put back.
    until_finalizers(&stage, "web", &[]).await;
    let status = stage.in_sync("web", "Covered").await;
    assert_eq!(status.baseline.unwrap().startup_probe, None);
    stage.quiet().await;

    stage.edit_policy("web", json!({"mode": "Enforce"})).await;
    until_finalizers(&stage, "web", &["probepilot.dev/restore"]).await;
    stage.grow().await;
    stage
        .until_shown(shown("0/10/10/61 /healthz:61779", LIVENESS, 4))
        .await;
    assert_eq!(kept(&stage.get("web").await), None);
    // Nothing may hold the namespace.
    stage
        .edit_policy("web", json!({"apply": {"onDelete": "Keep"}}))
        .await;
    until_finalizers(&stage, "web", &[]).await;
    operator.stop().await;
    stage.end().await;
}
