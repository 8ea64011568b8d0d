//! What was measured of a target's starts, and which of it is kept.
//!
//! A *start* is one run of a container from `state.running.startedAt` to its first healthy answer.
//! The set is bounded, because it lives in the policy's status: design, section 8.

use jiff::Timestamp;
pub use probepilot_api::{MeasuredBy, StartOutcome as Outcome};
use serde::{Deserialize, Serialize};

mod keep;
mod key;
mod measure;
mod record;
#[cfg(test)]
mod tests;

pub use key::{ProgramSum, StartKey, Template};
pub(crate) use measure::{Runs, measured};

/// Starts that are kept, over all keys. Source: design, section 8.
pub const MAX_STARTS: usize = 32;

/// Keys whose starts are kept. Source: design, section 8.
pub const MAX_KEYS: usize = 3;

/// One start, in the shape that `status.starts` has.
///
/// The order is that of time; the other fields only make it total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    /// When the container began to run.
    pub started_at: Timestamp,
    /// How long it ran until the outcome. Unit: seconds.
    pub seconds: u32,
    /// What showed the outcome.
    pub measured_by: MeasuredBy,
    /// How it ended.
    pub outcome: Outcome,
    /// The count at that time. Unit: objects.
    pub count: i64,
    /// What was started: starts of different keys are not compared.
    pub key: StartKey,
    /// The container's CPU limit as its pod has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<String>,
    /// Whether a write of the operator caused it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_write: bool,
}

impl Start {
    /// The doubling of the count to which it belongs: log2 of the count, rounded down. Counts below
    /// 1 are taken as 1.
    #[must_use]
    pub fn bucket(&self) -> u32 {
        self.count.max(1).ilog2()
    }
}

/// The starts that are kept, oldest first.
///
/// Of each key the longest healthy and the longest killed start of each doubling of the count, then
/// the newest, [`MAX_STARTS`] in all and [`MAX_KEYS`] keys at most. So a thousand starts at one
/// count, those of a rollout, displace the record of no other count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Starts(Vec<Start>);

impl Starts {
    /// Adds one start and drops what is no longer kept. A start that is already there is not added
    /// again, so recording twice does no harm.
    pub fn record(&mut self, start: Start) {
        self.0.push(start);
        self.0 = keep::kept(std::mem::take(&mut self.0));
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn as_slice(&self) -> &[Start] {
        &self.0
    }

    /// Those of one key, oldest first.
    pub fn of<'a>(&'a self, key: &'a StartKey) -> impl Iterator<Item = &'a Start> {
        self.0.iter().filter(move |start| start.key == *key)
    }

    /// Their keys, that of the newest start first.
    #[must_use]
    pub fn keys(&self) -> Vec<&StartKey> {
        keep::keys(&self.0)
    }
}

impl From<Vec<Start>> for Starts {
    /// What of these is kept; from a status of any version, in any order and of any length.
    fn from(starts: Vec<Start>) -> Self {
        Self(keep::kept(starts))
    }
}
