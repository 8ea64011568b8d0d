//! Corrections, upgrades and `kubectl rollout undo`, told apart on real objects.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use probepilot_api::ProbePolicy;
use probepilot_test_api::stage::{Stage, chart_liveness, reason, shown, until, web};
use probepilot_test_cluster::wait::Seen;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_fight_ends_and_goes_on_when_the_author_says_so() {
    let stage = Stage::new("writes-contest").await;
    let manifest = web(chart_liveness("/healthz"));
    let apply = || stage.kubectl(&["apply", "-f", "-"], &manifest);
    apply().await.unwrap();
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    let ours = "60/10/30/6 /healthz:61779";
    stage.until_shown(shown("", ours, 2)).await;
    apply().await.unwrap();
    stage.until_shown(shown("", ours, 4)).await;
    let told = stage.told("Corrected", 1).await;
    assert_eq!(
        told,
        [
            "ProbePolicy: kubectl-client-side-apply changed nothing but the probe timings that were written; a second time within 24 hours, or a third within 7 days, ends the writing"
        ]
    );
    apply().await.unwrap();
    let status = stage.in_sync("web", "GivenUp").await;
    assert_eq!(reason(&status, "Contested"), "CorrectedAgain");
    assert_eq!(reason(&status, "Ready"), "Enforcing");
    assert_eq!(stage.told("CorrectedAgain", 1).await.len(), 1);
    let his = shown("", "30/10/10/2 /healthz:61779", 5);
    stage.quiet().await;
    assert_eq!(stage.shown().await, his);
    operator.stop().await;

    // Another operator remembers it.
    let operator = stage.start();
    stage.quiet().await;
    assert_eq!(stage.shown().await, his);

    let now = Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {"probepilot.dev/retry": now}}});
    let api = stage.scene.api::<ProbePolicy>();
    api.patch("web", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    let status = stage.until_shown(shown("", ours, 6)).await;
    assert_eq!(reason(&status, "Contested"), "NotContested");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_rollout_undo_is_left_until_a_kill_or_the_owners_next_template() {
    let stage = Stage::new("writes-undo").await;
    let manifest = web(chart_liveness("/healthz"));
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    has_revision(&stage, "1").await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let liveness = "30/10/10/2 /healthz:61779";
    let startup = "0/10/10/7 /healthz:61779";
    stage
        .until_probes(shown_at(&stage, startup, liveness).await)
        .await;
    stage.in_sync("web", "Covered").await;
    has_revision(&stage, "2").await;
    let undo = ["rollout", "undo", "deployment/web"];
    stage.kubectl(&undo, &json!(null)).await.unwrap();
    stage.in_sync("web", "RolledBack").await;
    stage.quiet().await;
    stage
        .until_probes(shown_at(&stage, "", liveness).await)
        .await;

    // The owner's next release is no rollback.
    let image =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "newer"}]}}}});
    stage.edit("web", image).await;
    stage.in_sync("web", "Covered").await;
    stage
        .until_probes(shown_at(&stage, startup, liveness).await)
        .await;
    operator.stop().await;
    stage.end().await;
}

/// These probes at whatever generation there is: the Deployment controller writes annotations too.
async fn shown_at(
    stage: &Stage,
    startup: &str,
    liveness: &str,
) -> probepilot_test_api::stage::Shown {
    let look = || async {
        let now = stage.shown().await;
        let wanted = shown(startup, liveness, now.generation);
        Ok::<_, std::convert::Infallible>(if now == wanted {
            Seen::Done(wanted)
        } else {
            Seen::NotYet(format!("{now:?}"))
        })
    };
    until(&format!("{startup} and {liveness}"), look).await
}

/// Waits until the Deployment controller has made the ReplicaSet of that revision.
async fn has_revision(stage: &Stage, revision: &str) {
    let look = || async {
        let web = stage.scene.api::<Deployment>().get("web").await?;
        let annotations = web.metadata.annotations.unwrap_or_default();
        let now = annotations
            .get("deployment.kubernetes.io/revision")
            .cloned();
        Ok::<_, kube::Error>(if now.as_deref() == Some(revision) {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{now:?}"))
        })
    };
    until(&format!("revision {revision}"), look).await;
}
