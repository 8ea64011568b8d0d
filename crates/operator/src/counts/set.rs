//! The counts of one policy.

use futures::future::select_all;
use probepilot_api::CountSelector;
use probepilot_policy::{Count, Latency};

use super::{CountHandle, Counts};

/// The distinct things that one policy's rules count.
#[derive(Clone)]
pub struct CountSet {
    counts: Counts,
    handles: Vec<CountHandle>,
}

impl CountSet {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(counts: Counts) -> Self {
        Self {
            counts,
            handles: Vec::new(),
        }
    }

    /// Counts exactly these from now on; each is counted once however often it is named. What was
    /// counted before goes on without a gap.
    pub fn set<'a>(&mut self, selectors: impl IntoIterator<Item = &'a CountSelector>) {
        let mut handles: Vec<CountHandle> = Vec::new();
        for selector in selectors {
            if handles.iter().any(|handle| handle.selector() == selector) {
                continue;
            }
            let kept = self
                .handles
                .iter()
                .find(|handle| handle.selector() == selector);
            handles.push(
                kept.cloned()
                    .unwrap_or_else(|| self.counts.register(selector)),
            );
        }
        self.handles = handles;
    }

    /// What is known of each, in the order given to [`Self::set`].
    #[must_use]
    pub fn latest(&self) -> Vec<Count> {
        self.handles.iter().map(CountHandle::latest).collect()
    }

    /// Whether each was read at least once, with or without success.
    #[must_use]
    pub fn read(&self) -> bool {
        self.latest()
            .iter()
            .all(|count| count.last.is_some() || count.failure.is_some())
    }

    /// How long the slowest of them takes now, where that is known.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        let known = self.handles.iter().filter_map(CountHandle::latency);
        known.max_by_key(|latency| latency.now)
    }

    /// Reads all now and gives what is known after it.
    pub async fn read_fresh(&self) -> Vec<Count> {
        futures::future::join_all(self.handles.iter().map(CountHandle::read_fresh)).await
    }

    /// Waits until a value or a kind of failure changes; for ever when nothing is counted.
    pub async fn changed(&mut self) {
        if self.handles.is_empty() {
            return std::future::pending().await;
        }
        let changes = self
            .handles
            .iter_mut()
            .map(|handle| Box::pin(handle.changed()));
        select_all(changes).await;
    }
}
