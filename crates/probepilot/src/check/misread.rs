//! Rule `budget-misread`: what a comment or an annotation says about the budget.

use super::{Remark, Subject, budget};

/// Comment lines this far above a probe belong to it.
const LINES_ABOVE: usize = 4;

/// `budget-misread`
pub(super) fn stated_too_long(subject: &Subject<'_>) -> Vec<Remark> {
    let Some((kind, spec)) = budget::guard(subject) else {
        return Vec::new();
    };
    let timings = spec.probe.timings;
    let budget = u64::from(timings.budget_seconds());
    let wrong = budget + u64::from(timings.period_seconds);
    let first = spec.line.saturating_sub(1 + LINES_ABOVE);
    let comments = (first + 1..)
        .zip(subject.source.lines.get(first..).unwrap_or_default())
        .take_while(|(line, _)| *line <= spec.last_line)
        .filter_map(|(line, text)| Some((line, comment(text)?)))
        .filter(|(line, _)| *line >= spec.line || belongs(subject, *line, spec.line));
    let notes = subject
        .workload
        .annotations
        .iter()
        .filter(|note| speaks_of_starting(&note.text))
        .map(|note| (note.line, note.text.as_str()));
    comments
        .chain(notes)
        .filter(|(_, text)| durations(text).any(|seconds| seconds == wrong))
        .map(|(line, text)| Remark {
            line: Some(line),
            ..Remark::new(
                kind,
                format!(
                    "\"{}\" states {wrong} s, which is D + F x P; the first attempt counts too, so the kubelet may kill from {} + ({} - 1) x {} = {budget} s on",
                    text.trim(),
                    timings.initial_delay_seconds,
                    timings.failure_threshold,
                    timings.period_seconds,
                ),
                format!(
                    "failureThreshold {} guarantees the {wrong} s that are meant; or state {budget} s",
                    timings.failure_threshold.saturating_add(1)
                ),
            )
        })
        .take(1)
        .collect()
}

/// Whether only comments stand between this line and the probe.
fn belongs(subject: &Subject<'_>, line: usize, probe_line: usize) -> bool {
    subject
        .source
        .lines
        .get(line - 1..probe_line - 1)
        .is_some_and(|lines| lines.iter().all(|text| text.trim_start().starts_with('#')))
}

/// The comment of a line, without its `#`.
fn comment(line: &str) -> Option<&str> {
    let trimmed = line.trim_start();
    if let Some(comment) = trimmed.strip_prefix('#') {
        return Some(comment);
    }
    line.split_once(" #").map(|(_, comment)| comment)
}

fn speaks_of_starting(text: &str) -> bool {
    let text = text.to_lowercase();
    ["probe", "startup", "start-up", "liveness", "budget"]
        .iter()
        .any(|word| text.contains(word))
}

/// All durations in a text, in seconds: `160s`, `160 seconds`, `5 min`, `= 160`.
fn durations(text: &str) -> impl Iterator<Item = u64> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find(|c: char| c.is_ascii_digit())?;
            let result = rest[..at].trim_end().ends_with('=');
            let tail = &rest[at..];
            let end = tail
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(tail.len());
            let number = tail[..end].parse::<u64>().ok();
            rest = &tail[end..];
            let unit: String = rest
                .trim_start_matches([' ', '-'])
                .chars()
                .take_while(|c| c.is_alphabetic())
                .collect();
            let factor = match unit.to_lowercase().as_str() {
                "s" | "sec" | "secs" | "second" | "seconds" => Some(1),
                "m" | "min" | "mins" | "minute" | "minutes" => Some(60),
                _ if result => Some(1),
                _ => None,
            };
            if let (Some(number), Some(factor)) = (number, factor) {
                return Some(number.saturating_mul(factor));
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::durations;

    #[test]
    fn durations_in_comments() {
        for (text, expected) in [
            (" 30 * 5 + 10 = 160", vec![160]),
            (" up to 160s for the WAL", vec![160]),
            (" 10s * 30 = 300 seconds", vec![10, 300]),
            (" 5 minutes", vec![300]),
            (" waits 5-min at most", vec![300]),
            (" see issue 4861", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(durations(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
