//! Windows: for how long more, or less, has been needed.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{CountSelector, CountStatus, Pending};

use crate::observation::{Count, Sample};

/// A window that was not looked at for so long starts again: what happened meanwhile is unknown.
/// A count that is older is stale: it may raise a budget and never lower one.
pub const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(20);
/// How often a waiting window is written down, so that a restart finds it without such a gap.
pub const HEARTBEAT: SignedDuration = SignedDuration::from_mins(10);

/// Which extreme of a count a window remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The lowest: a raise asks for what the whole window needed.
    Lowest,
    /// The highest: a lower leaves what the whole window needed.
    Highest,
}

/// The window after one more look at the counts.
///
/// A wait may last much longer than its window, so extremes are kept in two halves: those since the
/// last turn, and those of the window before it. What they cover is never shorter than the window
/// and at most twice as long.
#[must_use]
pub fn extend(
    prior: Option<&Pending>,
    counts: &[Count],
    extreme: Extreme,
    window_seconds: u32,
    now: Timestamp,
) -> Pending {
    let prior = prior.filter(|pending| now.duration_since(pending.observed_at.0) <= LONGEST_GAP);
    let known = counts
        .iter()
        .filter_map(|count| Some((&count.selector, count.last?.value)))
        .map(|(selector, value)| status(selector, Some(Sample { value, at: now })))
        .collect::<Vec<_>>();
    let Some(prior) = prior else {
        return Pending {
            since: Time(now),
            observed_at: Time(now),
            counts: known,
            turned_at: Some(Time(now)),
            earlier: Vec::new(),
        };
    };
    let turned_at = prior.turned_at.as_ref().unwrap_or(&prior.since);
    let turns = remaining(turned_at.0, window_seconds, now).is_zero();
    let (turned_at, before, earlier) = match (turns, window_seconds) {
        (true, 0) => (Time(now), &[][..], &[][..]),
        (true, _) => (Time(now), &[][..], prior.counts.as_slice()),
        (false, _) => (
            turned_at.clone(),
            prior.counts.as_slice(),
            prior.earlier.as_slice(),
        ),
    };
    Pending {
        since: prior.since.clone(),
        observed_at: Time(now),
        counts: merge(&known, before, extreme),
        turned_at: Some(turned_at),
        earlier: earlier.to_vec(),
    }
}

/// Each of `counts`, or what `others` has of the same where that is more extreme.
fn merge(counts: &[CountStatus], others: &[CountStatus], extreme: Extreme) -> Vec<CountStatus> {
    let merged = counts.iter().map(|count| {
        let other = others
            .iter()
            .find(|other| selector(other) == selector(count));
        let value = match (count.value, other.and_then(|other| other.value)) {
            (Some(one), Some(other)) => Some(match extreme {
                Extreme::Lowest => one.min(other),
                Extreme::Highest => one.max(other),
            }),
            (one, other) => one.or(other),
        };
        CountStatus {
            value,
            ..count.clone()
        }
    });
    merged.collect()
}

/// The window's extremes as counts.
#[must_use]
pub fn counts(pending: &Pending, extreme: Extreme) -> Vec<Count> {
    let sample = |value| Sample {
        value,
        at: pending.observed_at.0,
    };
    merge(&pending.counts, &pending.earlier, extreme)
        .iter()
        .map(|count| Count {
            selector: selector(count),
            last: count.value.map(sample),
            failure: None,
        })
        .collect()
}

/// What remains of a window of so many seconds; zero when it has passed.
#[must_use]
pub fn remaining(since: Timestamp, window_seconds: u32, now: Timestamp) -> SignedDuration {
    let window = SignedDuration::from_secs(window_seconds.into());
    (window - now.duration_since(since)).max(SignedDuration::ZERO)
}

/// A count as status has it.
#[must_use]
pub fn status(selector: &CountSelector, sample: Option<Sample>) -> CountStatus {
    CountStatus {
        group: selector.group.clone(),
        resource: selector.resource.clone(),
        namespace: selector.namespace.clone(),
        value: sample.map(|sample| sample.value),
        observed_at: sample.map(|sample| Time(sample.at)),
    }
}

fn selector(count: &CountStatus) -> CountSelector {
    CountSelector {
        group: count.group.clone(),
        resource: count.resource.clone(),
        namespace: count.namespace.clone(),
    }
}

#[cfg(test)]
mod tests;
