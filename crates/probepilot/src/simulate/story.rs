//! The start as it happens in the first and in the last phase: what both pictures are drawn from.

use probepilot_kubelet::{
    Behaviour, Container, EventKind, KillWindow, Kubelet, Life, OnSigterm, Phases, ProbeKind,
    ProbeResult, Scenario, Start, simulate,
};

/// No picture shows more than this.
const LONGEST_MS: u64 = 7 * 24 * 3600 * 1000;

/// A start, told twice.
#[derive(Debug)]
pub(super) struct Story {
    /// The probe that guards it.
    pub(super) guard: Option<ProbeKind>,
    /// When the container is healthy, if it ever is.
    pub(super) healthy_ms: Option<u64>,
    /// The certain budget.
    pub(super) budget_ms: Option<u64>,
    /// The end of the picture.
    pub(super) until_ms: u64,
    /// The phase that attempts soonest, then the one that attempts latest. Empty without a guard.
    pub(super) runs: Vec<Run>,
}

/// The start in one phase of the worker.
#[derive(Debug)]
pub(super) struct Run {
    /// Its name.
    pub(super) name: &'static str,
    /// The guard's attempts.
    pub(super) attempts: Vec<Attempt>,
    /// The kubelet's decision, if it comes.
    pub(super) kill_ms: Option<u64>,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// When it began.
    pub(super) began_ms: u64,
    /// When it ended.
    pub(super) ended_ms: u64,
    /// Whether it counts as healthy.
    pub(super) good: bool,
}

impl Story {
    pub(super) fn new(
        container: &Container,
        kubelet: &Kubelet,
        start: &Start,
        kill: Option<KillWindow>,
    ) -> Self {
        let Some((guard, probe)) = container.start_guard() else {
            let healthy = start.healthy_after_ms;
            return Self {
                guard: None,
                healthy_ms: healthy,
                budget_ms: None,
                until_ms: rounded_up(healthy.unwrap_or(60_000) * 5 / 4),
                runs: Vec::new(),
            };
        };
        let timings = probe.timings;
        let period_ms = u64::from(timings.period_seconds) * 1000;
        let delay_ms = u64::from(timings.initial_delay_seconds) * 1000;
        let budget_ms = u64::from(timings.budget_seconds()) * 1000;
        let settled_ms = start.healthy_after_ms.map_or(0, |healthy| {
            healthy.max(delay_ms).saturating_add(2 * period_ms)
        });
        // A budget far beyond the start would squeeze it into a corner.
        let shown_budget_ms = match start.healthy_after_ms {
            Some(_) => budget_ms.min(settled_ms.saturating_mul(3)),
            None => budget_ms,
        };
        let interesting_ms = settled_ms
            .max(shown_budget_ms)
            .max(kill.map_or(0, |window| window.latest_ms));
        let until_ms = rounded_up(interesting_ms.saturating_mul(21) / 20).min(LONGEST_MS);
        let run = |name, first_attempt_ms: u64| {
            let phase_ms = first_attempt_ms % period_ms;
            tell(name, container, kubelet, start, guard, phase_ms, until_ms)
        };
        Self {
            guard: Some(guard),
            healthy_ms: start.healthy_after_ms,
            budget_ms: Some(budget_ms),
            until_ms,
            runs: vec![
                run("soonest", delay_ms),
                run("latest", delay_ms.saturating_add(period_ms - 1)),
            ],
        }
    }
}

fn tell(
    name: &'static str,
    container: &Container,
    kubelet: &Kubelet,
    start: &Start,
    guard: ProbeKind,
    phase_ms: u64,
    until_ms: u64,
) -> Run {
    // One life is told: a container that ignores SIGTERM for longer than the picture lasts.
    let life =
        Life::starting(start.healthy_after_ms, start.while_starting).on_sigterm(OnSigterm::Ignored);
    let alone = Container {
        startup: container.startup.filter(|_| guard == ProbeKind::Startup),
        liveness: container.liveness.filter(|_| guard == ProbeKind::Liveness),
        readiness: None,
        termination_grace_period_seconds: u32::MAX,
        ..*container
    };
    let scenario =
        Scenario::new(alone, *kubelet, Behaviour::always(life), until_ms).with_phases(Phases {
            startup_ms: phase_ms,
            liveness_ms: phase_ms,
            readiness_ms: 0,
        });
    let timeline = simulate(&scenario);
    let attempts = timeline
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Attempt {
                began_ms, result, ..
            } => Some(Attempt {
                began_ms,
                ended_ms: event.at_ms,
                good: result == ProbeResult::Success,
            }),
            _ => None,
        })
        .collect();
    Run {
        name,
        attempts,
        kill_ms: timeline.first_kill().map(|kill| kill.at_ms),
    }
}

/// Up to whole seconds, at least ten.
fn rounded_up(ms: u64) -> u64 {
    (ms.div_ceil(1000) * 1000).max(10_000)
}
