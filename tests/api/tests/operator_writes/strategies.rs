//! Safe, Always and OnKill where a rollout stops healthy pods.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, deployment, shown};
use serde_json::{Value, json};

fn policy(raise: &str) -> Value {
    json!({"behavior": {"raise": {"policy": raise, "stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_raise_policy_does_to_a_target_that_stops_first() {
    let stage = Stage::new("writes-strategy").await;
    let containers =
        || json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz")}]);
    for name in ["safe", "always", "on-kill"] {
        let mut object = deployment(name, containers());
        object["spec"]["strategy"] = json!({"type": "Recreate"});
        stage.scene.create::<Deployment>(object).await;
    }
    let mut set = deployment("set", containers());
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("set");
    stage.scene.create::<StatefulSet>(set).await;
    stage
        .scene
        .create::<Deployment>(deployment("surging-on-kill", containers()))
        .await;

    let cases = [
        ("safe", "Safe", "RestartNeeded"),
        ("always", "Always", "Covered"),
        ("on-kill", "OnKill", "WaitingForKill"),
        ("surging-on-kill", "OnKill", "WaitingForKill"),
    ];
    for (name, raise, _) in cases {
        stage
            .create_policy(stage.policy(name, name, policy(raise)))
            .await;
    }
    let mut of_set = stage.policy("set", "set", json!({}));
    of_set["spec"]["targetRef"]["kind"] = json!("StatefulSet");
    stage.create_policy(of_set).await;

    let operator = stage.start();
    for (name, _, expected) in cases {
        stage.in_sync(name, expected).await;
    }
    stage.in_sync("set", "RestartNeeded").await;
    stage.quiet().await;
    for (name, _, expected) in cases {
        let now = Shown::of(&stage.get(name).await, "a");
        let liveness = "30/10/10/2 /healthz:61779";
        let wanted = if expected == "Covered" {
            shown("0/10/10/7 /healthz:61779", liveness, 2)
        } else {
            shown("", liveness, 1)
        };
        assert_eq!(now, wanted, "{name}");
    }
    let set: StatefulSet = stage.scene.api().get("set").await.unwrap();
    assert_eq!(set.metadata.generation, Some(1));
    operator.stop().await;
    stage.end().await;
}
