//! Killed pods that no rollout replaces, of a DaemonSet and of a Deployment that is paused.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::proxy::mutates;
use probepilot_test_api::stage::{
    Stage, chart_liveness, daemon, reason, shown, sync_message, threshold, uid, until, web,
};
use probepilot_test_cluster::wait::Seen;
use serde_json::json;

/// Nodes without a kubelet that carry a label of their own, so that nothing else is put on them.
struct Nodes {
    api: Api<Node>,
    label: String,
}

impl Nodes {
    async fn of(stage: &Stage, names: &[&str]) -> Self {
        let api = Api::all(stage.scene.admin.clone());
        let label = format!("probepilot.test/{}", stage.scene.ns());
        for name in names {
            let node = json!({"metadata": {"name": format!("{}-{name}", stage.scene.ns()), "labels": {label.as_str(): ""}}});
            let node: Node = serde_json::from_value(node).unwrap();
            api.create(&PostParams::default(), &node).await.unwrap();
        }
        Self { api, label }
    }

    async fn remove(self) {
        let ours = ListParams::default().labels(&self.label);
        let params = DeleteParams::default();
        self.api.delete_collection(&params, &ours).await.unwrap();
    }
}

/// The target's pods by the node that their DaemonSet means them for, once there are so many.
async fn by_node(stage: &Stage, many: usize) -> BTreeMap<String, Pod> {
    let look = || async {
        let pods = stage
            .scene
            .api::<Pod>()
            .list(&ListParams::default())
            .await?;
        let alive = pods
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let pods: BTreeMap<_, _> = alive.map(|pod| (meant_for(&pod), pod)).collect();
        Ok::<_, kube::Error>(if pods.len() == many {
            Seen::Done(pods)
        } else {
            Seen::NotYet(format!("{:?}", pods.keys()))
        })
    };
    until("a pod for each node", look).await
}

/// A DaemonSet binds its pods by an affinity to a node's name.
fn meant_for(pod: &Pod) -> String {
    let affinity = serde_json::to_value(pod.spec.as_ref().unwrap().affinity.as_ref()).unwrap();
    let terms = &affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let name = terms[0]["matchFields"][0]["values"][0].as_str();
    name.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_daemonset_with_on_delete_only_the_killed_pod_is_deleted() {
    let stage = Stage::new("daemons").await;
    let nodes = Nodes::of(&stage, &["a", "b", "c"]).await;
    stage
        .applied(&daemon(&json!({"type": "OnDelete"}), &nodes.label))
        .await;
    let before = by_node(&stage, 3).await;
    let [(place, killed), (_, was_ready), (_, healthy)] = before.iter().collect::<Vec<_>>()[..]
    else {
        panic!("{:?}", before.keys());
    };
    stage.create_policy(stage.only_kills("DaemonSet")).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    // One serves, one was killed after it had served, and one was never healthy.
    stage.runs(healthy, true).await.unwrap();
    stage.kill_first_life(was_ready, true).await;
    stage.kill_first_life(killed, false).await;
    stage.told("PodReplaced", 2).await;
    let gone = || async {
        let pods = by_node(&stage, 3).await;
        Ok::<_, std::convert::Infallible>(if uid(&pods[place]) == uid(killed) {
            Seen::NotYet("the killed pod is there".to_owned())
        } else {
            Seen::Done(pods)
        })
    };
    until("its successor", gone).await;
    let told = |status: &ProbePolicyStatus| {
        let memory = status.memory.as_ref();
        let handover = memory.and_then(|memory| memory.handover.as_ref());
        let replaced = handover.and_then(|handover| handover.replaced.as_ref());
        replaced.is_some_and(|replaced| replaced.told) && reason(status, "InSync") == "Covered"
    };
    stage.status("web", "the deletion to be done", told).await;
    stage.quiet().await;
    let after = by_node(&stage, 3).await;
    assert_eq!(threshold(&after[place]), 13, "120 s from a life of 57 s");
    for (node, pod) in after.iter().filter(|(node, _)| *node != place) {
        assert_eq!(
            (uid(pod), threshold(pod)),
            (uid(&before[node]), 0),
            "{node}"
        );
    }
    operator.stop().await;
    nodes.remove().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_paused_deployment_nothing_is_deleted_and_the_reason_is_said() {
    let stage = Stage::new("paused").await;
    let from = std::time::Instant::now();
    let mut object = web(chart_liveness("/healthz"));
    object["spec"]["replicas"] = json!(1);
    object["spec"]["paused"] = json!(false);
    object["spec"]["template"]["spec"]["schedulingGates"] =
        json!([{"name": "probepilot.test/never"}]);
    stage.applied(&object).await;
    let pod = stage.pod_besides(&[]).await;
    stage.create_policy(stage.only_kills("Deployment")).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.edit("web", json!({"spec": {"paused": true}})).await;
    stage.killed(&pod, 57).await;
    let paused = |status: &ProbePolicyStatus| {
        status.last_write.is_some() && reason(status, "InSync") == "Paused"
    };
    let status = stage.status("web", "Paused", paused).await;
    let message = sync_message(&status);
    assert!(
        message.contains(&pod.name) && message.contains("resume its rollouts"),
        "{message}"
    );
    stage.quiet().await;
    // Created, paused, written: an update of the template is no rollout of a paused Deployment.
    let written = shown("0/10/10/13 /healthz:61779", "30/10/10/2 /healthz:61779", 3);
    assert_eq!(stage.shown().await, written);
    assert_eq!(stage.pod_besides(&[]).await.uid, pod.uid);
    let deletions: Vec<_> = stage
        .proxy
        .since(from)
        .into_iter()
        .filter(|seen| mutates(&seen.line) && seen.line.starts_with("DELETE"))
        .collect();
    assert!(deletions.is_empty(), "{deletions:?}");

    // Once rollouts resume, the Deployment's own controller replaces it.
    stage.edit("web", json!({"spec": {"paused": false}})).await;
    let successor = stage.pod_besides(&[&pod]).await;
    let successor = stage.pod_after(&successor.name, "").await;
    assert_eq!(threshold(&successor), 13);
    operator.stop().await;
    stage.end().await;
}
