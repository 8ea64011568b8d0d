//! `kubectl delete -k config/default` without `probepilot uninstall` before it. This takes the ProbePolicy API away
//! from the whole cluster, so it is a program of its own, with one test.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::process::Command;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};
use probepilot_api::ProbePolicy;
use probepilot_test_api::kustomization;
use probepilot_test_api::program::program;
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, deployment, within};
use probepilot_test_cluster::wait::Seen;
use serde_json::json;

const CRD: &str = "probepolicies.probepilot.dev";
const STARTUP: &str = "0/10/10/7 /healthz:61779";
/// A namespace goes with everything in it.
const PATIENCE: Duration = Duration::from_mins(2);

async fn kubectl(stage: &Stage, words: &[&str]) {
    let folder = kustomization("default").display().to_string();
    let words = [words, &["-k", &folder]].concat();
    // Without a namespace: the objects name theirs.
    let kubectl = stage.scene.cluster.kubectl().unwrap();
    kubectl.run(words).await.unwrap();
}

async fn install(stage: &Stage) {
    kubectl(stage, &["apply", "--server-side", "--force-conflicts"]).await;
}

/// Deployment and policy of one name, written.
async fn written(stage: &Stage, name: &str, on_delete: &str) {
    let containers =
        json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz")}]);
    stage
        .scene
        .create::<Deployment>(deployment(name, containers))
        .await;
    let fields = json!({"apply": {"onDelete": on_delete}});
    stage.create_policy(stage.policy(name, name, fields)).await;
    let operator = stage.start();
    stage.in_sync(name, "Covered").await;
    operator.stop().await;
    assert_eq!(Shown::of(&stage.get(name).await, "a").startup, STARTUP);
}

async fn is_there<K>(api: &Api<K>, name: &str) -> Result<Option<K>, kube::Error>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    api.get_opt(name).await
}

/// Waits until the API and the operator's namespace are gone.
async fn all_gone(stage: &Stage) {
    let crds: Api<CustomResourceDefinition> = Api::all(stage.scene.admin.clone());
    let namespaces: Api<Namespace> = Api::all(stage.scene.admin.clone());
    let look = || async {
        let crd = is_there(&crds, CRD).await?.is_some();
        let namespace = is_there(&namespaces, "probepilot-system").await?.is_some();
        Ok::<_, kube::Error>(if crd || namespace {
            Seen::NotYet(format!("CRD {crd}, namespace {namespace}"))
        } else {
            Seen::Done(())
        })
    };
    within(PATIENCE, "everything is gone", look).await;
}

async fn uninstall(stage: &Stage, flags: &[&str]) -> String {
    let output = Command::new(program().await)
        .arg("uninstall")
        .args(flags)
        .arg("--kubeconfig")
        .arg(stage.scene.cluster.kubeconfig())
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    said.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keep_leaves_nothing_hanging_and_uninstall_frees_restore() {
    let stage = Stage::new("leave-install").await;
    install(&stage).await;
    // What a failed test left behind would hold the API.
    let said = uninstall(&stage, &["--keep"]).await;
    assert!(
        said.contains("kubectl delete -k config/default"),
        "what to do next: {said}"
    );
    written(&stage, "keeps", "Keep").await;
    kubectl(&stage, &["delete", "--wait=false"]).await;
    all_gone(&stage).await;
    // Nobody let it go: the operator went first. The probes stay, and the next install finds them.
    assert_eq!(Shown::of(&stage.get("keeps").await, "a").startup, STARTUP);

    install(&stage).await;
    written(&stage, "restores", "Restore").await;
    kubectl(&stage, &["delete", "--wait=false"]).await;
    let policies = stage.scene.api::<ProbePolicy>();
    let look = || async {
        let policy = policies.get("restores").await?;
        Ok::<_, kube::Error>(if policy.metadata.deletion_timestamp.is_some() {
            Seen::Done(policy.finalizers().to_vec())
        } else {
            Seen::NotYet("not being deleted".to_owned())
        })
    };
    let finalizers = within(PATIENCE, "the end of the API begins", look).await;
    assert_eq!(finalizers, ["probepilot.dev/restore"], "it holds the API");

    // What README says to do then.
    uninstall(&stage, &["-n", stage.scene.ns(), "--restore-anyway"]).await;
    all_gone(&stage).await;
    assert_eq!(Shown::of(&stage.get("restores").await, "a").startup, "");
    // The probes of the policy that was gone before are let go as well.
    let keeps = stage.get("keeps").await;
    let managers = keeps
        .managed_fields()
        .iter()
        .filter_map(|one| one.fields_v1.as_ref());
    let probes = managers.filter(|fields| fields.0.to_string().contains("f:startupProbe"));
    assert_eq!(probes.count(), 0);
    assert!(keeps.annotations().contains_key("probepilot.dev/kept"));
    stage.end().await;
}
