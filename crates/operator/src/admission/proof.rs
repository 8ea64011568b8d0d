//! The proof that new pods get their probes: a dry-run pod in the operator's own namespace, which nothing makes,
//! and the canary policy of config/admission, which scales nothing.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Probe};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use probepilot_api::{
    CANARY_POLICY, FIELD_MANAGER, ProbePair, ProbePolicy, ProbePolicyStatus, ProbeTimings,
};
use probepilot_policy::{PodView, Support};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::INSTALL;
use crate::failure::Failure;

/// API servers see a policy and its parameters some moments after they were written (about 1 s); this is long
/// enough for a busy one.
const SEEN: Duration = Duration::from_secs(12);
/// Between two tries.
const TRY: Duration = Duration::from_millis(700);
/// Name of the canary's container.
const CONTAINER: &str = "canary";
/// The canary's target, as its status has it.
const TARGET: &str = "daemonset/probepilot-canary";

/// What the canary is given: timings that no default and no owner has.
fn desired() -> ProbePair {
    ProbePair {
        startup_probe: Some(ProbeTimings {
            initial_delay_seconds: Some(0),
            period_seconds: Some(7),
            timeout_seconds: Some(3),
            failure_threshold: Some(13),
        }),
        liveness_probe: Some(ProbeTimings {
            failure_threshold: Some(17),
            ..ProbeTimings::default()
        }),
    }
}

/// Tries it until it is seen to work, or for as long as API servers may take to see what changed.
pub(super) async fn prove(
    client: &Client,
    namespace: &str,
    since: Timestamp,
) -> Result<Support, kube::Error> {
    if let Some(missing) = ask_for_it(client, namespace).await? {
        return Ok(missing);
    }
    let end = Instant::now() + SEEN;
    loop {
        let lacks = match dry_run(client, namespace).await? {
            Ok(pod) => match lacks(&pod) {
                None => return Ok(Support::Ready { since }),
                Some(lacks) => lacks,
            },
            Err(refused) => return Ok(refused),
        };
        if Instant::now() >= end {
            return Ok(Support::Broken(format!(
                "a dry-run pod in namespace {namespace} {lacks}, although config/admission is installed; compare it with the one of this release ({INSTALL}), and look for webhooks that change probes"
            )));
        }
        tokio::time::sleep(TRY).await;
    }
}

/// Writes the canary's status; the same again changes nothing.
async fn ask_for_it(client: &Client, namespace: &str) -> Result<Option<Support>, kube::Error> {
    let api: Api<ProbePolicy> = Api::namespaced(client.clone(), namespace);
    let status = ProbePolicyStatus {
        target: Some(TARGET.to_owned()),
        container: Some(CONTAINER.to_owned()),
        desired: Some(desired()),
        ..ProbePolicyStatus::default()
    };
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({"status": status}));
    match api.patch_status(CANARY_POLICY, &params, &patch).await {
        Ok(_) => Ok(None),
        Err(error) => match Failure::of(&error) {
            Failure::NotFound => Ok(Some(Support::Missing(format!(
                "there is no ProbePolicy {CANARY_POLICY} in namespace {namespace}, with which delivery Admission is tried: {INSTALL}"
            )))),
            Failure::Forbidden | Failure::Invalid => Ok(Some(refused(namespace, &error))),
            _ => Err(error),
        },
    }
}

/// The pod as the API server would make it.
async fn dry_run(client: &Client, namespace: &str) -> Result<Result<Pod, Support>, kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod: Pod = serde_json::from_value(pod()).map_err(kube::Error::SerdeError)?;
    let params = PostParams {
        dry_run: true,
        field_manager: Some(FIELD_MANAGER.to_owned()),
    };
    match api.create(&params, &pod).await {
        Ok(made) => Ok(Ok(made)),
        Err(error) => match Failure::of(&error) {
            Failure::Forbidden | Failure::Invalid => Ok(Err(refused(namespace, &error))),
            _ => Err(error),
        },
    }
}

