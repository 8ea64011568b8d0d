//! What to change so that the start survives, as the lines to write.

use super::Case;
use crate::manifest::{HandlerSpec, ProbeSpec};
use probepilot_kubelet::{Outcome, ProbeKind, Timings};

/// The part of a start's length that is added as a reserve.
const RESERVE_PERCENT: u64 = 25;

/// Advice in lines, none where nothing needs to change.
pub(super) fn advice(case: &Case<'_>) -> Vec<String> {
    let Some(start_ms) = case.start.healthy_after_ms else {
        return never(case);
    };
    let need = start_ms.div_ceil(1000) * (100 + RESERVE_PERCENT);
    let need = need.div_ceil(100);
    let budget = case.story.budget_ms.unwrap_or(u64::MAX) / 1000;
    if case.report.outcome == Outcome::Survives {
        return match case.story.budget_ms {
            Some(_) if budget < need => vec![format!(
                "nothing now, but the reserve is thin: {budget} s are guaranteed, the start and a quarter more is {need} s"
            )],
            _ => Vec::new(),
        };
    }
    match (case.story.guard, &case.spec.startup, &case.spec.liveness) {
        (Some(ProbeKind::Startup), Some(startup), _) => raise_threshold(startup, need),
        (Some(ProbeKind::Liveness), _, Some(liveness)) => add_startup(liveness, need),
        _ => Vec::new(),
    }
}

fn never(case: &Case<'_>) -> Vec<String> {
    if case.report.outcome == Outcome::Survives {
        return Vec::new();
    }
    vec![
        "no timing saves a container that never gets healthy; `--start SECONDS` asks about one that does"
            .to_owned(),
    ]
}

/// Failures that guarantee this budget with this delay and period: `D + (F-1)*P >= need`.
fn threshold(delay: u64, period: u64, need: u64) -> u64 {
    need.saturating_sub(delay).div_ceil(period.max(1)) + 1
}

fn raise_threshold(startup: &ProbeSpec, need: u64) -> Vec<String> {
    let Timings {
        initial_delay_seconds,
        period_seconds,
        ..
    } = startup.probe.timings;
    let (delay, period) = (u64::from(initial_delay_seconds), u64::from(period_seconds));
    let failures = threshold(delay, period, need);
    vec![
        format!("raise the startup probe's threshold; the start and a quarter more is {need} s:"),
        "  startupProbe:".to_owned(),
        format!(
            "    failureThreshold: {failures}   # guarantees {} s",
            delay + (failures - 1) * period
        ),
    ]
}

fn add_startup(liveness: &ProbeSpec, need: u64) -> Vec<String> {
    let timings = liveness.probe.timings;
    let period = u64::from(timings.period_seconds.min(10));
    let failures = threshold(0, period, need);
    let mut lines = vec![
        format!(
            "give the start a probe of its own and leave liveness alone; the start and a quarter more is {need} s:"
        ),
        "  startupProbe:".to_owned(),
    ];
    lines.extend(
        handler_lines(&liveness.handler)
            .into_iter()
            .map(|line| format!("    {line}")),
    );
    lines.push(format!("    periodSeconds: {period}"));
    lines.push(format!("    timeoutSeconds: {}", timings.timeout_seconds));
    lines.push(format!(
        "    failureThreshold: {failures}   # guarantees {} s",
        (failures - 1) * period
    ));
    lines
}

fn handler_lines(handler: &HandlerSpec) -> Vec<String> {
    match handler {
        HandlerSpec::Http { path, port, scheme } => {
            let scheme = if scheme == "HTTP" {
                String::new()
            } else {
                format!(", scheme: {scheme}")
            };
            vec![format!("httpGet: {{path: {path:?}, port: {port}{scheme}}}")]
        }
        HandlerSpec::Tcp { port } => vec![format!("tcpSocket: {{port: {port}}}")],
        HandlerSpec::Exec { command } => vec![format!("exec: {{command: {command:?}}}")],
        HandlerSpec::Grpc { port } => vec![format!("grpc: {{port: {port}}}")],
        HandlerSpec::Other => vec!["# the handler of livenessProbe".to_owned()],
    }
}
