//! Killed pods that no rollout replaces, under the real controllers of StatefulSets and DaemonSets.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event as CoreEvent, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::stage::{Stage, chart_liveness, reason, sync_message, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

/// A StatefulSet of one pod that no node ever takes, so that its status is the test's own.
fn stateful(strategy: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1, "serviceName": "web", "updateStrategy": strategy,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "schedulingGates": [{"name": "probepilot.test/never"}],
                    "terminationGracePeriodSeconds": 10,
                    "containers": [{
                        "name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz"),
                        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}},
                    }],
                },
            },
        },
    })
}

/// A policy for StatefulSet `web` whose rule asks for no more than the chart's 40 s: only kills ask for more.
fn policy(stage: &Stage) -> Value {
    stage.policy(
        "web",
        "web",
        json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"},
            "rules": [{"count": {"resource": "configmaps", "namespace": stage.scene.ns()},
                "steps": [{"atLeast": 0, "startupSeconds": 40}]}],
        }),
    )
}

async fn apply(stage: &Stage, object: &Value) {
    let applied = stage.kubectl(&["apply", "-f", "-"], object).await;
    applied.expect("applied");
}

/// The pod `web-0`, with another UID than this.
async fn pod(stage: &Stage, besides: &str) -> Pod {
    let look = || async {
        let pod = stage.scene.api::<Pod>().get_opt("web-0").await?;
        Ok::<_, kube::Error>(match pod {
            Some(pod) if pod.metadata.uid.as_deref() != Some(besides) => Seen::Done(pod),
            other => Seen::NotYet(format!("{:?}", other.map(|pod| pod.metadata.uid))),
        })
    };
    until("the pod web-0", look).await
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().expect("a UID")
}

/// Startup threshold of a pod's container; 0 without a startup probe.
fn threshold(pod: &Pod) -> i32 {
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let probe = container.startup_probe.as_ref();
    probe.and_then(|probe| probe.failure_threshold).unwrap_or(0)
}

/// The kubelet kills the pod's first life of 57 s; `was_ready`: long after it had been ready.
async fn kill(stage: &Stage, pod: &Pod, was_ready: bool) {
    let second = |ago: i64| {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        now - SignedDuration::from_secs(ago)
    };
    let (taken, started, finished) = (second(60), second(57), second(0));
    let turned = if was_ready { finished } else { taken };
    let event = json!({"metadata": {"name": format!("web-0.{}", uid(pod))},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "web-0", "namespace": stage.scene.ns(),
            "uid": uid(pod), "fieldPath": "spec.containers{a}"},
        "reason": "Killing", "message": "Container a failed liveness probe, will be restarted", "type": "Normal",
        "source": {"component": "kubelet", "host": "node"}, "firstTimestamp": finished, "lastTimestamp": finished, "count": 1});
    stage.scene.create::<CoreEvent>(event).await;
    let status = json!({"status": {
        "phase": "Running", "startTime": taken,
        "conditions": [{"type": "ContainersReady", "status": "False", "lastTransitionTime": turned}],
        "containerStatuses": [{"name": "a", "image": "none", "imageID": "x", "ready": false, "started": true,
            "restartCount": 1, "state": {"running": {"startedAt": finished}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished}}}],
    }});
    let api = stage.scene.api::<Pod>();
    api.patch_status("web-0", &PatchParams::default(), &Patch::Merge(status))
        .await
        .expect("a status");
}

async fn told(stage: &Stage, reason: &str) -> usize {
    let events = stage.scene.api::<Event>();
    let events = events.list(&ListParams::default()).await.unwrap();
    let told = events
        .items
        .iter()
        .filter(|event| event.reason.as_deref() == Some(reason));
    told.count()
}

