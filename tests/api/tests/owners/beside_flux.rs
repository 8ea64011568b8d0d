//! Flux applies again at every interval, beside a policy.

use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::stage::{Stage, chart_liveness, reason, shown};
use serde_json::{Value, json};

use crate::flux::{Flux, INTERVALS};
use crate::{DECLARED, WANTED, rollouts};

/// What is in Git: releases differ in the container's environment.
fn manifest(release: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "a", "image": "none", "env": [{"name": "RELEASE", "value": release}],
                "livenessProbe": chart_liveness("/healthz")}]}}}})
}

async fn applied(flux: &Flux<'_>) {
    flux.until("the manifest", |status| {
        status["lastAppliedRevision"].is_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_left_what_it_declares_and_has_nothing_to_correct() {
    let stage = Stage::new("owners-flux").await;
    let flux = Flux::start(&stage, &json!({}), &[manifest("1")]).await;
    applied(&flux).await;
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    let given = |generation| shown("0/10/10/12 /healthz:61779", DECLARED, generation);
    stage.until_shown(given(2)).await;
    flux.three_intervals().await;
    assert_eq!(stage.shown().await, given(2), "nothing to correct");

    // Somebody's drift is corrected, which is Flux's own rollout.
    let drift = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "env": [{"name": "RELEASE", "value": "drifted"}]}]}}}});
    stage.edit("web", drift).await;
    stage.until_probes(given(4)).await;
    flux.three_intervals().await;
    flux.offer("2", &[manifest("2")]).await;
    flux.three_intervals().await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, given(5));
    assert_eq!(rollouts(&stage).await, 5);
    operator.stop().await;
    flux.stop().await;
    stage.end().await;
}

/// With Take Flux puts its timings back; the second time ends it, whatever the interval.
#[tokio::test(flavor = "multi_thread")]
async fn a_fight_with_flux_ends_after_two_corrections() {
    let stage = Stage::new("owners-flux-take").await;
    let flux = Flux::start(&stage, &json!({}), &[manifest("1")]).await;
    applied(&flux).await;
    let mut fields = stage.rung();
    fields["apply"] = json!({"onConflict": "Take"});
    stage.enforce(fields).await;
    let operator = stage.start();
    let told = stage.told("TakenFrom", 1).await;
    assert!(
        told[0].contains("from kustomize-controller, which will put its own value back"),
        "{told:?}"
    );
    let wanted = |status: &ProbePolicyStatus| reason(status, "InSync") == "GivenUp";
    let status = stage
        .status_within(INTERVALS, "web", "the end", wanted)
        .await;
    assert_eq!(reason(&status, "Contested"), "CorrectedAgain");
    let ended = shown("", DECLARED, 5);
    assert_eq!(stage.shown().await, ended);
    flux.three_intervals().await;
    assert_eq!(
        stage.shown().await,
        ended,
        "nobody writes any more: {WANTED} twice, {DECLARED} twice"
    );
    assert_eq!(rollouts(&stage).await, 5);
    operator.stop().await;
    flux.stop().await;
    stage.end().await;
}
