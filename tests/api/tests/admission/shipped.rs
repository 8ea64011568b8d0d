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

/// Runs the operator as a service account that may write no workload, with the canary in its namespace.
pub async fn operator(stage: &Stage) -> Operator {
    apply(stage, &object(stage, "ProbePolicy").await).await;
    let ns = stage.scene.ns();
    for object in rights(ns) {
        apply(stage, &object).await;
    }
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..TokenRequest::default()
    };
    let accounts = stage.scene.api::<ServiceAccount>();
    let token = accounts
        .create_token_request("operator", &PostParams::default(), &request)
        .await
        .unwrap();
    let admin = config(&stage.scene.cluster).await;
    let mut config = Config::new(admin.cluster_url);
    config.root_cert = admin.root_cert;
    ns.clone_into(&mut config.default_namespace);
    config.auth_info.token = Some(token.status.unwrap().token.unwrap().into());
    stage.start_as(config, false, ([127, 0, 0, 1], 0).into())
}

/// Everything that delivery Admission needs; no verb that writes a workload is among it.
fn rights(ns: &str) -> Vec<Value> {
    let rule = |group: &str, resources: Value, verbs: Value| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let mut named = rule(
        "admissionregistration.k8s.io",
        json!([
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings"
        ]),
        json!(["get"]),
    );
    named["resourceNames"] = json!(["probepilot-probes"]);
    let cluster = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": ns}, "rules": [
        named, rule("", json!(["namespaces"]), json!(["get"]))]});
    let own = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "operator"}, "rules": [
        rule("probepilot.dev", json!(["probepolicies"]), json!(["list", "watch"])),
        rule("probepilot.dev", json!(["probepolicies/status"]), json!(["patch"])),
        rule("apps", json!(["deployments", "statefulsets", "daemonsets"]), json!(["list", "watch"])),
        rule("", json!(["pods"]), json!(["list", "watch", "delete", "create"])),
        rule("", json!(["events", "configmaps"]), json!(["list"])),
        rule("events.k8s.io", json!(["events"]), json!(["create", "patch"]))]});
    let subject = json!([{"kind": "ServiceAccount", "name": "operator", "namespace": ns}]);
    let bound = |kind: &str, name: &str, to: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
            "subjects": subject, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": to, "name": name}})
    };
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}),
        cluster,
        own,
        bound("ClusterRoleBinding", ns, "ClusterRole"),
        bound("RoleBinding", "operator", "Role"),
    ]
}

/// What is not in a namespace of rights.
pub async fn forget_rights(stage: &Stage) {
    for kind in ["clusterrole", "clusterrolebinding"] {
        let words = ["delete", kind, stage.scene.ns()];
        stage.kubectl(&words, &Value::Null).await.unwrap();
    }
}
