//! Two logarithmic axes, for pictures and for drawings in text.

use crate::picture::colours::{GRID, MUTED};
use crate::picture::{At, Canvas, Font};
use crate::plan::report::Over;

/// The corners of a plot, in pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Left edge.
    pub(super) left: i32,
    /// Right edge.
    pub(super) right: i32,
    /// Upper edge.
    pub(super) top: i32,
    /// Lower edge.
    pub(super) bottom: i32,
}

/// Counts to the right, seconds upwards, both logarithmic; 0 is drawn at 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axes {
    frame: Frame,
    counts: (f64, f64),
    seconds: (f64, f64),
}

impl Axes {
    /// Axes that hold these counts and all of these seconds.
    fn new(frame: Frame, counts: (i64, i64), seconds: &[u32]) -> Self {
        let counts = (ln(counts.0), ln(counts.1).max(ln(counts.0) + 0.5));
        let least = seconds.iter().min().copied().unwrap_or(1).max(1);
        let most = seconds.iter().max().copied().unwrap_or(1).max(1);
        // Some air below and above.
        let (low, high) = (ln(least.into()) - 0.35, ln(most.into()) + 0.35);
        let missing = (2.3 - (high - low)).max(0.0);
        Self {
            frame,
            counts,
            seconds: (low - missing / 2.0, high + missing / 2.0),
        }
    }

    /// Axes that hold everything there is to draw of a range.
    pub(super) fn of(over: &Over<'_>, frame: Frame) -> Self {
        let range = (over.range.from, over.range.to);
        let inside = |count: &i64| (range.0..=range.1).contains(count);
        let today = over.subject.today;
        let mut drawn = vec![today.budget_seconds, today.detection_seconds];
        for row in over.rows() {
            drawn.extend([row.point.budget_seconds, row.point.detection_seconds]);
        }
        drawn.extend(over.needs.iter().map(|(_, seconds)| Some(*seconds)));
        if let Some(curve) = over.curve {
            let counts = curve.measured.iter().map(|point| point.count);
            let counts = counts.filter(inside).chain([range.0, range.1]);
            drawn.extend(counts.map(|count| Some(curve.seconds(count))));
        }
        Self::new(
            frame,
            range,
            &drawn.into_iter().flatten().collect::<Vec<_>>(),
        )
    }

    /// Where a count lies.
    pub(super) fn x(&self, count: i64) -> i32 {
        let part = (ln(count) - self.counts.0) / (self.counts.1 - self.counts.0);
        self.frame.left + scaled(part, self.frame.right - self.frame.left)
    }

    /// Where seconds lie.
    pub(super) fn y(&self, seconds: u32) -> i32 {
        let part = (ln(seconds.into()) - self.seconds.0) / (self.seconds.1 - self.seconds.0);
        self.frame.bottom - scaled(part, self.frame.bottom - self.frame.top)
    }

    /// Where both lie.
    pub(super) fn place(&self, count: i64, seconds: u32) -> At {
        (self.x(count), self.y(seconds))
    }

    /// The count that lies at a place.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a count inside the axis is at most 10^9"
    )]
    pub(super) fn count(&self, x: i32) -> i64 {
        let part = f64::from(x - self.frame.left) / f64::from(self.frame.right - self.frame.left);
        let ln = self.counts.0 + part * (self.counts.1 - self.counts.0);
        ln.exp().round() as i64
    }

    /// Round counts along the axis.
    pub(super) fn count_ticks(&self) -> Vec<i64> {
        ticks(self.counts)
    }

    /// Round seconds along the axis.
    pub(super) fn second_ticks(&self) -> Vec<u32> {
        let ticks = ticks(self.seconds).into_iter();
        ticks.filter_map(|tick| u32::try_from(tick).ok()).collect()
    }

    /// Grid, ticks and names.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_, '_>, unit: &str) {
        let Frame {
            left,
            right,
            top,
            bottom,
        } = self.frame;
        let label = Font::new(12, MUTED);
        let mut before = i32::MIN;
        for count in self.count_ticks() {
            let x = self.x(count);
            canvas.path(vec![(x, top), (x, bottom)], GRID, 1);
            // A label needs room beside its neighbour.
            let text = thousands(count);
            let half = i32::try_from(text.len()).unwrap_or(10) * 7 / 2;
            if x - half > before {
                canvas.write((x, bottom + 14), &text, label.centred());
                before = x + half + 8;
            }
        }
        let mut above = i32::MAX;
        for seconds in self.second_ticks() {
            let y = self.y(seconds);
            canvas.path(vec![(left, y), (right, y)], GRID, 1);
            if y < above {
                canvas.write((left - 8, y - 1), &format!("{seconds} s"), label.right());
                above = y - 16;
            }
        }
        canvas.path(vec![(left, top), (left, bottom), (right, bottom)], MUTED, 1);
        let middle = i32::midpoint(left, right);
        canvas.write((middle, bottom + 32), unit, label.centred());
    }
}

/// 1, 2, 5, 10, ... inside a range of logarithms; without the 2 and 5 where that is too many.
fn ticks((low, high): (f64, f64)) -> Vec<i64> {
    let factors: &[i64] = if high - low > 9.3 { &[1] } else { &[1, 2, 5] };
    let mut ticks = Vec::new();
    let mut decade = 1_i64;
    while decade <= 1_000_000_000 {
        for factor in factors {
            let tick = decade * factor;
            if (low - 1e-9..=high + 1e-9).contains(&ln(tick)) {
                ticks.push(tick);
            }
        }
        decade *= 10;
    }
    ticks
}

/// 10000 as `10,000`.
pub(super) fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "counts are at most 10^9")]
fn ln(number: i64) -> f64 {
    (number.max(1) as f64).ln()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a part of a picture's width"
)]
fn scaled(part: f64, length: i32) -> i32 {
    (part * f64::from(length)).round() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks((ln(20), ln(600))), [20, 50, 100, 200, 500]);
        assert_eq!(
            ticks((ln(1), ln(100_000))),
            [1, 10, 100, 1000, 10_000, 100_000]
        );
    }

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
