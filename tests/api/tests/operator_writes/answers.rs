//! What the API server answers to a write, and what happens while it is on its way.

use std::time::{Duration, Instant};

use http::StatusCode;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use probepilot_test_api::stage::{
    Shown, Stage, chart_liveness, deployment, patches_workload, reason, shown, sync_message, until,
    web, writes_status,
};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

const LIVENESS: &str = "30/10/10/2 /healthz:61779";
const FIRST: &str = "0/10/10/7 /healthz:61779";
const SECOND: &str = "0/10/10/61 /healthz:61779";

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), future).await;
    waited.unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// An admission policy that lets nobody put our annotation on Deployment `web` of this namespace; it goes
/// with the namespace.
async fn forbid(stage: &Stage) {
    let ns = stage.scene.ns().to_owned();
    let all: Api<Namespace> = Api::all(stage.scene.admin.clone());
    let uid = all.get(&ns).await.unwrap().metadata.uid;
    let metadata = json!({"name": ns, "ownerReferences": [{"apiVersion": "v1", "kind": "Namespace", "name": ns, "uid": uid}]});
    let policy = json!({"metadata": metadata, "spec": {"failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
            "operations": ["UPDATE"], "resources": ["deployments"]}]},
        "validations": [{"message": "probes of web are frozen until Monday",
            "expression": "object.metadata.name != 'web' || !has(object.metadata.annotations) || !('probepilot.dev/baseline' in object.metadata.annotations)"}]}});
    let binding = json!({"metadata": metadata, "spec": {"policyName": ns, "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}}}}});
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(stage.scene.admin.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(stage.scene.admin.clone());
    let params = PostParams::default();
    policies
        .create(&params, &serde_json::from_value(policy).unwrap())
        .await
        .unwrap();
    bindings
        .create(&params, &serde_json::from_value(binding).unwrap())
        .await
        .unwrap();
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patch =
        Patch::Merge(json!({"metadata": {"annotations": {"probepilot.dev/baseline": "[]"}}}));
    let look = || async {
        let tried = stage
            .scene
            .api::<Deployment>()
            .patch("web", &dry, &patch)
            .await;
        Ok::<_, kube::Error>(match tried {
            Err(kube::Error::Api(status)) if status.code == 422 => Seen::Done(()),
            other => Seen::NotYet(format!(
                "{:?}",
                other.map(|deployment| deployment.metadata.generation)
            )),
        })
    };
    until("the admission policy to be in force", look).await;
}

async fn allow(stage: &Stage) {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(stage.scene.admin.clone());
    bindings
        .delete(stage.scene.ns(), &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_write_is_told_rests_and_is_tried_again() {
    let stage = Stage::new("writes-refused").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    forbid(&stage).await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let status = stage.in_sync("web", "WriteRefused").await;
    let message = sync_message(&status);
    assert!(
        message.starts_with("the API server refused to write the probes of deployment/web: ")
            && message.contains("probes of web are frozen until Monday"),
        "{message}"
    );
    assert_eq!(reason(&status, "Ready"), "Enforcing");
    assert_eq!(status.last_write, None);

    // One target at a time may roll out; the refused one must not keep the slot.
    let containers =
        json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz")}]);
    stage
        .scene
        .create::<Deployment>(deployment("other", containers))
        .await;
    stage
        .create_policy(stage.policy("other", "other", json!({})))
        .await;
    stage.in_sync("other", "Covered").await;
    assert_eq!(
        Shown::of(&stage.get("other").await, "a"),
        shown(FIRST, LIVENESS, 2)
    );

    // It rests: nothing is written, not even status.
    stage.quiet().await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, shown("", LIVENESS, 1));

    allow(&stage).await;
    let covered =
        |status: &probepilot_api::ProbePolicyStatus| reason(status, "InSync") == "Covered";
    stage
        .status_within(Duration::from_secs(90), "web", "Covered", covered)
        .await;
    assert_eq!(stage.shown().await, shown(FIRST, LIVENESS, 2));
    assert_eq!(stage.told("WriteRefused", 1).await.len(), 1, "told once");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_api_server_is_asked_less_and_less_often() {
    let stage = Stage::new("writes-failing").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    stage.enforce(json!({})).await;
    stage
        .proxy
        .refuse(StatusCode::INTERNAL_SERVER_ERROR, patches_workload);
    let from = Instant::now();
    let operator = stage.start();
    let look = || async {
        let seen = stage.proxy.since(from);
        let tries: Vec<_> = seen
            .iter()
            .filter(|one| patches_workload(&one.line))
            .map(|one| one.at)
            .collect();
        Ok::<_, std::convert::Infallible>(match tries.as_slice() {
            [first, second, third, ..] => Seen::Done((*second - *first, *third - *second)),
            fewer => Seen::NotYet(format!("{} tries", fewer.len())),
        })
    };
    let (first, second) = until("three tries", look).await;
    assert!(
        first >= Duration::from_millis(1500) && second > first,
        "{first:?}, {second:?}"
    );
    assert_eq!(stage.shown().await, shown("", LIVENESS, 1));
    stage.proxy.spare_all();
    let status = stage.until_shown(shown(FIRST, LIVENESS, 2)).await;
    assert_eq!(status.last_write.unwrap().generation, Some(2));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_neither_repeated_nor_forgotten() {
    let stage = Stage::new("writes-lost").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    stage.enforce(json!({})).await;
    stage.proxy.lose_answer(patches_workload);
    let operator = stage.start();
    let status = stage.until_shown(shown(FIRST, LIVENESS, 2)).await;
    assert_eq!(status.last_write.unwrap().generation, Some(2));
    assert_eq!(
        stage.told("ProbesRaised", 2).await.len(),
        2,
        "on policy and target"
    );
    stage.quiet().await;
    assert_eq!(stage.shown().await, shown(FIRST, LIVENESS, 2));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_changes_before_the_write_is_obeyed() {
    let stage = Stage::new("writes-in-flight").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    stage.enforce(json!({"mode": "Observe"})).await;
    let operator = stage.start();
    stage.in_sync("web", "ObserveOnly").await;
    stage.quiet().await;

    // The status that announces the write is held; meanwhile the user changes his mind.
    let from = Instant::now();
    let mut held = stage.proxy.hold(writes_status);
    stage.edit_policy("web", json!({"mode": "Enforce"})).await;
    soon("the intent", held.arrived()).await;
    stage.edit_policy("web", json!({"mode": "Observe"})).await;
    held.release();
    stage.in_sync("web", "ObserveOnly").await;
    stage.quiet().await;
    assert_eq!(stage.patches_since(from), 0);
    assert_eq!(stage.shown().await, shown("", LIVENESS, 1));
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_or_target_that_changes_during_the_write_is_decided_anew() {
    let stage = Stage::new("writes-in-flight").await;
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    stage.enforce(json!({})).await;
    let mut held = stage.proxy.hold(patches_workload);
    let operator = stage.start();
    soon("the write", held.arrived()).await;
    let rules = |seconds: i32| {
        let count = json!({"resource": "configmaps", "namespace": stage.scene.ns()});
        json!({"rules": [{"count": count, "steps": [{"atLeast": 0, "startupSeconds": seconds}]}]})
    };
    stage.edit_policy("web", rules(600)).await;
    held.release();
    let status = stage.until_shown(shown(SECOND, LIVENESS, 3)).await;
    let write = status.last_write.unwrap();
    assert_eq!(
        (write.from_seconds, write.to_seconds, write.generation),
        (60, 600, Some(3))
    );
    assert_eq!(
        stage.told("ProbesRaised", 4).await.len(),
        4,
        "two writes, each on policy and target"
    );
    stage.quiet().await;

    // The owner changes the target under the write: it is refused by its guard, and decided anew.
    let mut held = stage.proxy.hold(patches_workload);
    stage.edit_policy("web", rules(1200)).await;
    soon("the write", held.arrived()).await;
    let delay: Value = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "livenessProbe": {"timeoutSeconds": 5}}]}}}});
    stage.edit("web", delay).await;
    held.release();
    stage
        .until_shown(shown(
            "0/10/5/121 /healthz:61779",
            "30/10/5/2 /healthz:61779",
            5,
        ))
        .await;
    stage.quiet().await;
    assert_eq!(stage.shown().await.generation, 5);
    operator.stop().await;
    stage.end().await;
}
