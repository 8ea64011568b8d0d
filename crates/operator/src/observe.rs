//! Observe: everything that a decision about one policy looks at.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt;
use kube::runtime::reflector::Store;
use probepilot_api::{
    Delivery, Mode, ProbePolicy, ProbePolicyStatus, RESTORE_ANYWAY_ANNOTATION, RESTORE_FINALIZER,
    RETRY_ANNOTATION, TargetRef,
};
use probepilot_policy::{
    Admission, Baseline, Brake, ContainerView, Going, Observation, PodView, Policy, Refusal, Retry,
    Slot, Support, Target, Workload, choose, pinned, unread,
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
    let mut going = going(object);
    if let Target::Found(workload) = &snapshot.target {
        container = container_of(policy, status, workload);
        if let Some(name) = container.as_deref().filter(|_| going.deleting) {
            let (namespace, target) = (object.namespace(), &policy.target);
            let scaled = Scaled {
                namespace: &namespace.unwrap_or_default(),
                target,
                workload,
                container: name,
            };
            going.successor = successor(&context.store, &scaled);
        }
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
        going,
        counts,
        target,
        pods,
    }
}

/// What the policy's own object says about its leaving.
fn going(object: &ProbePolicy) -> Going {
    let annotation = object.annotations().get(RESTORE_ANYWAY_ANNOTATION);
    Going {
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: has_finalizer(object),
        anyway: annotation.is_some_and(|value| value != "false"),
        successor: None,
    }
}

/// Whether the policy has to put something back before it goes.
#[must_use]
pub fn has_finalizer(object: &ProbePolicy) -> bool {
    let mut finalizers = object.finalizers().iter();
    finalizers.any(|one| one == RESTORE_FINALIZER)
}

/// A container that a policy scales, or did.
#[derive(Clone, Copy, Debug)]
pub struct Scaled<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The workload, as a policy names it.
    pub target: &'a TargetRef,
    /// The workload.
    pub workload: &'a Workload,
    /// The container.
    pub container: &'a str,
}

/// A policy that scales this container from now on, as namespace/name: one that writes to the template and
/// stays. What is written is its own then.
#[must_use]
pub fn successor(store: &Store<ProbePolicy>, scaled: &Scaled<'_>) -> Option<String> {
    let takes_over = |other: &&Arc<ProbePolicy>| {
        let writes = other.spec.mode == Mode::Enforce
            && other.spec.apply.delivery == Delivery::Template
            && other.metadata.deletion_timestamp.is_none();
        writes
            && other.namespace().as_deref() == Some(scaled.namespace)
            && other.spec.target_ref == *scaled.target
            && scales(other, scaled.workload, scaled.container)
    };
    let all = store.state();
    let found = all.iter().find(takes_over)?;
    Some(format!("{}/{}", scaled.namespace, found.name_any()))
}

/// Whether a policy's container in its target is this one.
fn scales(policy: &ProbePolicy, workload: &Workload, container: &str) -> bool {
    let status = policy.status.clone().unwrap_or_default();
    let chosen = Policy::try_from(&policy.spec).ok();
    let chosen = chosen.and_then(|policy| container_of(&policy, &status, workload));
    chosen.as_deref() == Some(container)
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

/// Reads the events of pods that restarted and were not judged yet, and what one of them uses. Whether there are any.
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
    // One of them tells what all do.
    let mut asked = false;
    for pod in pods.iter_mut().filter(|pod| waiting.contains(&pod.uid)) {
        let (name, uid) = (pod.name.clone(), pod.uid.clone());
        let view = pod.containers.get(container);
        let asks = !asked && view.is_some_and(ContainerView::is_limited);
        asked |= asks;
        let usage = async {
            if asks {
                Some(context.usages.of(&namespace, &name, &uid).await)
            } else {
                None
            }
        };
        let heard = context.pod_events.read_into(&namespace, pod);
        let (heard, usage) = tokio::join!(heard, usage);
        // Without events the life stays unjudged and is looked at again.
        if let Err(error) = heard {
            tracing::warn!(pod = pod.name, "a restart is not judged yet: {error}");
        }
        if let Some(usage) = usage {
            pod.measure(&usage);
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
        same_target && age(other) < age(object) && scales(other, workload, container)
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
