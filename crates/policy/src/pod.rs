//! One pod of the target, reduced to what a decision needs.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Pod};
use probepilot_api::TargetKind;
use probepilot_kubelet::{StartGuard, Timings, guard};

use crate::evidence::{Complaint, Handler, LastWords, Quantity, Quote, Told, Trouble};
use crate::starts::ProgramSum;
use crate::window::LifeWindow;

mod confirmed;
mod project;
mod usage;
mod witness;

pub use usage::Usage;
pub use witness::SeenStart;

/// Complaints and troubles kept of one pod, the newest.
const MOST_TOLD: usize = 64;
/// How long the kubelet takes to publish that a container is not ready any more.
const PUBLISHED: SignedDuration = SignedDuration::from_secs(5);

/// One pod of the target and the state of the policy's container in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodView {
    /// Name of the pod.
    pub name: String,
    /// UID of the pod.
    pub uid: String,
    /// Guards a deletion against every change since this was seen.
    pub resource_version: String,
    /// Mark of the template that it was made from ([`crate::Revision::mark`]).
    pub template: Option<String>,
    /// The node that it is bound to.
    pub node: Option<String>,
    /// When the kubelet took it in.
    pub taken_at: Option<Timestamp>,
    /// When the API server created it.
    pub created_at: Option<Timestamp>,
    /// What it was given at its admission, as its annotation has it.
    pub admitted: Option<String>,
    /// Whether the pod is being deleted.
    pub deleting: bool,
    /// Seconds the pod's containers get between SIGTERM and SIGKILL.
    pub grace_seconds: u32,
    /// Every regular container, by name.
    pub containers: BTreeMap<String, ContainerView>,
    /// Init containers and sidecars, by name.
    pub init_containers: BTreeMap<String, ContainerView>,
    /// When the condition ContainersReady last turned.
    pub ready_turned: Option<ReadyTurned>,
    /// Whether containers that end well are started again.
    pub restarts_always: bool,
    /// Why no node takes the pod.
    pub unscheduled: Option<Quote>,
    /// Why the pod was ended as a whole: evicted, or lost with its node.
    pub ended: Option<Quote>,
    /// Warnings about the pod that are no probe's, as far as events were read.
    pub troubles: Vec<Trouble>,
}

/// A turn of the condition ContainersReady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyTurned {
    /// To what it turned.
    pub ready: bool,
    /// When.
    pub at: Timestamp,
}

impl ReadyTurned {
    /// Whether the containers were ready in this life. A turn to False says so while it lived or just after,
    /// and not so early that it could still tell of the life before. A turn to True is left from the life
    /// where the next one was ready before the kubelet published anything in between.
    fn tells_ready(self, life: &Life) -> bool {
        if self.ready {
            return (life.started_at..life.finished_at).contains(&self.at);
        }
        self.at.duration_since(life.started_at) > PUBLISHED
            && self.at.duration_since(life.finished_at) <= PUBLISHED
    }
}

/// What a container is to its pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// One of spec.containers.
    #[default]
    Regular,
    /// An init container that keeps running.
    Sidecar,
    /// An init container that has to end before the others start.
    Init,
}

/// One container of a pod: its own probes and its state.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of a spec and a status, each as Kubernetes has it"
)]
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
    /// What it is to its pod.
    pub role: Role,
    /// Image as the pod names it.
    pub image: String,
    /// How the startup probe asks.
    pub startup_handler: Option<Handler>,
    /// How the liveness probe asks.
    pub liveness_handler: Option<Handler>,
    /// How the readiness probe asks.
    pub readiness_handler: Option<Handler>,
    /// Whether the operator added the startup probe; only the workload can tell.
    pub startup_is_ours: bool,
    /// Numbers of named ports.
    pub ports: BTreeMap<String, u16>,
    /// Memory limit.
    pub memory_limit: Option<Quantity>,
    /// CPU limit.
    pub cpu_limit: Option<Quantity>,
    /// state.waiting.message.
    pub waiting_message: Option<Quote>,
    /// Whether it has ended and was not started again, yet or ever.
    pub is_over: bool,
    /// Failed attempts of its probes, as far as events were read.
    pub complaints: Vec<Complaint>,
    /// How long runs before the last one lasted, oldest first, as far as anybody remembers.
    pub earlier_runs: Vec<SignedDuration>,
    /// Image, command and arguments as a checksum.
    pub program: ProgramSum,
    /// What it uses, as far as somebody asked.
    pub usage: Usage,
    /// What was seen of the starts of the present and of the last life by whoever watches the pod.
    pub seen: Vec<SeenStart>,
    /// Of the present and of the last life, when those began that whoever watches the pod saw ready.
    pub seen_ready: Vec<Timestamp>,
}

