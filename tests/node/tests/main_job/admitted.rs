//! The same controller under delivery Admission: its Deployment stays what its owner wrote.

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::Api;
use kube::api::ListParams;
use probepilot_api::ADMITTED_ANNOTATION;
use probepilot_test_node::controller::{Controller, Owner};
use probepilot_test_node::policy::StoryPolicy;
use probepilot_test_node::story::Story;

use crate::seen::{CHART, RUNG, probes, reason, timings};
use crate::variants::STAYS;

/// Killed once, deleted, and started once with the rung's timings, which nothing but its pod carries.
pub async fn admitted(story: &Story, millicpu: u32) {
    let owner = Owner::ServerSide("kustomize-controller");
    let controller = story.deploy("admitted", owner, millicpu).await.unwrap();
    controller.killed().await.unwrap();
    controller
        .apply_policy(&StoryPolicy::timings("Enforce").by_admission())
        .await
        .unwrap();
    controller
        .status("the new pod to carry its probes", |status| {
            reason(status, "Delivery") == "AdmissionReady" && reason(status, "InSync") == "Covered"
        })
        .await
        .unwrap();
    assert_eq!(controller.ready().await.unwrap(), 0, "one start");
    controller.stays_ready(STAYS).await.unwrap();

    let pod = controller.pod().await.unwrap();
    let annotations = pod.metadata.annotations.unwrap_or_default();
    assert!(
        annotations.contains_key(ADMITTED_ANNOTATION),
        "{annotations:?}"
    );
    let container = pod.spec.unwrap().containers.remove(0);
    assert_eq!(container.liveness_probe.as_ref().map(timings), Some(RUNG));
    assert_eq!(probes(&controller).await, (CHART, None), "the template");
    assert_eq!(controller.generation().await.unwrap(), 1, "no write");
    assert_eq!(templates(story, &controller).await, 1, "one template hash");
}

async fn templates(story: &Story, controller: &Controller) -> usize {
    let sets: Api<ReplicaSet> = Api::namespaced(story.client().clone(), controller.namespace());
    sets.list(&ListParams::default()).await.unwrap().items.len()
}
