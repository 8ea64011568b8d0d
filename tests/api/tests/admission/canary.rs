//! What is told when delivery Admission does not work, and that pods are created whatever is wrong.

use std::time::Instant;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::crd::install_own;
use probepilot_test_api::stage::{Stage, reason, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use crate::shipped::{apply, delete, install, object};

const DELIVERY: &str = "Delivery";

async fn delivery(stage: &Stage, why: &str) -> ProbePolicyStatus {
    let settled = |status: &ProbePolicyStatus| reason(status, DELIVERY) == why;
    stage.status("web", why, settled).await
}

fn says(status: &ProbePolicyStatus) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == DELIVERY);
    found.unwrap().message.clone()
}

/// A pod with a liveness probe, as a controller makes it; whether it got a startup probe.
async fn created(stage: &Stage, name: &str) -> bool {
    let pod = json!({
        "metadata": {"name": name, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "probepilot-canary",
            "uid": "00000000-0000-0000-0000-000000000000", "controller": true}]},
        "spec": {"schedulingGates": [{"name": "probepilot.test/never"}], "containers": [{"name": "canary", "image": "none",
            "livenessProbe": {"tcpSocket": {"port": 80}}}]},
    });
    let pod: Pod = stage.scene.create(pod).await;
    pod.spec.unwrap().containers[0].startup_probe.is_some()
}

pub async fn tells_what_is_wrong(stage: &Stage) {
    let operator = stage.start();
    let web = json!({"apply": {"delivery": "Admission"}});
    stage.enforce(web).await;
    delivery(stage, "AdmissionReady").await;
    let line = stage.kubectl(
        &["get", "pbp", "web", "-o", "wide", "--no-headers"],
        &Value::Null,
    );
    assert!(
        line.await.unwrap().contains("Admission"),
        "the DELIVERY column"
    );
    let mut canary = stage.scene.api().get("probepilot-canary").await.unwrap();
    probed(&mut canary);
    assert!(created(stage, "whole").await);
    proved_again_by_another_api_server(stage).await;

    delete(stage, "mutatingadmissionpolicybinding").await;
    let missing = says(&delivery(stage, "AdmissionMissing").await);
    assert!(
        missing.contains("kubectl apply -k config/admission"),
        "{missing}"
    );
    until_given(stage, "unbound", false).await;
    install(stage).await;
    delivery(stage, "AdmissionReady").await;

    // A policy that somebody edited so that it does nothing: no error shows anywhere but in a pod.
    let mut edited = object(stage, "MutatingAdmissionPolicy").await;
    edited["spec"]["matchConditions"][0]["expression"] = json!("params.spec.mode == 'enforce'");
    apply(stage, &edited).await;
    let broken = says(&delivery(stage, "AdmissionBroken").await);
    assert!(broken.contains("got no startup probe"), "{broken}");
    // One that cannot even be evaluated.
    edited["spec"]["matchConditions"][0]["expression"] = json!("params.spec.nothing == 'Enforce'");
    apply(stage, &edited).await;
    assert!(!created(stage, "failing").await);
    install(stage).await;
    delivery(stage, "AdmissionReady").await;

    delete(stage, "mutatingadmissionpolicy").await;
    delivery(stage, "AdmissionMissing").await;
    until_given(stage, "removed", false).await;
    install(stage).await;
    delivery(stage, "AdmissionReady").await;

    // The canary alone.
    stage.delete_policy("probepilot-canary").await;
    let restarted =
        json!([{"op": "replace", "path": "/metadata/labels", "value": {"touched": "yes"}}])
            .to_string();
    let words = [
        "patch",
        "mutatingadmissionpolicybinding",
        "probepilot-probes",
        "--type=json",
        "-p",
        &restarted,
    ];
    stage.kubectl(&words, &Value::Null).await.unwrap();
    let missing = says(&delivery(stage, "AdmissionMissing").await);
    assert!(
        missing.contains("ProbePolicy probepilot-canary"),
        "{missing}"
    );
    operator.stop().await;

    // Nobody serves ProbePolicies any more, and the policy still names them.
    let gone = [
        "delete",
        "crd",
        "probepolicies.probepilot.dev",
        "--wait=true",
    ];
    stage.kubectl(&gone, &Value::Null).await.unwrap();
    assert!(!created(stage, "without-crd").await);
    // An API server that begins now has never heard of the kind (with failurePolicy Fail it would take no pod).
    stage.scene.cluster.restart_apiserver().await.unwrap();
    assert!(!created(stage, "without-crd-from-the-start").await);
    install_own(&stage.scene.admin).await;
}

/// An API server that was restarted may be another version, or know of the policy only later: it is tried anew.
async fn proved_again_by_another_api_server(stage: &Stage) {
    stage.scene.cluster.restart_apiserver().await.unwrap();
    let restarted = Instant::now();
    let look = || async {
        let seen = stage.proxy.since(restarted);
        let proof = |line: &str| line.starts_with("POST ") && line.contains("dryRun=All");
        let proofs = seen.iter().filter(|one| proof(&one.line)).count();
        Ok::<_, std::convert::Infallible>(if proofs > 0 {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{} requests", seen.len()))
        })
    };
    until("a dry run", look).await;
    // It begins to answer before it has read all policies.
    until_given(stage, "after-a-restart", true).await;
    delivery(stage, "AdmissionReady").await;
}

/// The operator has given the canary what it tries, and no condition.
fn probed(canary: &mut probepilot_api::ProbePolicy) {
    let status = canary.status.take().unwrap();
    assert_eq!(status.desired.unwrap().revision(), "s0.7.3.13_l-.-.-.17");
    assert!(status.conditions.is_empty(), "{}", canary.name_any());
}

/// API servers see a change some moments later.
async fn until_given(stage: &Stage, name: &str, expected: bool) {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let look = || async {
        let number = tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let given = created(stage, &format!("{name}-{number}")).await;
        Ok::<_, std::convert::Infallible>(if given == expected {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("given: {given}"))
        })
    };
    until("what a new pod is given", look).await;
}
