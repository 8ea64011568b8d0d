//! Kills under delivery Admission, with an operator that may write no workload.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event as CoreEvent, Pod, Probe};
use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use probepilot_api::{ADMITTED_ANNOTATION, ProbePolicyStatus};
use probepilot_test_api::stage::{Stage, chart_liveness, reason, sync_message, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use crate::shipped::{apply, forget_rights, operator};

/// A workload of one pod that no node ever takes, so that its status is the test's own.
fn workload(kind: &str, name: &str, container: &Value) -> Value {
    let mut made = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "schedulingGates": [{"name": "probepilot.test/never"}],
                    "terminationGracePeriodSeconds": 10,
                    "containers": [{
                        "name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz"),
                        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}},
                    }],
                },
            },
        },
    });
    for (key, value) in container.as_object().unwrap() {
        made["spec"]["template"]["spec"]["containers"][0][key] = value.clone();
    }
    if kind == "StatefulSet" {
        made["spec"]["serviceName"] = json!(name);
    }
    made
}

fn policy(stage: &Stage, kind: &str, name: &str, seconds: i64) -> Value {
    let fields = json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
        "apply": {"delivery": "Admission"},
        // There is always one configmap, so kills alone ask for more than the chart's 40 s at 40.
        "rules": [{"count": {"resource": "configmaps", "namespace": stage.scene.ns()},
            "steps": [{"atLeast": 0, "startupSeconds": seconds}]}],
        "behavior": {"raise": {"stabilizationWindowSeconds": 600, "minIntervalSeconds": 600}},
    });
    stage.policy(name, name, fields)
}

/// Generation, and what of the workload's status names its template.
async fn template(stage: &Stage, kind: &str, name: &str) -> (Option<i64>, Value) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
    let api: kube::Api<DynamicObject> =
        kube::Api::namespaced_with(stage.scene.admin.clone(), stage.scene.ns(), &resource);
    let object = api.get(name).await.unwrap();
    (object.metadata.generation, object.data["spec"].clone())
}

async fn pod(stage: &Stage, app: &str, besides: &str) -> Pod {
    let mine = ListParams::default().labels(&format!("app={app}"));
    let look = || async {
        let pods = stage.scene.api::<Pod>().list(&mine).await?.items;
        let mut others = pods
            .into_iter()
            .filter(|pod| pod.uid().as_deref() != Some(besides));
        Ok::<_, kube::Error>(match others.next() {
            Some(pod) => Seen::Done(pod),
            None => Seen::NotYet("none".to_owned()),
        })
    };
    until(&format!("a pod of {app}"), look).await
}

/// Startup threshold, what the pod says of it, and its template's hash.
fn given(pod: &Pod) -> (i32, String, String) {
    let container = &pod.spec.as_ref().unwrap().containers[0];
    let probe = container.startup_probe.as_ref();
    let asks = |probe: &Probe| probe.http_get.clone();
    let liveness = container.liveness_probe.as_ref().and_then(asks);
    assert!(probe.is_none_or(|probe| asks(probe) == liveness));
    let label = |key: &str| pod.labels().get(key).cloned();
    (
        probe.and_then(|probe| probe.failure_threshold).unwrap_or(0),
        pod.annotations()
            .get(ADMITTED_ANNOTATION)
            .cloned()
            .unwrap_or_default(),
        label("pod-template-hash")
            .or(label("controller-revision-hash"))
            .unwrap_or_default(),
    )
}

fn uid(pod: &Pod) -> String {
    pod.uid().unwrap()
}

async fn tell(stage: &Stage, pod: &Pod, status: Value) {
    let api = stage.scene.api::<Pod>();
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(&pod.name_any(), &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// The kubelet kills the pod's first life of 57 s.
async fn kill(stage: &Stage, pod: &Pod) {
    let second = |ago: i64| {
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
        now - SignedDuration::from_secs(ago)
    };
    let (taken, started, finished) = (second(60), second(57), second(0));
    let event = json!({"metadata": {"name": format!("{}.1", pod.name_any())},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "namespace": stage.scene.ns(),
            "uid": uid(pod), "fieldPath": "spec.containers{a}"},
        "reason": "Killing", "message": "Container a failed liveness probe, will be restarted", "type": "Normal",
        "source": {"component": "kubelet", "host": "node"}, "firstTimestamp": finished, "lastTimestamp": finished, "count": 1});
    stage.scene.create::<CoreEvent>(event).await;
    tell(
        stage,
        pod,
        json!({
            "phase": "Running", "startTime": taken,
            "conditions": [{"type": "ContainersReady", "status": "False", "lastTransitionTime": taken}],
            "containerStatuses": [{"name": "a", "image": "none", "imageID": "x", "ready": false, "started": true,
                "restartCount": 1, "state": {"running": {"startedAt": finished}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished}}}],
        }),
    )
    .await;
}

