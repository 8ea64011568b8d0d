//! From a pod as the API server has it to what a decision needs.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus, Probe};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use probepilot_api::ADMITTED_ANNOTATION;
use probepilot_kubelet::Timings;

use super::{ContainerView, Life, PodView, ReadyTurned, Role};
use crate::evidence::{Handler, LastWords, Quantity, Quote};
use crate::starts::ProgramSum;

/// Longest annotation that is kept: 8 policies with the longest names and revisions.
const LONGEST_ADMITTED: usize = 8 * 320;

impl PodView {
    /// Reduces a pod to what a decision needs; the object can be dropped afterwards.
    #[must_use]
    pub fn project(pod: &Pod) -> Self {
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let statuses = status.and_then(|status| status.container_statuses.as_deref());
        let init_statuses = status.and_then(|status| status.init_container_statuses.as_deref());
        let containers = spec
            .map(|spec| spec.containers.as_slice())
            .unwrap_or_default();
        let init_containers = spec
            .and_then(|spec| spec.init_containers.as_deref())
            .unwrap_or_default();
        let grace = spec
            .and_then(|spec| spec.termination_grace_period_seconds)
            .unwrap_or(30);
        let always = spec
            .and_then(|spec| spec.restart_policy.as_deref())
            .is_none_or(|policy| policy == "Always");
        let view = |container: &Container, statuses: Option<&[ContainerStatus]>, role| {
            let status = statuses.and_then(|all| all.iter().find(|one| one.name == container.name));
            let mut view = ContainerView::project(container, status);
            view.role = role;
            (container.name.clone(), view)
        };
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            resource_version: pod.metadata.resource_version.clone().unwrap_or_default(),
            template: template(pod),
            node: spec.and_then(|spec| spec.node_name.clone()),
            taken_at: status
                .and_then(|status| status.start_time.as_ref())
                .map(|time| time.0),
            created_at: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            admitted: admitted(pod),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            grace_seconds: clamp(grace),
            containers: containers
                .iter()
                .map(|container| view(container, statuses, Role::Regular))
                .collect(),
            init_containers: init_containers
                .iter()
                .map(|container| view(container, init_statuses, init_role(container)))
                .collect(),
            restarts_always: always,
            ready_turned: status.and_then(ready_turned),
            unscheduled: status.and_then(unscheduled),
            ended: status.and_then(ended),
            troubles: Vec::new(),
        }
    }
}

impl ContainerView {
    fn project(container: &Container, status: Option<&ContainerStatus>) -> Self {
        let guarding = container
            .startup_probe
            .as_ref()
            .or(container.liveness_probe.as_ref());
        let limits = container
            .resources
            .as_ref()
            .and_then(|resources| resources.limits.as_ref());
        let limit = |name: &str| {
            let ApiQuantity(text) = limits?.get(name)?;
            Quantity::parse(text)
        };
        let ports = container.ports.iter().flatten();
        let view = Self {
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
            image: container.image.clone().unwrap_or_default(),
            program: ProgramSum::of(
                container.image.as_deref().unwrap_or_default(),
                container.command.as_deref().unwrap_or_default(),
                container.args.as_deref().unwrap_or_default(),
            ),
            startup_handler: container.startup_probe.as_ref().map(Handler::of),
            liveness_handler: container.liveness_probe.as_ref().map(Handler::of),
            readiness_handler: container.readiness_probe.as_ref().map(Handler::of),
            ports: ports
                .filter_map(|port| {
                    let number = u16::try_from(port.container_port).ok()?;
                    Some((port.name.clone()?, number))
                })
                .collect(),
            memory_limit: limit("memory"),
            cpu_limit: limit("cpu"),
            ..Self::default()
        };
        match status {
            Some(status) => view.with(status),
            None => view,
        }
    }

    fn with(mut self, status: &ContainerStatus) -> Self {
        self.started = status.started;
        self.ready = status.ready;
        self.restart_count = status.restart_count;
        let state = status.state.as_ref();
        self.running_since = state
            .and_then(|state| state.running.as_ref())
            .and_then(|running| running.started_at.as_ref())
            .map(|time| time.0);
        let waiting = state.and_then(|state| state.waiting.as_ref());
        self.waiting_reason = waiting.and_then(|waiting| waiting.reason.clone());
        self.waiting_message = waiting
            .and_then(|waiting| waiting.message.as_deref())
            .map(Quote::new);
        let terminated = state.and_then(|state| state.terminated.as_ref());
        self.is_over = terminated.is_some();
        let last = status
            .last_state
            .as_ref()
            .and_then(|state| state.terminated.as_ref());
        self.last_life = terminated.or(last).and_then(|ended| {
            Some(Life {
                started_at: ended.started_at.as_ref()?.0,
                finished_at: ended.finished_at.as_ref()?.0,
                exit_code: ended.exit_code,
                reason: ended.reason.clone().unwrap_or_default(),
                words: LastWords::new(ended.message.as_deref().unwrap_or_default()),
            })
        });
        self
    }
}

/// The mark of its template that a pod carries. A DaemonSet's pods carry two; the DaemonSet itself names
/// only the one that counts.
fn template(pod: &Pod) -> Option<String> {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true))?;
    let label = match owner.kind.as_str() {
        "DaemonSet" => "pod-template-generation",
        _ => "controller-revision-hash",
    };
    pod.metadata.labels.as_ref()?.get(label).cloned()
}

/// What the pod was given at its admission, if that is short enough to have been written there.
fn admitted(pod: &Pod) -> Option<String> {
    let annotation = pod
        .metadata
        .annotations
        .as_ref()?
        .get(ADMITTED_ANNOTATION)?;
    (annotation.len() <= LONGEST_ADMITTED).then(|| annotation.clone())
}

fn init_role(container: &Container) -> Role {
    match container.restart_policy.as_deref() {
        Some("Always") => Role::Sidecar,
        _ => Role::Init,
    }
}

fn ready_turned(status: &PodStatus) -> Option<ReadyTurned> {
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions.find(|condition| condition.type_ == "ContainersReady")?;
    Some(ReadyTurned {
        ready: condition.status == "True",
        at: condition.last_transition_time.as_ref()?.0,
    })
}

fn unscheduled(status: &PodStatus) -> Option<Quote> {
    let mut conditions = status.conditions.iter().flatten();
    let condition = conditions
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let message = condition.message.as_deref();
    Some(Quote::new(message.or(condition.reason.as_deref())?))
}

/// A pod that ended as a whole has a reason of its own: Evicted, NodeLost, Preempting and others.
fn ended(status: &PodStatus) -> Option<Quote> {
    let reason = status.reason.as_deref()?;
    let message = status.message.as_deref().unwrap_or_default();
    Some(Quote::new(&format!("{reason}: {message}")))
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
