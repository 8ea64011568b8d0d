//! The quantile fit: the line through starts on log-log paper.
//!
//! With x = ln(count) and y = ln(seconds) the line y = level + exponent * x minimises
//!
//! ```text
//!     sum over healthy starts of  r > 0 ? tau * r : (tau - 1) * r       r = y - line(x)
//!   + sum over killed starts of   r > 0 ? tau * r : 0
//!   + (1 - tau) * ln 2 * |exponent - 1|                                  0 <= exponent <= 2
//! ```
//!
//! with tau = 0.95. The first sum is the regression quantile of Koenker and Bassett (Regression
//! Quantiles, Econometrica 46, 1978): in the best line, 5 % of the starts may take longer. The second
//! is what Powell's censored regression quantile (Censored Regression Quantiles, Journal of
//! Econometrics 32, 1986) leaves of a start that was cut off: a line above the bound is as good as any
//! other, a line below it is not, so a kill only pushes up. The third says that, where nothing else
//! does, work grows as what is listed: it weighs as much as one start below the line at half or twice
//! the count, so two starts at counts more than a doubling apart outweigh it (the penalty of Koenker,
//! Quantile Regression for Longitudinal Data, 2004, on one parameter).
//!
//! The sum is convex and piecewise linear in (level, exponent), so a minimum lies on a corner: a line
//! through two starts, or through one with exponent 0, 1 or 2. All of them are tried, which is exact;
//! cubic in the starts, of which there are 32 at most. Lines that are equally good, to a billionth,
//! are told apart by the steeper, then the higher one: the cautious choice.

/// The part of starts that the line covers.
pub const TAU: f64 = 0.95;

/// The exponents that are believed. Source: design, section 8; fitted ones run from 0.37 to 1.68.
pub const EXPONENTS: (f64, f64) = (0.0, 2.0);

/// The exponent where the starts do not tell: twice as many objects take twice as long.
pub const USUAL_EXPONENT: f64 = 1.0;

/// The weight of [`USUAL_EXPONENT`].
pub const USUAL_WEIGHT: f64 = (1.0 - TAU) * std::f64::consts::LN_2;

/// Sums that differ by less are equal: what the order of the additions may change.
const TIE: f64 = 1e-9;

/// A start on log-log paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// ln(count)
    pub x: f64,
    /// ln(seconds)
    pub y: f64,
    /// Healthy; else the seconds are a lower bound.
    pub exact: bool,
}

/// A power law on log-log paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// ln(seconds) at a count of 1.
    pub level: f64,
    /// The power with which seconds grow with the count.
    pub exponent: f64,
}

impl Line {
    fn through(dot: Dot, exponent: f64) -> Self {
        Self {
            level: dot.y - exponent * dot.x,
            exponent,
        }
    }

    /// ln(seconds) at ln(count) `x`.
    pub fn at(self, x: f64) -> f64 {
        self.level + self.exponent * x
    }

    fn misfits(self, dots: &[Dot]) -> f64 {
        dots.iter().map(|dot| self.misfit(*dot)).sum()
    }

    fn misfit(self, dot: Dot) -> f64 {
        let above = dot.y - self.at(dot.x);
        if above > 0.0 {
            TAU * above
        } else if dot.exact {
            (TAU - 1.0) * above
        } else {
            0.0
        }
    }
}

/// The best line, and the exponent of the one that is best without the third sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The best line.
    pub line: Line,
    /// What the starts alone say.
    pub exponent_alone: f64,
}

/// The fit, whatever the order of the dots; `None` without any.
pub fn fit(dots: &[Dot]) -> Option<Fit> {
    let mut dots = dots.to_vec();
    dots.sort_unstable_by(|a, b| {
        let by_place = a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y));
        by_place.then(a.exact.cmp(&b.exact))
    });
    let lines: Vec<(Line, f64)> = corners(&dots)
        .into_iter()
        .map(|line| (line, line.misfits(&dots)))
        .collect();
    Some(Fit {
        line: best(&lines, USUAL_WEIGHT)?,
        exponent_alone: best(&lines, 0.0)?.exponent,
    })
}

/// The line of the least sum.
fn best(lines: &[(Line, f64)], usual_weight: f64) -> Option<Line> {
    let sum = |(line, misfits): &(Line, f64)| {
        misfits + usual_weight * (line.exponent - USUAL_EXPONENT).abs()
    };
    let least = lines.iter().map(sum).min_by(f64::total_cmp)?;
    lines
        .iter()
        .filter(|line| sum(line) <= least + TIE)
        .map(|(line, _)| *line)
        .max_by(|a, b| {
            let steeper = a.exponent.total_cmp(&b.exponent);
            steeper.then(a.level.total_cmp(&b.level))
        })
}

/// The lines among which the best one is.
fn corners(dots: &[Dot]) -> Vec<Line> {
    let (least, most) = EXPONENTS;
    let mut lines = Vec::new();
    for (at, dot) in dots.iter().enumerate() {
        lines.extend([least, USUAL_EXPONENT, most].map(|exponent| Line::through(*dot, exponent)));
        for other in &dots[at + 1..] {
            let exponent = (other.y - dot.y) / (other.x - dot.x);
            // Counts that are equal give no finite exponent, and none in the range.
            if (least..=most).contains(&exponent) {
                lines.push(Line::through(*dot, exponent));
            }
        }
    }
    lines
}