/// A run of the container that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Exit code.
    pub exit_code: i32,
    /// Reason as the runtime gives it: Completed, Error, OOMKilled.
    pub reason: String,
    /// Its termination message.
    pub words: LastWords,
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
    /// Takes in the pod's events, in any order. Every container's kills are known afterwards.
    pub fn hear<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        for view in self.views_mut() {
            view.kills.get_or_insert_default();
        }
        for told in events.into_iter().filter_map(Told::parse) {
            match told {
                Told::Kill(name, kill) => {
                    if let Some(view) = self.view_mut(&name) {
                        view.kills.get_or_insert_default().push(kill);
                    }
                }
                Told::Complaint(name, complaint) => {
                    if let Some(view) = self.view_mut(&name) {
                        view.complaints.push(complaint);
                    }
                }
                Told::Trouble(trouble) => self.troubles.push(trouble),
            }
        }
        keep_newest(&mut self.troubles, |trouble| trouble.last_at);
        for view in self.views_mut() {
            keep_newest(view.kills.get_or_insert_default(), |kill| kill.last_at);
            keep_newest(&mut view.complaints, |complaint| complaint.last_at);
        }
    }

    /// The container or init container of that name.
    #[must_use]
    pub fn view(&self, container: &str) -> Option<&ContainerView> {
        self.containers
            .get(container)
            .or_else(|| self.init_containers.get(container))
    }

    /// Whether no container of this pod can have been ready since the kubelet took it in. The condition
    /// ContainersReady is set then, and keeps that time until it turns.
    #[must_use]
    pub fn was_never_ready(&self) -> bool {
        let turned = self.ready_turned.filter(|turned| !turned.ready);
        turned.zip(self.taken_at).is_some_and(|(turned, taken)| {
            turned.at.duration_since(taken) <= SignedDuration::from_secs(1)
        })
    }

    fn view_mut(&mut self, container: &str) -> Option<&mut ContainerView> {
        self.containers
            .get_mut(container)
            .or_else(|| self.init_containers.get_mut(container))
    }

    fn views_mut(&mut self) -> impl Iterator<Item = &mut ContainerView> {
        self.containers
            .values_mut()
            .chain(self.init_containers.values_mut())
    }

    /// Whether the container is known to have been ready in this life: somebody saw it, or it was in this
    /// life that the pod turned last.
    #[must_use]
    pub fn was_ready(&self, container: &ContainerView, life: &Life) -> bool {
        let seen = container.seen_ready.contains(&life.started_at);
        let turned = || {
            self.ready_turned
                .is_some_and(|turned| turned.tells_ready(life))
        };
        container.has_readiness && (seen || turned())
    }

    /// Whether the container is known never to have been ready in this life: the pod's condition has been False since before it.
    #[must_use]
    pub fn was_never_ready_in(&self, container: &ContainerView, life: &Life) -> bool {
        let turned = self.ready_turned.filter(|turned| !turned.ready);
        let since_before =
            turned.is_some_and(|turned| turned.at.duration_since(life.started_at) <= PUBLISHED);
        container.has_readiness && since_before && !container.seen_ready.contains(&life.started_at)
    }
}

impl ContainerView {
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

    /// Whether the container is known to be healthy. Without a startup and a readiness probe the
    /// status cannot tell; then it is once it has outlived every kill of its start.
    #[must_use]
    pub fn healthy_by(&self, pod: &PodView, now: Timestamp) -> bool {
        let observable = self.startup.is_some() || self.has_readiness;
        let survived = || {
            let window = LifeWindow::of(pod, self);
            window
                .zip(self.running_since)
                .is_none_or(|(window, since)| now.duration_since(since) > window.latest)
        };
        self.healthy() && (observable || survived())
    }

    /// Whether there is a limit that its use can be held against.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.cpu_limit.is_some() || self.memory_limit.is_some()
    }

    /// Lives of the container in this pod that have ended.
    #[must_use]
    pub fn ended_lives(&self) -> i32 {
        let waits = self.running_since.is_none() && self.last_life.is_some();
        self.restart_count.saturating_add(i32::from(waits))
    }

    /// The handler of the probe that an event names.
    #[must_use]
    pub fn handler(&self, probe: FailedProbe) -> Option<&Handler> {
        match probe {
            FailedProbe::Startup => self.startup_handler.as_ref(),
            FailedProbe::Liveness => self.liveness_handler.as_ref(),
        }
    }

    /// The number of the port that a handler asks.
    #[must_use]
    pub fn port(&self, handler: &Handler) -> Option<u16> {
        let port = handler.port()?;
        port.parse().ok().or_else(|| self.ports.get(port).copied())
    }
}

fn keep_newest<T>(told: &mut Vec<T>, last_at: impl Fn(&T) -> Timestamp) {
    told.sort_by_key(&last_at);
    let surplus = told.len().saturating_sub(MOST_TOLD);
    told.drain(..surplus);
}