fn refused(namespace: &str, error: &kube::Error) -> Support {
    Support::Broken(format!(
        "it could not be tried out in namespace {namespace}: {error}"
    ))
}

/// A pod that every Pod Security standard lets through, of a DaemonSet that does not exist.
fn pod() -> Value {
    json!({
        "metadata": {
            "generateName": "probepilot-canary-",
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "probepilot-canary",
                "uid": "00000000-0000-0000-0000-000000000000", "controller": true,
            }],
        },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": CONTAINER, "image": "canary",
                "livenessProbe": {"httpGet": {"path": "/livez", "port": 8080}, "failureThreshold": 2},
                "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1m", "memory": "1Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}

/// What the pod lacks, as the end of a sentence.
fn lacks(pod: &Pod) -> Option<&'static str> {
    let view = PodView::project(pod);
    let container = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.containers.iter().find(|one| one.name == CONTAINER));
    let (startup, liveness) = container.map_or((None, None), |container| {
        (
            container.startup_probe.as_ref(),
            container.liveness_probe.as_ref(),
        )
    });
    let Some(startup) = startup else {
        return Some("got no startup probe");
    };
    let wanted = desired();
    let timings = |probe: &Probe| ProbeTimings {
        initial_delay_seconds: probe.initial_delay_seconds.or(Some(0)),
        period_seconds: probe.period_seconds,
        timeout_seconds: probe.timeout_seconds,
        failure_threshold: probe.failure_threshold,
    };
    let threshold = wanted
        .liveness_probe
        .and_then(|probe| probe.failure_threshold);
    if Some(timings(startup)) != wanted.startup_probe
        || liveness.and_then(|probe| probe.failure_threshold) != threshold
    {
        return Some("got other timings than it should have");
    }
    let asks = |probe: &Probe| {
        (
            probe.http_get.clone(),
            probe.exec.clone(),
            probe.grpc.clone(),
        )
    };
    if liveness.map(asks) != Some(asks(startup)) {
        return Some("got a startup probe that does not ask what its liveness probe asks");
    }
    (view.admitted_by(CANARY_POLICY) != Some(&wanted.revision()))
        .then_some("got no annotation that says what it was given")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Value {
        let mut made = pod();
        let container = &mut made["spec"]["containers"][0];
        container["livenessProbe"]["failureThreshold"] = json!(17);
        let mut startup = container["livenessProbe"].clone();
        for (key, value) in [
            ("periodSeconds", 7),
            ("timeoutSeconds", 3),
            ("failureThreshold", 13),
        ] {
            startup[key] = json!(value);
        }
        container["startupProbe"] = startup;
        made["metadata"]["annotations"] =
            json!({"probepilot.dev/probes": "probepilot-canary:s0.7.3.13_l-.-.-.17"});
        made
    }

    #[test]
    fn a_canary_that_lacks_anything_says_what() {
        type Change = fn(&mut Value);
        let cases: [(Change, Option<&str>); 6] = [
            (|_| {}, None),
            (|pod| *pod = super::pod(), Some("no startup probe")),
            (
                |pod| pod["spec"]["containers"][0]["startupProbe"]["periodSeconds"] = json!(10),
                Some("other timings"),
            ),
            (
                |pod| pod["spec"]["containers"][0]["livenessProbe"]["failureThreshold"] = json!(2),
                Some("other timings"),
            ),
            (
                |pod| {
                    pod["spec"]["containers"][0]["startupProbe"]["httpGet"]["path"] = json!("/");
                },
                Some("does not ask"),
            ),
            (
                |pod| pod["metadata"]["annotations"] = json!({}),
                Some("no annotation"),
            ),
        ];
        for (change, expected) in cases {
            let mut made = given();
            change(&mut made);
            let made: Pod = serde_json::from_value(made).unwrap();
            let lacks = lacks(&made);
            match (lacks, expected) {
                (None, None) => {}
                (Some(lacks), Some(expected)) => assert!(lacks.contains(expected), "{lacks}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
