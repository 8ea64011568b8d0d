//! What is the matter with a container as it is now.

use jiff::{SignedDuration, Timestamp};

use super::life::judge_at_once;
use super::{Confidence, Diagnosis, Finding, Hindrance, Undecided, Why};
use crate::evidence::{Complaint, ProbeKind, Quote};
use crate::pod::{ContainerView, PodView, Role};

/// A restart is told of for so long after it, once the container is healthy again. Source: design, section 3.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// Reasons to wait that mean that the kubelet cannot start the container. `CrashLoopBackOff` means
/// that it could.
const HINDRANCES: [&str; 12] = [
    "ContainerCreating",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "PodInitializing",
    "RegistryUnavailable",
    "RunContainerError",
    "SignatureValidationFailed",
];

/// One container and where it is.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its pod.
    pub pod: &'a PodView,
    /// Its name.
    pub name: &'a str,
    /// The container.
    pub view: &'a ContainerView,
}

/// Diagnoses a container as of `now`; no event is waited for.
#[must_use]
pub fn diagnose(subject: Subject<'_>, now: Timestamp) -> Diagnosis {
    let Subject { pod, view, .. } = subject;
    if let Some(hindrance) = hindrance(subject) {
        return Diagnosis::new(Why::NotStarted(hindrance), Confidence::Proven);
    }
    if ended_well(subject) {
        return Diagnosis::new(Why::Healthy { since: None }, Confidence::Proven);
    }
    let healthy = view.healthy() || (view.ready && view.running_since.is_some());
    if let Some(last) = last_life(subject, now).filter(|_| !pod.deleting || !view.is_over) {
        let ended = view.last_life.as_ref().map(|life| life.finished_at);
        let long_ago = ended.is_some_and(|ended| now.duration_since(ended) > TOLD_FOR);
        if !(healthy && long_ago) {
            return last;
        }
    }
    match view.running_since {
        Some(since) if healthy => {
            Diagnosis::new(Why::Healthy { since: Some(since) }, Confidence::Proven)
        }
        Some(_) if view.restart_count > 0 => Diagnosis::unknown(Undecided::NoRecord),
        Some(since) => {
            let starting = view.started == Some(false);
            let cause = Why::Unready {
                since,
                starting,
                complaint: holding_back(view, starting).cloned(),
            };
            Diagnosis::new(cause, Confidence::Proven)
        }
        None if pod.deleting => Diagnosis::unknown(Undecided::PodDeleted),
        None => match &pod.ended {
            Some(ended) => Diagnosis::unknown(Undecided::PodEnded(ended.clone())),
            None if view.restart_count > 0 => Diagnosis::unknown(Undecided::NoRecord),
            None => Diagnosis::unknown(Undecided::NoStatus),
        },
    }
}

/// Why the last life ended, with what is known today.
fn last_life(subject: Subject<'_>, now: Timestamp) -> Option<Diagnosis> {
    let Subject { pod, view, .. } = subject;
    let view = ContainerView {
        kills: Some(view.kills.clone().unwrap_or_default()),
        ..view.clone()
    };
    match judge_at_once(pod, &view, now) {
        Finding::Judged(judgement) => Some(judgement.diagnosis),
        Finding::NotYet(_) | Finding::None => None,
    }
}

/// A container that is over and has done its work: a completed init container or task.
fn ended_well(subject: Subject<'_>) -> bool {
    let Subject { pod, view, .. } = subject;
    let for_good = view.is_over && (!pod.restarts_always || view.role == Role::Init);
    let life = view.last_life.as_ref();
    for_good && life.is_some_and(|life| life.exit_code == 0 && life.reason == "Completed")
}

/// What keeps the kubelet from starting it.
fn hindrance(subject: Subject<'_>) -> Option<Hindrance> {
    let Subject { pod, name, view } = subject;
    if view.running_since.is_some() || pod.deleting {
        return None;
    }
    if let Some(unscheduled) = &pod.unscheduled {
        return Some(Hindrance {
            reason: Quote::new("Unschedulable"),
            message: Some(unscheduled.clone()),
        });
    }
    let reason = view.waiting_reason.as_deref()?;
    if !HINDRANCES.contains(&reason) {
        return None;
    }
    // An init container or sidecar that is started again waits behind nobody: it judges itself.
    if reason == "PodInitializing" && view.role == Role::Regular && view.last_life.is_some() {
        return None;
    }
    let told = || {
        let mut troubles = pod.troubles.iter().rev();
        let trouble = troubles.find(|trouble| {
            trouble
                .container
                .as_deref()
                .is_none_or(|other| other == name)
        })?;
        Some(trouble.message.clone())
    };
    let said = view.waiting_message.clone();
    Some(Hindrance {
        reason: Quote::new(reason),
        message: said.filter(|said| !said.is_empty()).or_else(told),
    })
}

/// What the probe got last that keeps a container from being ready.
fn holding_back(view: &ContainerView, starting: bool) -> Option<&Complaint> {
    let probe = if starting {
        ProbeKind::Startup
    } else {
        ProbeKind::Readiness
    };
    view.complaints
        .iter()
        .filter(|complaint| complaint.probe == probe)
        .max_by_key(|complaint| complaint.last_at)
}
