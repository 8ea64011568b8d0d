//! What the starts seen so far recommend.

use crate::curve::{Curve, Evidence};
use crate::starts::{Outcome, StartKey, Starts};

mod sentences;
#[cfg(test)]
mod tests;

/// What learning says of a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// So long a budget.
    Need(Recommendation),
    /// Nothing yet.
    Nothing(Unlearned),
}

/// A budget, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// The count it is for.
    pub count: i64,
    /// What 95 % of starts are expected to need. While the budget there is covers it, learning writes
    /// nothing. Unit: seconds.
    pub bare_seconds: u32,
    /// The budget to write once something is written, and what is recommended: with both of the
    /// following on top. Unit: seconds.
    pub seconds: u32,
    /// The headroom that was asked for. Unit: percent.
    pub headroom_percent: u32,
    /// What is added because few healthy starts were seen. Unit: percent.
    pub caution_percent: u32,
    /// What the curve was made from.
    pub evidence: Evidence,
    /// Starts of other keys, which are not used.
    pub other_keys: usize,
}

/// Why nothing is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlearned {
    /// No start was seen.
    NoStarts,
    /// None of this image, command, arguments and CPU limit: learning starts over.
    NewKey {
        /// Starts of other keys.
        others: usize,
    },
    /// All starts of this key ended by themselves.
    OnlyExits {
        /// How many.
        exits: usize,
    },
}

/// What the starts of `key` recommend at `count`, with `headroom_percent` on top.
#[must_use]
pub fn recommendation(
    starts: &Starts,
    key: &StartKey,
    count: i64,
    headroom_percent: u32,
) -> Learned {
    let ours = starts.of(key).count();
    let others = starts.as_slice().len() - ours;
    let Some(curve) = Curve::of(starts.of(key)) else {
        let exits = starts
            .of(key)
            .filter(|start| start.outcome == Outcome::Exited);
        return Learned::Nothing(match (exits.count(), others) {
            (0, 0) => Unlearned::NoStarts,
            (0, others) => Unlearned::NewKey { others },
            (exits, _) => Unlearned::OnlyExits { exits },
        });
    };
    Learned::Need(Recommendation {
        other_keys: others,
        ..Recommendation::on(&curve, count, headroom_percent)
    })
}

impl Learned {
    /// The recommendation, where there is one.
    #[must_use]
    pub fn need(&self) -> Option<&Recommendation> {
        match self {
            Self::Need(need) => Some(need),
            Self::Nothing(_) => None,
        }
    }

    /// Why, for a human.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Need(need) => need.sentence(),
            Self::Nothing(why) => why.sentence(),
        }
    }
}

impl Recommendation {
    /// What a curve recommends at `count`, with `headroom_percent` on top.
    #[must_use]
    pub fn on(curve: &Curve, count: i64, headroom_percent: u32) -> Self {
        let evidence = curve.evidence();
        let bare_seconds = curve.seconds_at(count);
        let caution_percent = caution_percent(evidence.healthy);
        Self {
            count,
            bare_seconds,
            seconds: on_top(on_top(bare_seconds, caution_percent), headroom_percent),
            headroom_percent,
            caution_percent,
            evidence,
            other_keys: 0,
        }
    }

    /// Whether a budget of so many seconds is enough, so that nothing is written: the hysteresis of
    /// design, section 6. What is written is [`Self::seconds`], so the next write is the headroom away.
    #[must_use]
    pub fn covered_by(&self, budget_seconds: u32) -> bool {
        budget_seconds >= self.bare_seconds
    }

    /// Whether the count is beyond all that were seen.
    #[must_use]
    pub fn extrapolates(&self) -> bool {
        self.count > self.evidence.largest_count
    }
}

/// The next start takes longer than the longest of n with a chance of 1 in n + 1, which is 5 % from 19
/// on. Below that the quantile is carried on as far as is missing, as Weissman does (Estimation of
/// Parameters and Large Quantiles Based on the k Largest Observations, 1978): by (20 / (n + 1)) to the
/// power of the tail index, for which a fifth is taken.
fn caution_percent(healthy: usize) -> u32 {
    const PERCENT: [u32; 19] = [
        82, 58, 46, 38, 32, 27, 23, 20, 17, 15, 13, 11, 9, 7, 6, 5, 3, 2, 1,
    ];
    PERCENT.get(healthy).copied().unwrap_or(0)
}

fn on_top(seconds: u32, percent: u32) -> u32 {
    let more = (u128::from(seconds) * (100 + u128::from(percent))).div_ceil(100);
    u32::try_from(more).unwrap_or(u32::MAX)
}
