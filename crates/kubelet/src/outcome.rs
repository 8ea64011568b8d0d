//! "It needs 63 s to start: will these probes kill it?"

use crate::behaviour::{Answer, Life};
use crate::container::{Container, Handler, Probe, ProbeKind};
use crate::kubelet::Kubelet;
use crate::sweep::{Piece, sweep};
use crate::window::{Failing, KillWindow};
use serde::{Deserialize, Serialize};

/// The start in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// Milliseconds from `startedAt` until it answers well; `None`: never.
    pub healthy_after_ms: Option<u64>,
    /// How it answers until then.
    pub while_starting: Answer,
    /// Failures that a predecessor left behind by dying by itself (K10); normally 0.
    #[serde(default)]
    pub inherited_failures: u32,
}

impl Start {
    /// A start of this length, or one that never ends, after a predecessor that left nothing behind.
    #[must_use]
    pub fn new(healthy_after_ms: Option<u64>, while_starting: Answer) -> Self {
        Self {
            healthy_after_ms,
            while_starting,
            inherited_failures: 0,
        }
    }
}

/// What becomes of a start, over all phases of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// No phase kills it.
    Survives,
    /// Some phases kill it: it is a matter of luck.
    MayBeKilled,
    /// Every phase kills it.
    Killed,
}

/// The exact set of outcomes of one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartOutcome {
    /// The probe that guards the start; `None` where nothing can kill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<ProbeKind>,
    /// Milliseconds for which the kubelet is certain not to kill: `D + (F-1)*P`, less what a
    /// predecessor used up (K10, K16). `None` without a guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guaranteed_ms: Option<u64>,
    /// When this start is killed, over the phases that kill it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<KillWindow>,
    /// The answer.
    pub outcome: Outcome,
    /// How many of a thousand phases kill it.
    pub killed_per_mille: u32,
}

/// What the probes do to this start.
///
/// Only the guard is looked at: once it has succeeded, the container answers well for good.
#[must_use]
pub fn start_outcome(container: &Container, kubelet: &Kubelet, start: &Start) -> StartOutcome {
    let Some((guard, probe)) = container.start_guard() else {
        return StartOutcome {
            guard: None,
            guaranteed_ms: None,
            kill: None,
            outcome: Outcome::Survives,
            killed_per_mille: 0,
        };
    };
    let inherited = if kubelet.container_scoped_workers {
        0
    } else {
        start.inherited_failures
    };
    let probe = after_failures(probe, inherited);
    let alone = Container {
        startup: (guard == ProbeKind::Startup).then_some(probe),
        liveness: (guard == ProbeKind::Liveness).then_some(probe),
        readiness: None,
        ..*container
    };
    let result = |kill, outcome, killed_per_mille| StartOutcome {
        guard: Some(guard),
        guaranteed_ms: Some(u64::from(probe.timings.budget_seconds()) * 1000),
        kill,
        outcome,
        killed_per_mille,
    };
    match (
        failing(&probe, start.while_starting),
        start.healthy_after_ms,
    ) {
        (None, _) => result(None, Outcome::Survives, 0),
        (Some(failing), None) => {
            let kill = never_healthy(&probe, kubelet, failing);
            result(Some(kill), Outcome::Killed, 1000)
        }
        (Some(_), Some(healthy_after_ms)) => {
            let life = Life::starting(Some(healthy_after_ms), start.while_starting);
            let pieces = sweep(
                &alone,
                kubelet,
                &life,
                0,
                settled_ms(&probe, healthy_after_ms),
            );
            summarise(&pieces, result)
        }
    }
}

/// The probe as it is left by a predecessor that died after these failures in a row (K10).
fn after_failures(probe: &Probe, failures: u32) -> Probe {
    let mut left = *probe;
    left.timings.failure_threshold = left
        .timings
        .failure_threshold
        .saturating_sub(failures)
        .max(1);
    left
}

/// How attempts fail on a container that answers like this; `None`: they do not.
fn failing(probe: &Probe, answer: Answer) -> Option<Failing> {
    let refused_takes_long = probe.handler == Handler::Grpc;
    match answer {
        Answer::Ok | Answer::Status(200..400) | Answer::Error => None,
        Answer::Status(_) | Answer::Hang if probe.handler == Handler::Tcp => None,
        Answer::Hang | Answer::Drop => Some(Failing::AfterTimeout),
        Answer::Refused if refused_takes_long => Some(Failing::AfterTimeout),
        Answer::Refused | Answer::Status(_) => Some(Failing::AtOnce),
    }
}

fn never_healthy(probe: &Probe, kubelet: &Kubelet, failing: Failing) -> KillWindow {
    let window = KillWindow::never_healthy(&probe.timings, failing);
    if !kubelet.container_scoped_workers {
        return window;
    }
    // The worker starts with the container, so its first tick at or after D is known.
    let delay_ms = u64::from(probe.timings.initial_delay_seconds) * 1000;
    let late_ms = crate::first_attempt_ms(&probe.timings, 0) - delay_ms;
    let at_ms = window.earliest_ms.saturating_add(late_ms);
    KillWindow {
        earliest_ms: at_ms,
        latest_ms: at_ms,
    }
}

/// A moment by which a start that is healthy by then has been judged.
fn settled_ms(probe: &Probe, healthy_after_ms: u64) -> u64 {
    healthy_after_ms
        .max(u64::from(probe.timings.initial_delay_seconds) * 1000)
        .saturating_add(2 * probe.timings.period_ms())
        .saturating_add(2 * probe.timings.timeout_ms())
}

fn summarise(
    pieces: &[Piece],
    result: impl Fn(Option<KillWindow>, Outcome, u32) -> StartOutcome,
) -> StartOutcome {
    let mut killed_ms = 0;
    let mut total_ms = 0;
    let mut window: Option<KillWindow> = None;
    for piece in pieces {
        total_ms += piece.width_ms();
        let Some(kill) = &piece.kill else { continue };
        killed_ms += piece.width_ms();
        let latest_ms = if pieces.len() == 1 && piece.width_ms() == 1 {
            kill.at_to_ms
        } else {
            kill.latest_ms(piece)
        };
        let seen = window.unwrap_or(KillWindow {
            earliest_ms: u64::MAX,
            latest_ms: 0,
        });
        window = Some(KillWindow {
            earliest_ms: seen.earliest_ms.min(kill.at_from_ms),
            latest_ms: seen.latest_ms.max(latest_ms),
        });
    }
    let outcome = match killed_ms {
        0 => Outcome::Survives,
        killed if killed == total_ms => Outcome::Killed,
        _ => Outcome::MayBeKilled,
    };
    let per_mille = (killed_ms * 1000).div_ceil(total_ms.max(1));
    result(window, outcome, u32::try_from(per_mille).unwrap_or(1000))
}
