//! Proactive writes wait for a paused or rolling target, and say so.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use probepilot_test_api::stage::{Stage, chart_liveness, shown, sync_message, until, web};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

/// `web` with one pod, which a gate keeps from ever starting.
fn gated() -> Value {
    let mut object = web(chart_liveness("/healthz"));
    object["spec"]["replicas"] = json!(1);
    object["spec"]["template"]["spec"]["schedulingGates"] =
        json!([{"name": "probepilot.test/never"}]);
    object
}

/// Waits for the pods of `web`, so many, with this image in so many of them.
async fn pods(stage: &Stage, image: &str, count: usize) -> Vec<Pod> {
    let look = || async {
        let pods = stage
            .scene
            .api::<Pod>()
            .list(&ListParams::default().labels("app=web"))
            .await?
            .items;
        let images: Vec<_> = pods
            .iter()
            .map(|pod| {
                pod.spec.as_ref().unwrap().containers[0]
                    .image
                    .clone()
                    .unwrap()
            })
            .collect();
        let matching: Vec<_> = pods
            .into_iter()
            .filter(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some(image))
            .collect();
        Ok::<_, kube::Error>(if matching.len() == count {
            Seen::Done(matching)
        } else {
            Seen::NotYet(format!("{images:?}"))
        })
    };
    until(&format!("{count} pods with image {image}"), look).await
}

async fn image(stage: &Stage, image: &str) {
    stage.edit("web", json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}}})).await;
}

/// Reports the pod ready, as its kubelet would.
async fn make_ready(stage: &Stage, pod: &Pod) {
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({"status": {"phase": "Running", "conditions": [condition("Ready"), condition("ContainersReady")],
        "containerStatuses": [{"name": "a", "image": "none", "imageID": "x", "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
    let api = stage.scene.api::<Pod>();
    api.patch_status(
        &pod.name_any(),
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_target_is_written_once_it_resumes() {
    let stage = Stage::new("writes-paused").await;
    let mut object = web(chart_liveness("/healthz"));
    object["spec"]["paused"] = json!(true);
    stage.scene.create::<Deployment>(object).await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let status = stage.in_sync("web", "Paused").await;
    assert_eq!(
        sync_message(&status),
        "needs a startup budget of 60 s and has 40 s, but deployment/web is paused; it is written once rollouts resume"
    );
    stage.quiet().await;
    assert_eq!(
        stage.shown().await,
        shown("", "30/10/10/2 /healthz:61779", 1)
    );
    stage.edit("web", json!({"spec": {"paused": false}})).await;
    stage
        .until_shown(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            3,
        ))
        .await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_target_is_written_once_its_rollout_is_done() {
    let stage = Stage::new("writes-rolling").await;
    stage.scene.create::<Deployment>(gated()).await;
    make_ready(&stage, &pods(&stage, "none", 1).await[0]).await;
    image(&stage, "newer").await;
    let newer = pods(&stage, "newer", 1).await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let status = stage.in_sync("web", "RollingOut").await;
    assert_eq!(
        sync_message(&status),
        "needs a startup budget of 60 s and has 40 s, once the rollout under way is done"
    );
    stage.quiet().await;
    assert_eq!(
        stage.shown().await,
        shown("", "30/10/10/2 /healthz:61779", 2)
    );
    make_ready(&stage, &newer[0]).await;
    stage
        .until_shown(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            3,
        ))
        .await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_restart_hurts_a_write_rides_with_the_owners_rollout() {
    let stage = Stage::new("writes-rides").await;
    let mut object = gated();
    object["spec"]["strategy"] = json!({"type": "Recreate"});
    // The old pod stays on its way out, so that the rollout lasts.
    object["spec"]["template"]["metadata"]["finalizers"] = json!(["probepilot.test/stays"]);
    stage.scene.create::<Deployment>(object).await;
    let old = pods(&stage, "none", 1).await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let status = stage.in_sync("web", "RestartNeeded").await;
    let message = sync_message(&status);
    assert!(
        message.contains("behavior.raise.policy Always writes at once"),
        "{message}"
    );
    stage.quiet().await;
    assert_eq!(
        stage.shown().await,
        shown("", "30/10/10/2 /healthz:61779", 1)
    );

    image(&stage, "newer").await;
    stage
        .until_shown(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            3,
        ))
        .await;
    let free = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    stage
        .edit(
            "web",
            json!({"spec": {"template": {"metadata": {"finalizers": null}}}}),
        )
        .await;
    let api = stage.scene.api::<Pod>();
    for pod in api
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .iter()
        .chain(&old)
    {
        // Best effort: an old pod may be gone by now.
        let _ = api
            .patch(&pod.name_any(), &PatchParams::default(), &free)
            .await;
    }
    operator.stop().await;
    stage.end().await;
}
