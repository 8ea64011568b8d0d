//! A range as a drawing in text, on log-log paper.

use super::axes::{Axes, Frame, thousands};
use super::curve::Bound;
use super::report::Over;

/// Columns of the drawing.
const WIDTH: i32 = 68;
/// Its rows.
const HEIGHT: i32 = 14;
/// Columns of the labels to its left.
const LABEL: usize = 10;

/// The lines of the drawing, and what its marks mean.
pub(super) fn lines(over: &Over<'_>) -> Vec<String> {
    let axes = Axes::of(
        over,
        Frame {
            left: 0,
            right: WIDTH - 1,
            top: 0,
            bottom: HEIGHT - 1,
        },
    );
    let mut paper = Paper::new();
    paint(&mut paper, over, &axes);
    let mut lines: Vec<String> = (0..HEIGHT)
        .map(|row| {
            let tick = axes
                .second_ticks()
                .into_iter()
                .find(|seconds| axes.y(*seconds) == row);
            let label = tick.map_or_else(String::new, |seconds| format!("{seconds} s"));
            format!("{label:>LABEL$} |{}", paper.row(row))
        })
        .collect();
    let (ticks, labels) = count_axis(&axes);
    lines.push(format!("{:>LABEL$} +{ticks}", ""));
    lines.push(format!("{:>LABEL$}  {labels}", "count"));
    lines.push(String::new());
    lines.push(format!(
        "{:>LABEL$}  # budget with the policy   - budget today   n need   d detection time",
        ""
    ));
    if over.curve.is_some() {
        lines.push(format!(
            "{:>LABEL$}  * start   measured: o exactly   ~ about   ^ at least   v at most",
            ""
        ));
    }
    lines
}

/// Later marks cover earlier ones.
fn paint(paper: &mut Paper, over: &Over<'_>, axes: &Axes) {
    let (from, to) = (over.range.from, over.range.to);
    for column in 0..WIDTH {
        let count = axes.count(column).clamp(from, to);
        let step = over
            .growth
            .steps
            .iter()
            .take_while(|step| step.point.count <= count)
            .last();
        let mut mark = |seconds: Option<u32>, mark: char| {
            if let Some(seconds) = seconds {
                paper.put((column, axes.y(seconds)), mark);
            }
        };
        mark(step.and_then(|step| step.point.detection_seconds), 'd');
        mark(over.subject.today.budget_seconds, '-');
        mark(over.need_at(count), 'n');
        mark(over.growth.budget_at(count), '#');
        mark(over.curve.map(|curve| curve.seconds(count)), '*');
    }
    for point in over.curve.iter().flat_map(|curve| &curve.measured) {
        if (from..=to).contains(&point.count) {
            let mark = match point.bound {
                Bound::Exact => 'o',
                Bound::Approx => '~',
                Bound::Lower => '^',
                Bound::Upper => 'v',
            };
            paper.put(axes.place(point.count, point.whole_seconds()), mark);
        }
    }
}

/// Ticks and labels of the counts.
fn count_axis(axes: &Axes) -> (String, String) {
    let mut ticks = String::new();
    let mut labels = String::new();
    for count in axes.count_ticks() {
        let column = usize::try_from(axes.x(count)).unwrap_or(0);
        let label = thousands(count);
        // A label begins below its tick and needs a gap before it and room behind it.
        let free = labels.is_empty() || labels.chars().count() + 2 <= column;
        if free && column + label.len() <= usize::try_from(WIDTH).unwrap_or(0) + LABEL {
            ticks = format!("{ticks:-<column$}|");
            labels = format!("{labels:<column$}{label}");
        }
    }
    let width = usize::try_from(WIDTH).unwrap_or(0);
    (format!("{ticks:-<width$}"), labels)
}

struct Paper(Vec<Vec<char>>);

impl Paper {
    fn new() -> Self {
        let (width, height) = (
            usize::try_from(WIDTH).unwrap_or(0),
            usize::try_from(HEIGHT).unwrap_or(0),
        );
        Self(vec![vec![' '; width]; height])
    }

    fn put(&mut self, (column, row): (i32, i32), mark: char) {
        let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) else {
            return;
        };
        if let Some(cell) = self.0.get_mut(row).and_then(|row| row.get_mut(column)) {
            *cell = mark;
        }
    }

    fn row(&self, row: i32) -> String {
        let row = usize::try_from(row).ok().and_then(|row| self.0.get(row));
        row.map_or_else(String::new, |row| row.iter().collect())
    }
}
