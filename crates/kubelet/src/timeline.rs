//! What a simulated run looks like from outside: events in order, and one record a life.

use crate::behaviour::ReplyKind;
use crate::container::ProbeKind;
use serde::{Deserialize, Serialize};

/// What the prober makes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeResult {
    /// It counts as healthy.
    Success,
    /// It counts as a failure.
    Failure,
    /// The probe itself went wrong three times: as if it had not happened (K8).
    Errored,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, in milliseconds from the start of the first container.
    pub at_ms: u64,
    /// What.
    #[serde(rename = "what")]
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(
    tag = "event",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum EventKind {
    /// A container started; lives count from 0.
    ContainerStarted {
        /// Which life.
        life: usize,
    },
    /// A probe attempt ended (the event's time is its end).
    Attempt {
        /// Which probe.
        probe: ProbeKind,
        /// When it began.
        began_ms: u64,
        /// Its result.
        result: ProbeResult,
        /// Why it ended.
        reply: ReplyKind,
        /// Results of this kind in a row, this one included.
        streak: u32,
    },
    /// The container's `started` changed.
    Started {
        /// Its new value.
        started: bool,
    },
    /// The container's `ready` changed.
    Ready {
        /// Its new value.
        ready: bool,
    },
    /// The kubelet decided to kill, and says so in a Killing event (K12).
    Kill(Kill),
    /// SIGTERM was sent, after the preStop hook.
    Sigterm,
    /// The container ended.
    Exited(Exit),
    /// The restart waits (CrashLoopBackOff).
    BackOff {
        /// The delay, counted from the end of the container.
        delay_ms: u64,
        /// When the next try is.
        until_ms: u64,
    },
    /// The kubelet came back after a restart.
    KubeletRestarted,
    /// The pod was deleted.
    PodDeleted,
}

/// Why the kubelet stops a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stop {
    /// This probe failed as often as its threshold says.
    Probe(ProbeKind),
    /// The pod was deleted.
    Deletion,
}

/// The kubelet's decision to stop a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kill {
    /// When it was decided; the Killing event carries this time.
    pub at_ms: u64,
    /// Why.
    pub stop: Stop,
    /// When SIGTERM comes: after the preStop hook.
    pub sigterm_ms: u64,
    /// Seconds from SIGTERM to SIGKILL.
    pub grace_seconds: u32,
    /// Whether the container is to be started again.
    pub restarts: bool,
}

impl Kill {
    /// The text of the Killing event.
    #[must_use]
    pub fn message(&self, container: &str, sidecar: bool) -> String {
        match self.stop {
            Stop::Deletion => format!("Stopping container {container}"),
            Stop::Probe(probe) if sidecar => {
                format!("Init container {container} failed {} probe", probe.as_str())
            }
            Stop::Probe(probe) => format!(
                "Container {container} failed {} probe{}",
                probe.as_str(),
                if self.restarts {
                    ", will be restarted"
                } else {
                    ""
                }
            ),
        }
    }
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// When.
    pub at_ms: u64,
    /// Its exit code.
    pub code: i32,
    /// Why.
    pub cause: ExitCause,
}

/// Why a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExitCause {
    /// By itself.
    Own,
    /// It obeyed SIGTERM.
    Sigterm,
    /// Its grace period was over.
    Sigkill,
}

/// One life of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LifeRecord {
    /// When it started, in milliseconds from the start of the first container.
    pub started_ms: u64,
    /// `startedAt` as the API shows it: cut to the second of the wall clock.
    pub reported_started_ms: i64,
    /// When `started` first turned true for this container, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became_started_ms: Option<u64>,
    /// The kubelet's decision to stop it, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<Kill>,
    /// Its end, if it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// How long its successor had to wait because of the back-off.
    pub back_off_ms: u64,
}

impl LifeRecord {
    /// Milliseconds from the container's start to the decision to kill it.
    #[must_use]
    pub fn kill_after_ms(&self) -> Option<u64> {
        self.kill.map(|kill| kill.at_ms - self.started_ms)
    }
}

/// A simulated run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// One record a life, in order.
    pub lives: Vec<LifeRecord>,
}

impl Timeline {
    /// The first kill by a probe.
    #[must_use]
    pub fn first_kill(&self) -> Option<Kill> {
        self.probe_kills().next()
    }

    /// All kills by probes, in order.
    pub fn probe_kills(&self) -> impl Iterator<Item = Kill> + '_ {
        self.lives
            .iter()
            .filter_map(|life| life.kill)
            .filter(|kill| matches!(kill.stop, Stop::Probe(_)))
    }

    /// How often the container was started again.
    #[must_use]
    pub fn restarts(&self) -> usize {
        self.lives.len().saturating_sub(1)
    }

    /// The attempts of one probe: when each began, and its result.
    pub fn attempts(&self, of: ProbeKind) -> impl Iterator<Item = (u64, ProbeResult)> + '_ {
        self.events
            .iter()
            .filter_map(move |event| match event.kind {
                EventKind::Attempt {
                    probe,
                    began_ms,
                    result,
                    ..
                } if probe == of => Some((began_ms, result)),
                _ => None,
            })
    }
}
