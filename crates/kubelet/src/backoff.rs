//! Crash-loop back-off (K13): client-go's `flowcontrol.Backoff` as the kubelet uses it.

use serde::{Deserialize, Serialize};

/// An entry is forgotten when a container finished this long after the last start (kubelet.go,
/// `HasExpiredFunc`).
const FORGOTTEN_AFTER_MS: u64 = 600_000;

/// First delay and largest delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackOff {
    /// The first delay in milliseconds; it doubles with every start.
    pub initial_ms: u64,
    /// The largest delay in milliseconds.
    pub max_ms: u64,
}

impl Default for BackOff {
    /// 10 s doubling to 300 s.
    fn default() -> Self {
        Self {
            initial_ms: 10_000,
            max_ms: 300_000,
        }
    }
}

impl BackOff {
    /// Feature gate ReduceDefaultCrashLoopBackOffDecay: 1 s doubling to 60 s (KEP-4603).
    #[must_use]
    pub fn reduced() -> Self {
        Self {
            initial_ms: 1_000,
            max_ms: 60_000,
        }
    }

    /// The kubelet's `crashLoopBackOff.maxContainerRestartPeriod` (KEP-5593): it replaces the
    /// largest delay, and the first one too where that is larger.
    #[must_use]
    pub fn capped_by_node(self, max_ms: u64) -> Self {
        Self {
            initial_ms: self.initial_ms.min(max_ms),
            max_ms,
        }
    }
}

/// The back-off of one container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) delay_ms: u64,
    /// When the container was last started through the back-off.
    started_ms: u64,
}

impl Entry {
    fn expired(&self, finished_ms: u64) -> bool {
        finished_ms.saturating_sub(self.started_ms) > FORGOTTEN_AFTER_MS
    }

    /// `IsInBackOffSince`: the moment until which a container that finished then has to wait.
    pub(crate) fn waits_until(&self, finished_ms: u64, now_ms: u64) -> Option<u64> {
        let until = finished_ms.saturating_add(self.delay_ms);
        (!self.expired(finished_ms) && now_ms < until).then_some(until)
    }

    /// `Next`: called when the container is started after all.
    pub(crate) fn next(entry: Option<Self>, rules: BackOff, finished_ms: u64, now_ms: u64) -> Self {
        let delay_ms = match entry {
            Some(old) if !old.expired(finished_ms) => {
                old.delay_ms.saturating_mul(2).min(rules.max_ms)
            }
            _ => rules.initial_ms,
        };
        Self {
            delay_ms,
            started_ms: now_ms,
        }
    }
}
