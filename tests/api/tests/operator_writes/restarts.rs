//! A restart of the operator, and a changed rule, write nothing that they need not.

use std::time::Instant;

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_test_api::proxy::Seen;
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, deployment, shown, writes_status};
use serde_json::json;

const POLICIES: usize = 12;

fn writes(seen: Vec<Seen>) -> Vec<String> {
    let lines = seen.into_iter().map(|one| one.line);
    lines.filter(|line| !line.starts_with("GET ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_operator_writes_nothing() {
    let stage = Stage::new("writes-restart").await;
    for index in 0..POLICIES {
        let name = format!("web-{index:02}");
        let containers =
            json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz")}]);
        stage
            .scene
            .create::<Deployment>(deployment(&name, containers))
            .await;
        // One of them waits for a kill.
        let raise = if index == 0 { "OnKill" } else { "Safe" };
        let fields = json!({"behavior": {"raise": {"policy": raise, "stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}}});
        stage
            .create_policy(stage.policy(&name, &name, fields))
            .await;
    }
    let operator = stage.start();
    for index in 1..POLICIES {
        stage.in_sync(&format!("web-{index:02}"), "Covered").await;
    }
    stage.in_sync("web-00", "WaitingForKill").await;
    stage.quiet().await;
    operator.stop().await;

    let restart = Instant::now();
    let operator = stage.start();
    stage.quiet().await;
    stage.quiet().await;
    let since = stage.proxy.since(restart);
    // Targets of one namespace share watches; the one of their pods names them all.
    let watched = |name: &str| {
        let mut lines = since.iter().map(|one| one.line.as_str());
        lines.any(|line| {
            line.contains("/pods?") && line.contains("watch=true") && line.contains(name)
        })
    };
    for index in 0..POLICIES {
        let name = format!("web-{index:02}");
        assert!(watched(&name), "{name} was looked at");
    }
    assert_eq!(writes(since), Vec::<String>::new());
    for index in 1..POLICIES {
        let now = Shown::of(&stage.get(&format!("web-{index:02}")).await, "a");
        assert_eq!(
            now,
            shown("0/10/10/7 /healthz:61779", "30/10/10/2 /healthz:61779", 2)
        );
    }

    // A rule that changes without asking for more: its answer is one status, without a detour.
    let change = Instant::now();
    let rules = json!([{"count": {"resource": "configmaps", "namespace": stage.scene.ns()}, "steps": [
        {"atLeast": 0, "startupSeconds": 50}]}]);
    stage.edit_policy("web-01", json!({"rules": rules})).await;
    stage.in_sync("web-01", "Covered").await;
    stage.quiet().await;
    let written = writes(stage.proxy.since(change));
    let [only] = written.as_slice() else {
        panic!("{written:#?}")
    };
    assert!(writes_status(only), "{only}");
    operator.stop().await;
    stage.end().await;
}
