//! How long starts take at which count, from measured points.

mod csv;

use jiff::Timestamp;
use probepilot_policy::{Curve as Fit, MeasuredBy, Outcome, Start, StartKey};
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

/// Starts over a count, by the fit with which the operator learns: the seconds within which 95 % of starts are expected to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    /// What was measured, by count.
    pub(super) measured: Vec<Measured>,
    fit: Option<Fit>,
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
    /// A lower bound says up to where the curve is certain where it lies above what the other points say, and nothing where they
    /// say as much already.
    fn new(mut measured: Vec<Measured>) -> Self {
        measured.sort_by_key(|point| point.count);
        let (lower, known): (Vec<&Measured>, Vec<&Measured>) = measured
            .iter()
            .partition(|point| point.bound == Bound::Lower);
        let of_known = fit(known.iter().copied());
        let above = |point: &&&Measured| {
            of_known
                .as_ref()
                .is_none_or(|fit| point.whole_seconds() > fit.seconds_at(point.count))
        };
        let mut counts: Vec<i64> = known.iter().map(|point| point.count.max(1)).collect();
        counts.dedup();
        let certain_to = match (counts.as_slice(), lower.iter().find(above)) {
            ([], _) => Certain::Nowhere,
            (counts, Some(bend)) => counts
                .iter()
                .rfind(|count| **count < bend.count.max(1))
                .map_or(Certain::Nowhere, |count| Certain::UpTo(*count)),
            // How starts grow cannot be read from one count.
            ([only], None) => Certain::UpTo(*only),
            (_, None) => Certain::Everywhere,
        };
        Self {
            fit: fit(&measured),
            measured,
            certain_to,
        }
    }

    /// Seconds of a start at this count: at least so many where [`Curve::is_certain_at`] does not hold.
    pub(super) fn seconds(&self, count: i64) -> u32 {
        self.fit.as_ref().map_or(0, |fit| fit.seconds_at(count))
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

/// The fit of these points, as if all were starts of one program; `None` without a point.
fn fit<'a>(measured: impl IntoIterator<Item = &'a Measured>) -> Option<Fit> {
    let key = StartKey::from(String::new());
    let starts: Vec<Start> = measured
        .into_iter()
        .map(|point| Start {
            started_at: Timestamp::UNIX_EPOCH,
            seconds: point.whole_seconds(),
            measured_by: MeasuredBy::Started,
            outcome: if point.bound == Bound::Lower {
                Outcome::Killed
            } else {
                Outcome::Healthy
            },
            count: point.count,
            key: key.clone(),
            cpu_limit: None,
            own_write: false,
        })
        .collect();
    Fit::of(&starts)
}

#[cfg(test)]
mod tests;
