//! From the starts in a policy's status to the points of a rule.

use super::source::label;
use anyhow::{Context as _, bail};
use probepilot_api::{CountSelector, Learning, Point, ProbePolicy};
use probepilot_policy::{
    Curve, Learned, Policy, Recommendation, Start, StartKey, Starts, recommendation,
};

/// Points of the rule at most, as the schema allows.
const MOST_POINTS: usize = 16;

/// What was measured, and what it recommends.
pub(super) struct Measured {
    /// What is counted.
    pub(super) driver: CountSelector,
    /// The present count, or the largest one that was seen.
    pub(super) count: i64,
    /// Starts of the program that started last, oldest first.
    pub(super) starts: Vec<Start>,
    /// What they recommend at the present count.
    pub(super) recommended: Recommendation,
    /// The rule's curve, without headroom: the operator adds that to what it writes.
    pub(super) points: Vec<Point>,
}

impl Measured {
    /// What the policy's status has measured.
    pub(super) fn of(policy: &ProbePolicy) -> anyhow::Result<Self> {
        let parsed = Policy::try_from(&policy.spec)
            .with_context(|| format!("policy {} cannot be used", label(policy)))?;
        let driver = parsed.driver();
        let status = policy.status.clone().unwrap_or_default();
        let starts = Starts::from(status.starts.as_slice());
        let Some(key) = starts.keys().first().map(|key| (*key).clone()) else {
            bail!("{}", nothing_yet(policy));
        };
        let curve = Curve::of(starts.of(&key));
        let largest = starts.of(&key).map(|start| start.count).max().unwrap_or(1);
        let mut counts = status.counts.iter();
        let present = counts.find(|count| {
            (&count.group, &count.resource, &count.namespace)
                == (&driver.group, &driver.resource, &driver.namespace)
        });
        let count = present.and_then(|count| count.value).unwrap_or(largest);
        let headroom = parsed.learning.unwrap_or_else(usual_headroom);
        let recommended = recommendation(&starts, &key, count, headroom);
        let (Some(curve), Learned::Need(recommended)) = (curve, &recommended) else {
            bail!("policy {}: {}", label(policy), recommended.sentence());
        };
        Ok(Self {
            points: points(&curve, &starts, &key),
            starts: starts.of(&key).cloned().collect(),
            recommended: recommended.clone(),
            driver,
            count,
        })
    }
}

fn usual_headroom() -> u32 {
    u32::try_from(Learning::default().headroom_percent).unwrap_or(0)
}

fn nothing_yet(policy: &ProbePolicy) -> String {
    let target = policy.spec.target_ref.display();
    format!(
        "policy {} has seen no start yet. A start is measured when a pod of {target} starts while the operator runs, and where its container has a startup or a readiness probe; `kubectl rollout restart {target}` makes one now",
        label(policy)
    )
}

/// One point for each doubling of the count, from the smallest count that was seen to beyond the largest.
fn points(curve: &Curve, starts: &Starts, key: &StartKey) -> Vec<Point> {
    let counts = || starts.of(key).map(|start| start.count.max(1));
    let smallest = counts().min().unwrap_or(1);
    let largest = counts().max().unwrap_or(1);
    let doublings = std::iter::successors(Some(smallest), |count| count.checked_mul(2));
    let mut at: Vec<i64> = doublings
        .take_while(|count| *count < largest)
        .chain([largest, largest.saturating_mul(2)])
        .collect();
    // The largest counts matter most.
    let surplus = at.len().saturating_sub(MOST_POINTS);
    at.drain(..surplus);
    at.into_iter()
        .map(|count| Point {
            count,
            startup_seconds: seconds(Recommendation::on(curve, count, 0).seconds),
        })
        .collect()
}

/// The schema's largest budget is a day.
fn seconds(seconds: u32) -> i32 {
    i32::try_from(seconds.clamp(1, 86_400)).unwrap_or(86_400)
}
