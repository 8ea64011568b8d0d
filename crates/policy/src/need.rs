//! From counts to the startup budget that rules ask for.

use probepilot_api::{BudgetSource, CountSelector, ProbeTimings};
use probepilot_kubelet::Timings;

use crate::learning::Recommendation;
use crate::observation::{Count, Sample};
use crate::policy::{Bounds, CurvePoint, Form, Policy, Rung};

/// What the rules ask for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The budget that the deciding rule asks for, in seconds, as it stands in the rule.
    pub bare_seconds: u32,
    /// The same, clipped into the policy's limits.
    pub need_seconds: u32,
    /// The budget to write once something is written: with headroom where the rule is a curve.
    pub write_seconds: u32,
    /// Liveness timings that rungs give, the longest of each.
    pub liveness: Option<ProbeTimings>,
    /// The count of the deciding rule; unset where it is not known.
    pub count: Option<i64>,
    /// Rule or Learned, or Limit where the limits changed what they ask.
    pub source: BudgetSource,
}

/// What the rules say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// No rule says anything at the present counts.
    Nothing {
        /// The first count there is, for the reader.
        count: Option<i64>,
    },
    /// The largest budget that a rule with a known count asks for.
    Ask(Ask),
    /// Nothing can be said: not one count of a rule is known.
    Unknown,
}

impl Asked {
    /// What rules and starts ask for together: the larger budget, with the liveness timings that rungs give.
    pub(crate) fn or_learned(self, learned: Option<Ask>) -> Self {
        let Some(learned) = learned else { return self };
        let size = |ask: &Ask| (ask.bare_seconds, ask.write_seconds);
        match self {
            Self::Ask(ask) if size(&ask) >= size(&learned) => Self::Ask(ask),
            Self::Ask(ask) => Self::Ask(Ask {
                liveness: ask.liveness,
                ..learned
            }),
            Self::Nothing { .. } | Self::Unknown => Self::Ask(learned),
        }
    }

    /// The ask, where there is one.
    #[must_use]
    pub fn ask(&self) -> Option<&Ask> {
        match self {
            Self::Ask(ask) => Some(ask),
            Self::Nothing { .. } | Self::Unknown => None,
        }
    }
}

/// Percent that a curve's budget gets on top, so that the next write is some growth away.
const CURVE_HEADROOM_PERCENT: u64 = 25;

/// Evaluates all rules. A rule whose count was never read says nothing.
///
/// `liveness` are the owner's own liveness timings; a rung that gives only some timings keeps the
/// rest of them.
#[must_use]
pub fn need(policy: &Policy, counts: &[Count], liveness: Option<Timings>) -> Asked {
    let known: Vec<_> = policy
        .rules
        .iter()
        .filter_map(|rule| Some((rule, value(counts, &rule.count)?)))
        .collect();
    let Some(&(_, first)) = known.first() else {
        return if policy.rules.is_empty() {
            let count = value(counts, &policy.driver());
            Asked::Nothing { count }
        } else {
            Asked::Unknown
        };
    };
    let mut timings: Option<ProbeTimings> = None;
    let mut best: Option<(u32, u32, i64)> = None;
    for (rule, count) in known {
        let asked = match &rule.form {
            Form::Steps(rungs) => rung(rungs, count).map(|rung| {
                timings = longest(timings, rung.liveness);
                let seconds = rung_seconds(rung, liveness);
                (seconds, seconds)
            }),
            Form::Linear {
                base_seconds,
                seconds_per_thousand,
            } => Some(with_headroom(line(
                *base_seconds,
                *seconds_per_thousand,
                count,
            ))),
            Form::Interpolate(points) => Some(with_headroom(interpolate(points, count))),
        };
        if let Some((bare, write)) = asked
            && best.is_none_or(|(most, most_written, _)| (bare, write) > (most, most_written))
        {
            best = Some((bare, write, count));
        }
    }
    match best {
        None => Asked::Nothing { count: Some(first) },
        Some((bare, write, count)) => {
            let budgets = (bare, write, BudgetSource::Rule);
            Asked::Ask(Ask::new(policy.limits, budgets, count, timings))
        }
    }
}

impl Ask {
    fn new(
        limits: Bounds,
        (bare, write, source): (u32, u32, BudgetSource),
        count: i64,
        liveness: Option<ProbeTimings>,
    ) -> Self {
        let need_seconds = limits.clip(bare);
        Self {
            bare_seconds: bare,
            need_seconds,
            write_seconds: limits.clip(write),
            liveness,
            count: Some(count),
            source: if need_seconds == bare {
                source
            } else {
                BudgetSource::Limit
            },
        }
    }

    /// What starts ask for.
    pub(crate) fn learned(limits: Bounds, recommended: &Recommendation) -> Self {
        let budgets = (
            recommended.bare_seconds,
            recommended.seconds,
            BudgetSource::Learned,
        );
        Self::new(limits, budgets, recommended.count, None)
    }

