//! Writes: the target's probes and the policy's status.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use probepilot_api::{FIELD_MANAGER, ProbePolicy, ProbePolicyStatus, RESTORE_FINALIZER};
use probepilot_policy::{Finalizer, Replace, Workload, Write, patch};
use serde_json::json;

use crate::failure::Failure;
use crate::workloads::api_resource;

/// What became of a write to the target.
#[derive(Debug)]
pub enum Written {
    /// Accepted; the target's generation afterwards.
    Accepted(Option<i64>),
    /// Nothing differs any more.
    Unneeded,
    /// The target changed since it was read, or is another one by now: look and decide again.
    Outdated,
    /// Refused for good as it stands; the API server's sentence.
    Refused(String),
}

/// Patches the target's probes: strategic merge under the operator's own field manager, guarded by
/// uid and resourceVersion (S3, S10).
///
/// # Errors
/// When the API server cannot be asked, or fails.
pub async fn write_probes(
    client: &Client,
    workload: &Workload,
    write: &Write,
) -> Result<Written, kube::Error> {
    let Some(patch) = patch(workload, &write.probes, &write.record) else {
        return Ok(Written::Unneeded);
    };
    let api: Api<DynamicObject> = Api::namespaced_with(
        client.clone(),
        &workload.namespace,
        &api_resource(workload.kind),
    );
    let patch = Patch::Strategic(&patch);
    written(api.patch(&workload.name, &ours_alone(), &patch).await)
}

/// Puts the finalizer of `apply.onDelete: Restore` on a policy, or takes it off. uid and resourceVersion guard
/// the list of finalizers, which is written whole.
///
/// # Errors
/// When the API server cannot be asked, or fails.
pub async fn write_finalizer(
    client: &Client,
    policy: &ProbePolicy,
    change: Finalizer,
) -> Result<Written, kube::Error> {
    let others = policy.finalizers().iter();
    let mut finalizers: Vec<_> = others.filter(|one| *one != RESTORE_FINALIZER).collect();
    let ours = RESTORE_FINALIZER.to_owned();
    if change == Finalizer::Put {
        finalizers.push(&ours);
    }
    let metadata = json!({
        "uid": policy.uid(), "resourceVersion": policy.resource_version(), "finalizers": finalizers});
    let api: Api<ProbePolicy> =
        Api::namespaced(client.clone(), &policy.namespace().unwrap_or_default());
    let patch = Patch::Merge(json!({"metadata": metadata}));
    written(api.patch(&policy.name_any(), &ours_alone(), &patch).await)
}

/// Writes of the operator have its own field manager.
pub(crate) fn ours_alone() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// What the answer to a guarded patch says. An object that changed or was created again has another
/// resourceVersion (S10); one that is away is seen by its watch. Both are settled by looking again.
pub(crate) fn written<K: Resource>(answer: Result<K, kube::Error>) -> Result<Written, kube::Error> {
    match answer {
        Ok(after) => Ok(Written::Accepted(after.meta().generation)),
        Err(kube::Error::Api(refusal)) => match Failure::of_code(refusal.code) {
            Failure::Conflict | Failure::NotFound => Ok(Written::Outdated),
            Failure::Forbidden | Failure::Invalid => Ok(Written::Refused(refusal.message)),
            _ => Err(kube::Error::Api(refusal)),
        },
        Err(error) => Err(error),
    }
}

/// What became of a deletion.
#[derive(Debug)]
pub enum Deleted {
    /// Accepted.
    Accepted,
    /// The pod changed since it was seen, or is gone: look and decide again.
    Outdated,
    /// Refused for good as it stands; the API server's sentence.
    Refused(String),
}

/// Deletes a pod as it was seen: uid and resourceVersion are preconditions, so that neither its successor
/// nor a pod that became healthy meanwhile is hit. An eviction would ask disruption budgets, which a pod
/// that was never healthy does not count for.
///
/// # Errors
/// When the API server cannot be asked, or fails.
pub async fn delete_pod(
    client: &Client,
    namespace: &str,
    replace: &Replace,
) -> Result<Deleted, kube::Error> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(replace.uid.clone()),
            resource_version: Some(replace.resource_version.clone()),
        }),
        ..DeleteParams::default()
    };
    match api.delete(&replace.pod, &params).await {
        Ok(_) => Ok(Deleted::Accepted),
        Err(kube::Error::Api(refusal)) => match Failure::of_code(refusal.code) {
            Failure::Conflict | Failure::NotFound => Ok(Deleted::Outdated),
            Failure::Forbidden | Failure::Invalid => Ok(Deleted::Refused(refusal.message)),
            _ => Err(kube::Error::Api(refusal)),
        },
        Err(error) => Err(error),
    }
}

/// Replaces the policy's status. The policy's uid guards one that was created again.
///
/// # Errors
/// When the API server cannot be asked, or refuses.
pub async fn write_status(
    client: &Client,
    policy: &ProbePolicy,
    status: &ProbePolicyStatus,
) -> Result<ProbePolicy, kube::Error> {
    let api: Api<ProbePolicy> =
        Api::namespaced(client.clone(), &policy.namespace().unwrap_or_default());
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": policy.uid()},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let operations = serde_json::from_value(operations).map_err(kube::Error::SerdeError)?;
    let patch = Patch::Json::<()>(operations);
    api.patch_status(&policy.name_any(), &ours_alone(), &patch)
        .await
}
