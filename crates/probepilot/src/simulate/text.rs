//! One screen a container.

use super::Case;
use super::advice::advice;
use super::report::Seconds;
use super::story::{Run, Story};
use crate::manifest::ProbeSpec;
use crate::page::Page;
use crate::scale::axis_step_seconds;
use probepilot_kubelet::{Answer, Outcome, ProbeKind};
use std::fmt::Write as _;

/// Columns of the drawing.
const WIDTH: usize = 64;

/// The screen of one container.
pub(super) fn screen(case: &Case<'_>) -> String {
    let report = &case.report;
    let mut page = Page::default();
    page.line(format!(
        "{}, container {}, namespace {}",
        report.workload, report.container, report.namespace
    ));
    page.line(String::new());
    page.entry("guard", guard(case));
    page.entry("budget", budget(case));
    page.entry("start", start(case));
    page.entry("outcome", outcome(case));
    page.entry("detection", detection(case));
    page.line(String::new());
    drawing(&case.story, &mut page);
    let advice = advice(case);
    if !advice.is_empty() {
        page.line(String::new());
        for (position, line) in advice.into_iter().enumerate() {
            page.entry(if position == 0 { "change" } else { "" }, line);
        }
    }
    if !report.warnings.is_empty() {
        page.line(String::new());
        for warning in &report.warnings {
            page.entry("warning", format!("[{}] {}", warning.rule, warning.message));
        }
    }
    page.finish()
}

fn guard(case: &Case<'_>) -> String {
    let Some(kind) = case.story.guard else {
        return "none: no startup and no liveness probe, so no probe can end the start".to_owned();
    };
    let Some(spec) = case.spec.probe(kind) else {
        return String::new();
    };
    let why = match (kind, &case.spec.liveness) {
        (ProbeKind::Startup, Some(_)) => "; liveness waits until it has succeeded",
        (ProbeKind::Liveness, _) => "; without a startup probe it runs from the start",
        _ => "",
    };
    format!("{} probe, {}{why}", kind.as_str(), describe(spec))
}

fn describe(spec: &ProbeSpec) -> String {
    let timings = spec.probe.timings;
    format!(
        "{}, delay {} s, period {} s, timeout {} s, threshold {}",
        spec.handler,
        timings.initial_delay_seconds,
        timings.period_seconds,
        timings.timeout_seconds,
        timings.failure_threshold
    )
}

fn budget(case: &Case<'_>) -> String {
    let (Some(kind), Some(guaranteed)) = (case.story.guard, case.report.guaranteed_seconds) else {
        return "unlimited".to_owned();
    };
    let Some(spec) = case.spec.probe(kind) else {
        return String::new();
    };
    let timings = spec.probe.timings;
    let (delay, period, failures) = (
        timings.initial_delay_seconds,
        timings.period_seconds,
        timings.failure_threshold,
    );
    let wrong = u64::from(delay) + u64::from(failures) * u64::from(period);
    format!(
        "{guaranteed} s for certain = {delay} + ({failures} - 1) x {period}, not {wrong} s: the first attempt counts too"
    )
}

fn start(case: &Case<'_>) -> String {
    let length = case
        .start
        .healthy_after_ms
        .map_or("never healthy".to_owned(), |ms| {
            format!("healthy after {} s", Seconds(ms))
        });
    let meanwhile = match case.start.while_starting {
        Answer::Refused => "connections are refused".to_owned(),
        Answer::Hang => "the port is open but nobody answers".to_owned(),
        Answer::Status(status) => format!("answers {status}"),
        _ => String::new(),
    };
    let joint = if case.start.healthy_after_ms.is_some() {
        "until then "
    } else {
        ""
    };
    format!("{length}; {joint}{meanwhile}")
}

fn outcome(case: &Case<'_>) -> String {
    let report = &case.report;
    let window = report.kill.as_ref().map(|kill| {
        let (earliest, latest) = (kill.earliest_seconds, kill.latest_seconds);
        if earliest == latest {
            format!("{earliest} s after the start")
        } else {
            format!("{earliest} to {latest} s after the start")
        }
    });
    let window = window.unwrap_or_default();
    match report.outcome {
        Outcome::Killed => format!("Killed, {window}, whatever the phase of the probe"),
        Outcome::MayBeKilled => format!(
            "MayBeKilled, {window}, in {} % of the phases of the probe",
            percent(report.killed_per_mille)
        ),
        Outcome::Survives if case.story.guard.is_none() => {
            "Survives: nothing can kill it".to_owned()
        }
        Outcome::Survives => "Survives, whatever the phase of the probe".to_owned(),
    }
}

