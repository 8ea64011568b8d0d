//! Rules about single probes.

use super::{Remark, Subject};
use crate::manifest::{HandlerSpec, ProbeSpec};
use probepilot_kubelet::ProbeKind;

/// Ten minutes.
const SLOW_DETECTION_SECONDS: u32 = 600;
/// Paths that answer "can I serve", not "am I alive".
const READINESS_PATHS: [&str; 7] = [
    "/ready",
    "/readyz",
    "/-/ready",
    "/readiness",
    "/health/ready",
    "/health/readiness",
    "/nginx-ready",
];

fn killers<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (ProbeKind, &'a ProbeSpec)> {
    let spec = subject.spec;
    [ProbeKind::Startup, ProbeKind::Liveness]
        .into_iter()
        .filter_map(move |kind| Some((kind, spec.probe(kind)?)))
}

/// `liveness-threshold-one`
pub(super) fn threshold_one(subject: &Subject<'_>) -> Vec<Remark> {
    let Some(liveness) = &subject.spec.liveness else {
        return Vec::new();
    };
    let timings = liveness.probe.timings;
    if timings.failure_threshold != 1 {
        return Vec::new();
    }
    let mut message = format!(
        "livenessProbe failureThreshold 1: one answer that takes longer than {} s restarts a healthy container",
        timings.timeout_seconds
    );
    // K14: until the startup worker's next tick a restarted container counts as started.
    if let Some(startup) = &subject.spec.startup
        && timings.initial_delay_seconds <= startup.probe.timings.period_seconds
        && !subject.spec.container.sidecar
    {
        message.push_str(
            "; and on Kubernetes 1.35 to 1.37 a restarted container can be killed while it starts, startupProbe or not (kubernetes/kubernetes#141155)",
        );
    }
    vec![Remark::new(
        ProbeKind::Liveness,
        message,
        "failureThreshold 3".to_owned(),
    )]
}

/// `liveness-on-readiness`
pub(super) fn on_readiness_endpoint(subject: &Subject<'_>) -> Vec<Remark> {
    let Some(liveness) = &subject.spec.liveness else {
        return Vec::new();
    };
    let HandlerSpec::Http { path, .. } = &liveness.handler else {
        return Vec::new();
    };
    let (bare, query) = path.split_once('?').unwrap_or((path, ""));
    let bare = bare.trim_end_matches('/');
    let why = if READINESS_PATHS.contains(&bare) {
        "says whether the container can serve, which it cannot while it starts, catches up or shuts down"
    } else if query.split('&').any(|part| part == "full=true") {
        "also asks for the health of what the container depends on"
    } else if subject.spec.image.contains("kube-state-metrics") && bare == "/livez" {
        "asks the API server"
    } else {
        return Vec::new();
    };
    vec![Remark::new(
        ProbeKind::Liveness,
        format!("livenessProbe asks {path}, which {why}; a restart does not help there"),
        "point livenessProbe at an endpoint that only says that the process is alive, and leave this one to readinessProbe".to_owned(),
    )]
}

/// `timeout-reaches-period`
pub(super) fn timeout_reaches_period(subject: &Subject<'_>) -> Vec<Remark> {
    killers(subject)
        .filter_map(|(kind, spec)| {
            let timings = spec.probe.timings;
            let (period, timeout) = (timings.period_seconds, timings.timeout_seconds);
            if timeout < period || timings.failure_threshold == 1 && timeout == period {
                return None;
            }
            let rhythm = if timeout == period {
                format!("without a pause, one every {timeout} s")
            } else {
                format!("one every {timeout} s, not every {period} s")
            };
            Some(Remark::new(
                kind,
                format!(
                    "{}Probe timeoutSeconds {timeout} is not below periodSeconds {period}: attempts on a hanging container come {rhythm}, and {} of them take {} s",
                    kind.as_str(),
                    timings.failure_threshold,
                    timings.failure_threshold.saturating_mul(timeout),
                ),
                format!(
                    "periodSeconds above {timeout}, or a timeoutSeconds below {period} if no healthy answer takes that long"
                ),
            ))
        })
        .collect()
}

/// `timeout-implicit`
pub(super) fn implicit_timeout(subject: &Subject<'_>) -> Vec<Remark> {
    killers(subject)
        // A connection to the pod itself takes no second.
        .filter(|(_, spec)| !matches!(spec.handler, HandlerSpec::Tcp { .. }))
        .filter(|(_, spec)| !spec.declared.timeout)
        .map(|(kind, spec)| {
            let timings = spec.probe.timings;
            Remark::new(
                kind,
                format!(
                    "{}Probe gives no timeoutSeconds, so an answer slower than 1 s is a failure, and {} in a row (under CPU throttling: about {} s) restart the container",
                    kind.as_str(),
                    timings.failure_threshold,
                    timings.failure_threshold.saturating_mul(timings.period_seconds),
                ),
                format!("timeoutSeconds {}", timings.period_seconds.clamp(2, 6) - 1),
            )
        })
        .collect()
}

/// `detection-slow`
pub(super) fn slow_detection(subject: &Subject<'_>) -> Vec<Remark> {
    let Some(liveness) = &subject.spec.liveness else {
        return Vec::new();
    };
    let timings = liveness.probe.timings;
    let detection = timings.detection_seconds();
    if detection <= SLOW_DETECTION_SECONDS {
        return Vec::new();
    }
    let fix = if subject.spec.startup.is_some() {
        "failureThreshold 3 with periodSeconds 10; startupProbe guards the start".to_owned()
    } else {
        "a startupProbe for the start, and livenessProbe with failureThreshold 3 and periodSeconds 10".to_owned()
    };
    vec![Remark::new(
        ProbeKind::Liveness,
        format!(
            "livenessProbe needs up to {detection} s ({} min) from a hang to the restart",
            detection / 60
        ),
        fix,
    )]
}
