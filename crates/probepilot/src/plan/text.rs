//! A table, and what to know before applying it.

use super::curve::{Curve, Measured};
use super::drawing;
use super::point::Today;
use super::report::{At, Over, Subject, Survives};
use crate::page::Page;
use probepilot_api::{ProbePair, ProbeTimings};
use probepilot_policy::{ContainerProbes, Probe, TimingField};

/// One count.
pub(super) fn at(at: &At<'_>) -> String {
    let (subject, answer) = (&at.subject, at.answer);
    let point = &answer.point;
    let mut page = Page::default();
    head(&mut page, subject);
    page.entry("count", format!("{} {}", point.count, subject.unit()));
    page.entry("need", seconds(point.need_seconds));
    page.entry(
        "budget",
        change(subject.today.budget_seconds, point.budget_seconds),
    );
    page.entry(
        "detection",
        change(subject.today.detection_seconds, point.detection_seconds),
    );
    if let Some(curve) = at.curve {
        page.entry("start", start(at, curve));
    }
    if let Some(survives) = at.survives {
        let up_to = |count: Option<i64>| match count {
            None => "at no count for certain".to_owned(),
            Some(count) if count == super::LARGEST_COUNT => "at every count".to_owned(),
            Some(count) => format!("up to {count} {}", subject.unit()),
        };
        page.entry(
            "survive",
            format!(
                "all starts, with today's probes {}, then {}",
                up_to(survives.today),
                up_to(survives.policy)
            ),
        );
    }
    page.line("");
    page.entry(
        if point.changed { "writes" } else { "no write" },
        &answer.sentence,
    );
    if point.changed {
        page.line("");
        for (position, line) in written(&subject.today, &answer.probes).iter().enumerate() {
            page.entry(if position == 0 { "write" } else { "" }, line);
        }
    }
    let messages: Vec<String> = answer
        .notes
        .iter()
        .map(|note| note.message.clone())
        .collect();
    notes(&mut page, subject, &messages);
    page.finish()
}

/// A range.
pub(super) fn over(over: &Over<'_>) -> String {
    let mut page = Page::default();
    head(&mut page, &over.subject);
    let today = over.subject.today;
    page.line(row([
        "count",
        "need",
        "budget",
        "detection",
        "probes (delay/period/timeout/failures)",
    ]));
    page.line(row([
        "today",
        "",
        &seconds(today.budget_seconds),
        &seconds(today.detection_seconds),
        &pair(&today.probes()),
    ]));
    for answer in over.rows() {
        let point = &answer.point;
        let probes = if point.changed {
            pair(&answer.probes.timings())
        } else {
            "no write".to_owned()
        };
        page.line(row([
            &point.count.to_string(),
            &seconds(point.need_seconds),
            &seconds(point.budget_seconds),
            &seconds(point.detection_seconds),
            &probes,
        ]));
    }
    if let [first, ..] = over.growth.steps.as_slice()
        && !first.point.changed
    {
        page.line("");
        page.entry("no write", &first.sentence);
    }
    if over.range.from < over.range.to {
        page.line("");
        for line in drawing::lines(over) {
            page.line(line);
        }
    }
    if let Some(survives) = over.survives {
        page.line("");
        survival(&mut page, over, survives);
    }
    notes(&mut page, &over.subject, &over.notes);
    page.finish()
}

fn head(page: &mut Page, subject: &Subject) {
    page.line(format!(
        "{}, container {}, namespace {}",
        subject.workload, subject.container, subject.namespace
    ));
    let counted = if subject.counted.is_empty() {
        "counts nothing".to_owned()
    } else {
        format!("counts {}", subject.counted.join(" and "))
    };
    page.line(format!("policy {}, {counted}", subject.policy));
    page.line("");
}

fn row(cells: [&str; 5]) -> String {
    let [count, need, budget, detection, probes] = cells;
    format!("  {count:>10}  {need:>8}  {budget:>9}  {detection:>9}  {probes}")
}

fn seconds(seconds: Option<u32>) -> String {
    seconds.map_or_else(|| "unlimited".to_owned(), |seconds| format!("{seconds} s"))
}

fn change(today: Option<u32>, then: Option<u32>) -> String {
    if today == then {
        format!("{}, as today", seconds(then))
    } else {
        format!("{} today, then {}", seconds(today), seconds(then))
    }
}

