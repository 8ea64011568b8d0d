//! The same kill under delivery Admission, with an operator that may write no workload: the killed pod is deleted,
//! and the real kubelet starts the new one under the probes that it got at its admission.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use probepilot_api::{ADMITTED_ANNOTATION, ProbePolicy};
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, Kubectl, TestNamespace, rights_in};
use probepilot_test_node::story::config_dir;
use serde_json::{Value, json};

use crate::case::{Case, End, SLOW, slow};
use crate::common::{operator_as, reason};

const PATIENCE: Duration = Duration::from_mins(4);

pub async fn a_killed_pod_is_deleted_and_the_new_one_starts(cluster: &Cluster, client: &Client) {
    let namespace = TestNamespace::create(client, "admitted").await.unwrap();
    let (name, kubectl) = (namespace.name(), cluster.kubectl().unwrap());
    let installed = install(&kubectl, name).await;
    let config = cluster.config_of(name, "probepilot").await.unwrap();
    let operator = operator_as(config, name);

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
    remove(&kubectl, &installed).await;
    namespace.delete().await.unwrap();
}

/// What config/admission-only ships of roles and admission, for an operator of this namespace.
async fn install(kubectl: &Kubectl, namespace: &str) -> Vec<Value> {
    let directory = config_dir().join("admission-only");
    let shipped = kubectl.kustomize(&directory).await.unwrap();
    let canary = |object: &&Value| object["kind"] == "ProbePolicy";
    let mut canary = shipped.iter().find(canary).cloned().unwrap();
    canary["metadata"]["namespace"] = json!(namespace);
    let admission = |object: &&Value| {
        let kind = object["kind"].as_str().unwrap_or_default();
        kind.starts_with("MutatingAdmissionPolicy")
    };
    let of_the_cluster = shipped.iter().filter(admission).cloned();
    let mut objects: Vec<_> = of_the_cluster.chain([canary]).collect();
    objects.extend(rights_in(namespace, shipped));
    for object in &objects {
        let words = ["apply", "-f", "-"];
        kubectl
            .run_with_input(words, &object.to_string())
            .await
            .unwrap();
    }
    objects
}

/// Takes away what is in no namespace.
async fn remove(kubectl: &Kubectl, objects: &[Value]) {
    for object in objects {
        let [kind, name] =
            [&object["kind"], &object["metadata"]["name"]].map(|word| word.as_str().unwrap());
        if object["metadata"]["namespace"].is_null() {
            kubectl.run(["delete", kind, name]).await.unwrap();
        }
    }
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
