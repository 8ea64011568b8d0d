//! What config/ ships, put where a test can use it.

use probepilot_test_api::kustomization;
use probepilot_test_api::stage::{Operator, Stage};
use probepilot_test_cluster::rights_in;
use serde_json::{Value, json};

/// The objects of `kubectl kustomize config/DIR`.
async fn objects(stage: &Stage, directory: &str) -> Vec<Value> {
    let kubectl = stage.scene.cluster.kubectl().unwrap();
    kubectl.kustomize(&kustomization(directory)).await.unwrap()
}

/// One object of config/admission.
pub async fn object(stage: &Stage, kind: &str) -> Value {
    let mut objects = objects(stage, "admission").await.into_iter();
    let mut found = objects.find(|object| object["kind"] == kind).unwrap();
    if found["metadata"]["namespace"].is_string() {
        // The operator of a test has the test's namespace for its own.
        found["metadata"]["namespace"] = json!(stage.scene.ns());
    }
    found
}

/// Applies config/admission.
pub async fn install(stage: &Stage) {
    for kind in [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "ProbePolicy",
    ] {
        apply(stage, &object(stage, kind).await).await;
    }
}

/// Takes it away from the cluster.
pub async fn remove(stage: &Stage) {
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        delete(stage, kind).await;
    }
}

pub async fn delete(stage: &Stage, kind: &str) {
    let words = ["delete", kind, "probepilot-probes", "--ignore-not-found"];
    stage.kubectl(&words, &Value::Null).await.unwrap();
}

pub async fn apply(stage: &Stage, object: &Value) {
    let words = ["apply", "-f", "-"];
    stage.kubectl(&words, object).await.unwrap();
}

/// Runs the operator with the roles of config/admission-only, and the canary in its namespace. Rules of the tests
/// count configmaps, for which a counting right is added as an administrator would.
pub async fn operator(stage: &Stage) -> Operator {
    apply(stage, &object(stage, "ProbePolicy").await).await;
    let ns = stage.scene.ns();
    for object in roles(stage).await {
        apply(stage, &object).await;
    }
    let config = stage.scene.cluster.config_of(ns, "probepilot").await;
    let config = config.unwrap();
    stage.start_as(config, false, ([127, 0, 0, 1], 0).into())
}

/// The account and the roles as they are shipped, for the test's namespace.
async fn roles(stage: &Stage) -> Vec<Value> {
    let ns = stage.scene.ns();
    let mut roles = rights_in(ns, objects(stage, "admission-only").await);
    roles.push(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("configmaps-{ns}"), "labels": {"probepilot.dev/aggregate-to-counter": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    }));
    roles
}

/// What of the roles is in no namespace.
pub async fn forget_rights(stage: &Stage) {
    for role in roles(stage).await {
        if role["metadata"]["namespace"].is_string() {
            continue;
        }
        let [kind, name] =
            [&role["kind"], &role["metadata"]["name"]].map(|word| word.as_str().unwrap());
        stage
            .kubectl(&["delete", kind, name], &Value::Null)
            .await
            .unwrap();
    }
}
