//! A range: need, budget, detection time and starts over the count, on log-log paper.

use super::{WIDTH, described, head, legend};
use crate::picture::colours::{AMBER, BAND, BLUE, GREEN, GREY, INK, MUTED, PAPER, PURPLE, RED};
use crate::picture::{self, At, Canvas, Font};
use crate::plan::axes::{Axes, Frame, thousands};
use crate::plan::curve::{Bound, Curve};
use crate::plan::point::Point;
use crate::plan::report::Over;
use plotters::style::RGBColor;

const FRAME: Frame = Frame {
    left: 84,
    right: 850,
    top: 76,
    bottom: 372,
};
/// Below the axis.
const HEIGHT: i32 = FRAME.bottom + 80;
/// What a curve adds: a strip for today's probes, one for the policy's, and its marks.
const STRIPS: i32 = 76;
/// Steps in which a curve is drawn.
const STEPS: i32 = 64;

/// Draws a range.
pub(in crate::plan) fn over(over: &Over<'_>) -> anyhow::Result<String> {
    let line = sentence(over);
    let described = described(&over.subject, &line);
    let height = match over.survives {
        Some(_) => HEIGHT + STRIPS,
        None => HEIGHT,
    };
    picture::draw((WIDTH, height), &described, |canvas| {
        let colour = if over.survives.is_none() {
            MUTED
        } else {
            verdict(over)
        };
        head(canvas, &over.subject, &line, colour);
        Plot {
            over,
            axes: Axes::of(over, FRAME),
        }
        .draw(canvas);
    })
}

/// What the picture says, in a line.
fn sentence(over: &Over<'_>) -> String {
    let unit = over.subject.unit();
    let Some(survives) = over.survives else {
        return writes(over);
    };
    let up_to = |count: Option<i64>| {
        count.map_or_else(
            || "no start is certain to survive".to_owned(),
            |count| format!("starts survive up to {} {unit}", thousands(count)),
        )
    };
    format!(
        "today: {} · with the policy: {}",
        up_to(survives.today),
        up_to(survives.policy)
    )
}

/// The writes, the first few of them with their budgets.
fn writes(over: &Over<'_>) -> String {
    const NAMED: usize = 3;
    let unit = over.subject.unit();
    let writes: Vec<&Point> = over
        .growth
        .steps
        .iter()
        .map(|step| &step.point)
        .filter(|point| point.changed)
        .collect();
    if writes.is_empty() {
        return format!("no write up to {} {unit}", thousands(over.range.to));
    }
    let named = writes.iter().take(NAMED).filter_map(|point| {
        let budget = point.budget_seconds?;
        Some(format!("{budget} s from {} on", thousands(point.count)))
    });
    let mut parts: Vec<String> = named.collect();
    if writes.len() > NAMED {
        parts.push(format!("{} more", writes.len() - NAMED));
    }
    format!("budget by {unit}: {}", parts.join(", "))
}

fn verdict(over: &Over<'_>) -> RGBColor {
    let to = Some(over.range.to);
    match over.survives {
        Some(survives) if survives.policy == to => GREEN,
        Some(survives) if survives.policy > survives.today => AMBER,
        _ => RED,
    }
}

struct Plot<'a> {
    over: &'a Over<'a>,
    axes: Axes,
}

