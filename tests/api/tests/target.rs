//! One target, its pods and its other lives, on a real API server.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use probepilot_api::{TargetKind, TargetRef};
use probepilot_operator::target::{TargetSnapshot, TargetWatch, Targets};
use probepilot_policy::Target;
use probepilot_test_api::Scene;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

fn web() -> TargetRef {
    TargetRef {
        api_version: "apps/v1".to_owned(),
        kind: TargetKind::Deployment,
        name: "web".to_owned(),
    }
}

/// Its pods are never started: a gate keeps the scheduler away.
fn pod_spec() -> Value {
    json!({
        "schedulingGates": [{"name": "probepilot.test/never"}],
        "containers": [{"name": "a", "image": "none", "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": 61779, "httpHeaders": [{"name": "x", "value": "y"}]},
            "initialDelaySeconds": 30, "failureThreshold": 2,
        }}],
    })
}

fn deployment(replicas: u32) -> Value {
    json!({"metadata": {"name": "web"}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec()}}})
}

async fn until(watch: &mut TargetWatch, done: impl Fn(&TargetSnapshot) -> bool) -> TargetSnapshot {
    let waiting = async {
        loop {
            let snapshot = watch.snapshot();
            if done(&snapshot) {
                return snapshot;
            }
            watch.changed().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("last seen: {:?}", watch.snapshot()))
}

fn uid(snapshot: &TargetSnapshot) -> Option<&str> {
    match &snapshot.target {
        Target::Found(workload) => Some(workload.uid.as_str()),
        Target::Unread | Target::Missing => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_comes_grows_goes_and_comes_again() {
    let scene = Scene::new("target").await;
    let targets = Targets::new(scene.clients.api.clone());
    let mut watch = targets.watch(scene.ns(), &web());
    let snapshot = until(&mut watch, |snapshot| snapshot.complete).await;
    assert_eq!(snapshot.target, Target::Missing);

    // Same labels, no owner: not the target's.
    let stranger =
        json!({"metadata": {"name": "stranger", "labels": {"app": "web"}}, "spec": pod_spec()});
    scene.create::<Pod>(stranger).await;
    let first: Deployment = scene.create(deployment(2)).await;
    let snapshot = until(&mut watch, |snapshot| snapshot.pods_total == 2).await;
    assert_eq!(uid(&snapshot), first.metadata.uid.as_deref());
    assert!(snapshot.pods.iter().all(|pod| pod.name.starts_with("web-")));
    let Target::Found(workload) = &snapshot.target else {
        panic!("{:?}", snapshot.target)
    };
    let probe = workload.containers[0].liveness.as_ref().unwrap();
    assert_eq!(probe.timings.initial_delay_seconds, 30);
    assert!(probe.handler["httpGet"]["httpHeaders"].is_array());

    let deployments = scene.api::<Deployment>();
    let scale = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments
        .patch("web", &PatchParams::default(), &scale)
        .await
        .unwrap();
    until(&mut watch, |snapshot| snapshot.pods_total == 3).await;

    let gone = DeleteParams::foreground();
    deployments.delete("web", &gone).await.unwrap();
    let snapshot = until(&mut watch, |snapshot| snapshot.target == Target::Missing).await;
    assert!(snapshot.pods.is_empty());

    let second: Deployment = scene.create(deployment(1)).await;
    let snapshot = until(&mut watch, |snapshot| snapshot.pods_total == 1).await;
    assert_eq!(uid(&snapshot), second.metadata.uid.as_deref());
    assert_ne!(uid(&snapshot), first.metadata.uid.as_deref());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_watches_end_with_their_last_user() {
    let scene = Scene::new("target").await;
    let targets = Targets::new(scene.clients.api.clone());
    let mut one = targets.watch(scene.ns(), &web());
    let mut two = targets.watch(scene.ns(), &web());
    scene.create::<Deployment>(deployment(1)).await;
    until(&mut one, |snapshot| snapshot.pods_total == 1).await;
    until(&mut two, |snapshot| snapshot.pods_total == 1).await;
    drop(one);
    assert_eq!(targets.len(), 1);
    drop(two);
    assert!(targets.is_empty());
    scene.end().await;
}
