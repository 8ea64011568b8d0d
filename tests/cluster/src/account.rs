//! Service accounts: roles as they are shipped, given to one account, and that account's way to the API server.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::AuthInfo;
use kube::{Api, Config};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// API version of roles and bindings.
const RBAC: &str = "rbac.authorization.k8s.io/v1";

impl Cluster {
    /// The way to the API server of a service account, whose namespace is the default one. Its token is good for an hour.
    pub async fn config_of(&self, namespace: &str, account: &str) -> Result<Config> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: Some(TokenRequestSpec::default()),
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .map_err(Error::kube("create a token"))?;
        let token = answer.status.unwrap_or_default().token.unwrap_or_default();
        let mut config = self.config().await?;
        namespace.clone_into(&mut config.default_namespace);
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        Ok(config)
    }
}

/// The service accounts, roles and bindings among `objects`, for an operator that runs in `namespace`. What belongs to the
/// cluster gets the namespace's name behind its own, so that tests can run side by side.
#[must_use]
pub fn rights_in(namespace: &str, mut objects: Vec<Value>) -> Vec<Value> {
    objects.retain(|object| object["apiVersion"] == RBAC || object["kind"] == "ServiceAccount");
    for object in &mut objects {
        if object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = json!(namespace);
        } else {
            suffix(&mut object["metadata"]["name"], namespace);
        }
        if object["roleRef"]["kind"] == "ClusterRole" {
            suffix(&mut object["roleRef"]["name"], namespace);
        }
        for subject in object["subjects"].as_array_mut().into_iter().flatten() {
            subject["namespace"] = json!(namespace);
        }
    }
    objects
}

fn suffix(name: &mut Value, with: &str) {
    *name = json!(format!("{}-{with}", name.as_str().unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_move_into_a_namespace_and_cluster_roles_get_its_name() {
        let binding = |kind: &str, metadata: Value| {
            json!({"apiVersion": RBAC, "kind": kind, "metadata": metadata,
                "roleRef": {"kind": "ClusterRole", "name": "reader"},
                "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "system"}]})
        };
        let moved = rights_in(
            "test",
            vec![
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "operator"}}),
                json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator", "namespace": "system"}}),
                binding("ClusterRoleBinding", json!({"name": "reader"})),
                binding(
                    "RoleBinding",
                    json!({"name": "reader", "namespace": "system"}),
                ),
            ],
        );
        let shown: Vec<_> = moved
            .iter()
            .map(|object| {
                let metadata = &object["metadata"];
                let subject = &object["subjects"][0]["namespace"];
                let words = [
                    &metadata["namespace"],
                    &metadata["name"],
                    &object["roleRef"]["name"],
                    subject,
                ];
                words.map(|word| word.as_str().unwrap_or("-")).join(" ")
            })
            .collect();
        assert_eq!(
            shown,
            [
                "test operator - -",
                "- reader-test reader-test test",
                "test reader reader-test test"
            ]
        );
    }
}
