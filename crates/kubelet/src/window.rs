//! Closed forms for when the kubelet kills (K2, K16).

use crate::Timings;
use serde::{Deserialize, Serialize};

/// How the attempts on an unhealthy container fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failing {
    /// At once: connection refused, a bad status, a non-zero exit code.
    AtOnce,
    /// After `timeoutSeconds`: the container is silent. Also a refused grpc probe.
    AfterTimeout,
}

/// When a kill can come, in milliseconds from `startedAt` to the kubelet's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillWindow {
    /// No kill is earlier.
    pub earliest_ms: u64,
    /// No kill is later; the moment itself is not reached, since phases are below one period.
    pub latest_ms: u64,
}

impl KillWindow {
    /// The window of a container that never gets healthy, over all phases of the worker:
    /// `D + [0, P) + (F-1) * max(P, t) + t`, where an attempt takes `t`, nothing or the timeout (K16).
    #[must_use]
    pub fn never_healthy(timings: &Timings, failing: Failing) -> Self {
        let takes_ms = match failing {
            Failing::AtOnce => 0,
            Failing::AfterTimeout => timings.timeout_ms(),
        };
        let spacing_ms = timings.period_ms().max(takes_ms);
        let repeats = u64::from(timings.failure_threshold.saturating_sub(1));
        let earliest_ms = (u64::from(timings.initial_delay_seconds) * 1000)
            .saturating_add(repeats.saturating_mul(spacing_ms))
            .saturating_add(takes_ms);
        Self {
            earliest_ms,
            latest_ms: earliest_ms.saturating_add(timings.period_ms()),
        }
    }
}

/// When the first real attempt begins, in milliseconds from the container's start, if the worker
/// started `lead_ms` before it: `ceil((D + d) / P) * P - d` (K2).
#[must_use]
pub fn first_attempt_ms(timings: &Timings, lead_ms: u64) -> u64 {
    let period = timings.period_ms();
    let delay = u64::from(timings.initial_delay_seconds) * 1000;
    delay
        .saturating_add(lead_ms)
        .div_ceil(period)
        .saturating_mul(period)
        .saturating_sub(lead_ms)
}