fn pair(pair: &ProbePair) -> String {
    let of = |name: &str, timings: Option<ProbeTimings>| {
        let text =
            |field: Option<i32>| field.map_or_else(|| "-".to_owned(), |value| value.to_string());
        timings.map(|timings| {
            format!(
                "{name} {}/{}/{}/{}",
                text(timings.initial_delay_seconds),
                text(timings.period_seconds),
                text(timings.timeout_seconds),
                text(timings.failure_threshold)
            )
        })
    };
    let both = [
        of("startup", pair.startup_probe),
        of("liveness", pair.liveness_probe),
    ];
    let both: Vec<String> = both.into_iter().flatten().collect();
    both.join(", ")
}

/// The lines of the probes that change, as they are written in a manifest.
fn written(today: &Today, then: &ContainerProbes) -> Vec<String> {
    let mut lines = Vec::new();
    let probes = [
        ("startupProbe", today.startup_probe, &then.startup),
        ("livenessProbe", today.liveness_probe, &then.liveness),
    ];
    for (name, before, after) in probes {
        match (before, after) {
            (Some(_), None) => lines.push(format!("{name}: removed")),
            (before, Some(after)) if before != Some(after.timings.into()) => {
                lines.push(format!("{name}:"));
                lines.extend(
                    fields(before, after)
                        .into_iter()
                        .map(|line| format!("  {line}")),
                );
            }
            _ => {}
        }
    }
    lines
}

fn fields(before: Option<ProbeTimings>, after: &Probe) -> Vec<String> {
    let mut lines = Vec::new();
    if before.is_none() {
        // JSON is YAML too.
        lines.extend(
            after
                .handler
                .iter()
                .map(|(kind, how)| format!("{kind}: {how}")),
        );
    }
    for timing in TimingField::ALL {
        let now = timing.get(after.timings);
        let was = before.map(|before| timing.get(before.into()));
        lines.push(match was {
            Some(was) if was != now => format!("{}: {now}   # was {was}", timing.key()),
            _ => format!("{}: {now}", timing.key()),
        });
    }
    lines
}

fn start(at: &At<'_>, curve: &Curve) -> String {
    let count = at.answer.point.count;
    let least = if curve.is_certain_at(count) {
        ""
    } else {
        "at least "
    };
    let fate = |budget| {
        if curve.survives(count, budget) {
            "survives"
        } else if curve.is_certain_at(count)
            || budget.is_some_and(|budget| budget < curve.seconds(count))
        {
            "may be killed"
        } else {
            "nobody knows"
        }
    };
    format!(
        "{least}{} s by the curve; today's probes: {}; then: {}",
        curve.seconds(count),
        fate(at.subject.today.budget_seconds),
        fate(at.answer.point.budget_seconds)
    )
}

fn survival(page: &mut Page, over: &Over<'_>, survives: Survives) {
    let unit = over.subject.unit();
    let up_to = |count: Option<i64>| match count {
        None => format!(
            "from {} {unit} on no start is certain to survive",
            over.range.from
        ),
        Some(count) if count == over.range.to => {
            format!("all starts survive up to {count} {unit}, the end of the range")
        }
        Some(count) => format!("all starts survive up to {count} {unit}"),
    };
    page.entry("today", up_to(survives.today));
    page.entry("policy", up_to(survives.policy));
    let Some(curve) = over.curve else { return };
    let today = over.subject.today.budget_seconds;
    let beyond = |label: &str, point: Option<&Measured>, budget: &dyn Fn(i64) -> Option<u32>| {
        let point = point?;
        let (count, budget) = (point.count, budget(point.count)?);
        let length = format!("{}{} s", point.bound.words(), point.seconds);
        Some(format!(
            "{label}, a start at {count} {unit} took {length}: the budget is {budget} s"
        ))
    };
    let sentences = [
        beyond("today", curve.first_beyond(|_| today), &|_| today),
        beyond(
            "then",
            curve.first_beyond(|count| over.growth.budget_at(count)),
            &|count| over.growth.budget_at(count),
        ),
    ];
    for sentence in sentences.into_iter().flatten() {
        page.entry("too long", sentence);
    }
    if let Some(last) = curve.certain_to().filter(|last| *last < over.range.to) {
        page.entry(
            "curve",
            format!("beyond {last} {unit} it does not say how long a start takes at most; measure one there"),
        );
    }
}

fn notes(page: &mut Page, subject: &Subject, notes: &[String]) {
    let about_counts = (subject.counted.len() > 1).then(|| {
        "the rules count different things; each of them is given the same count here".to_owned()
    });
    let about_record = subject.written_before.then(|| {
        "the manifest carries what probepilot wrote before; its annotation says what the owner wants, and that is what is planned from".to_owned()
    });
    let all: Vec<&String> = about_counts
        .iter()
        .chain(&about_record)
        .chain(notes)
        .collect();
    for (position, note) in all.into_iter().enumerate() {
        if position == 0 {
            page.line("");
        }
        page.entry("note", note);
    }
}
