//! Whether the probe that killed can ever succeed.

use jiff::{SignedDuration, Timestamp};
use probepilot_kubelet::Timings;

use super::NeverBecause;
use crate::evidence::{Answer, Complaint, ProbeKind};
use crate::pod::{ContainerView, FailedProbe, Life, PodView};

/// What the probe got last in this life. A kill takes failed attempts, so where no event of them is
/// left the kubelet's spam filter took them, and what the same probe got in earlier lives speaks.
/// Repeats share one event, so several answers may have been the last; then the one that waiting
/// cannot change speaks.
pub(super) fn last_complaint<'a>(
    view: &'a ContainerView,
    probe: FailedProbe,
    life: &Life,
) -> Option<&'a Complaint> {
    let kind = match probe {
        FailedProbe::Startup => ProbeKind::Startup,
        FailedProbe::Liveness => ProbeKind::Liveness,
    };
    let newest = |touches: &dyn Fn(&Complaint) -> bool| {
        view.complaints
            .iter()
            .filter(|complaint| complaint.probe == kind && touches(complaint))
            .max_by_key(|complaint| {
                let last = complaint.last_at.min(life.finished_at);
                (last, complaint.answer.is_final())
            })
    };
    newest(&|complaint| complaint.touches(life))
        .or_else(|| newest(&|complaint| complaint.last_at < life.started_at))
}

/// Why the probe can never succeed, where the evidence says so. Only asked of a probe that is not
/// known to have succeeded in this life.
pub(super) fn never(
    pod: &PodView,
    view: &ContainerView,
    probe: FailedProbe,
    life: &Life,
    complaint: Option<&Complaint>,
) -> Option<NeverBecause> {
    let complaint = complaint?;
    if complaint.answer.is_final() {
        return Some(NeverBecause::Answer);
    }
    if complaint.answer != Answer::Refused {
        return None;
    }
    let port = view.port(view.handler(probe)?)?;
    let readiness = view.readiness_handler.as_ref();
    if let Some(readiness) = readiness.filter(|_| pod.was_ready(view, life)) {
        return view
            .port(readiness)
            .is_some_and(|other| other != port)
            .then(|| NeverBecause::ReadyElsewhere(readiness.clone()));
    }
    let said = life
        .words
        .serves_elsewhere(port, noticed_by(view, probe, life)?)?;
    Some(NeverBecause::ServesElsewhere(said))
}

/// A program that served before this time was asked once more, and answered nothing.
fn noticed_by(view: &ContainerView, probe: FailedProbe, life: &Life) -> Option<Timestamp> {
    let Timings {
        period_seconds,
        timeout_seconds,
        ..
    } = match probe {
        FailedProbe::Startup => view.startup?,
        FailedProbe::Liveness => view.liveness?,
    };
    let lead = SignedDuration::from_secs(
        (u64::from(period_seconds) + u64::from(timeout_seconds)).cast_signed(),
    );
    life.finished_at.checked_sub(lead).ok()
}
