//! Killed pods that no rollout replaces, under the real controller of StatefulSets.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use k8s_openapi::api::core::v1::Pod;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::stage::{Stage, reason, stateful, sync_message, threshold, uid};
use serde_json::json;

/// Of a StatefulSet `web`.
const POD: &str = "web-0";

/// Until InSync has this reason after the probes were written.
async fn kept(stage: &Stage, why: &str) -> ProbePolicyStatus {
    let settled =
        |status: &ProbePolicyStatus| status.last_write.is_some() && reason(status, "InSync") == why;
    stage.status("web", why, settled).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_stuck_behind_its_broken_pod_goes_on_whatever_a_disruption_budget_says() {
    let stage = Stage::new("stuck").await;
    // With a partition, as the API's default has one: without, the controller takes the revision of a new pod from a
    // status that may be older than the deletion (isCurrentRevisionNeeded), where no kubelet makes that take a while.
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}});
    stage.applied(&stateful(&strategy)).await;
    stage.applied(
        &json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}},
                "unhealthyPodEvictionPolicy": "IfHealthyBudget"}}),
    )
    .await;
    let first = stage.pod_after(POD, "").await;
    stage.kill_first_life(&first, false).await;
    let api = stage.scene.api::<Pod>();
    let path = format!(
        "/api/v1/namespaces/{}/pods/web-0/eviction",
        stage.scene.ns()
    );
    let eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web-0"}});
    let words = ["create", "--raw", &path, "-f", "-"];
    let refused = stage.kubectl(&words, &eviction);
    let refused = refused.await.expect_err("the budget lets no pod go");
    assert!(refused.contains("disruption budget"), "{refused}");

    stage.create_policy(stage.only_kills("StatefulSet")).await;
    let operator = stage.start();
    let second = stage.pod_after(POD, &uid(&first)).await;
    assert_eq!(threshold(&second), 13, "120 s from a life of 57 s");
    stage.written("web", 2).await;
    // On the policy and on the target.
    stage.told("PodReplaced", 2).await;

    // Once for each budget, and a restart of the operator does not do it again.
    operator.stop().await;
    let operator = stage.start();
    stage.quiet().await;
    assert_eq!(uid(&api.get(POD).await.unwrap()), uid(&second));
    assert_eq!(stage.told("PodReplaced", 2).await.len(), 2);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_on_delete_the_killed_pod_is_deleted_and_gets_the_new_template() {
    let stage = Stage::new("ondelete").await;
    stage.applied(&stateful(&json!({"type": "OnDelete"}))).await;
    let first = stage.pod_after(POD, "").await;
    stage.create_policy(stage.only_kills("StatefulSet")).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.kill_first_life(&first, false).await;
    let second = stage.pod_after(POD, &uid(&first)).await;
    assert_eq!(threshold(&second), 13);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_below_the_partition_is_kept_and_the_reason_said() {
    let stage = Stage::new("partition").await;
    let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    stage.applied(&stateful(&partition)).await;
    let first = stage.pod_after(POD, "").await;
    stage.create_policy(stage.only_kills("StatefulSet")).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.kill_first_life(&first, false).await;
    let status = kept(&stage, "Partitioned").await;
    let message = sync_message(&status);
    assert!(message.contains("rollingUpdate.partition"), "{message}");
    stage.quiet().await;
    let api = stage.scene.api::<Pod>();
    assert_eq!(uid(&api.get(POD).await.unwrap()), uid(&first));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_ready_once_is_left_to_its_owner() {
    let stage = Stage::new("ready").await;
    stage.applied(&stateful(&json!({"type": "OnDelete"}))).await;
    let first = stage.pod_after(POD, "").await;
    stage.create_policy(stage.only_kills("StatefulSet")).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.kill_first_life(&first, true).await;
    let judged = |status: &ProbePolicyStatus| status.verdict.is_some();
    stage.status("web", "a verdict", judged).await;
    stage.quiet().await;
    let api = stage.scene.api::<Pod>();
    assert_eq!(uid(&api.get(POD).await.unwrap()), uid(&first));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_owner_that_would_come_with_the_new_pod_keeps_the_old_one() {
    let stage = Stage::new("pending").await;
    stage.applied(&stateful(&json!({"type": "OnDelete"}))).await;
    let first = stage.pod_after(POD, "").await;
    let mut changed = stateful(&json!({"type": "OnDelete"}));
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("another");
    stage.applied(&changed).await;
    stage.create_policy(stage.only_kills("StatefulSet")).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.kill_first_life(&first, false).await;
    let status = kept(&stage, "OwnerChangePending").await;
    let message = sync_message(&status);
    assert!(message.contains("kubectl delete pod web-0"), "{message}");
    stage.quiet().await;
    let api = stage.scene.api::<Pod>();
    assert_eq!(uid(&api.get(POD).await.unwrap()), uid(&first));
    operator.stop().await;
    stage.end().await;
}
