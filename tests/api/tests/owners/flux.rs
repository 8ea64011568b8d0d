//! Flux's kustomize-controller applies again at every interval, beside a policy.

use std::process::Stdio;
use std::time::Duration;

use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use probepilot_test_api::stage::{Stage, chart_liveness, reason, shown, until, within};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::feed::Feed;
use crate::{DECLARED, WANTED, rollouts, rung, tools};

/// Time between two applies.
const INTERVAL: &str = "2s";
/// How long some intervals and what they cause may take.
const INTERVALS: Duration = Duration::from_secs(90);

/// A running kustomize-controller for the test's namespace, and what it applies there. It ends with this value.
struct Flux<'a> {
    stage: &'a Stage,
    feed: Feed,
    /// What the controller says, shown when the test fails.
    logs: NamedTempFile,
    _controller: Child,
}

impl Drop for Flux<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = std::fs::read_to_string(self.logs.path()).unwrap_or_default();
            let end: Vec<_> = said.lines().rev().take(40).collect();
            for line in end.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

impl<'a> Flux<'a> {
    /// Begins with release 1 of the manifest and waits until it is applied.
    async fn start(stage: &'a Stage) -> Self {
        let tools = tools().await;
        for file in &tools.flux_crds {
            let file = file.to_str().unwrap();
            let words = ["apply", "--server-side", "-f", file];
            stage.kubectl(&words, &Value::Null).await.unwrap();
        }
        let logs = NamedTempFile::new().unwrap();
        let log = logs.reopen().unwrap();
        let controller = Command::new(&tools.kustomize_controller)
            .args([
                "--watch-all-namespaces=false",
                "--enable-leader-election=false",
                "--feature-gates=ExternalArtifact=true",
                "--metrics-addr=127.0.0.1:0",
                "--health-addr=127.0.0.1:0",
                "--events-addr=",
            ])
            .env("KUBECONFIG", stage.scene.cluster.kubeconfig())
            .env("RUNTIME_NAMESPACE", stage.scene.ns())
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let flux = Self {
            stage,
            feed: Feed::start().await,
            logs,
            _controller: controller,
        };
        let source = json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "ExternalArtifact", "metadata": {"name": "web"}});
        flux.create("source.toolkit.fluxcd.io", "ExternalArtifact", source)
            .await;
        let kustomization = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web"},
            "spec": {"interval": INTERVAL, "retryInterval": INTERVAL, "prune": true, "targetNamespace": stage.scene.ns(),
                "sourceRef": {"kind": "ExternalArtifact", "name": "web"}}});
        flux.create(
            "kustomize.toolkit.fluxcd.io",
            "Kustomization",
            kustomization,
        )
        .await;
        flux.release("1").await;
        flux
    }

    fn api(&self, group: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        Api::namespaced_with(
            self.stage.scene.admin.clone(),
            self.stage.scene.ns(),
            &resource,
        )
    }

    /// The API may be served some moments after its definition was taken.
    async fn create(&self, group: &str, kind: &str, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let create = || async {
            let made = self
                .api(group, kind)
                .create(&PostParams::default(), &object)
                .await;
            made.map(Seen::Done)
        };
        until(kind, create).await;
    }

    /// Offers a release of the manifest, and waits until Flux has applied it.
    async fn release(&self, release: &str) {
        let artifact = self.feed.offer(release, &manifest(release));
        let revision = artifact["revision"].clone();
        let ready = json!({"type": "Ready", "status": "True", "reason": "Succeeded", "message": "offered",
            "lastTransitionTime": jiff::Timestamp::now(), "observedGeneration": 1});
        let patch = Patch::Merge(json!({"status": {"artifact": artifact, "conditions": [ready]}}));
        self.api("source.toolkit.fluxcd.io", "ExternalArtifact")
            .patch_status("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
        within(INTERVALS, &format!("release {release}"), || async {
            let status = self.status().await?;
            Ok::<_, kube::Error>(if status["lastAppliedRevision"] == revision {
                Seen::Done(())
            } else {
                Seen::NotYet(status.to_string())
            })
        })
        .await;
    }

    /// Deletes what it applies, which its finalizer leaves to the controller, and ends it.
    async fn stop(self) {
        let api = self.api("kustomize.toolkit.fluxcd.io", "Kustomization");
        api.delete("web", &DeleteParams::default()).await.unwrap();
        until("the finalizer is taken off", || async {
            Ok::<_, kube::Error>(match api.get_opt("web").await? {
                None => Seen::Done(()),
                Some(left) => Seen::NotYet(left.data["status"].to_string()),
            })
        })
        .await;
    }

    async fn status(&self) -> Result<Value, kube::Error> {
        let api = self.api("kustomize.toolkit.fluxcd.io", "Kustomization");
        Ok(api.get("web").await?.data["status"].clone())
    }

    /// How often Flux has applied what it has.
    async fn applied(&self) -> Result<i64, kube::Error> {
        let status = self.status().await?;
        let times = status["history"].as_array().into_iter().flatten();
        Ok(times
            .filter_map(|entry| entry["totalReconciliations"].as_i64())
            .sum())
    }

    /// Waits until Flux has applied three times more.
    async fn three_intervals(&self) {
        let before = self.applied().await.unwrap();
        within(INTERVALS, "three intervals", || async {
            let times = self.applied().await? - before;
            Ok::<_, kube::Error>(if times >= 3 {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("{times}"))
            })
        })
        .await;
    }
}

/// What is in Git: releases differ in the container's environment.
fn manifest(release: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
            {"name": "a", "image": "none", "env": [{"name": "RELEASE", "value": release}],
                "livenessProbe": chart_liveness("/healthz")}]}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn flux_is_left_what_it_declares_and_has_nothing_to_correct() {
    let stage = Stage::new("owners-flux").await;
    let flux = Flux::start(&stage).await;
    stage.enforce(rung(&stage)).await;
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
    flux.release("2").await;
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
    let flux = Flux::start(&stage).await;
    let mut fields = rung(&stage);
    fields["apply"] = json!({"onConflict": "Take"});
    stage.enforce(fields).await;
    let operator = stage.start();
    let told = stage.told("TakenFrom", 1).await;
    assert!(
        told[0].contains("from kustomize-controller, which will put its own value back"),
        "{told:?}"
    );
    let wanted = |status: &probepilot_api::ProbePolicyStatus| reason(status, "InSync") == "GivenUp";
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
