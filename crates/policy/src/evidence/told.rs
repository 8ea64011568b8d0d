//! What a pod's events tell.
//!
//! Messages and field paths are those of facts on the kubelet, "Event strings" (k8s.io/kubernetes
//! v1.36.3). Reasons that are not known are passed over, and a text is looked for anywhere in the
//! message, which may begin with `(combined from similar events): `.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use super::{Answer, ProbeKind, Quote};
use crate::pod::{FailedProbe, KillingEvent, Life};

/// What one event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A probe made the kubelet kill this container.
    Kill(String, KillingEvent),
    /// A probe of this container failed.
    Complaint(String, Complaint),
    /// Something else went wrong with the pod.
    Trouble(Trouble),
}

/// Failed attempts of one probe with one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The probe.
    pub probe: ProbeKind,
    /// What it got.
    pub answer: Answer,
    /// The output as the event has it.
    pub output: Quote,
    /// When it was first seen.
    pub first_at: Timestamp,
    /// When it was last seen; repeats only move this.
    pub last_at: Timestamp,
    /// How often it was seen.
    pub count: i32,
}

/// A warning about the pod that is no probe's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The container, where the event names one.
    pub container: Option<String>,
    /// The event's reason.
    pub reason: Quote,
    /// Its message.
    pub message: Quote,
    /// When it was last seen.
    pub last_at: Timestamp,
}

impl Told {
    /// Reads one event; `None` when it tells nothing of use or has no time.
    #[must_use]
    pub fn parse(event: &Event) -> Option<Self> {
        let reason = event.reason.as_deref()?;
        let message = event.message.as_deref().unwrap_or_default();
        let container = event
            .involved_object
            .field_path
            .as_deref()
            .and_then(container_of);
        let (first_at, last_at, count) = times(event)?;
        match (reason, container) {
            ("Killing", Some(container)) => {
                let probe = killer(container, message)?;
                let kill = KillingEvent {
                    probe,
                    first_at,
                    last_at,
                    count,
                };
                Some(Self::Kill(container.to_owned(), kill))
            }
            ("Unhealthy", Some(container)) => {
                let (probe, output) = failure(message)?;
                let complaint = Complaint {
                    probe,
                    answer: Answer::parse(output),
                    output: Quote::new(output),
                    first_at,
                    last_at,
                    count,
                };
                Some(Self::Complaint(container.to_owned(), complaint))
            }
            ("Killing" | "Unhealthy" | "BackOff", _) => None,
            _ if event.type_.as_deref() == Some("Warning") => Some(Self::Trouble(Trouble {
                container: container.map(str::to_owned),
                reason: Quote::new(reason),
                message: Quote::new(message),
                last_at,
            })),
            _ => None,
        }
    }
}

impl Complaint {
    /// Whether it may have been seen in this life. Repeats have only a first and a last time.
    #[must_use]
    pub fn touches(&self, life: &Life) -> bool {
        self.first_at <= life.finished_at && self.last_at >= life.started_at
    }
}

/// The container that a field path names, sidecars and init containers included.
fn container_of(path: &str) -> Option<&str> {
    path.strip_prefix("spec.containers{")
        .or_else(|| path.strip_prefix("spec.initContainers{"))?
        .strip_suffix('}')
}

/// The probe that a Killing event names. Kubelets before 1.13 left the container's name out of the
/// sentence: `Container failed liveness probe.. Container will be killed and recreated.`
fn killer(container: &str, message: &str) -> Option<FailedProbe> {
    let named = |probe: &str| {
        let before = message.split(&format!(" failed {probe} probe")).next()?;
        (before.len() < message.len()
            && (before.ends_with(&format!("ontainer {container}")) || before.ends_with("ontainer")))
        .then_some(())
    };
    if named("startup").is_some() {
        Some(FailedProbe::Startup)
    } else if named("liveness").is_some() {
        Some(FailedProbe::Liveness)
    } else {
        None
    }
}

/// The probe of an Unhealthy event and what it printed. An errored attempt counts as no failure (K8).
fn failure(message: &str) -> Option<(ProbeKind, &str)> {
    [
        ("Startup", ProbeKind::Startup),
        ("Liveness", ProbeKind::Liveness),
        ("Readiness", ProbeKind::Readiness),
    ]
    .into_iter()
    .find_map(|(name, probe)| {
        let (_, output) = message.split_once(&format!("{name} probe failed: "))?;
        Some((probe, output))
    })
}

/// First and last time and how often, from the old fields or from a series.
fn times(event: &Event) -> Option<(Timestamp, Timestamp, i32)> {
    let began = event.event_time.as_ref().map(|time| time.0);
    let first = event.first_timestamp.as_ref().map(|time| time.0).or(began);
    let series = event.series.as_ref();
    let repeated = series
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let last = [last, repeated].into_iter().flatten().max().or(first)?;
    let count = event
        .count
        .max(series.and_then(|series| series.count))
        .unwrap_or(1);
    Some((first.unwrap_or(last), last, count.max(1)))
}

#[cfg(test)]
mod tests;
