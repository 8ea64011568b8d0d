//! What config/ ships, put where a test can use it.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Config;
use kube::api::PostParams;
use probepilot_test_api::config;
use probepilot_test_api::stage::{Operator, Stage};
use serde_json::{Value, json};

fn config_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// The objects of `kubectl kustomize config/DIR`.
pub async fn objects(stage: &Stage, directory: &str) -> Vec<Value> {
    let kubectl = stage.scene.cluster.kubectl().unwrap();
    let directory = config_dir().join(directory).display().to_string();
    let text = kubectl.run(["kustomize", &directory]).await.unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
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
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..TokenRequest::default()
    };
    let accounts = stage.scene.api::<ServiceAccount>();
    let token = accounts
        .create_token_request("probepilot", &PostParams::default(), &request)
        .await
        .unwrap();
    let admin = config(&stage.scene.cluster).await;
    let mut config = Config::new(admin.cluster_url);
    config.root_cert = admin.root_cert;
    ns.clone_into(&mut config.default_namespace);
    config.auth_info.token = Some(token.status.unwrap().token.unwrap().into());
    stage.start_as(config, false, ([127, 0, 0, 1], 0).into())
}

/// The account and the roles as they are shipped, for the test's namespace. What belongs to the cluster gets the
/// namespace's name behind its own, for tests run side by side.
async fn roles(stage: &Stage) -> Vec<Value> {
    let ns = stage.scene.ns();
    let rbac = "rbac.authorization.k8s.io/v1";
    let mut roles = objects(stage, "admission-only").await;
    roles.retain(|object| object["apiVersion"] == rbac || object["kind"] == "ServiceAccount");
    for object in &mut roles {
        if object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = json!(ns);
        } else {
            suffix(&mut object["metadata"]["name"], ns);
        }
        if object["roleRef"]["kind"] == "ClusterRole" {
            suffix(&mut object["roleRef"]["name"], ns);
        }
        for subject in object["subjects"].as_array_mut().into_iter().flatten() {
            subject["namespace"] = json!(ns);
        }
    }
    roles.push(json!({
        "apiVersion": rbac, "kind": "ClusterRole",
        "metadata": {"name": format!("configmaps-{ns}"), "labels": {"probepilot.dev/aggregate-to-counter": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    }));
    roles
}

fn suffix(name: &mut Value, with: &str) {
    *name = json!(format!("{}-{with}", name.as_str().unwrap()));
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
