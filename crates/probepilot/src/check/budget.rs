//! Rules about the startup budget itself.

use super::{Remark, Subject};
use crate::manifest::ProbeSpec;
use probepilot_kubelet::ProbeKind;

/// The probe that guards the start.
pub(super) fn guard<'a>(subject: &Subject<'a>) -> Option<(ProbeKind, &'a ProbeSpec)> {
    let (kind, _) = subject.spec.container.start_guard()?;
    Some((kind, subject.spec.probe(kind)?))
}

/// `budget-zero`
pub(super) fn zero(subject: &Subject<'_>) -> Vec<Remark> {
    let Some((kind, spec)) = guard(subject) else {
        return Vec::new();
    };
    let timings = spec.probe.timings;
    if timings.budget_seconds() > 0 {
        return Vec::new();
    }
    let period = timings.period_seconds;
    let short = period.min(10);
    let failures = period.div_ceil(short) + 1;
    vec![Remark::new(
        kind,
        format!(
            "{}Probe guarantees the start 0 s: failureThreshold 1 without initialDelaySeconds kills at the first attempt, which comes between 0 and {period} s after the start, not after {period} s",
            kind.as_str()
        ),
        format!(
            "periodSeconds {short} and failureThreshold {failures} guarantee {} s",
            (failures - 1) * short
        ),
    )]
}

/// `budget-over-progress-deadline`
pub(super) fn over_progress_deadline(subject: &Subject<'_>) -> Vec<Remark> {
    if subject.workload.kind != "deployment" || subject.spec.container.sidecar {
        return Vec::new();
    }
    let stated = subject.workload.progress_deadline_seconds;
    let deadline = stated.map_or(subject.options.progress_deadline_seconds, u64::from);
    let words = if stated.is_some() {
        "progressDeadlineSeconds"
    } else {
        "the default progressDeadlineSeconds of"
    };
    over(
        subject,
        deadline,
        |kind, budget| {
            format!(
                "{}Probe allows a start of {budget} s, longer than {words} {deadline} s: the rollout is reported as failed while the container may still be starting",
                kind.as_str()
            )
        },
        |budget| format!("progressDeadlineSeconds {}", round_up(budget + 60)),
    )
}

/// `budget-over-helm-timeout`
pub(super) fn over_helm_timeout(subject: &Subject<'_>) -> Vec<Remark> {
    let Some(timeout) = subject.options.helm_timeout_seconds else {
        return Vec::new();
    };
    over(
        subject,
        timeout,
        |kind, budget| {
            format!(
                "{}Probe allows a start of {budget} s, longer than helm's timeout of {timeout} s: the release is marked as failed, or rolled back, while the container may still be starting",
                kind.as_str()
            )
        },
        |budget| format!("helm --timeout {}s", round_up(budget + 60)),
    )
}

fn over(
    subject: &Subject<'_>,
    limit: u64,
    message: impl Fn(ProbeKind, u64) -> String,
    fix: impl Fn(u64) -> String,
) -> Vec<Remark> {
    let Some((kind, spec)) = guard(subject) else {
        return Vec::new();
    };
    let budget = u64::from(spec.probe.timings.budget_seconds());
    if budget <= limit {
        return Vec::new();
    }
    vec![Remark::new(kind, message(kind, budget), fix(budget))]
}

fn round_up(seconds: u64) -> u64 {
    seconds.div_ceil(60) * 60
}
