//! onDelete Restore: the finalizer, the hand-back in two steps, and when it is refused.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, Patch, PatchParams};
use probepilot_api::ProbePolicy;
use probepilot_test_api::stage::{
    Shown, Stage, chart_liveness, patches_workload, reason, shown, sync_message, web,
};
use serde_json::{Value, json};

use crate::seen::{
    LIVENESS, LONGER, STARTUP, assert_clean, delete, finalizers, gone, kept, owners, rung,
    until_finalizers,
};

const FINALIZER: &str = "probepilot.dev/restore";

async fn annotate(stage: &Stage, value: &str) {
    let patch = Patch::Merge(
        json!({"metadata": {"annotations": {"probepilot.dev/restore-anyway": value}}}),
    );
    let api = stage.scene.api::<ProbePolicy>();
    api.patch("web", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// A startup probe on a Deployment of a client-side owner, by a policy with onDelete Restore.
async fn written(stage: &Stage) {
    let manifest = web(chart_liveness("/healthz"));
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    stage
        .enforce(json!({"apply": {"onDelete": "Restore"}}))
        .await;
}

fn nothing_asks() -> Value {
    json!({"rules": []})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_probes_come_back_and_his_next_apply_owns_them() {
    let stage = Stage::new("leave-restore").await;
    let mut manifest = web(chart_liveness("/healthz"));
    stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    let his = owners(&stage.get("web").await);
    stage.enforce(rung(&stage, "Restore")).await;
    let operator = stage.start();
    stage.until_shown(shown("", LONGER, 2)).await;
    assert_eq!(finalizers(&stage, "web").await, [FINALIZER]);
    stage.edit_policy("web", nothing_asks()).await;
    stage.in_sync("web", "NothingAsked").await;

    delete(&stage, "web").await;
    gone(&stage, "web").await;
    let after = stage.get("web").await;
    assert_eq!(Shown::of(&after, "a"), shown("", LIVENESS, 4));
    assert_eq!(owners(&after), his, "every field is his again");
    assert_clean(&after);
    let told = stage.told("ProbesReturned", 2).await;
    assert_eq!(
        told[0],
        "Deployment: the probes of deployment/web are the owner's own, with a startup budget of 40 s, after a startup budget of 110 s"
    );

    // His next manifest, without force: another value, and one that he stops declaring.
    let probe = &mut manifest["spec"]["template"]["spec"]["containers"][0]["livenessProbe"];
    probe["initialDelaySeconds"] = json!(45);
    probe.as_object_mut().unwrap().remove("failureThreshold");
    let applied = stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    assert_eq!(
        Shown::of(&applied, "a"),
        shown("", "45/10/10/3 /healthz:61779", 5)
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_startup_probe_goes_and_kubectl_apply_goes_on() {
    let stage = Stage::new("leave-restore-kubectl").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    stage.edit_policy("web", nothing_asks()).await;
    stage.in_sync("web", "NothingAsked").await;
    stage.delete_policy("web").await;
    let after = stage.get("web").await;
    assert_eq!(Shown::of(&after, "a"), shown("", LIVENESS, 4));
    assert_clean(&after);
    let mut upgrade = web(chart_liveness("/livez"));
    upgrade["spec"]["template"]["spec"]["containers"][0]["startupProbe"] =
        json!({"tcpSocket": {"port": 7}, "periodSeconds": 5, "failureThreshold": 3});
    stage
        .kubectl(&["apply", "-f", "-"], &upgrade)
        .await
        .unwrap();
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_finalizer_is_there_before_anything_is_written() {
    let stage = Stage::new("leave-finalizer").await;
    written(&stage).await;
    let mut held = stage.proxy.hold(patches_workload);
    let operator = stage.start();
    tokio::time::timeout(Duration::from_secs(50), held.arrived())
        .await
        .expect("the write");
    assert_eq!(finalizers(&stage, "web").await, [FINALIZER]);
    held.release();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    // Keep needs none.
    stage
        .edit_policy("web", json!({"apply": {"onDelete": "Keep"}}))
        .await;
    until_finalizers(&stage, "web", &[]).await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_refused_under_need_until_it_is_annotated() {
    let stage = Stage::new("leave-refused").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    delete(&stage, "web").await;
    let refused =
        |status: &probepilot_api::ProbePolicyStatus| reason(status, "InSync") == "RestoreRefused";
    let status = stage.status("web", "RestoreRefused", refused).await;
    assert_eq!(
        sync_message(&status),
        "the policy is being deleted, but a startup budget of 60 s is needed at a count of 1 and the owner's probes give 40 s, so the next start would be killed: give the owner's own probes more, or set apply.onDelete to Keep, or annotate the policy probepilot.dev/restore-anyway=true to put them back all the same"
    );
    assert_eq!(
        stage.told("RestoreRefused", 1).await,
        [format!("ProbePolicy: {}", sync_message(&status))]
    );
    stage.quiet().await;
    annotate(&stage, "false").await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, shown(STARTUP, LIVENESS, 2));

    annotate(&stage, "true").await;
    gone(&stage, "web").await;
    let after = stage.get("web").await;
    assert_eq!(Shown::of(&after, "a"), shown("", LIVENESS, 4));
    assert_clean(&after);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_one_may_still_be_kept() {
    let stage = Stage::new("leave-refused-keep").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    delete(&stage, "web").await;
    let refused =
        |status: &probepilot_api::ProbePolicyStatus| reason(status, "InSync") == "RestoreRefused";
    stage.status("web", "RestoreRefused", refused).await;
    stage
        .edit_policy("web", json!({"apply": {"onDelete": "Keep"}}))
        .await;
    gone(&stage, "web").await;
    let after = stage.get("web").await;
    assert_eq!(Shown::of(&after, "a"), shown(STARTUP, LIVENESS, 3));
    assert!(kept(&after).is_some());
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_gone_holds_nobody() {
    let stage = Stage::new("leave-missing").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    let api = stage.scene.api::<Deployment>();
    api.delete("web", &DeleteParams::default()).await.unwrap();
    stage
        .status("web", "NotFound", |status| {
            reason(status, "TargetFound") == "NotFound"
        })
        .await;
    assert_eq!(finalizers(&stage, "web").await, [FINALIZER]);
    delete(&stage, "web").await;
    gone(&stage, "web").await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_took_over_meanwhile_is_his() {
    let stage = Stage::new("leave-taken-over").await;
    let mut manifest = web(chart_liveness("/healthz"));
    stage.apply("helm", &manifest).await.unwrap();
    stage.enforce(rung(&stage, "Restore")).await;
    let operator = stage.start();
    stage.until_shown(shown("", LONGER, 2)).await;
    operator.stop().await;

    // He forces one value of his, and ships a startup probe of his own.
    let container = &mut manifest["spec"]["template"]["spec"]["containers"][0];
    container["livenessProbe"]["initialDelaySeconds"] = json!(90);
    container["startupProbe"] =
        json!({"httpGet": {"path": "/up", "port": 1}, "failureThreshold": 40});
    let force = PatchParams::apply("helm").force();
    let api = stage.scene.api::<Deployment>();
    api.patch("web", &force, &Patch::Apply(&manifest))
        .await
        .unwrap();
    delete(&stage, "web").await;

    let operator = stage.start();
    gone(&stage, "web").await;
    let after = stage.get("web").await;
    let shown_now = Shown::of(&after, "a");
    assert_eq!(shown_now.liveness, "90/10/10/2 /healthz:61779");
    assert_eq!(shown_now.startup, "0/10/1/40 /up:1");
    assert_clean(&after);
    stage.apply("helm", &manifest).await.unwrap();
    operator.stop().await;
    stage.end().await;
}
