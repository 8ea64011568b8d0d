//! Observe: everything that a decision about one policy looks at.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use probepilot_api::{Delivery, ProbePolicy, ProbePolicyStatus, RETRY_ANNOTATION};
use probepilot_policy::{
    Admission, Baseline, Brake, Observation, PodView, Policy, Refusal, Retry, Slot, Support,
    Target, Workload, choose, pinned, unread,
};

use crate::context::Context;
use crate::policies::{Entry, Sources};

/// Pods whose events are read in one reconcile; the rest follow in the next.
const MOST_EVENT_READS: usize = 5;

/// Gathers an observation. Counts are read afresh when a restart is being judged.
pub async fn observe(
    context: &Context,
    object: &ProbePolicy,
    policy: &Policy,
    entry: &Entry,
    sources: &Sources,
) -> Observation {
    let status = &entry.status;
    let generation = object.metadata.generation.unwrap_or_default();
    let snapshot = sources.target();
    let (mut container, mut duplicate_of, mut refusal): (_, _, Option<Refusal>) =
        (None, None, None);
    if let Target::Found(workload) = &snapshot.target {
        container = container_of(policy, status, workload);
        if let Some(name) = &container {
            duplicate_of = older_policy(&context.store, object, workload, name);
        }
        refusal = entry.refusal(generation, workload);
    }
    let target = if snapshot.complete {
        snapshot.target
    } else {
        Target::Unread
    };
    let mut pods = snapshot.pods;
    let mut judging = false;
    if let Some(name) = &container {
        if let Target::Found(workload) = &target {
            mark_ours(workload, name, &mut pods);
        }
        judging = read_kills(context, object, status, name, &mut pods).await;
    }
    let counts = if judging {
        sources.counts().read_fresh().await
    } else {
        sources.counts().latest()
    };
    Observation {
        generation,
        duplicate_of,
        brake: context.options.read_only.then_some(Brake::ReadOnly),
        slot: Slot::None,
        retry: retry(object),
        refusal,
        latency: sources.counts().latency(),
        admission: admission(context, object, policy),
        counts,
        target,
        pods,
    }
}

/// Whether delivery Admission works, where it is wanted.
fn admission(context: &Context, object: &ProbePolicy, policy: &Policy) -> Admission {
    Admission {
        policy: object.name_any(),
        support: if policy.delivery == Delivery::Admission {
            context.admissions.support()
        } else {
            Support::default()
        },
    }
}

/// What the policy's author wrote to have it tried again.
fn retry(object: &ProbePolicy) -> Option<Retry> {
    let value = object.annotations().get(RETRY_ANNOTATION)?;
    Some(Retry::parse(value))
}

/// Reads the events of pods that restarted and were not judged yet. Whether there are any.
async fn read_kills(
    context: &Context,
    object: &ProbePolicy,
    status: &ProbePolicyStatus,
    container: &str,
    pods: &mut [PodView],
) -> bool {
    let judged = status
        .memory
        .as_ref()
        .map(|memory| memory.judged.as_slice())
        .unwrap_or_default();
    let waiting: HashSet<_> = unread(container, pods, judged)
        .map(|pod| pod.uid.clone())
        .take(MOST_EVENT_READS)
        .collect();
    let namespace = object.namespace().unwrap_or_default();
    for pod in pods.iter_mut().filter(|pod| waiting.contains(&pod.uid)) {
        // Without events the life stays unjudged and is looked at again.
        if let Err(error) = context.pod_events.read_into(&namespace, pod).await {
            tracing::warn!(pod = pod.name, "a restart is not judged yet: {error}");
        }
    }
    !waiting.is_empty()
}

/// Tells pods whose startup probe is the operator's own: it must ask what liveness asks.
fn mark_ours(workload: &Workload, container: &str, pods: &mut [PodView]) {
    let Some(current) = workload.container(container) else {
        return;
    };
    let owners = workload.managers.of(container);
    let ours = Baseline::of(current, &workload.records, owners).startup_is_ours;
    for view in pods
        .iter_mut()
        .filter_map(|pod| pod.containers.get_mut(container))
    {
        view.startup_is_ours = ours && view.startup.is_some();
    }
}

/// The container that a policy scales, where it is clear.
fn container_of(
    policy: &Policy,
    status: &ProbePolicyStatus,
    workload: &Workload,
) -> Option<String> {
    let chosen = choose(policy, pinned(policy, status), workload).ok();
    chosen.map(|container| container.name.clone())
}

/// An older policy that scales the same container, as namespace/name. One that names none, or none
/// that is there, stands in nobody's way.
fn older_policy(
    store: &Store<ProbePolicy>,
    object: &ProbePolicy,
    workload: &Workload,
    container: &str,
) -> Option<String> {
    let age = |policy: &ProbePolicy| (policy.creation_timestamp(), policy.name_any());
    let scales_it = |other: &Arc<ProbePolicy>| {
        let same_target = other.namespace() == object.namespace()
            && other.uid() != object.uid()
            && other.spec.target_ref == object.spec.target_ref;
        same_target && age(other) < age(object) && {
            let status = other.status.clone().unwrap_or_default();
            let chosen = Policy::try_from(&other.spec).ok();
            let chosen = chosen.and_then(|policy| container_of(&policy, &status, workload));
            chosen.as_deref() == Some(container)
        }
    };
    let oldest = store
        .state()
        .into_iter()
        .filter(scales_it)
        .min_by_key(|other| age(other))?;
    Some(format!(
        "{}/{}",
        oldest.namespace().unwrap_or_default(),
        oldest.name_any()
    ))
}
