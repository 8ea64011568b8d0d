//! The same story as a picture: SVG that follows the reader's light or dark theme.
//!
//! It is drawn in the light colours; a style sheet in the picture replaces each of them where the
//! reader prefers dark. So it also shows in programs that know no style sheets.

mod colours;

use super::Case;
use super::report::Seconds;
use super::story::{Attempt, Run, Story, axis_step_seconds};
use colours::{AMBER, BAND, BLUE, GREEN, GREY, GRID, INK, MUTED, PAPER, RED};
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, PathElement, RGBColor, Rectangle,
    SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, TextStyle};
use probepilot_kubelet::Outcome;

const WIDTH: i32 = 880;
const LEFT: i32 = 120;
const RIGHT: i32 = 850;
/// Height of one container's panel.
const PANEL: i32 = 280;
const FIRST_ROW: i32 = 92;
const ROW: i32 = 32;
const AXIS: i32 = FIRST_ROW + 4 * ROW + 4;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws all containers, one below the other.
pub(super) fn draw(cases: &[Case<'_>]) -> anyhow::Result<String> {
    let panels = i32::try_from(cases.len())?;
    let height = PANEL * panels;
    let mut svg = String::new();
    {
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let failed = |error| anyhow::anyhow!("cannot draw the picture: {error}");
        area.fill(&PAPER)
            .map_err(|error| failed(error.to_string()))?;
        for (position, case) in (0..panels).zip(cases) {
            let mut panel = Panel {
                area: &area,
                top: position * PANEL,
                until_ms: case.story.until_ms,
                error: None,
            };
            panel.container(case);
            if let Some(error) = panel.error {
                return Err(failed(error));
            }
        }
        area.present().map_err(|error| failed(error.to_string()))?;
    }
    Ok(themed(&svg, cases))
}

/// Adds the dark theme and a text for those who cannot see the picture.
fn themed(svg: &str, cases: &[Case<'_>]) -> String {
    let described: Vec<String> = cases
        .iter()
        .map(|case| headline(case) + ": " + &verdict(case))
        .collect();
    let described = described
        .join("; ")
        .replace('&', "&amp;")
        .replace('<', "&lt;");
    let head = format!(
        "<title>{described}</title>\n<style>{}</style>\n",
        colours::dark_style()
    );
    // The style goes behind the opening tag.
    match svg
        .find("<svg")
        .and_then(|from| svg[from..].find('>').map(|to| from + to + 1))
    {
        Some(at) => format!("{}\n{head}{}", &svg[..at], svg[at..].trim_start()),
        None => svg.to_owned(),
    }
}

fn headline(case: &Case<'_>) -> String {
    format!(
        "{}, container {}",
        case.report.workload, case.report.container
    )
}

fn verdict(case: &Case<'_>) -> String {
    let start = case.story.healthy_ms.map_or_else(
        || "never healthy".to_owned(),
        |ms| format!("healthy after {} s", Seconds(ms)),
    );
    let what = match (&case.report.kill, case.report.outcome) {
        (Some(kill), outcome) => {
            let (earliest, latest) = (kill.earliest_seconds, kill.latest_seconds);
            let certain = if outcome == Outcome::Killed {
                "killed"
            } else {
                "may be killed"
            };
            format!("{certain} {earliest} to {latest} s after its start")
        }
        (None, _) => "survives".to_owned(),
    };
    let budget = case.report.guaranteed_seconds.map_or_else(
        || "no probe guards the start".to_owned(),
        |seconds| format!("{} probe guarantees {seconds} s", case.report.guard),
    );
    format!("{what} · {start} · {budget}")
}

struct Panel<'a, 'b> {
    area: &'a Area<'b>,
    top: i32,
    until_ms: u64,
    error: Option<String>,
}

impl Panel<'_, '_> {
    fn container(&mut self, case: &Case<'_>) {
        let story = &case.story;
        self.write((24, 20), &headline(case), 17, INK, HPos::Left, true);
        let colour = match case.report.outcome {
            Outcome::Survives => GREEN,
            Outcome::MayBeKilled => AMBER,
            Outcome::Killed => RED,
        };
        self.write((24, 46), &verdict(case), 14, colour, HPos::Left, false);
        if let Some(kill) = &case.report.kill {
            self.band(kill.earliest_seconds.0, kill.latest_seconds.0);
        }
        self.grid();
        self.life(story);
        self.budget(story);
        for (position, run) in (2..).zip(&story.runs) {
            self.run(position, run);
        }
        self.legend(story);
    }

    fn life(&mut self, story: &Story) {
        self.label(0, "container");
        let y = row(0);
        let end = story.healthy_ms.unwrap_or(self.until_ms);
        self.bar(0, end, y, 9, AMBER);
        if story.healthy_ms.is_some() {
            self.bar(end, self.until_ms, y, 9, GREEN);
        }
    }

    fn budget(&mut self, story: &Story) {
        self.label(1, "guaranteed");
        let y = row(1);
        match story.budget_ms {
            Some(budget_ms) => {
                self.bar(0, budget_ms, y, 9, BLUE);
                let text = format!("{} s", Seconds(budget_ms));
                let x = self.x(budget_ms);
                // A bar that fills the panel has no room to its right.
                if x > RIGHT - 60 {
                    self.write((x - 8, y - 1), &text, 13, PAPER, HPos::Right, true);
                } else {
                    self.write((x + 8, y - 1), &text, 13, BLUE, HPos::Left, false);
                }
            }
            None => self.bar(0, self.until_ms, y, 9, BLUE),
        }
    }

    fn run(&mut self, position: i32, run: &Run) {
        self.label(position, &format!("{} phase", run.name));
        let y = row(position);
        // Neighbours must not run into each other.
        let radius = run
            .attempts
            .windows(2)
            .map(|pair| self.x(pair[1].ended_ms) - self.x(pair[0].ended_ms))
            .min()
            .map_or(5, |distance| (distance / 2 - 1).clamp(1, 5));
        for attempt in &run.attempts {
            self.bar(attempt.began_ms, attempt.ended_ms, y, 2, GREY);
        }
        for attempt in &run.attempts {
            self.attempt(*attempt, y, radius);
        }
        if let Some(kill_ms) = run.kill_ms {
            let x = self.x(kill_ms);
            for (from, to) in [((-8, -8), (8, 8)), ((-8, 8), (8, -8))] {
                let line = vec![(x + from.0, y + from.1), (x + to.0, y + to.1)];
                self.path(line, RED, 3);
            }
            let text = format!("killed at {} s", Seconds(shown(kill_ms)));
            let (at, side) = if x > RIGHT - 120 {
                (x - 12, HPos::Right)
            } else {
                (x + 12, HPos::Left)
            };
            self.write((at, y - 1), &text, 13, RED, side, true);
        }
    }

    fn attempt(&mut self, attempt: Attempt, y: i32, radius: i32) {
        let colour = if attempt.good { GREEN } else { RED };
        let x = self.x(attempt.ended_ms);
        let centre = (x, self.top + y);
        self.check(|area| area.draw(&Circle::new(centre, radius, colour.filled())));
    }

    fn grid(&mut self) {
        let step = axis_step_seconds(self.until_ms, 10);
        let mut seconds = 0;
        while seconds * 1000 <= self.until_ms {
            let x = self.x(seconds * 1000);
            self.path(vec![(x, FIRST_ROW - 14), (x, AXIS)], GRID, 1);
            let label = if seconds == 0 {
                "0 s".to_owned()
            } else {
                seconds.to_string()
            };
            self.write((x, AXIS + 12), &label, 12, MUTED, HPos::Center, false);
            seconds += step;
        }
        self.path(vec![(LEFT, AXIS), (RIGHT, AXIS)], MUTED, 1);
    }

    fn band(&mut self, from_ms: u64, to_ms: u64) {
        let (left, right) = (self.x(from_ms), self.x(to_ms).max(self.x(from_ms) + 2));
        let corners = [(left, self.top + FIRST_ROW - 14), (right, self.top + AXIS)];
        self.check(|area| area.draw(&Rectangle::new(corners, BAND.filled())));
    }

    fn legend(&mut self, story: &Story) {
        let mut entries = vec![(AMBER, "starting")];
        if story.healthy_ms.is_some() {
            entries.push((GREEN, "healthy, or a good attempt"));
        }
        if story.guard.is_some() {
            entries.push((BLUE, "certainly not killed"));
            entries.push((GREY, "waiting for an answer"));
            entries.push((RED, "failed attempt"));
            entries.push((BAND, "kill, over all phases"));
        }
        let mut x = 24;
        let y = AXIS + 38;
        for (colour, text) in entries {
            let corners = [(x, self.top + y - 5), (x + 10, self.top + y + 5)];
            self.check(|area| area.draw(&Rectangle::new(corners, colour.filled())));
            self.write((x + 16, y - 1), text, 12, MUTED, HPos::Left, false);
            let letters = i32::try_from(text.len()).unwrap_or(20);
            x += 32 + letters * 6;
        }
    }

    fn label(&mut self, position: i32, text: &str) {
        self.write(
            (LEFT - 14, row(position) - 1),
            text,
            13,
            MUTED,
            HPos::Right,
            false,
        );
    }

    fn bar(&mut self, from_ms: u64, to_ms: u64, y: i32, half: i32, colour: RGBColor) {
        let corners = [
            (self.x(from_ms), self.top + y - half),
            (self.x(to_ms), self.top + y + half),
        ];
        self.check(|area| area.draw(&Rectangle::new(corners, colour.filled())));
    }

    fn path(&mut self, points: Vec<(i32, i32)>, colour: RGBColor, width: u32) {
        let points: Vec<(i32, i32)> = points.into_iter().map(|(x, y)| (x, y + self.top)).collect();
        self.check(|area| area.draw(&PathElement::new(points, colour.stroke_width(width))));
    }

    fn write(
        &mut self,
        at: (i32, i32),
        text: &str,
        points: i32,
        colour: RGBColor,
        side: HPos,
        bold: bool,
    ) {
        let style = if bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        // The backend writes 0.806 of what it is told.
        let font: TextStyle<'_> = ("sans-serif", points * 5 / 4, style)
            .into_font()
            .color(&colour)
            .pos(Pos::new(side, VPos::Center));
        let at = (at.0, at.1 + self.top);
        self.check(|area| area.draw(&Text::new(text.to_owned(), at, font)));
    }

    /// Draws unless something failed before.
    fn check<E: std::error::Error>(&mut self, draw: impl FnOnce(&Area<'_>) -> Result<(), E>) {
        if self.error.is_none()
            && let Err(error) = draw(self.area)
        {
            self.error = Some(error.to_string());
        }
    }

    fn x(&self, ms: u64) -> i32 {
        let width = u128::from((RIGHT - LEFT).unsigned_abs());
        let offset = u128::from(ms.min(self.until_ms)) * width / u128::from(self.until_ms.max(1));
        LEFT + i32::try_from(offset).unwrap_or(0)
    }
}

fn row(position: i32) -> i32 {
    FIRST_ROW + position * ROW
}

/// The last phase lies a millisecond before the next period; nobody wants to read 59.999.
fn shown(ms: u64) -> u64 {
    if ms % 1000 == 999 { ms + 1 } else { ms }
}
