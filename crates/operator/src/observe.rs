//! Observe: everything that a decision about one policy looks at.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_policy::{Brake, Observation, PodView, Policy, Slot, Target, choose, unread};

use crate::context::Context;
use crate::policies::Sources;

/// Pods whose events are read in one reconcile; the rest follow in the next.
const MOST_EVENT_READS: usize = 5;

/// Gathers an observation. Counts are read afresh when a restart is being judged.
pub async fn observe(
    context: &Context,
    object: &ProbePolicy,
    policy: &Policy,
    status: &ProbePolicyStatus,
    sources: &Sources,
) -> Observation {
    let snapshot = sources.target();
    let container = match &snapshot.target {
        Target::Found(workload) => choose(policy, status.container.as_deref(), workload).ok(),
        Target::Unread | Target::Missing => None,
    };
    let container = container.map(|container| container.name.clone());
    let target = if snapshot.complete {
        snapshot.target
    } else {
        Target::Unread
    };
    let mut pods = snapshot.pods;
    let mut judging = false;
    if let Some(name) = &container {
        judging = read_kills(context, object, status, name, &mut pods).await;
    }
    let counts = if judging {
        sources.counts().read_fresh().await
    } else {
        sources.counts().latest()
    };
    Observation {
        generation: object.metadata.generation.unwrap_or_default(),
        duplicate_of: container.and_then(|name| older_policy(&context.store, object, &name)),
        brake: context.options.read_only.then_some(Brake::ReadOnly),
        slot: Slot::None,
        counts,
        target,
        pods,
    }
}

/// Reads the Killing events of pods that restarted and were not judged yet. Whether there are any.
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
        if let Err(error) = context.killing_events.read_into(&namespace, pod).await {
            tracing::warn!(pod = pod.name, "a restart is not judged yet: {error}");
        }
    }
    !waiting.is_empty()
}

/// An older policy for the same container, as namespace/name.
fn older_policy(
    store: &Store<ProbePolicy>,
    object: &ProbePolicy,
    container: &str,
) -> Option<String> {
    let age = |policy: &ProbePolicy| (policy.creation_timestamp(), policy.name_any());
    let names_it = |other: &Arc<ProbePolicy>| {
        let chosen = other.spec.container_name.as_deref();
        let pinned = other
            .status
            .as_ref()
            .and_then(|status| status.container.as_deref());
        other.namespace() == object.namespace()
            && other.uid() != object.uid()
            && other.spec.target_ref == object.spec.target_ref
            && chosen.or(pinned).is_none_or(|name| name == container)
            && age(other) < age(object)
    };
    let oldest = store
        .state()
        .into_iter()
        .filter(names_it)
        .min_by_key(|other| age(other))?;
    Some(format!(
        "{}/{}",
        oldest.namespace().unwrap_or_default(),
        oldest.name_any()
    ))
}
