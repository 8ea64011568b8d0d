//! What is left on a workload, and of a policy.

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;
use kube::api::DeleteParams;
use probepilot_api::{BASELINE_ANNOTATION, KEPT_ANNOTATION, ProbePolicy, TargetKind};
use probepilot_policy::Workload;
use probepilot_test_api::stage::{Stage, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

// A Deployment's generation counts changes of its annotations as well (deployment strategy, PrepareForUpdate), so
// letting go is one more although no pod is replaced.
pub const LIVENESS: &str = "30/10/10/2 /healthz:61779";
pub const STARTUP: &str = "0/10/10/7 /healthz:61779";
/// The liveness timings of [`rung`].
pub const LONGER: &str = "60/10/30/6 /healthz:61779";

/// Rungs of liveness timings, taken from whoever declares them.
pub fn rung(stage: &Stage, on_delete: &str) -> Value {
    let mut fields = stage.rung();
    fields["apply"] = json!({"onConflict": "Take", "onDelete": on_delete});
    fields
}

/// `manager: liveness fields | startup fields` of every manager that owns any in container `a`.
pub fn owners(deployment: &Deployment) -> Vec<String> {
    let json = serde_json::to_value(deployment).unwrap();
    let workload = Workload::parse(TargetKind::Deployment, &json).unwrap();
    let shown = workload.managers.of("a").iter().map(|owner| {
        let keys = |keys: &std::collections::BTreeSet<String>| {
            keys.iter().cloned().collect::<Vec<_>>().join(" ")
        };
        format!(
            "{}: {} | {}",
            owner.manager,
            keys(&owner.liveness),
            keys(&owner.startup)
        )
    });
    shown.collect()
}

/// Whether the operator owns a probe of container `a`.
pub fn is_ours(deployment: &Deployment) -> bool {
    owners(deployment)
        .iter()
        .any(|one| one.starts_with("probepilot: "))
}

pub fn annotation(deployment: &Deployment, name: &str) -> Option<String> {
    deployment.annotations().get(name).cloned()
}

/// The command that takes kept probes away.
pub fn kept(deployment: &Deployment) -> Option<String> {
    annotation(deployment, KEPT_ANNOTATION)
}

/// Nothing on the Deployment tells of us.
pub fn assert_clean(deployment: &Deployment) {
    assert_eq!(kept(deployment), None);
    assert_eq!(annotation(deployment, BASELINE_ANNOTATION), None);
    let managers = deployment.managed_fields().iter();
    let managers: Vec<_> = managers
        .filter_map(|entry| entry.manager.as_deref())
        .collect();
    assert!(!managers.contains(&"probepilot"), "{managers:?}");
}

/// Waits until the operator owns no probe of `web`, and gives it.
pub async fn let_go(stage: &Stage) -> Deployment {
    let look = || async {
        let now = stage.get("web").await;
        Ok::<_, std::convert::Infallible>(if is_ours(&now) {
            Seen::NotYet(format!("{:?}", owners(&now)))
        } else {
            Seen::Done(now)
        })
    };
    until("web is let go", look).await
}

/// Asks for the policy's end, without waiting for it.
pub async fn delete(stage: &Stage, name: &str) {
    let api = stage.scene.api::<ProbePolicy>();
    api.delete(name, &DeleteParams::default()).await.unwrap();
}

/// Waits until the policy is gone.
pub async fn gone(stage: &Stage, name: &str) {
    let api = stage.scene.api::<ProbePolicy>();
    let look = || async {
        let left = api.get_opt(name).await?;
        Ok::<_, kube::Error>(match left {
            None => Seen::Done(()),
            Some(left) => Seen::NotYet(format!("{:?}", left.status)),
        })
    };
    until("the end of the policy", look).await;
}

pub async fn finalizers(stage: &Stage, name: &str) -> Vec<String> {
    let policy = stage.scene.api::<ProbePolicy>().get(name).await.unwrap();
    policy.finalizers().to_vec()
}

/// Waits until the policy's finalizers are these.
pub async fn until_finalizers(stage: &Stage, name: &str, expected: &[&str]) {
    let look = || async {
        let now = finalizers(stage, name).await;
        Ok::<_, std::convert::Infallible>(if now == expected {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{now:?}"))
        })
    };
    until("the finalizers", look).await;
}
