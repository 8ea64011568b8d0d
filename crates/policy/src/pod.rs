//! One pod of the target, reduced to what a decision needs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, Probe};
use probepilot_api::TargetKind;
use probepilot_kubelet::{StartGuard, Timings, guard};

/// One pod of the target and the state of the policy's container in it.
#[derive(Clone, Debug, PartialEq)]
pub struct PodView {
    /// Name of the pod.
    pub name: String,
    /// UID of the pod.
    pub uid: String,
    /// Whether the pod is being deleted.
    pub deleting: bool,
    /// Seconds the pod's containers get between SIGTERM and SIGKILL.
    pub grace_seconds: u32,
    /// Every regular container, by name.
    pub containers: BTreeMap<String, ContainerView>,
}

/// One container of a pod: its own probes and its state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerView {
    /// Timings of this pod's own startup probe.
    pub startup: Option<Timings>,
    /// Timings of this pod's own liveness probe.
    pub liveness: Option<Timings>,
    /// Whether there is a readiness probe, so that `ready` says something.
    pub has_readiness: bool,
    /// Seconds between SIGTERM and SIGKILL for a kill by the probe that guards the start, where the probe sets them.
    pub probe_grace_seconds: Option<u32>,
    /// Whether the container has a preStop hook.
    pub has_pre_stop: bool,
    /// status.started.
    pub started: Option<bool>,
    /// status.ready.
    pub ready: bool,
    /// status.restartCount.
    pub restart_count: i32,
    /// state.running.startedAt.
    pub running_since: Option<Timestamp>,
    /// state.waiting.reason.
    pub waiting_reason: Option<String>,
    /// lastState.terminated, or state.terminated when nothing runs: the life that ended last.
    pub last_life: Option<Life>,
    /// Killing events of this container; `None` when they were not read.
    pub kills: Option<Vec<KillingEvent>>,
}

/// A run of the container that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Exit code.
    pub exit_code: i32,
    /// Reason as the runtime gives it: Completed, Error, OOMKilled.
    pub reason: String,
}

/// A Killing event that names a probe of this container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KillingEvent {
    /// The probe that failed.
    pub probe: FailedProbe,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen; repeats only move this.
    pub last_at: Timestamp,
    /// How often it was seen.
    pub count: i32,
}

/// The probe that a Killing event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailedProbe {
    /// The liveness probe.
    Liveness,
    /// The startup probe.
    Startup,
}

/// How pods of a workload are told from others with the same labels.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Kind of the workload.
    pub kind: TargetKind,
    /// Name of the workload.
    pub name: &'a str,
    /// UID of the workload.
    pub uid: &'a str,
}

impl Owner<'_> {
    /// Whether `pod` belongs to this workload by its controller reference.
    ///
    /// A Deployment's pods belong to a ReplicaSet named after the Deployment and the pod's
    /// template hash, cut to 253 characters in all (facts on admission, section 2).
    #[must_use]
    pub fn owns(&self, pod: &Pod) -> bool {
        let references = pod.metadata.owner_references.iter().flatten();
        let Some(controller) = references
            .into_iter()
            .find(|owner| owner.controller == Some(true))
        else {
            return false;
        };
        if self.kind != TargetKind::Deployment {
            return controller.uid == self.uid;
        }
        let labels = pod.metadata.labels.as_ref();
        let Some(hash) = labels.and_then(|labels| labels.get("pod-template-hash")) else {
            return false;
        };
        let room = 253_usize.saturating_sub(hash.len() + 1);
        let stem: String = self.name.chars().take(room).collect();
        controller.kind == "ReplicaSet" && controller.name == format!("{stem}-{hash}")
    }
}

impl PodView {
    /// Reduces a pod to what a decision needs; the object can be dropped afterwards.
    #[must_use]
    pub fn project(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let statuses = pod
            .status
            .as_ref()
            .and_then(|status| status.container_statuses.as_ref());
        let containers = spec
            .map(|spec| spec.containers.as_slice())
            .unwrap_or_default();
        let grace = spec
            .and_then(|spec| spec.termination_grace_period_seconds)
            .unwrap_or(30);
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            grace_seconds: clamp(grace),
            containers: containers
                .iter()
                .map(|container| {
                    let status =
                        statuses.and_then(|all| all.iter().find(|one| one.name == container.name));
                    (
                        container.name.clone(),
                        ContainerView::project(container, status),
                    )
                })
                .collect(),
        }
    }
}

impl ContainerView {
    fn project(container: &Container, status: Option<&ContainerStatus>) -> Self {
        let guarding = container
            .startup_probe
            .as_ref()
            .or(container.liveness_probe.as_ref());
        let mut view = Self {
            startup: container.startup_probe.as_ref().map(timings),
            liveness: container.liveness_probe.as_ref().map(timings),
            has_readiness: container.readiness_probe.is_some(),
            probe_grace_seconds: guarding
                .and_then(|probe| probe.termination_grace_period_seconds)
                .map(clamp),
            has_pre_stop: container
                .lifecycle
                .as_ref()
                .is_some_and(|lifecycle| lifecycle.pre_stop.is_some()),
            ..Self::default()
        };
        let Some(status) = status else { return view };
        view.started = status.started;
        view.ready = status.ready;
        view.restart_count = status.restart_count;
        let state = status.state.as_ref();
        view.running_since = state
            .and_then(|state| state.running.as_ref())
            .and_then(|running| running.started_at.as_ref())
            .map(|time| time.0);
        view.waiting_reason = state
            .and_then(|state| state.waiting.as_ref())
            .and_then(|waiting| waiting.reason.clone());
        let ended = state
            .and_then(|state| state.terminated.as_ref())
            .or_else(|| {
                status
                    .last_state
                    .as_ref()
                    .and_then(|state| state.terminated.as_ref())
            });
        view.last_life = ended.and_then(|ended| {
            Some(Life {
                started_at: ended.started_at.as_ref()?.0,
                finished_at: ended.finished_at.as_ref()?.0,
                exit_code: ended.exit_code,
                reason: ended.reason.clone().unwrap_or_default(),
            })
        });
        view
    }

    /// The probe of this pod that guards its start.
    #[must_use]
    pub fn guard(&self) -> StartGuard {
        guard(self.startup, self.liveness)
    }

    /// Whether the container is healthy now: started where that is known, and ready.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.running_since.is_some() && self.started != Some(false) && self.ready
    }
}

fn timings(probe: &Probe) -> Timings {
    Timings::from(probepilot_api::ProbeTimings {
        initial_delay_seconds: probe.initial_delay_seconds,
        period_seconds: probe.period_seconds,
        timeout_seconds: probe.timeout_seconds,
        failure_threshold: probe.failure_threshold,
    })
}

fn clamp(seconds: i64) -> u32 {
    u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)
}