async fn ready(stage: &Stage, pod: &Pod) {
    tell(
        stage,
        pod,
        json!({"phase": "Running", "containerStatuses": [{"name": "a", "image": "none", "imageID": "x",
            "ready": true, "started": true, "restartCount": 0, "state": {"running": {"startedAt": Timestamp::now()}}}]}),
    )
    .await;
}

fn in_sync(why: &str) -> impl Fn(&ProbePolicyStatus) -> bool {
    move |status| {
        let intent = status
            .memory
            .as_ref()
            .and_then(|memory| memory.intent.as_ref());
        reason(status, "InSync") == why
            && reason(status, "Delivery") == "AdmissionReady"
            && intent.is_none()
    }
}

fn budget(status: &ProbePolicyStatus) -> Option<i64> {
    status.startup.as_ref()?.budget_seconds
}

/// Each kind is killed once; the pod goes and its successor has what the kill asked for.
pub async fn of_each_kind() {
    let stage = Stage::new("killed").await;
    let running = operator(&stage).await;
    let kinds = ["Deployment", "StatefulSet", "DaemonSet"];
    let each = kinds.map(|kind| one_kind(&stage, kind));
    futures::future::join_all(each).await;
    let told = stage.told("PodReplaced", 6).await;
    assert_eq!(
        told.len(),
        6,
        "on each policy and each target, once: {told:#?}"
    );
    running.stop().await;
    forget_rights(&stage).await;
    stage.end().await;
}

async fn one_kind(stage: &Stage, kind: &str) {
    let name = kind.to_lowercase();
    apply(stage, &workload(kind, &name, &json!({}))).await;
    let first = pod(stage, &name, "").await;
    let before = template(stage, kind, &name).await;
    stage.create_policy(policy(stage, kind, &name, 40)).await;
    stage.status(&name, "covered", in_sync("Covered")).await;
    kill(stage, &first).await;

    let second = pod(stage, &name, &uid(&first)).await;
    let (threshold, said, hash) = given(&second);
    // 120 s from a life of 57 s.
    assert_eq!(
        (threshold, said),
        (13, format!("{name}:s0.10.10.13")),
        "{kind}"
    );
    assert_eq!(hash, given(&first).2, "{kind}: the template is the same");
    ready(stage, &second).await;
    let status = stage.status(&name, "covered", in_sync("Covered")).await;
    assert_eq!(
        (budget(&status), status.raises),
        (Some(120), Some(1)),
        "{kind}"
    );
    assert_eq!(
        template(stage, kind, &name).await,
        before,
        "{kind}: nothing was written"
    );
}

/// Proactive changes reach pods when they are created; an owner's own startup probe is left to him.
pub async fn with_an_owner_of_a_startup_probe() {
    let stage = Stage::new("proactive").await;
    let running = operator(&stage).await;
    let mut own = chart_liveness("/healthz");
    own["initialDelaySeconds"] = json!(20);
    apply(
        &stage,
        &workload("Deployment", "own", &json!({"startupProbe": own})),
    )
    .await;
    apply(&stage, &workload("Deployment", "web", &json!({}))).await;
    let (owned, first) = (pod(&stage, "own", "").await, pod(&stage, "web", "").await);
    ready(&stage, &first).await;
    for name in ["own", "web"] {
        stage
            .create_policy(policy(&stage, "Deployment", name, 60))
            .await;
    }

    let status = stage
        .status("own", "a startup probe", in_sync("OwnerStartupProbe"))
        .await;
    let message = sync_message(&status);
    assert!(
        message.contains("startupProbe: {failureThreshold: 5}"),
        "{message}"
    );
    assert_eq!(budget(&status), Some(30));
    let mine = stage
        .scene
        .api::<Pod>()
        .get(&owned.name_any())
        .await
        .unwrap();
    assert_eq!(given(&mine), given(&owned));

    let status = stage
        .status("web", "a pod behind", in_sync("PodsBehind"))
        .await;
    let message = sync_message(&status);
    assert!(
        message.starts_with("0 of 1 running pods carry"),
        "{message}"
    );
    assert_eq!(budget(&status), Some(40));
    let desired = status.desired.unwrap().revision();
    assert_eq!(desired, "s0.10.10.7");
    // Somebody else's rollout, drain or eviction.
    let words = ["delete", "pod", &first.name_any()];
    stage.kubectl(&words, &Value::Null).await.unwrap();
    let second = pod(&stage, "web", &uid(&first)).await;
    assert_eq!(given(&second).1, format!("web:{desired}"));
    ready(&stage, &second).await;
    let status = stage.status("web", "covered", in_sync("Covered")).await;
    assert_eq!(budget(&status), Some(60));
    assert_eq!(template(&stage, "Deployment", "web").await.0, Some(1));

    // Without an operator new pods get what was decided last.
    running.stop().await;
    stage
        .kubectl(&["delete", "pod", &second.name_any()], &Value::Null)
        .await
        .unwrap();
    let third = pod(&stage, "web", &uid(&second)).await;
    assert_eq!(given(&third).1, format!("web:{desired}"));
    forget_rights(&stage).await;
    stage.end().await;
}
