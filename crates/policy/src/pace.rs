//! Windows: for how long more, or less, has been needed.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{CountSelector, CountStatus, Pending};

use crate::observation::{Count, Sample};

/// A window that was not looked at for so long starts again: what happened meanwhile is unknown.
const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(20);
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
#[must_use]
pub fn extend(
    prior: Option<&Pending>,
    counts: &[Count],
    extreme: Extreme,
    now: Timestamp,
) -> Pending {
    let prior = prior.filter(|pending| now.duration_since(pending.observed_at.0) <= LONGEST_GAP);
    let before = prior
        .map(|pending| pending.counts.as_slice())
        .unwrap_or_default();
    let known = counts
        .iter()
        .filter_map(|count| Some((&count.selector, count.last?.value)));
    Pending {
        since: prior.map_or(Time(now), |pending| pending.since.clone()),
        observed_at: Time(now),
        counts: known
            .map(|(selector, value)| {
                let remembered = before
                    .iter()
                    .find(|count| selects(count, selector))
                    .and_then(|count| count.value);
                let value = remembered.map_or(value, |remembered| match extreme {
                    Extreme::Lowest => remembered.min(value),
                    Extreme::Highest => remembered.max(value),
                });
                status(selector, Some(Sample { value, at: now }))
            })
            .collect(),
    }
}

/// The window's extremes as counts.
#[must_use]
pub fn counts(pending: &Pending) -> Vec<Count> {
    let sample = |value| Sample {
        value,
        at: pending.observed_at.0,
    };
    pending
        .counts
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

fn selects(count: &CountStatus, wanted: &CountSelector) -> bool {
    selector(count) == *wanted
}
