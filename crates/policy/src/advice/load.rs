//! Rules about what a start competes for: CPU, memory, the API server, the size of the cluster.

use jiff::SignedDuration;

use super::{AdviceRule, Facts};
use crate::evidence::Quantity;
use crate::verdict::Verdict;

/// A CPU limit up to this is small for a controller that lists a cluster.
const SMALL_CPU: Quantity = Quantity::from_milli(100);
/// Use of a limit from which it holds the container back, in per cent.
const FULL_PERCENT: u64 = 90;
/// A count from which a cluster is very large.
const LARGE_COUNT: i64 = 10_000;
/// Part of maxStartupSeconds from which little is left, in per cent.
const NEARLY_ALL_PERCENT: u64 = 80;
/// A request that takes so many times its usual time is slow,
const SLOW_TIMES: i32 = 5;
/// unless it is still shorter than this.
const SLOW_AT_LEAST: SignedDuration = SignedDuration::from_secs(1);

pub(super) const CPU_LIMIT_SMALL: AdviceRule = AdviceRule {
    id: "cpu-limit-small",
    threshold: "a CPU limit of 100m or less, and a start too slow",
    data: "resources.limits.cpu of the pod",
    citation: "kubernetes-sigs/aws-load-balancer-controller#3723 (13,319 pods, limit 100m)",
    check: |facts| {
        let limit = facts.view.cpu_limit?;
        (is_slow(facts) && limit <= SMALL_CPU).then(|| {
            format!(
                "Its CPU limit of {}m is small: raise or remove it before the budget, a throttled start is a slow start.",
                limit.milli()
            )
        })
    },
};

pub(super) const CPU_THROTTLED: AdviceRule = AdviceRule {
    id: "cpu-throttled",
    threshold: "CPU use of 90 % of the limit or more, and a start too slow",
    data: "metrics.k8s.io and resources.limits.cpu; where it was asked in vain, it says so",
    citation: "kyverno/kyverno#4249",
    check: |facts| {
        let limit = facts.view.cpu_limit.filter(|_| is_slow(facts))?;
        let Some(used) = facts.measured.cpu_used else {
            let why = facts.measured.unmeasured?;
            return Some(format!(
                "Whether its CPU limit of {}m holds it back is not measured: {why}.",
                limit.milli()
            ));
        };
        let percent = used.percent_of(limit)?;
        (percent >= FULL_PERCENT).then(|| {
            format!(
                "It uses {}m of its CPU limit of {}m ({percent} %): raise or remove the limit before the budget.",
                used.milli(),
                limit.milli()
            )
        })
    },
};

pub(super) const MEMORY_NEAR_LIMIT: AdviceRule = AdviceRule {
    id: "memory-near-limit",
    threshold: "memory use of 90 % of the limit or more, while a kill asks for a larger budget or has raised it, and not out of memory yet",
    data: "metrics.k8s.io, resources.limits.memory, the verdict and the policy's status.raises",
    citation: "prometheus-community/helm-charts#4585, mitodl/ol-infrastructure#5326",
    check: |facts| {
        let limit = facts.view.memory_limit?;
        let percent = facts.measured.memory_used?.percent_of(limit)?;
        let verdict = facts.diagnosis.verdict();
        let raised = facts.measured.raises.is_some_and(|raises| raises > 0);
        let grows = verdict == Verdict::StartupKill || raised;
        let spared = verdict != Verdict::OutOfMemory;
        (grows && spared && percent >= FULL_PERCENT).then(|| {
            format!(
                "It uses {percent} % of its memory limit of {limit}: a longer start may end as OOMKilled, so raise the limit first."
            )
        })
    },
};

pub(super) const CLUSTER_LARGE: AdviceRule = AdviceRule {
    id: "cluster-large",
    threshold: "a count of 10,000 or more, and a budget of 80 % of maxStartupSeconds or more",
    data: "the count, the pod's own probes and the policy's limits",
    citation: "kubernetes-sigs/aws-load-balancer-controller#3902",
    check: |facts| {
        let count = facts.measured.count?;
        let most = facts.measured.max_startup_seconds?;
        let budget = facts.view.guard().budget_seconds()?;
        let percent = (u64::from(budget) * 100).checked_div(most.into())?;
        (count >= LARGE_COUNT && percent >= NEARLY_ALL_PERCENT).then(|| {
            format!(
                "At a count of {count} the budget of {budget} s is near limits.maxStartupSeconds ({most} s): split the cluster, or narrow what the controller watches (namespaces, labels)."
            )
        })
    },
};

pub(super) const API_SERVER_SLOW: AdviceRule = AdviceRule {
    id: "api-server-slow",
    threshold: "a count takes 5 times its usual time or more, and at least 1 s",
    data: "the time of the operator's own count requests",
    citation: "kubernetes-sigs/aws-load-balancer-controller#3723 (a list took 9.3 s)",
    check: |facts| {
        let latency = facts.measured.latency?;
        let far_above = latency.usual.checked_mul(SLOW_TIMES)?;
        (latency.now >= SLOW_AT_LEAST && latency.now >= far_above).then(|| {
            format!(
                "The API server takes {} ms for a count that takes {} ms as a rule: look at the API server first, every start waits for it.",
                latency.now.as_millis(),
                latency.usual.as_millis()
            )
        })
    },
};

/// Whether more CPU would make a difference to what is the matter.
fn is_slow(facts: &Facts<'_>) -> bool {
    matches!(
        facts.diagnosis.verdict(),
        Verdict::StartupKill
            | Verdict::SteadyStateKill
            | Verdict::SyncTimeout
            | Verdict::LeaderLost
            | Verdict::Unready
    )
}