    /// Whether a budget of so many seconds is enough.
    ///
    /// Limits clip what rules ask and are never a reason to write by themselves, so a budget that
    /// covers the unclipped wish is enough as well.
    #[must_use]
    pub fn covered_by(&self, budget_seconds: u32) -> bool {
        budget_seconds >= self.bare_seconds.min(self.need_seconds)
    }
}

fn value(counts: &[Count], selector: &CountSelector) -> Option<i64> {
    sample(counts, selector).map(|sample| sample.value)
}

/// The last value of one count.
pub(crate) fn sample(counts: &[Count], selector: &CountSelector) -> Option<Sample> {
    let count = counts.iter().find(|count| &count.selector == selector)?;
    count.last
}

fn rung(rungs: &[Rung], count: i64) -> Option<Rung> {
    rungs
        .iter()
        .copied()
        .take_while(|rung| rung.at_least <= count)
        .last()
}

fn rung_seconds(rung: Rung, owner: Option<Timings>) -> u32 {
    let timings = rung
        .liveness
        .map(|timings| filled(owner.unwrap_or_default(), timings).budget_seconds());
    rung.startup_seconds.unwrap_or(0).max(timings.unwrap_or(0))
}

/// Every timing as given, or the owner's where none is given: what the rung's author had in mind.
fn filled(owner: Timings, given: ProbeTimings) -> Timings {
    let owner = ProbeTimings::from(owner);
    Timings::from(ProbeTimings {
        initial_delay_seconds: given.initial_delay_seconds.or(owner.initial_delay_seconds),
        period_seconds: given.period_seconds.or(owner.period_seconds),
        timeout_seconds: given.timeout_seconds.or(owner.timeout_seconds),
        failure_threshold: given.failure_threshold.or(owner.failure_threshold),
    })
}

/// Every timing as given, or the owner's where that is longer or none is given: what is written.
#[must_use]
pub fn lengthened(owner: Timings, given: ProbeTimings) -> Timings {
    let given = longest(Some(ProbeTimings::from(owner)), Some(given)).unwrap_or_default();
    Timings::from(given)
}

/// The longer of each timing.
fn longest(one: Option<ProbeTimings>, other: Option<ProbeTimings>) -> Option<ProbeTimings> {
    let (Some(a), Some(b)) = (one, other) else {
        return one.or(other);
    };
    Some(ProbeTimings {
        initial_delay_seconds: a.initial_delay_seconds.max(b.initial_delay_seconds),
        period_seconds: a.period_seconds.max(b.period_seconds),
        timeout_seconds: a.timeout_seconds.max(b.timeout_seconds),
        failure_threshold: a.failure_threshold.max(b.failure_threshold),
    })
}

fn with_headroom(bare: u32) -> (u32, u32) {
    let write = (u64::from(bare) * (100 + CURVE_HEADROOM_PERCENT)).div_ceil(100);
    (bare, u32::try_from(write).unwrap_or(u32::MAX))
}

fn line(base_seconds: u32, seconds_per_thousand: u32, count: i64) -> u32 {
    let count = u128::from(count.max(0).unsigned_abs());
    let slope = (count * u128::from(seconds_per_thousand)).div_ceil(1000);
    u32::try_from(u128::from(base_seconds) + slope).unwrap_or(u32::MAX)
}

/// Seconds at `count`, rounded up: a power law through the two points around it, or through the
/// nearest two beyond the ends. One point alone is a constant, none is 0; a count of 0 is taken as 1.
/// The exponent is clamped to 0..2: a steeper rise is not trusted between or beyond its points
/// (catalogue, section 1: fitted exponents run from 0.37 to 1.68).
#[must_use]
pub fn interpolate(points: &[CurvePoint], count: i64) -> u32 {
    let count = count.max(1);
    let [first, .., last] = points else {
        return points.first().map_or(0, |point| point.seconds);
    };
    if let Some(exact) = points.iter().find(|point| point.count == count) {
        return exact.seconds;
    }
    let above = points
        .iter()
        .position(|point| point.count > count)
        .unwrap_or(points.len());
    let right = above.clamp(1, points.len() - 1);
    let (left, right) = (points[right - 1], points[right]);
    let exponent =
        (ln(right.seconds.into()) - ln(left.seconds.into())) / (ln(right.count) - ln(left.count));
    let exponent = exponent.clamp(0.0, 2.0);
    let anchor = if count < first.count {
        *first
    } else if count > last.count {
        *last
    } else {
        left
    };
    let seconds = f64::from(anchor.seconds) * (exponent * (ln(count) - ln(anchor.count))).exp();
    ceil(seconds)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts are bounded by 10^9 in the schema"
)]
fn ln(value: i64) -> f64 {
    (value.max(1) as f64).ln()
}

/// Rounds up to whole seconds; a millionth above one is the logarithm's rounding, not a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before"
)]
fn ceil(seconds: f64) -> u32 {
    (seconds - 1e-6).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests;
