//! The same story as a picture.

use super::Case;
use super::report::Seconds;
use super::story::{Attempt, Run, Story};
use crate::picture::colours::{AMBER, BAND, BLUE, GREEN, GREY, GRID, INK, MUTED, PAPER, RED};
use crate::picture::{self, Canvas, Font};
use crate::scale::axis_step_seconds;
use plotters::prelude::RGBColor;
use probepilot_kubelet::Outcome;

const WIDTH: i32 = 880;
const LEFT: i32 = 120;
const RIGHT: i32 = 850;
/// Height of one container's panel.
const PANEL: i32 = 280;
const FIRST_ROW: i32 = 92;
const ROW: i32 = 32;
const AXIS: i32 = FIRST_ROW + 4 * ROW + 4;

/// Draws all containers, one below the other.
pub(super) fn draw(cases: &[Case<'_>]) -> anyhow::Result<String> {
    let panels = i32::try_from(cases.len())?;
    let described: Vec<String> = cases
        .iter()
        .map(|case| headline(case) + ": " + &verdict(case))
        .collect();
    picture::draw((WIDTH, PANEL * panels), &described.join("; "), |canvas| {
        for (position, case) in (0..panels).zip(cases) {
            canvas.top = position * PANEL;
            let mut panel = Panel {
                canvas,
                until_ms: case.story.until_ms,
            };
            panel.container(case);
        }
    })
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

struct Panel<'a, 'b, 'c> {
    canvas: &'a mut Canvas<'b, 'c>,
    until_ms: u64,
}

impl Panel<'_, '_, '_> {
    fn container(&mut self, case: &Case<'_>) {
        let story = &case.story;
        self.write((24, 20), &headline(case), Font::new(17, INK).bold());
        let colour = match case.report.outcome {
            Outcome::Survives => GREEN,
            Outcome::MayBeKilled => AMBER,
            Outcome::Killed => RED,
        };
        self.write((24, 46), &verdict(case), Font::new(14, colour));
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
                    let font = Font::new(13, PAPER).right().bold();
                    self.write((x - 8, y - 1), &text, font);
                } else {
                    self.write((x + 8, y - 1), &text, Font::new(13, BLUE));
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
            let font = Font::new(13, RED).bold();
            let (at, font) = if x > RIGHT - 120 {
                (x - 12, font.right())
            } else {
                (x + 12, font)
            };
            self.write((at, y - 1), &text, font);
        }
    }

    fn attempt(&mut self, attempt: Attempt, y: i32, radius: i32) {
        let colour = if attempt.good { GREEN } else { RED };
        let x = self.x(attempt.ended_ms);
        self.canvas.dot((x, y), radius, colour);
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
            self.write((x, AXIS + 12), &label, Font::new(12, MUTED).centred());
            seconds += step;
        }
        self.path(vec![(LEFT, AXIS), (RIGHT, AXIS)], MUTED, 1);
    }

    fn band(&mut self, from_ms: u64, to_ms: u64) {
        let (left, right) = (self.x(from_ms), self.x(to_ms).max(self.x(from_ms) + 2));
        self.canvas.bar((left, FIRST_ROW - 14), (right, AXIS), BAND);
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
            self.canvas.bar((x, y - 5), (x + 10, y + 5), colour);
            self.write((x + 16, y - 1), text, Font::new(12, MUTED));
            let letters = i32::try_from(text.len()).unwrap_or(20);
            x += 32 + letters * 6;
        }
    }

    fn label(&mut self, position: i32, text: &str) {
        let at = (LEFT - 14, row(position) - 1);
        self.write(at, text, Font::new(13, MUTED).right());
    }

    fn bar(&mut self, from_ms: u64, to_ms: u64, y: i32, half: i32, colour: RGBColor) {
        let (from, to) = (self.x(from_ms), self.x(to_ms));
        self.canvas.bar((from, y - half), (to, y + half), colour);
    }

    fn path(&mut self, points: Vec<(i32, i32)>, colour: RGBColor, width: u32) {
        self.canvas.path(points, colour, width);
    }

    fn write(&mut self, at: (i32, i32), text: &str, font: Font) {
        self.canvas.write(at, text, font);
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
