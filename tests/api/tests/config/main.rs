//! The kustomizations of config/, as kubectl builds them. That they work is for tests/node, which installs them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod account;
mod authors;
mod edits;
mod guard;
mod kinds;
mod namespaced;
mod pods;

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Api;
use kube::api::PostParams;
use probepilot_test_api::{Scene, kustomization};
use probepilot_test_cluster::{Cluster, TestNamespace};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// What `kubectl kustomize config/NAME` prints, object by object.
async fn build(cluster: &Cluster, name: &str) -> Vec<Value> {
    let kubectl = cluster.kubectl().unwrap();
    kubectl.kustomize(&kustomization(name)).await.unwrap()
}

fn of<K: DeserializeOwned>(objects: &[Value], kind: &str) -> K {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    serde_json::from_value(object.clone()).unwrap()
}

fn kinds_of(objects: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = objects
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    kinds.sort_unstable();
    kinds
}

/// The kinds, the image and how it is pulled.
fn image(deployment: &Deployment) -> (String, Option<String>) {
    let pod = deployment.spec.clone().unwrap().template.spec.unwrap();
    let [operator] = pod.containers.as_slice() else {
        panic!("one container")
    };
    (
        operator.image.clone().unwrap(),
        operator.image_pull_policy.clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_installs_everything_and_the_overlay_changes_the_image_alone() {
    let cluster = Cluster::shared().await.unwrap();
    let mut default = build(&cluster, "default").await;
    let mut local = build(&cluster, "local").await;
    assert_eq!(
        kinds_of(&default),
        [
            "ClusterRole",
            "ClusterRole",
            "ClusterRole",
            "ClusterRoleBinding",
            "ClusterRoleBinding",
            "ClusterRoleBinding",
            "CustomResourceDefinition",
            "Deployment",
            "Namespace",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Role",
            "RoleBinding",
            "ServiceAccount",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingAdmissionPolicyBinding",
        ]
    );
    let version = format!(
        "ghcr.io/probepilot/probepilot:v{}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(image(&of(&default, "Deployment")), (version, None));
    assert_eq!(
        image(&of(&local, "Deployment")),
        (
            "probepilot.test/probepilot:dev".to_owned(),
            Some("Never".to_owned())
        )
    );
    let without_image = |objects: &mut Vec<Value>| {
        for object in objects {
            if let Some(container) = object.pointer_mut("/spec/template/spec/containers/0") {
                let container = container.as_object_mut().unwrap();
                container.remove("image");
                container.remove("imagePullPolicy");
            }
        }
    };
    without_image(&mut default);
    without_image(&mut local);
    assert_eq!(default, local);
}

/// Verbs that change an object.
const WRITES: [&str; 6] = [
    "*",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_install_for_admission_alone_may_write_no_workload() {
    let cluster = Cluster::shared().await.unwrap();
    let rules_that_write = |objects: &[Value]| {
        let mut rules = Vec::new();
        for role in objects {
            for rule in role["rules"].as_array().into_iter().flatten() {
                let has = |field: &str, any: &[&str]| {
                    let values = rule[field].as_array().unwrap();
                    values
                        .iter()
                        .any(|value| any.contains(&value.as_str().unwrap()))
                };
                if has("apiGroups", &["apps", "*"]) && has("verbs", &WRITES) {
                    rules.push(rule.clone());
                }
            }
        }
        rules
    };
    let all = build(&cluster, "default").await;
    assert_eq!(
        rules_that_write(&all).len(),
        1,
        "so the question is a good one"
    );
    let alone = build(&cluster, "admission-only").await;
    assert_eq!(rules_that_write(&alone), Vec::<Value>::new());
    let kinds = kinds_of(&alone);
    for needed in ["MutatingAdmissionPolicy", "ProbePolicy", "Deployment"] {
        assert!(kinds.contains(&needed), "{needed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_runs_under_restricted_pod_security() {
    let scene = Scene::new("config").await;
    let default = build(&scene.cluster, "default").await;
    let namespace: Value = of(&default, "Namespace");
    let labels: BTreeMap<String, String> =
        serde_json::from_value(namespace["metadata"]["labels"].clone()).unwrap();
    assert_eq!(
        labels
            .get("pod-security.kubernetes.io/enforce")
            .map(String::as_str),
        Some("restricted")
    );
    // The namespace with its labels, under another name: admission looks at these alone.
    let restricted = TestNamespace::create_with_labels(&scene.admin, "config-restricted", labels)
        .await
        .unwrap();
    let pods: Api<Pod> = Api::namespaced(scene.admin.clone(), restricted.name());
    let pod = |spec: Value| -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "operator"}, "spec": spec})).unwrap()
    };
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let deployment: Value = of(&default, "Deployment");
    let mut spec = deployment["spec"]["template"]["spec"].clone();
    // The account is not in this namespace.
    spec.as_object_mut().unwrap().remove("serviceAccountName");
    pods.create(&dry, &pod(spec.clone())).await.unwrap();

    // And the same pod with one right more is refused, so the namespace does enforce.
    spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    let refused = pods.create(&dry, &pod(spec)).await.unwrap_err();
    assert!(
        refused.to_string().contains("violates PodSecurity"),
        "{refused}"
    );
    restricted.delete().await.unwrap();
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_service_finds_the_operator() {
    let cluster = Cluster::shared().await.unwrap();
    let deployment: Deployment = of(&build(&cluster, "default").await, "Deployment");
    let plain = build(&cluster, "monitoring").await;
    let monitored = build(&cluster, "service-monitor").await;
    assert_eq!(kinds_of(&plain), ["Service"]);
    assert_eq!(kinds_of(&monitored), ["Service", "ServiceMonitor"]);
    let service: Service = of(&plain, "Service");
    let monitor: Value = of(&monitored, "ServiceMonitor");

    let template = deployment.spec.unwrap().template;
    let pod_labels = template.metadata.unwrap().labels.unwrap();
    let selects = |selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>| {
        !selector.is_empty()
            && selector
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value))
    };
    let spec = service.spec.unwrap();
    assert!(selects(&spec.selector.unwrap(), &pod_labels));
    let monitored_labels: BTreeMap<String, String> =
        serde_json::from_value(monitor["spec"]["selector"]["matchLabels"].clone()).unwrap();
    assert!(selects(
        &monitored_labels,
        &service.metadata.labels.unwrap()
    ));

    let [port] = spec.ports.as_deref().unwrap() else {
        panic!("one port")
    };
    let pod_ports = template.spec.unwrap().containers.remove(0).ports.unwrap();
    let target = serde_json::to_value(port.target_port.clone().unwrap()).unwrap();
    assert!(
        pod_ports
            .iter()
            .any(|pod_port| pod_port.name.as_deref() == target.as_str()),
        "{target}"
    );
    assert_eq!(
        monitor["spec"]["endpoints"][0]["port"].as_str(),
        port.name.as_deref()
    );
}
