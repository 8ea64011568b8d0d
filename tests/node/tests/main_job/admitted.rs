//! The same controller under delivery Admission, by an operator that may write no workload: its Deployment stays
//! what its owner wrote.

use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::Api;
use kube::api::ListParams;
use probepilot_api::ADMITTED_ANNOTATION;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_node::controller::{Controller, Owner};
use probepilot_test_node::policy::StoryPolicy;
use probepilot_test_node::rights::granted;
use probepilot_test_node::story::{SYSTEM, Story};

use crate::roles::{AuditMark, shipped};
use crate::seen::{CHART, RUNG, probes, reason, timings};
use crate::variants::STAYS;

/// A controller that its liveness probe kills, and that no policy is for yet.
pub async fn killed(story: &Story, millicpu: u32) -> Controller {
    let owner = Owner::ServerSide("kustomize-controller");
    let controller = story.deploy("admitted", owner, millicpu).await.unwrap();
    controller.killed().await.unwrap();
    controller
}

/// The role set of delivery Template is taken away for this; the rest is what `config/admission-only` installs.
pub async fn rescued_without_a_right_to_write(story: &Story, controller: &Controller) {
    story.change("delete", "template").await.unwrap();
    until_it_may_write_no_workload(story).await;
    let mark = AuditMark::now(story.cluster());

    rescued(story, controller).await;

    let used = mark.used();
    let granted = granted(&shipped(story, &["admission-only"]).await).unwrap();
    let beyond: Vec<_> = used.allowed.difference(&granted).collect();
    assert!(
        beyond.is_empty(),
        "not in config/admission-only: {beyond:?}"
    );
    let reading = ["get", "list", "watch"];
    let mut written = used.allowed.iter();
    let written = written.find(|right| right.group == "apps" && !reading.contains(&&*right.verb));
    assert_eq!(written, None, "a write to a workload");
    assert_eq!(used.denied, Vec::<String>::new(), "a right is missed");
    story.change("apply", "template").await.unwrap();
}

/// The authorizer hears of a change of roles some moments later.
async fn until_it_may_write_no_workload(story: &Story) {
    let account = format!("--as=system:serviceaccount:{SYSTEM}:probepilot");
    let asked = [
        "auth",
        "can-i",
        "--list",
        "--namespace=admitted",
        "--no-headers",
        &account,
    ];
    let look = || async {
        let rights = story.kubectl(&asked).await?;
        let workloads = rights.lines().filter(|line| line.contains(".apps"));
        let rights: Vec<_> = workloads.collect();
        let writes = |line: &&str| {
            ["patch", "update", "create", "delete", "*"]
                .iter()
                .any(|verb| line.contains(verb))
        };
        let read = !rights.is_empty() && !rights.iter().any(writes);
        Ok::<_, anyhow::Error>(if read {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{rights:?}"))
        })
    };
    let what = "an operator that may only read workloads";
    wait::until(what, Duration::from_secs(30), look)
        .await
        .unwrap();
}

/// Killed, deleted, and started once with the rung's timings, which nothing but its pod carries.
async fn rescued(story: &Story, controller: &Controller) {
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
    assert_eq!(probes(controller).await, (CHART, None), "the template");
    assert_eq!(controller.generation().await.unwrap(), 1, "no write");
    assert_eq!(templates(story, controller).await, 1, "one template hash");
}

async fn templates(story: &Story, controller: &Controller) -> usize {
    let sets: Api<ReplicaSet> = Api::namespaced(story.client().clone(), controller.namespace());
    sets.list(&ListParams::default()).await.unwrap().items.len()
}
