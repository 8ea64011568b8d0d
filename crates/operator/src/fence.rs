//! Whether this process may write, asked right before each write.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Open until a moment, for ever, or not at all. Cloning is cheap and shares it; closed at first.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<Gate>>);

#[derive(Debug, Default)]
enum Gate {
    #[default]
    Closed,
    Until(Instant),
    Open,
}

impl Fence {
    /// Whether writing is allowed now.
    #[must_use]
    pub fn holds(&self) -> bool {
        match *self.lock() {
            Gate::Closed => false,
            Gate::Until(end) => Instant::now() < end,
            Gate::Open => true,
        }
    }

    /// Allows writing for ever: for a process that needs no election.
    pub fn open(&self) {
        *self.lock() = Gate::Open;
    }

    /// Allows writing until then, whatever happens to whoever allowed it.
    pub fn open_until(&self, end: Instant) {
        *self.lock() = Gate::Until(end);
    }

    /// Forbids writing.
    pub fn close(&self) {
        *self.lock() = Gate::Closed;
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
