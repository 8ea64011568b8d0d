//! What would help, in words: remedies that no probe can give stand beside those that one can.
//!
//! Each rule has an id, a threshold, the data it looks at, and the case it was made for. A rule whose
//! data is missing says nothing. Nothing here is ever acted on.

mod cures;
mod load;
mod standing;
mod upgrade;

use jiff::SignedDuration;

use crate::evidence::Quantity;
use crate::pod::{ContainerView, PodView};
use crate::verdict::Diagnosis;

pub(crate) use standing::{Standing, news};

/// One remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Id of the rule that gave it.
    pub rule: &'static str,
    /// What to do, as sentences.
    pub text: String,
    /// The case that the rule was made for.
    pub source: &'static str,
}

/// One rule.
#[derive(Clone, Copy)]
pub struct AdviceRule {
    /// Its id.
    pub id: &'static str,
    /// When it speaks.
    pub threshold: &'static str,
    /// What it looks at.
    pub data: &'static str,
    /// The case it was made for.
    pub citation: &'static str,
    check: fn(&Facts<'_>) -> Option<String>,
}

/// All rules, in the order in which their advice is given: the cause first, the load behind it after.
pub const ADVICE_RULES: [AdviceRule; 18] = [
    cures::STARTUP_BUDGET,
    cures::STEADY_TIMEOUT,
    cures::STEADY_HANG,
    cures::UNGUARDED_START,
    cures::HANDLER_DRIFT,
    cures::WRONG_PROBE,
    cures::OUT_OF_MEMORY,
    cures::SYNC_TIMEOUT,
    cures::LEADER_LOST,
    cures::STARTUP_ERROR,
    cures::NOT_STARTED,
    cures::UNREADY,
    load::CPU_LIMIT_SMALL,
    load::CPU_THROTTLED,
    load::MEMORY_NEAR_LIMIT,
    load::CLUSTER_LARGE,
    load::API_SERVER_SLOW,
    upgrade::UPGRADE,
];

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What is the matter.
    pub diagnosis: &'a Diagnosis,
    /// The pod.
    pub pod: &'a PodView,
    /// The container.
    pub view: &'a ContainerView,
    /// What somebody measured.
    pub measured: Measured,
}

/// Measurements that not everybody has. `None` is not measured, never zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// Memory in use (metrics.k8s.io).
    pub memory_used: Option<Quantity>,
    /// CPU in use (metrics.k8s.io).
    pub cpu_used: Option<Quantity>,
    /// Why what is in use is not known, where somebody asked for it.
    pub unmeasured: Option<Unmeasured>,
    /// How often the policy raised the budget since the target was last healthy.
    pub raises: Option<i64>,
    /// The count of the rule that decides, all pods by default.
    pub count: Option<i64>,
    /// limits.maxStartupSeconds of the policy.
    pub max_startup_seconds: Option<u32>,
    /// How long the API server takes for a count.
    pub latency: Option<Latency>,
}

/// Why metrics.k8s.io did not say what a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmeasured {
    /// It is not there, or has no sample of the pod.
    NotFound,
    /// The asker may not read it.
    Forbidden,
    /// It failed, or did not answer in time.
    Unavailable,
}

impl std::fmt::Display for Unmeasured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotFound => "metrics.k8s.io is not served or has no sample of this pod",
            Self::Forbidden => "get of pods.metrics.k8s.io is forbidden",
            Self::Unavailable => "metrics.k8s.io does not answer",
        })
    }
}

/// How long the API server takes to answer one and the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Lately.
    pub now: SignedDuration,
    /// As a rule.
    pub usual: SignedDuration,
}

/// All advice that the facts give.
#[must_use]
pub fn advise(facts: &Facts<'_>) -> Vec<Advice> {
    ADVICE_RULES
        .iter()
        .filter_map(|rule| {
            Some(Advice {
                rule: rule.id,
                text: (rule.check)(facts)?,
                source: rule.citation,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
