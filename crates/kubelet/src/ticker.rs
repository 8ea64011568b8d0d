//! Go's `time.Ticker` and the worker's select loop around it (K2, K11).

/// A ticker with room for one tick: while its reader is busy, further ticks are lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticker {
    next_ms: u64,
    period_ms: u64,
    overdue: bool,
    /// Ticks so far, also lost ones: what makes two runs comparable.
    pub(crate) count: u64,
}

impl Ticker {
    pub(crate) fn new(first_ms: u64, period_ms: u64) -> Self {
        Self {
            next_ms: first_ms,
            period_ms: period_ms.max(1),
            overdue: false,
            count: 0,
        }
    }

    pub(crate) fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// Lets all ticks up to now happen; true if one is there to be read.
    pub(crate) fn advance(&mut self, now_ms: u64) -> bool {
        if self.next_ms <= now_ms {
            let ticks = (now_ms - self.next_ms) / self.period_ms + 1;
            self.count += ticks;
            self.next_ms = self
                .next_ms
                .saturating_add(ticks.saturating_mul(self.period_ms));
            self.overdue = true;
        }
        self.overdue
    }

    pub(crate) fn take(&mut self) {
        self.overdue = false;
    }

    /// `Ticker.Reset`: the next tick is one period from now and a waiting one is dropped.
    pub(crate) fn reset(&mut self, now_ms: u64) {
        self.overdue = false;
        self.next_ms = now_ms.saturating_add(self.period_ms);
    }
}
