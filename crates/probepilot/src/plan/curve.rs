//! How long starts take at which count, from measured points.

mod csv;

use probepilot_policy::{CurvePoint, interpolate};
use serde::Serialize;
use std::path::Path;

/// What a measurement says about a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Bound {
    /// It took so long.
    Exact,
    /// It took about so long.
    Approx,
    /// It took at least so long: it was killed, or somebody stopped waiting.
    Lower,
    /// It took at most so long.
    Upper,
}

impl Bound {
    /// How a sentence says it, before the seconds.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::Approx => "about ",
            Self::Lower => "at least ",
            Self::Upper => "at most ",
        }
    }
}

/// One measured start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Measured {
    /// The count at that time.
    pub(super) count: i64,
    /// Its length in seconds.
    pub(super) seconds: f64,
    /// What is known of it.
    pub(super) bound: Bound,
}

impl Measured {
    /// Whole seconds: a budget of whole seconds covers a start exactly if it covers the next whole second.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the reader allows 0 to 10^9"
    )]
    pub(super) fn whole_seconds(&self) -> u32 {
        self.seconds.ceil() as u32
    }
}

/// Starts over a count: a power law between two neighbours, and beyond both ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    /// What was measured, by count.
    pub(super) measured: Vec<Measured>,
    knots: Vec<CurvePoint>,
    certain_to: Certain,
}

/// Up to which count the curve says how long a start takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certain {
    /// Nowhere: all that is known is how long starts take at least.
    Nowhere,
    /// Up to this count; beyond, starts take at least so long.
    UpTo(i64),
    /// Everywhere.
    Everywhere,
}

impl Curve {
    /// Reads a CSV file; `-` is standard input.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        Ok(Self::new(csv::read(path)?))
    }

    /// The curve through these points, of which there is at least one.
    ///
    /// A lower bound bends the curve where it lies above what the other points say, and is passed
    /// over where they say as much already. More objects never make a start faster.
    fn new(mut measured: Vec<Measured>) -> Self {
        measured.sort_by_key(|point| point.count);
        let known: Vec<CurvePoint> =
            rising(measured.iter().filter(|point| point.bound != Bound::Lower));
        let above = |point: &&Measured| {
            point.bound == Bound::Lower
                && (known.is_empty() || point.whole_seconds() > interpolate(&known, point.count))
        };
        let lower: Vec<&Measured> = measured.iter().filter(above).collect();
        let certain_to = match (known.as_slice(), lower.first()) {
            ([], _) => Certain::Nowhere,
            (points, Some(bend)) => points
                .iter()
                .rfind(|point| point.count < bend.count.max(1))
                .map_or(Certain::Nowhere, |point| Certain::UpTo(point.count)),
            // How starts grow cannot be read from one point.
            ([only], None) => Certain::UpTo(only.count),
            (_, None) => Certain::Everywhere,
        };
        let knots = rising(
            measured
                .iter()
                .filter(|point| point.bound != Bound::Lower || lower.contains(point)),
        );
        Self {
            measured,
            knots,
            certain_to,
        }
    }

    /// Seconds of a start at this count: at least so many where [`Curve::is_certain_at`] does not hold.
    pub(super) fn seconds(&self, count: i64) -> u32 {
        interpolate(&self.knots, count)
    }

    /// Whether a start at this count takes no longer than the curve says.
    pub(super) fn is_certain_at(&self, count: i64) -> bool {
        match self.certain_to {
            Certain::Nowhere => false,
            Certain::UpTo(last) => count <= last,
            Certain::Everywhere => true,
        }
    }

    /// Whether a budget is certain to cover a start at this count; no budget is unlimited.
    pub(super) fn survives(&self, count: i64, budget_seconds: Option<u32>) -> bool {
        budget_seconds
            .is_none_or(|budget| self.is_certain_at(count) && self.seconds(count) <= budget)
    }

    /// The last count at which it is certain how long starts take at most; `None` where there is no end
    /// to that, and 0 where it is certain nowhere.
    pub(super) fn certain_to(&self) -> Option<i64> {
        match self.certain_to {
            Certain::Nowhere => Some(0),
            Certain::UpTo(last) => Some(last),
            Certain::Everywhere => None,
        }
    }

    /// The largest count measured.
    pub(super) fn largest_count(&self) -> i64 {
        self.measured.last().map_or(0, |point| point.count)
    }

    /// The first measured start that the budget at its count does not cover.
    pub(super) fn first_beyond(
        &self,
        budget_seconds: impl Fn(i64) -> Option<u32>,
    ) -> Option<&Measured> {
        self.measured.iter().find(|point| {
            point.bound != Bound::Upper
                && budget_seconds(point.count).is_some_and(|budget| point.whole_seconds() > budget)
        })
    }
}

/// Points as the policy's curves have them: counts from 1, each once, and never falling.
fn rising<'a>(measured: impl Iterator<Item = &'a Measured>) -> Vec<CurvePoint> {
    let mut points: Vec<CurvePoint> = Vec::new();
    for point in measured {
        let slowest = points.last().map_or(1, |last| last.seconds);
        let count = point.count.max(1);
        let seconds = point.whole_seconds().max(slowest);
        match points.last_mut().filter(|last| last.count == count) {
            Some(last) => last.seconds = seconds,
            None => points.push(CurvePoint { count, seconds }),
        }
    }
    points
}

#[cfg(test)]
mod tests;
