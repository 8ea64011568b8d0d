//! Plans as pictures: bars for one count, a log-log plot for a range.

mod bars;
mod plot;

pub(super) use bars::at;
pub(super) use plot::over;

use super::report::Subject;
use crate::picture::colours::{INK, MUTED};
use crate::picture::{Canvas, Font};
use plotters::style::RGBColor;

const WIDTH: i32 = 880;

fn headline(subject: &Subject) -> String {
    format!("{}, container {}", subject.workload, subject.container)
}

/// What a blind reader is told.
fn described(subject: &Subject, line: &str) -> String {
    format!("{}, policy {}: {line}", headline(subject), subject.policy)
}

fn head(canvas: &mut Canvas<'_, '_>, subject: &Subject, line: &str, colour: RGBColor) {
    let bold = Font::new(17, INK).bold();
    canvas.write((24, 20), &shortened(&headline(subject), 84), bold);
    canvas.write((24, 46), &shortened(line, 122), Font::new(14, colour));
}

/// As much as a line of the picture holds.
fn shortened(line: &str, letters: usize) -> String {
    match line.char_indices().nth(letters) {
        Some((cut, _)) => format!("{}…", line[..cut].trim_end()),
        None => line.to_owned(),
    }
}

/// Squares with their meaning, in one line.
fn legend(canvas: &mut Canvas<'_, '_>, y: i32, entries: &[(RGBColor, &str)]) {
    let mut x = 24;
    for (colour, text) in entries {
        canvas.bar((x, y - 5), (x + 10, y + 5), *colour);
        canvas.write((x + 16, y - 1), text, Font::new(12, MUTED));
        let letters = i32::try_from(text.chars().count()).unwrap_or(20);
        x += 34 + letters * 6;
    }
}
