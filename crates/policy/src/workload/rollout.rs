//! How far a rollout is, and what a rollout does to running pods.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use probepilot_api::TargetKind;

use super::raw;

/// How far the rollout of the current template is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollout {
    /// spec.paused.
    pub paused: bool,
    /// Whether pods of an older template remain, or the controller has not seen the template yet.
    pub in_progress: bool,
    /// Whether the Deployment controller gave up waiting (ProgressDeadlineExceeded).
    pub deadline_exceeded: bool,
    /// Seconds after which the Deployment controller gives up; `None` for other kinds.
    pub progress_deadline_seconds: Option<u32>,
}

impl Rollout {
    pub(super) fn new(kind: TargetKind, raw: &raw::Object) -> Self {
        let (spec, status) = (&raw.spec, &raw.status);
        // A partition keeps its pods on the old template for good, so they are not waited for.
        let kept = match kind {
            TargetKind::StatefulSet => spec.update_strategy.rolling_update.partition.max(0),
            _ => 0,
        };
        let wanted = match kind {
            TargetKind::DaemonSet => status.desired_number_scheduled,
            _ => spec.replicas.unwrap_or(1).saturating_sub(kept),
        };
        let (updated, total) = match kind {
            TargetKind::DaemonSet => (status.updated_number_scheduled, wanted),
            _ => (status.updated_replicas, status.replicas),
        };
        let behind = status.observed_generation < raw.metadata.generation;
        Self {
            paused: spec.paused,
            in_progress: behind || updated < wanted || total.saturating_sub(kept) > updated,
            deadline_exceeded: status.conditions.iter().any(|condition| {
                condition.kind == "Progressing"
                    && condition.status == "False"
                    && condition.reason == "ProgressDeadlineExceeded"
            }),
            progress_deadline_seconds: (kind == TargetKind::Deployment).then(|| {
                let seconds = spec.progress_deadline_seconds.unwrap_or(600).max(0);
                u32::try_from(seconds).unwrap_or(u32::MAX)
            }),
        }
    }
}

/// What a rollout does to running pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// New pods start before old ones stop.
    SurgesFirst,
    /// Old pods stop first: Recreate, StatefulSets, and rolling updates without surge.
    StopsFirst,
    /// Nothing is replaced until somebody deletes a pod.
    OnDelete,
}

impl Strategy {
    pub(super) fn new(kind: TargetKind, spec: &raw::Spec) -> Self {
        let (strategy, default_surge) = match kind {
            TargetKind::Deployment => (&spec.strategy, "25%"),
            TargetKind::DaemonSet | TargetKind::StatefulSet => (&spec.update_strategy, "0"),
        };
        if strategy.kind.as_deref() == Some("OnDelete") {
            return Self::OnDelete;
        }
        let default = IntOrString::String(default_surge.to_owned());
        let surge = strategy
            .rolling_update
            .max_surge
            .as_ref()
            .unwrap_or(&default);
        let recreate = strategy.kind.as_deref() == Some("Recreate");
        if kind != TargetKind::StatefulSet && !recreate && surges(surge) {
            Self::SurgesFirst
        } else {
            Self::StopsFirst
        }
    }
}

/// A percentage rounds up to a pod (Deployment and DaemonSet alike), so any above zero surges.
fn surges(surge: &IntOrString) -> bool {
    match surge {
        IntOrString::Int(pods) => *pods > 0,
        IntOrString::String(text) => text
            .trim_end_matches('%')
            .parse::<i64>()
            .is_ok_and(|number| number > 0),
    }
}
