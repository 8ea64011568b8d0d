//! Accounts with rights of their own, and clients that carry their tokens.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Client;
use probepilot_test_api::Scene;
use serde_json::{Value, json};

/// A rule of a role: one verb, or `*`, on resources of one group.
pub fn rule(group: &str, resources: &[&str], verb: &str) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": [verb]})
}

/// Creates the account in the test's namespace, grants it these rules there, and returns a client with its token.
pub async fn account(scene: &Scene, name: &str, rules: &[Value]) -> Client {
    let metadata = json!({"name": name});
    let _: ServiceAccount = scene.create(json!({"metadata": metadata})).await;
    let _: Role = scene
        .create(json!({"metadata": metadata, "rules": rules}))
        .await;
    let _: RoleBinding = scene
        .create(json!({
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": scene.ns()}],
        }))
        .await;
    token(scene, name).await
}

/// A client with a token of an account in the test's namespace.
pub async fn token(scene: &Scene, name: &str) -> Client {
    let config = scene.cluster.config_of(scene.ns(), name).await.unwrap();
    Client::try_from(config).unwrap()
}
