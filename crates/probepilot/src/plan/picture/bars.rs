//! One count: what is needed, what there is today and what there would be.

use super::{WIDTH, described, head, legend};
use crate::picture::colours::{AMBER, BLUE, GREEN, GREY, GRID, INK, MUTED, PURPLE};
use crate::picture::{self, Canvas, Font};
use crate::plan::report::At;
use crate::scale::axis_step_seconds;
use plotters::style::RGBColor;

const LEFT: i32 = 170;
const RIGHT: i32 = 800;
const FIRST_ROW: i32 = 92;
const ROW: i32 = 34;

/// A bar and its name.
struct Bar {
    name: &'static str,
    seconds: Option<u32>,
    colour: RGBColor,
}

/// Draws one count.
pub(in crate::plan) fn at(at: &At<'_>) -> anyhow::Result<String> {
    let point = &at.answer.point;
    let today = at.subject.today;
    let bar = |name, seconds, colour| Bar {
        name,
        seconds,
        colour,
    };
    let mut bars = vec![
        bar("need", point.need_seconds, INK),
        bar("budget, today", today.budget_seconds, GREY),
        bar("budget, then", point.budget_seconds, BLUE),
        bar("detection, today", today.detection_seconds, GREY),
        bar("detection, then", point.detection_seconds, PURPLE),
    ];
    if let Some(curve) = at.curve {
        bars.insert(
            0,
            bar(
                "start, by the curve",
                Some(curve.seconds(point.count)),
                AMBER,
            ),
        );
    }
    let line = format!(
        "at a count of {} {}: {}",
        point.count,
        at.subject.unit(),
        at.answer.sentence
    );
    let axis = FIRST_ROW + ROW * i32::try_from(bars.len())?;
    let described = described(&at.subject, &line);
    picture::draw((WIDTH, axis + 66), &described, |canvas| {
        let colour = if point.changed { INK } else { GREEN };
        head(canvas, &at.subject, &line, colour);
        let most = bars
            .iter()
            .filter_map(|bar| bar.seconds)
            .max()
            .unwrap_or(1)
            .max(10);
        paint(canvas, &bars, axis, u64::from(most));
        legend(
            canvas,
            axis + 42,
            &[
                (INK, "asked for by the rules"),
                (BLUE, "certainly not killed"),
                (PURPLE, "worst case from a hang to the kill"),
                (GREY, "today"),
            ],
        );
    })
}

fn paint(canvas: &mut Canvas<'_, '_>, bars: &[Bar], axis: i32, most: u64) {
    let x = |seconds: u64| {
        let width = u64::from((RIGHT - LEFT).unsigned_abs());
        LEFT + i32::try_from(seconds.min(most) * width / most).unwrap_or(0)
    };
    let step = axis_step_seconds(most * 1000, 10);
    let mut seconds = 0;
    while seconds <= most {
        let x = x(seconds);
        canvas.path(vec![(x, FIRST_ROW - 20), (x, axis - 12)], GRID, 1);
        let label = if seconds == 0 {
            "0 s".to_owned()
        } else {
            seconds.to_string()
        };
        canvas.write((x, axis + 2), &label, Font::new(12, MUTED).centred());
        seconds += step;
    }
    canvas.path(vec![(LEFT, axis - 12), (RIGHT, axis - 12)], MUTED, 1);
    for (row, bar) in (0..).zip(bars) {
        let y = FIRST_ROW + row * ROW;
        canvas.write((LEFT - 14, y - 1), bar.name, Font::new(13, MUTED).right());
        let (length, text) = match bar.seconds {
            Some(seconds) => (u64::from(seconds), format!("{seconds} s")),
            None => (0, "none".to_owned()),
        };
        canvas.bar((LEFT, y - 9), (x(length), y + 9), bar.colour);
        canvas.write((x(length) + 8, y - 1), &text, Font::new(13, INK));
    }
}
