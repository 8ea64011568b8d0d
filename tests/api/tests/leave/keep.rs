//! onDelete Keep: no finalizer, the probes stay, and nobody is in anybody's way.

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_api::BASELINE_ANNOTATION;
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, shown, web};
use serde_json::json;

use crate::seen::{
    LIVENESS, LONGER, STARTUP, annotation, delete, finalizers, is_ours, kept, let_go, owners, rung,
};

/// A startup probe on a Deployment of a client-side owner, written by a running operator.
async fn written(stage: &Stage) {
    let manifest = web(chart_liveness("/healthz"));
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    stage.enforce(json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_stay_and_the_command_takes_them_away() {
    let stage = Stage::new("leave-keep").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    assert!(finalizers(&stage, "web").await.is_empty());
    let before = stage.get("web").await;
    assert!(is_ours(&before) && kept(&before).is_none());

    stage.delete_policy("web").await;
    let after = let_go(&stage).await;
    assert_eq!(Shown::of(&after, "a"), shown(STARTUP, LIVENESS, 3));
    let template = |deployment: &Deployment| deployment.spec.clone().unwrap().template;
    assert_eq!(template(&after), template(&before), "no pod is replaced");
    let told = stage.told("ProbesKept", 1).await;
    assert_eq!(
        told,
        [
            "Deployment: deployment/web keeps its probes, with a startup budget of 60 s, and probepilot owns none of them any more; the annotation probepilot.dev/kept has the command that takes them away"
        ]
    );
    stage.run(&kept(&after).expect("the command")).await;
    let end = stage.get("web").await;
    assert_eq!(Shown::of(&end, "a"), shown("", LIVENESS, 4));
    assert_eq!(
        (kept(&end), annotation(&end, BASELINE_ANNOTATION)),
        (None, None)
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_side_owner_applies_other_values_without_a_conflict() {
    let stage = Stage::new("leave-keep-ssa").await;
    let mut manifest = web(chart_liveness("/healthz"));
    stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    stage.enforce(rung(&stage, "Keep")).await;
    let operator = stage.start();
    stage.until_shown(shown("", LONGER, 2)).await;

    manifest["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["initialDelaySeconds"] =
        json!(45);
    let conflict = stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap_err();
    assert!(
        matches!(&conflict, kube::Error::Api(status) if status.code == 409),
        "while we own it: {conflict}"
    );

    stage.delete_policy("web").await;
    let after = let_go(&stage).await;
    assert_eq!(Shown::of(&after, "a"), shown("", LONGER, 3));
    let applied = stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    assert_eq!(
        Shown::of(&applied, "a"),
        shown("", "45/10/10/2 /healthz:61779", 4)
    );
    assert_eq!(
        owners(&applied),
        [
            "kustomize-controller: failureThreshold httpGet initialDelaySeconds periodSeconds timeoutSeconds | "
        ]
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_deleted_while_no_operator_ran_is_missed_at_the_next_start() {
    let stage = Stage::new("leave-keep-down").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    operator.stop().await;
    stage.delete_policy("web").await;
    assert!(is_ours(&stage.get("web").await));

    let operator = stage.start();
    let after = let_go(&stage).await;
    assert_eq!(Shown::of(&after, "a"), shown(STARTUP, LIVENESS, 3));
    assert!(kept(&after).is_some());
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_comes_back_goes_on_from_the_owners_probes() {
    let stage = Stage::new("leave-keep-again").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    stage.delete_policy("web").await;
    let_go(&stage).await;

    stage.enforce(json!({})).await;
    let status = stage.in_sync("web", "Covered").await;
    let baseline = status.baseline.unwrap();
    assert_eq!(
        baseline.startup_probe, None,
        "what was kept is not the owner's"
    );
    stage.quiet().await;
    assert_eq!(
        stage.shown().await,
        shown(STARTUP, LIVENESS, 3),
        "nothing is written"
    );
    stage.grow().await;
    stage
        .until_shown(shown("0/10/10/61 /healthz:61779", LIVENESS, 4))
        .await;
    assert_eq!(
        kept(&stage.get("web").await),
        None,
        "it is the operator's again"
    );
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_for_the_same_container_takes_over() {
    let stage = Stage::new("leave-keep-next").await;
    written(&stage).await;
    let operator = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    stage
        .create_policy(stage.policy("younger", "web", json!({})))
        .await;
    stage
        .status("younger", "Duplicate", |status| {
            probepilot_test_api::stage::ready(status) == "False Duplicate"
        })
        .await;

    delete(&stage, "web").await;
    stage.in_sync("younger", "Covered").await;
    stage.quiet().await;
    let now = stage.get("web").await;
    assert!(is_ours(&now) && kept(&now).is_none(), "{:?}", owners(&now));
    operator.stop().await;
    stage.end().await;
}
