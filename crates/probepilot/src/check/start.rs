//! Rules about which probe carries the start.

use super::{Remark, Subject};
use crate::manifest::HandlerSpec;
use probepilot_kubelet::ProbeKind;

/// A delay from here on is a tax worth a note: the smallest that users complained of (contour#5803).
const TAX_SECONDS: u32 = 15;
/// A liveness delay from here on is there for the start, not for a hang.
const LOOSE_DELAY_SECONDS: u32 = 60;
/// A detection time beyond this is too.
const LOOSE_DETECTION_SECONDS: u32 = 120;

/// `startup-no-gain`
pub(super) fn no_gain(subject: &Subject<'_>) -> Vec<Remark> {
    let (Some(startup), Some(liveness)) = (&subject.spec.startup, &subject.spec.liveness) else {
        return Vec::new();
    };
    let (own, other) = (
        startup.probe.timings.budget_seconds(),
        liveness.probe.timings.budget_seconds(),
    );
    if own > other {
        return Vec::new();
    }
    let timings = startup.probe.timings;
    // The smallest threshold whose budget is beyond what liveness alone gives.
    let failures = other
        .saturating_add(1)
        .saturating_sub(timings.initial_delay_seconds)
        .div_ceil(timings.period_seconds.max(1))
        .saturating_add(1);
    vec![Remark::new(
        ProbeKind::Startup,
        format!(
            "startupProbe guarantees {own} s, no more than the {other} s that livenessProbe alone would: it only makes the start more fragile"
        ),
        format!(
            "measure the start and set failureThreshold from it; only from {failures} on does it guarantee more than livenessProbe alone"
        ),
    )]
}

/// `startup-tcp`
pub(super) fn tcp_socket(subject: &Subject<'_>) -> Vec<Remark> {
    let Some(startup) = &subject.spec.startup else {
        return Vec::new();
    };
    let HandlerSpec::Tcp { port } = &startup.handler else {
        return Vec::new();
    };
    let handlers = [&subject.spec.liveness, &subject.spec.readiness];
    let better = handlers
        .into_iter()
        .flatten()
        .map(|probe| &probe.handler)
        .find(|handler| matches!(handler, HandlerSpec::Http { .. } | HandlerSpec::Grpc { .. }));
    let fix = match better {
        Some(handler) => format!("ask {handler}, as the other probes do"),
        None => {
            "ask an endpoint that answers only when the work is done (httpGet or grpc)".to_owned()
        }
    };
    let after = if subject.spec.liveness.is_some() {
        ", and from then on liveness may kill"
    } else {
        ""
    };
    vec![Remark::new(
        ProbeKind::Startup,
        format!(
            "startupProbe tcpSocket :{port} succeeds as soon as the port is bound, though nothing may be served on it yet{after}; its {} s are not what guards the work",
            startup.probe.timings.budget_seconds()
        ),
        fix,
    )]
}

/// `liveness-loosened`
pub(super) fn liveness_loosened(subject: &Subject<'_>) -> Vec<Remark> {
    let (None, Some(liveness)) = (&subject.spec.startup, &subject.spec.liveness) else {
        return Vec::new();
    };
    let timings = liveness.probe.timings;
    let (budget, detection) = (timings.budget_seconds(), timings.detection_seconds());
    let late = timings.initial_delay_seconds >= LOOSE_DELAY_SECONDS;
    if !late && detection <= LOOSE_DETECTION_SECONDS {
        return Vec::new();
    }
    let what = if late {
        format!(
            "livenessProbe waits {} s before it looks at all, so that a container that hangs at once is left alone that long",
            timings.initial_delay_seconds
        )
    } else {
        format!("livenessProbe needs up to {detection} s to notice a hang")
    };
    let period = timings.period_seconds.min(10);
    let failures = budget.div_ceil(period).saturating_add(1);
    vec![Remark::new(
        ProbeKind::Liveness,
        format!("{what}, and no startupProbe carries the start"),
        format!(
            "a startupProbe with the same handler, periodSeconds {period} and failureThreshold {failures} guarantees the same {budget} s; then livenessProbe can be sharp, for instance initialDelaySeconds 0, periodSeconds 10, timeoutSeconds 5, failureThreshold 3"
        ),
    )]
}

/// `delay-tax`
pub(super) fn delay_tax(subject: &Subject<'_>) -> Vec<Remark> {
    [ProbeKind::Startup, ProbeKind::Readiness]
        .into_iter()
        .filter_map(|kind| {
            let delay = subject.spec.probe(kind)?.probe.timings.initial_delay_seconds;
            (delay >= TAX_SECONDS).then(|| {
                Remark::new(
                    kind,
                    format!(
                        "{}Probe initialDelaySeconds {delay}: no container is Ready before {delay} s, also on a cluster where the start takes three",
                        kind.as_str()
                    ),
                    "initialDelaySeconds 0; failureThreshold is what gives a slow start its time".to_owned(),
                )
            })
        })
        .take(1)
        .collect()
}