/// Until InSync has this reason after the probes were written.
async fn kept(stage: &Stage, why: &str) -> ProbePolicyStatus {
    let settled =
        |status: &ProbePolicyStatus| status.last_write.is_some() && reason(status, "InSync") == why;
    stage.status("web", why, settled).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_stuck_behind_its_broken_pod_goes_on_whatever_a_disruption_budget_says() {
    let stage = Stage::new("stuck").await;
    apply(&stage, &stateful(&json!({"type": "RollingUpdate"}))).await;
    apply(
        &stage,
        &json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}},
                "unhealthyPodEvictionPolicy": "IfHealthyBudget"}}),
    )
    .await;
    let first = pod(&stage, "").await;
    kill(&stage, &first, false).await;
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

    stage.create_policy(policy(&stage)).await;
    let operator = stage.start();
    let second = pod(&stage, &uid(&first)).await;
    assert_eq!(threshold(&second), 13, "120 s from a life of 57 s");
    stage.written("web", 2).await;
    let look = || async {
        Ok::<_, std::convert::Infallible>(match told(&stage, "PodReplaced").await {
            2 => Seen::Done(()),
            other => Seen::NotYet(format!("{other} events")),
        })
    };
    until("events on the policy and on the target", look).await;

    // Once for each budget, and a restart of the operator does not do it again.
    operator.stop().await;
    let operator = stage.start();
    stage.quiet().await;
    assert_eq!(uid(&api.get("web-0").await.unwrap()), uid(&second));
    assert_eq!(told(&stage, "PodReplaced").await, 2);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_on_delete_the_killed_pod_is_deleted_and_gets_the_new_template() {
    let stage = Stage::new("ondelete").await;
    apply(&stage, &stateful(&json!({"type": "OnDelete"}))).await;
    let first = pod(&stage, "").await;
    stage.create_policy(policy(&stage)).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    kill(&stage, &first, false).await;
    let second = pod(&stage, &uid(&first)).await;
    assert_eq!(threshold(&second), 13);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_below_the_partition_is_kept_and_the_reason_said() {
    let stage = Stage::new("partition").await;
    let partition = json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}});
    apply(&stage, &stateful(&partition)).await;
    let first = pod(&stage, "").await;
    stage.create_policy(policy(&stage)).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    kill(&stage, &first, false).await;
    let status = kept(&stage, "Partitioned").await;
    let message = sync_message(&status);
    assert!(message.contains("rollingUpdate.partition"), "{message}");
    stage.quiet().await;
    let api = stage.scene.api::<Pod>();
    assert_eq!(uid(&api.get("web-0").await.unwrap()), uid(&first));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_was_ready_once_is_left_to_its_owner() {
    let stage = Stage::new("ready").await;
    apply(&stage, &stateful(&json!({"type": "OnDelete"}))).await;
    let first = pod(&stage, "").await;
    stage.create_policy(policy(&stage)).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    kill(&stage, &first, true).await;
    let judged = |status: &ProbePolicyStatus| status.verdict.is_some();
    stage.status("web", "a verdict", judged).await;
    stage.quiet().await;
    let api = stage.scene.api::<Pod>();
    assert_eq!(uid(&api.get("web-0").await.unwrap()), uid(&first));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_owner_that_would_come_with_the_new_pod_keeps_the_old_one() {
    let stage = Stage::new("pending").await;
    apply(&stage, &stateful(&json!({"type": "OnDelete"}))).await;
    let first = pod(&stage, "").await;
    let mut changed = stateful(&json!({"type": "OnDelete"}));
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("another");
    apply(&stage, &changed).await;
    stage.create_policy(policy(&stage)).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    kill(&stage, &first, false).await;
    let status = kept(&stage, "OwnerChangePending").await;
    let message = sync_message(&status);
    assert!(message.contains("kubectl delete pod web-0"), "{message}");
    stage.quiet().await;
    let api = stage.scene.api::<Pod>();
    assert_eq!(uid(&api.get("web-0").await.unwrap()), uid(&first));
    operator.stop().await;
    stage.end().await;
}
