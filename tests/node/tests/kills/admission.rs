//! The same kill under delivery Admission, with an operator that may write no workload: the killed pod is deleted,
//! and the real kubelet starts the new one under the probes that it got at its admission.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Config, ResourceExt};
use probepilot_api::{ADMITTED_ANNOTATION, ProbePolicy};
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, Kubectl, TestNamespace};
use probepilot_test_node::story::config_dir;
use serde_json::{Value, json};

use crate::case::{Case, End, SLOW, slow};
use crate::common::{admin_config, operator_as, reason};

const PATIENCE: Duration = Duration::from_mins(4);

pub async fn a_killed_pod_is_deleted_and_the_new_one_starts(cluster: &Cluster, client: &Client) {
    let namespace = TestNamespace::create(client, "admitted").await.unwrap();
    let (name, kubectl) = (namespace.name(), cluster.kubectl().unwrap());
    install(&kubectl, name).await;
    let operator = operator_as(account(cluster, client, &kubectl, name).await, name);

    let case = Case {
        policy: json!({"apply": {"delivery": "Admission"}}),
        ..Case::new("admitted", slow(SLOW, "exit 1"), End::Rescued { raises: 1 })
    };
    let policies: Api<ProbePolicy> = Api::namespaced(client.clone(), name);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), name);
    let params = PostParams::default();
    policies.create(&params, &case.policy()).await.unwrap();
    deployments
        .create(&params, &case.deployment())
        .await
        .unwrap();

    let look = || async {
        let status = policies.get(case.name).await?.status.unwrap_or_default();
        let settled = status.raises == Some(1) && reason(&status, "InSync") == "Covered";
        let pod = only_pod(client, name).await?;
        Ok::<_, kube::Error>(match pod {
            Some(pod) if settled && is_ready(&pod) => Seen::Done((status, pod)),
            pod => Seen::NotYet(format!("{status:?}\n{:?}", pod.map(|pod| pod.status))),
        })
    };
    let waited = wait::until_every(Duration::from_millis(500), "the rescue", PATIENCE, look).await;
    let (status, pod) = waited.unwrap();

    let desired = status.desired.unwrap().revision();
    let said = pod.annotations().get(ADMITTED_ANNOTATION).cloned();
    assert_eq!(said, Some(format!("admitted:{desired}")));
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let asks = |probe: &Option<k8s_openapi::api::core::v1::Probe>| {
        probe.as_ref().and_then(|probe| probe.http_get.clone())
    };
    assert!(asks(&container.startup_probe).is_some());
    assert_eq!(
        asks(&container.startup_probe),
        asks(&container.liveness_probe)
    );
    assert_eq!(restarts(&pod), 0, "it started once");
    assert_eq!(status.verdict.as_deref(), Some("StartupKill"));
    assert_eq!(reason(&status, "Delivery"), "AdmissionReady");
    let deployment = deployments.get(case.name).await.unwrap();
    assert_eq!(
        deployment.metadata.generation,
        Some(1),
        "nothing was written"
    );
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), name);
    let sets = sets.list(&ListParams::default()).await.unwrap();
    assert_eq!(sets.items.len(), 1, "one template hash");

    operator.abort();
    for object in ["clusterrolebinding", "clusterrole"] {
        kubectl.run(["delete", object, name]).await.unwrap();
    }
    for object in ["binding", ""] {
        let kind = format!("mutatingadmissionpolicy{object}");
        kubectl
            .run(["delete", &kind, "probepilot-probes"])
            .await
            .unwrap();
    }
    namespace.delete().await.unwrap();
}

/// config/admission as it is shipped; the canary goes to the operator's namespace.
async fn install(kubectl: &Kubectl, namespace: &str) {
    let directory = config_dir().join("admission").display().to_string();
    let text = kubectl.run(["kustomize", &directory]).await.unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    for mut object in objects {
        if object["apiVersion"] == "rbac.authorization.k8s.io/v1" {
            // The account of this test has rights of its own.
            continue;
        }
        if object["metadata"]["namespace"].is_string() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        apply(kubectl, &object).await;
    }
}

async fn apply(kubectl: &Kubectl, object: &Value) {
    let words = ["apply", "-f", "-"];
    kubectl
        .run_with_input(words, &object.to_string())
        .await
        .unwrap();
}

/// A service account of that namespace that may do what delivery Admission needs: it writes no workload.
async fn account(cluster: &Cluster, client: &Client, kubectl: &Kubectl, namespace: &str) -> Config {
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let workloads = ["deployments", "statefulsets", "daemonsets"];
    let admission = [
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    ];
    let rules = json!([
        rule("probepilot.dev", &["probepolicies"], &["list", "watch"]),
        rule("probepilot.dev", &["probepolicies/status"], &["patch"]),
        rule("apps", &workloads, &["list", "watch"]),
        rule("", &["pods"], &["list", "watch", "delete", "create"]),
        rule("", &["events"], &["list"]),
        rule("", &["namespaces"], &["get"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
        rule("admissionregistration.k8s.io", &admission, &["get"]),
    ]);
    let (rbac, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    for object in [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator", "namespace": namespace}}),
        json!({"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": namespace}, "rules": rules}),
        json!({"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": namespace},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": namespace}}),
    ] {
        apply(kubectl, &object).await;
    }
    let request = TokenRequest {
        spec: Some(TokenRequestSpec::default()),
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let token = accounts
        .create_token_request("operator", &PostParams::default(), &request)
        .await
        .unwrap();
    let admin = admin_config(cluster).await;
    let mut config = Config::new(admin.cluster_url);
    config.root_cert = admin.root_cert;
    namespace.clone_into(&mut config.default_namespace);
    config.auth_info.token = Some(token.status.unwrap().token.unwrap().into());
    config
}

/// The Deployment's pod that is not being deleted, where there is exactly one.
async fn only_pod(client: &Client, namespace: &str) -> kube::Result<Option<Pod>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut pods = pods.list(&ListParams::default()).await?.items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    let pod = pods.pop();
    Ok(pod.filter(|_| pods.is_empty()))
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_ref());
    statuses.is_some_and(|statuses| statuses.iter().all(|status| status.ready))
}

fn restarts(pod: &Pod) -> i32 {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_ref());
    let statuses = statuses.into_iter().flatten();
    statuses.map(|status| status.restart_count).sum()
}
