//! Counts of cluster objects, one poller for each distinct thing counted.
//!
//! A count is one request, `limit=1`, whose answer says how many objects were left out; its size
//! does not depend on how many there are. Pollers are shared by all policies and live as long as
//! somebody holds a [`CountHandle`]. A read that fails keeps the last value with its time and adds
//! a typed failure; it is never zero.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use probepilot_api::CountSelector;
use probepilot_policy::{Count, CountFailure, CountFailureKind, Latency, Sample};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::discovery::Discovery;
use crate::metrics::Metrics;

mod latency;
mod read;
mod set;

use latency::Latencies;
pub use read::COUNT_ROLE_LABEL;
pub use set::CountSet;

/// Time between two reads of one count unless the operator is told otherwise.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);

/// After a failure that may pass by itself the next read comes sooner than usual.
const RETRY: Duration = Duration::from_secs(10);

/// All pollers of the process. Cloning is cheap and shares them.
#[derive(Clone)]
pub struct Counts(Arc<Inner>);

struct Inner {
    client: Client,
    metrics: Metrics,
    interval: Duration,
    discovery: Discovery,
    pollers: Mutex<HashMap<CountSelector, Weak<Poller>>>,
}

struct Poller {
    inner: Arc<Inner>,
    selector: CountSelector,
    latest: watch::Sender<Count>,
    latencies: Mutex<Latencies>,
    /// Held while a read is in flight; the time of the last one that ended.
    reading: AsyncMutex<Option<Instant>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Counts {
    /// Nothing is counted until somebody asks. `interval` is the time between two reads of one
    /// count, give or take a tenth.
    #[must_use]
    pub fn new(client: Client, metrics: Metrics, interval: Duration) -> Self {
        Self(Arc::new(Inner {
            client,
            metrics,
            interval,
            discovery: Discovery::default(),
            pollers: Mutex::default(),
        }))
    }

    /// Counts what `selector` names until the handle and its clones are dropped. Must be called
    /// within a tokio runtime.
    #[must_use]
    pub fn register(&self, selector: &CountSelector) -> CountHandle {
        let mut pollers = self.0.pollers();
        let running = pollers.get(selector).and_then(Weak::upgrade);
        let poller = running.unwrap_or_else(|| {
            let poller = Poller::start(Arc::clone(&self.0), selector.clone());
            pollers.insert(selector.clone(), Arc::downgrade(&poller));
            poller
        });
        CountHandle {
            latest: poller.latest.subscribe(),
            poller,
        }
    }

    /// How many distinct things are counted.
    #[must_use]
    pub fn len(&self) -> usize {
        let pollers = self.0.pollers();
        pollers
            .values()
            .filter(|poller| poller.strong_count() > 0)
            .count()
    }

    /// Whether nothing is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Inner {
    fn pollers(&self) -> MutexGuard<'_, HashMap<CountSelector, Weak<Poller>>> {
        self.pollers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share in one poller.
#[derive(Clone)]
pub struct CountHandle {
    poller: Arc<Poller>,
    latest: watch::Receiver<Count>,
}

impl CountHandle {
    /// What is counted.
    #[must_use]
    pub fn selector(&self) -> &CountSelector {
        &self.poller.selector
    }

    /// What is known now; before the first read neither a value nor a failure.
    #[must_use]
    pub fn latest(&self) -> Count {
        self.poller.latest.borrow().clone()
    }

    /// How long a read takes, once there were enough.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.poller.latencies().latency()
    }

    /// Waits until the value or the kind of failure differs from when this was last waited for.
    /// A value that was merely read again is in [`Self::latest`] and wakes nobody.
    pub async fn changed(&mut self) {
        // The poller holds the sender and this handle holds the poller.
        let _ = self.latest.changed().await;
    }

    /// Reads now and gives what is known after it. Callers who ask while a read is in flight
    /// that began after they asked share it.
    pub async fn read_fresh(&self) -> Count {
        self.poller.read_since(Instant::now()).await;
        self.latest()
    }
}

impl Poller {
    fn start(inner: Arc<Inner>, selector: CountSelector) -> Arc<Self> {
        let unread = Count {
            selector: selector.clone(),
            last: None,
            failure: None,
        };
        let poller = Arc::new(Self {
            inner,
            selector,
            latest: watch::Sender::new(unread),
            latencies: Mutex::default(),
            reading: AsyncMutex::new(None),
            task: Mutex::new(None),
        });
        // The task holds no share while it waits: the last handle ends it.
        let weak = Arc::downgrade(&poller);
        let task = tokio::spawn(async move {
            while let Some(poller) = weak.upgrade() {
                let wait = poller.poll().await;
                drop(poller);
                tokio::time::sleep(wait).await;
            }
        });
        *poller.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        poller
    }

    /// Reads once and says when to read again.
    async fn poll(&self) -> Duration {
        self.read_since(Instant::now()).await;
        let interval = self.inner.interval;
        let unavailable = self
            .latest
            .borrow()
            .failure
            .as_ref()
            .is_some_and(|failure| failure.kind == CountFailureKind::Unavailable);
        let wait = if unavailable {
            interval.min(RETRY)
        } else {
            interval
        };
        wait.mul_f64(0.9 + 0.2 * fastrand::f64())
    }

    /// Makes sure that a read began at `asked` or later.
    async fn read_since(&self, asked: Instant) {
        let mut last_began = self.reading.lock().await;
        if last_began.is_some_and(|began| began >= asked) {
            return;
        }
        let began = Instant::now();
        let outcome = read::count(&self.inner.client, &self.inner.discovery, &self.selector).await;
        match outcome {
            Ok(reading) => {
                let took = began.elapsed();
                self.latencies().push(took);
                self.inner
                    .metrics
                    .counted(&self.selector, reading.value, reading.bytes, took);
                self.publish(Ok(Sample {
                    value: reading.value,
                    at: Timestamp::now(),
                }));
            }
            Err(failure) => self.publish(Err(failure)),
        }
        *last_began = Some(began);
    }

    fn latencies(&self) -> MutexGuard<'_, Latencies> {
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, outcome: Result<Sample, CountFailure>) {
        self.latest.send_if_modified(|count| {
            let before = (value(count), kind(count));
            match outcome {
                Ok(sample) => {
                    count.last = Some(sample);
                    count.failure = None;
                }
                Err(failure) => {
                    let resource = &self.selector.resource;
                    if kind(count) != Some(failure.kind) {
                        tracing::warn!(resource, "cannot count: {}", failure.message);
                    }
                    count.failure = Some(failure);
                }
            }
            before != (value(count), kind(count))
        });
    }
}

fn value(count: &Count) -> Option<i64> {
    count.last.map(|sample| sample.value)
}

fn kind(count: &Count) -> Option<CountFailureKind> {
    count.failure.as_ref().map(|failure| failure.kind)
}

impl Drop for Poller {
    fn drop(&mut self) {
        if let Some(task) = self
            .task
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            task.abort();
        }
        let mut pollers = self.inner.pollers();
        // Somebody may have registered the same selector since the last handle went.
        if pollers
            .get(&self.selector)
            .is_some_and(|poller| poller.strong_count() == 0)
        {
            pollers.remove(&self.selector);
            self.inner.metrics.forget_count(&self.selector);
        }
    }
}

#[cfg(test)]
mod tests;
