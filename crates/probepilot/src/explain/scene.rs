//! Everything that was seen, from files or from a cluster.

use super::target::{TargetRef, workload_of};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use probepilot_api::{AdviceStatus, ProbePolicy, ProbePolicyStatus, TargetKind};
use probepilot_policy::{Measured, PodView, Unmeasured, Usage, Workload, earlier_runs};
use std::collections::BTreeMap;

/// Pods with what is known about them.
#[derive(Debug)]
pub(super) struct Scene {
    /// The time of looking.
    pub(super) now: Timestamp,
    /// The pods, by namespace and name.
    pub(super) pods: Vec<Seen>,
    /// What was not looked at, for people.
    pub(super) notes: Vec<String>,
}

/// One pod.
#[derive(Debug)]
pub(super) struct Seen {
    /// Its namespace.
    pub(super) namespace: String,
    /// The pod with its events.
    pub(super) view: PodView,
    /// Bad conditions of its node.
    pub(super) node: Option<String>,
    /// Measurements of its containers.
    pub(super) measured: BTreeMap<String, Measured>,
    /// Container and advice of the policy for its workload, as its status has it.
    pub(super) standing: Option<(String, Vec<AdviceStatus>)>,
}

/// Objects as they were read.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// The pods.
    pub(super) pods: Vec<Pod>,
    /// Their events.
    pub(super) events: Vec<Event>,
    /// Workloads, for what the operator wrote into them.
    pub(super) workloads: Vec<Workload>,
    /// Bad conditions of nodes, by name.
    pub(super) nodes: BTreeMap<String, String>,
    /// Policies, for counts and limits.
    pub(super) policies: Vec<ProbePolicy>,
    /// CPU and memory in use, by namespace, pod and container.
    pub(super) usage: BTreeMap<(String, String, String), Usage>,
    /// Why the rest of it is not known, where somebody asked.
    pub(super) unmeasured: Option<Unmeasured>,
}

impl Objects {
    /// Puts everything about each pod together.
    pub(super) fn pods(&self) -> Vec<Seen> {
        let mut seen: Vec<_> = self.pods.iter().map(|pod| self.seen(pod)).collect();
        seen.sort_by(|a, b| (&a.namespace, &a.view.name).cmp(&(&b.namespace, &b.view.name)));
        seen
    }

    fn seen(&self, pod: &Pod) -> Seen {
        let namespace = namespace_of(pod);
        let mut view = PodView::project(pod);
        view.hear(self.events.iter().filter(|event| is_about(event, pod)));
        let workload = workload_of(pod);
        let of_workload = |kind: TargetKind, name: &str| {
            workload
                .as_ref()
                .is_some_and(|(k, n)| *k == kind && n == name)
        };
        let record = self
            .workloads
            .iter()
            .find(|one| one.namespace == namespace && of_workload(one.kind, &one.name));
        for (name, container) in &mut view.containers {
            container.startup_is_ours = record.is_some_and(|workload| {
                workload.records.iter().any(|record| {
                    record.container == *name
                        && record.baseline.startup_probe.is_none()
                        && record.written.startup_probe.is_some()
                })
            });
        }
        let policy = self.policies.iter().find(|policy| {
            let target = &policy.spec.target_ref;
            policy.metadata.namespace.as_deref().unwrap_or("default") == namespace
                && of_workload(target.kind, &target.name)
        });
        let measured = view
            .containers
            .keys()
            .map(|name| {
                let key = (namespace.clone(), view.name.clone(), name.clone());
                let usage = self.usage.get(&key).copied().unwrap_or_default();
                let measured = Measured {
                    unmeasured: self.unmeasured,
                    ..measured(usage, policy)
                };
                (name.clone(), measured)
            })
            .collect();
        let status = policy.and_then(|policy| policy.status.as_ref());
        let standing = status.and_then(|status| remember(&mut view, status));
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
        Seen {
            node: node.and_then(|name| self.nodes.get(name).cloned()),
            namespace,
            view,
            measured,
            standing,
        }
    }

    /// Keeps the pods that are asked about.
    pub(super) fn keep(&mut self, target: Option<&TargetRef>, namespace: Option<&str>) {
        self.pods.retain(|pod| {
            let here = namespace.is_none_or(|namespace| namespace_of(pod) == namespace);
            let meant = match target {
                None => true,
                Some(TargetRef::Pod(name)) => pod.metadata.name.as_deref() == Some(name),
                Some(TargetRef::Workload(kind, name)) => {
                    workload_of(pod).is_some_and(|(k, n)| k == *kind && n == *name)
                }
            };
            here && meant
        });
    }
}

/// Puts earlier runs that the policy remembers into its container; gives the advice that stands for it.
fn remember(view: &mut PodView, status: &ProbePolicyStatus) -> Option<(String, Vec<AdviceStatus>)> {
    let name = status.container.clone()?;
    let ended = view.containers.get(&name)?.last_life.as_ref();
    if let (Some(ended), Some(memory)) = (ended.map(|life| life.finished_at), &status.memory) {
        let runs = earlier_runs(&memory.judged, view, ended);
        if let Some(container) = view.containers.get_mut(&name) {
            container.earlier_runs = runs;
        }
    }
    Some((name, status.advice.clone()))
}

fn measured(usage: Usage, policy: Option<&ProbePolicy>) -> Measured {
    let status = policy.and_then(|policy| policy.status.as_ref());
    let most = policy.map(|policy| policy.spec.limits.max_startup_seconds);
    Measured {
        memory_used: usage.memory,
        cpu_used: usage.cpu,
        count: status
            .and_then(|status| status.startup.as_ref())
            .and_then(|startup| startup.count),
        max_startup_seconds: most.and_then(|seconds| u32::try_from(seconds).ok()),
        raises: status.and_then(|status| status.raises),
        ..Measured::default()
    }
}

/// The namespace of a pod.
pub(super) fn namespace_of(pod: &Pod) -> String {
    pod.metadata
        .namespace
        .clone()
        .unwrap_or_else(|| "default".to_owned())
}

/// By UID where both have one; a pod of the same name may be another one.
fn is_about(event: &Event, pod: &Pod) -> bool {
    let about = &event.involved_object;
    match (&about.uid, &pod.metadata.uid) {
        (Some(event), Some(pod)) => event == pod,
        _ => {
            about.kind.as_deref() == Some("Pod")
                && about.name == pod.metadata.name
                && about.namespace.as_deref().unwrap_or("default") == namespace_of(pod)
        }
    }
}