fn percent(per_mille: u32) -> String {
    let (whole, tenth) = (per_mille / 10, per_mille % 10);
    if tenth == 0 {
        whole.to_string()
    } else {
        format!("{whole}.{tenth}")
    }
}

fn detection(case: &Case<'_>) -> String {
    match case.report.detection_seconds {
        Some(seconds) => {
            format!("at most {seconds} s from a hang of the healthy container to its kill")
        }
        None => "none: no liveness probe notices a hang".to_owned(),
    }
}

fn drawing(story: &Story, page: &mut Page) {
    let scale = Scale {
        until_ms: story.until_ms,
    };
    let (labels, ticks) = axis(&scale);
    page.entry("", labels);
    page.entry("seconds", ticks);
    page.entry("container", container_row(story, &scale));
    if let Some(budget_ms) = story.budget_ms {
        let mut row = Row::new();
        row.fill(0, scale.column(budget_ms), '=');
        row.put(scale.column(budget_ms), '|');
        page.entry("budget", row.text());
    }
    for run in &story.runs {
        page.entry(run.name, run_row(run, &scale));
    }
    let mut legend = ". starting".to_owned();
    if story.healthy_ms.is_some() {
        legend.push_str("  + healthy");
    }
    if story.guard.is_some() {
        legend.push_str("  = guaranteed  - waiting  x failed  o good  K kill");
    }
    page.entry("", legend);
}

fn container_row(story: &Story, scale: &Scale) -> String {
    let mut row = Row::new();
    let healthy = story.healthy_ms.map_or(WIDTH, |ms| scale.column(ms));
    row.fill(0, healthy, '.');
    row.fill(healthy, WIDTH, '+');
    row.text()
}

fn run_row(run: &Run, scale: &Scale) -> String {
    let mut row = Row::new();
    for attempt in &run.attempts {
        let (from, to) = (attempt.began_ms, attempt.ended_ms);
        row.fill(scale.column(from), scale.column(to), '-');
    }
    for attempt in &run.attempts {
        let mark = if attempt.good { 'o' } else { 'x' };
        row.put(scale.column(attempt.ended_ms), mark);
    }
    if let Some(kill_ms) = run.kill_ms {
        row.put(scale.column(kill_ms), 'K');
    }
    row.text()
}

/// Labels and ticks of the axis.
fn axis(scale: &Scale) -> (String, String) {
    let step = axis_step_seconds(scale.until_ms, 7);
    let (mut labels, mut ticks) = (Row::new(), Row::new());
    ticks.fill(0, WIDTH, '-');
    let mut seconds = 0;
    while seconds * 1000 <= scale.until_ms {
        let column = scale.column(seconds * 1000);
        ticks.put(column, '|');
        let mut label = String::new();
        let _ = write!(label, "{seconds}");
        if column + label.len() <= WIDTH {
            for (offset, digit) in label.chars().enumerate() {
                labels.put(column + offset, digit);
            }
        }
        seconds += step;
    }
    (labels.text(), ticks.text())
}

struct Scale {
    until_ms: u64,
}

impl Scale {
    fn column(&self, ms: u64) -> usize {
        let width = WIDTH as u64 - 1;
        let column = u128::from(ms.min(self.until_ms)) * u128::from(width)
            / u128::from(self.until_ms.max(1));
        usize::try_from(column).unwrap_or(WIDTH - 1)
    }
}

struct Row(Vec<char>);

impl Row {
    fn new() -> Self {
        Self(vec![' '; WIDTH])
    }

    fn put(&mut self, column: usize, mark: char) {
        if let Some(cell) = self.0.get_mut(column) {
            *cell = mark;
        }
    }

    fn fill(&mut self, from: usize, to: usize, mark: char) {
        for column in from..to.min(WIDTH) {
            self.put(column, mark);
        }
    }

    fn text(&self) -> String {
        self.0.iter().collect::<String>().trim_end().to_owned()
    }
}
