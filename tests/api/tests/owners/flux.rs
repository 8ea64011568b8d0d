//! Flux's kustomize-controller, fed with manifests by the test.

use std::process::Stdio;
use std::time::Duration;

use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use probepilot_test_api::stage::{Stage, until, within};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use crate::feed::Feed;
use crate::tools;

/// Time between two applies.
const INTERVAL: &str = "2s";
/// How long some intervals and what they cause may take.
pub const INTERVALS: Duration = Duration::from_secs(90);

/// A running kustomize-controller for the test's namespace, and what it applies there. It ends with this value.
pub struct Flux<'a> {
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
    /// Begins to apply these manifests at every interval; `fields` of the Kustomization's spec come on top.
    pub async fn start(stage: &'a Stage, fields: &Value, manifests: &[Value]) -> Self {
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
        let mut kustomization = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "web"},
            "spec": {"interval": INTERVAL, "retryInterval": INTERVAL, "prune": true, "targetNamespace": stage.scene.ns(),
                "sourceRef": {"kind": "ExternalArtifact", "name": "web"}}});
        for (key, value) in fields.as_object().into_iter().flatten() {
            kustomization["spec"][key] = value.clone();
        }
        flux.create(
            "kustomize.toolkit.fluxcd.io",
            "Kustomization",
            kustomization,
        )
        .await;
        flux.offer("1", manifests).await;
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

    /// Offers another version of the manifests. Gives its revision.
    pub async fn offer(&self, version: &str, manifests: &[Value]) -> String {
        let artifact = self.feed.offer(version, manifests);
        let revision = artifact["revision"].as_str().unwrap().to_owned();
        let ready = json!({"type": "Ready", "status": "True", "reason": "Succeeded", "message": "offered",
            "lastTransitionTime": jiff::Timestamp::now(), "observedGeneration": 1});
        let patch = Patch::Merge(json!({"status": {"artifact": artifact, "conditions": [ready]}}));
        self.api("source.toolkit.fluxcd.io", "ExternalArtifact")
            .patch_status("web", &PatchParams::default(), &patch)
            .await
            .unwrap();
        revision
    }

    /// Waits until the Kustomization's status satisfies `wanted`.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        within(INTERVALS, what, || async {
            let status = self.status().await?;
            Ok::<_, kube::Error>(if wanted(&status) {
                Seen::Done(status)
            } else {
                Seen::NotYet(status.to_string())
            })
        })
        .await
    }

    /// Deletes what it applies, which its finalizer leaves to the controller, and ends it.
    pub async fn stop(self) {
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
    pub async fn three_intervals(&self) {
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