impl Plot<'_> {
    fn draw(&self, canvas: &mut Canvas<'_, '_>) {
        let over = self.over;
        self.axes.draw(canvas, &over.subject.unit());
        let steps: Vec<&Point> = over.growth.steps.iter().map(|step| &step.point).collect();
        let detection = self.staircase(&steps, |point| point.detection_seconds);
        canvas.path(detection, PURPLE, 2);
        if let Some(today) = over.subject.today.budget_seconds {
            dashes(canvas, self.axes.y(today));
        }
        let budget = self.staircase(&steps, |point| point.budget_seconds);
        canvas.path(budget, BLUE, 6);
        let needs = over.needs.iter();
        let needs = needs.map(|(count, seconds)| self.axes.place(*count, *seconds));
        canvas.path(needs.collect(), INK, 2);
        if let Some(curve) = over.curve {
            self.starts(canvas, curve);
        }
        if let Some(survives) = over.survives {
            self.strip(canvas, FRAME.bottom + 56, "today", survives.today);
            self.strip(canvas, FRAME.bottom + 78, "policy", survives.policy);
        }
        self.legend(canvas);
    }

    /// A line that keeps its height until the next point.
    fn staircase(&self, points: &[&Point], of: impl Fn(&Point) -> Option<u32>) -> Vec<At> {
        let mut line: Vec<At> = Vec::new();
        for point in points {
            let Some(seconds) = of(point) else { continue };
            let (x, y) = self.axes.place(point.count, seconds);
            if let Some(&(_, before)) = line.last() {
                line.push((x, before));
            }
            line.push((x, y));
        }
        if let Some(&(_, before)) = line.last() {
            line.push((FRAME.right, before));
        }
        line
    }

    fn starts(&self, canvas: &mut Canvas<'_, '_>, curve: &Curve) {
        let (from, to) = (FRAME.left, FRAME.right);
        let line: Vec<(i64, At)> = (0..=STEPS)
            .map(|step| self.axes.count(from + (to - from) * step / STEPS))
            .map(|count| (count, self.axes.place(count, curve.seconds(count))))
            .collect();
        for (step, pair) in line.windows(2).enumerate() {
            let [(_, before), (count, here)] = pair else {
                continue;
            };
            // Dashed where starts take at least so long.
            if curve.is_certain_at(*count) || step % 2 == 0 {
                canvas.path(vec![*before, *here], AMBER, 2);
            }
        }
        for point in &curve.measured {
            if (self.over.range.from..=self.over.range.to).contains(&point.count) {
                let (x, y) = self.axes.place(point.count, point.whole_seconds());
                mark(canvas, (x, y), point.bound);
            }
        }
    }

    /// Where starts survive, along the axis of counts.
    fn strip(&self, canvas: &mut Canvas<'_, '_>, y: i32, name: &str, up_to: Option<i64>) {
        canvas.write((FRAME.left - 8, y - 1), name, Font::new(12, MUTED).right());
        let x = match up_to {
            None => FRAME.left,
            Some(count) if count == self.over.range.to => FRAME.right,
            Some(count) => self.axes.x(count),
        };
        canvas.bar((x, y - 6), (FRAME.right, y + 6), BAND);
        if x > FRAME.left {
            canvas.bar((FRAME.left, y - 6), (x, y + 6), GREEN);
        }
    }

    fn legend(&self, canvas: &mut Canvas<'_, '_>) {
        let lines = [
            (INK, "need"),
            (BLUE, "budget, with the policy"),
            (GREY, "budget, today"),
            (PURPLE, "detection time of a hang"),
        ];
        if self.over.curve.is_none() {
            legend(canvas, FRAME.bottom + 60, &lines);
            return;
        }
        let y = FRAME.bottom + 110;
        legend(canvas, y, &lines);
        let fates = [
            (GREEN, "every start survives"),
            (BAND, "a start may be killed"),
            (AMBER, "start, measured:"),
        ];
        let y = y + 24;
        legend(canvas, y, &fates);
        let mut x = 470;
        for (bound, text) in [
            (Bound::Exact, "exactly"),
            (Bound::Approx, "about"),
            (Bound::Lower, "at least"),
            (Bound::Upper, "at most"),
        ] {
            mark(canvas, (x, y), bound);
            canvas.write((x + 12, y - 1), text, Font::new(12, MUTED));
            x += 80;
        }
    }
}

/// A dashed line across the plot.
fn dashes(canvas: &mut Canvas<'_, '_>, y: i32) {
    let mut x = FRAME.left;
    while x < FRAME.right {
        canvas.path(vec![(x, y), ((x + 8).min(FRAME.right), y)], GREY, 2);
        x += 14;
    }
}

/// A dot, a ring, or a triangle that points to where the truth is.
fn mark(canvas: &mut Canvas<'_, '_>, (x, y): At, bound: Bound) {
    match bound {
        Bound::Exact => canvas.dot((x, y), 5, AMBER),
        Bound::Approx => {
            canvas.dot((x, y), 5, AMBER);
            canvas.dot((x, y), 3, PAPER);
        }
        Bound::Lower => canvas.shape(vec![(x - 6, y + 4), (x + 6, y + 4), (x, y - 6)], AMBER),
        Bound::Upper => canvas.shape(vec![(x - 6, y - 4), (x + 6, y - 4), (x, y + 6)], AMBER),
    }
}
