//! From starts to a curve: the seconds within which the next start at a count is expected to be done.

use crate::starts::{Outcome, Start};

mod fit;
mod roles;
#[cfg(test)]
mod tests;

use fit::{Dot, Line};

/// A kill proves its length for counts down to this part of its own. Source: design, section 6.
const PROVEN_FROM: f64 = 0.8;

/// Seconds over count, from the starts of one key.
///
/// - Healthy starts and kills give the line of the quantile fit (the module `fit` has the formula).
/// - Below the smallest count with a healthy start the curve is flat: nothing says that a smaller
///   cluster is faster.
/// - It is never below a kill at the same or a smaller count.
/// - Kills alone, without one healthy start: each is a point from which seconds grow in proportion with
///   the count, and the longest decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    line: Option<Grounded>,
    kills: Vec<Bound>,
    evidence: Evidence,
}

/// What a curve was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Healthy starts on the curve.
    pub healthy: usize,
    /// Kills, each a lower bound.
    pub killed: usize,
    /// Healthy starts left out: they took less than a third of others at similar counts, so they are
    /// those of another role, for example a standby.
    pub other_role: usize,
    /// The smallest count of these starts.
    pub smallest_count: i64,
    /// The largest count of these starts.
    pub largest_count: i64,
    /// The power with which seconds grow with the count.
    pub exponent: Exponent,
    /// Whether the starts alone say so; else too few of them differ enough in their counts, and the
    /// exponent is the usual one, or drawn towards it.
    pub exponent_measured: bool,
}

/// A power, in hundredths: 0 to 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exponent(u8);

impl Exponent {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped before"
    )]
    fn new(exponent: f64) -> Self {
        Self((exponent * 100.0).round().clamp(0.0, 200.0) as u8)
    }

    /// In hundredths.
    #[must_use]
    pub fn hundredths(self) -> u8 {
        self.0
    }
}

impl std::fmt::Display for Exponent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// The line and the count below which it is flat.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grounded {
    line: Line,
    from: f64,
}

/// A kill.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bound {
    x: f64,
    y: f64,
}

impl Curve {
    /// The curve of starts of one key; `None` when not one was healthy or killed.
    ///
    /// The order of the starts does not matter. Counts below 1 are taken as 1 and so are seconds: the
    /// kubelet's clock has whole ones. Cubic in the number of starts.
    #[must_use]
    pub fn of<'a>(starts: impl IntoIterator<Item = &'a Start>) -> Option<Self> {
        let starts: Vec<&Start> = starts
            .into_iter()
            .filter(|start| start.outcome != Outcome::Exited)
            .collect();
        let (killed, healthy): (Vec<&Start>, Vec<&Start>) = starts
            .into_iter()
            .partition(|start| start.outcome == Outcome::Killed);
        let (healthy, other_role) = roles::slow(&healthy);
        let used = || healthy.iter().chain(&killed).map(|start| start.count);
        let (smallest_count, largest_count) = (used().min()?, used().max()?);
        let mut kills: Vec<Bound> = killed
            .iter()
            .map(|kill| Bound {
                x: ln(kill.count),
                y: ln(kill.seconds.into()),
            })
            .collect();
        kills.sort_unstable_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
        let exact = healthy.iter().map(|start| Dot {
            x: ln(start.count),
            y: ln(start.seconds.into()),
            exact: true,
        });
        let from = exact.clone().map(|dot| dot.x).min_by(f64::total_cmp);
        let line = from.and_then(|from| {
            // Where the curve is flat, a kill says as much of the flat part's end: more objects take
            // no less.
            let bounds = kills.iter().map(|kill| Dot {
                x: kill.x.max(from),
                y: kill.y,
                exact: false,
            });
            let dots: Vec<Dot> = exact.clone().chain(bounds).collect();
            let fit = fit::fit(&dots)?;
            let line = Grounded {
                line: fit.line,
                from,
            };
            Some((line, fit.exponent_alone))
        });
        let exponent = line.map_or(fit::USUAL_EXPONENT, |(it, _)| it.line.exponent);
        Some(Self {
            evidence: Evidence {
                healthy: healthy.len(),
                killed: killed.len(),
                other_role,
                smallest_count: smallest_count.max(0),
                largest_count: largest_count.max(0),
                exponent: Exponent::new(exponent),
                exponent_measured: line
                    .is_some_and(|(it, alone)| (it.line.exponent - alone).abs() < 1e-6),
            },
            line: line.map(|(line, _)| line),
            kills,
        })
    }

    /// The seconds within which 95 % of starts at `count` are expected to be healthy, rounded up;
    /// saturates.
    #[must_use]
    pub fn seconds_at(&self, count: i64) -> u32 {
        let x = ln(count);
        let kills = self.kills.iter().map(|kill| match self.line {
            Some(_) if x < kill.x + PROVEN_FROM.ln() - 1e-9 => f64::NEG_INFINITY,
            Some(_) => kill.y,
            None => kill.y + fit::USUAL_EXPONENT * (x - kill.x).max(0.0),
        });
        let line = self.line.map(|it| it.line.at(x.max(it.from)));
        let most = kills.chain(line).max_by(f64::total_cmp);
        most.map_or(0, |ln_seconds| ceil(ln_seconds.exp()))
    }

    /// What it was made from.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a count of 2^53 objects is beyond any API server"
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
