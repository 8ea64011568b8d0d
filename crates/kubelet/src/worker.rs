//! One probe worker: `prober/worker.go`, `run` and `doProbe`.

use crate::behaviour::{Reply, ReplyKind};
use crate::container::{Probe, ProbeKind};
use crate::ticker::Ticker;
use crate::timeline::ProbeResult;

/// What the status manager shows the workers about the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Which container: the number of its life stands for its ID.
    pub(crate) life: usize,
    pub(crate) running: bool,
    /// `startedAt` in milliseconds, cut to the second of the wall clock; may lie before zero.
    pub(crate) started_at_ms: i64,
    pub(crate) started: bool,
}

/// An attempt that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InFlight {
    pub(crate) life: usize,
    pub(crate) began_ms: u64,
    pub(crate) ends_ms: u64,
    pub(crate) result: ProbeResult,
    pub(crate) reply: ReplyKind,
}

/// A verdict on a container: its threshold was reached (K7).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    pub(crate) life: usize,
    pub(crate) healthy: bool,
}

/// What `look` decided.
pub(crate) enum Look {
    /// Nothing to do at this tick, and why.
    Idle(Idle),
    /// A container that the worker has not seen before; then what it does with it.
    NewContainer(Box<Look>),
    /// An attempt is to be made.
    Probe,
    /// The worker ends.
    End,
}

/// Why a worker does nothing at a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Idle {
    /// There is no status of the container yet.
    Unseen,
    /// A verdict was given.
    OnHold,
    /// The container does not run.
    NotRunning,
    /// The initial delay is not over.
    Delayed,
    /// `started` says that another probe's time it is.
    Gated,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) kind: ProbeKind,
    pub(crate) probe: Probe,
    pub(crate) ticker: Ticker,
    pub(crate) in_flight: Option<InFlight>,
    /// A manual trigger waits (only readiness has one, K6).
    triggered: bool,
    container: Option<usize>,
    last: ProbeResult,
    run: u32,
    on_hold: bool,
}

impl Worker {
    pub(crate) fn new(kind: ProbeKind, probe: Probe, first_look_ms: u64) -> Self {
        Self {
            kind,
            probe,
            ticker: Ticker::new(first_look_ms, probe.timings.period_ms()),
            in_flight: None,
            triggered: false,
            container: None,
            last: ProbeResult::Success,
            run: 0,
            on_hold: false,
        }
    }

    /// K10: what a predecessor left behind.
    pub(crate) fn inherit_failures(&mut self, failures: u32) {
        self.last = ProbeResult::Failure;
        self.run = failures;
    }

    /// When the worker next does something by itself.
    pub(crate) fn wakes_ms(&self) -> u64 {
        match self.in_flight {
            Some(attempt) => attempt.ends_ms,
            None => self.ticker.next_ms(),
        }
    }

    pub(crate) fn trigger(&mut self) {
        self.triggered = true;
    }

    /// Whether the idle worker has a reason to look now; takes that reason (K6, K11).
    pub(crate) fn take_wake(&mut self, now_ms: u64) -> bool {
        let ticked = self.ticker.advance(now_ms);
        if self.triggered {
            self.triggered = false;
            self.ticker.reset(now_ms);
            return true;
        }
        if ticked {
            self.ticker.take();
        }
        ticked
    }

    /// `doProbe` up to the attempt, in the order of K5.
    pub(crate) fn look(&mut self, now_ms: u64, seen: Option<Seen>, deleted: bool) -> Look {
        let Some(seen) = seen else {
            return Look::Idle(Idle::Unseen);
        };
        if self.container != Some(seen.life) {
            self.container = Some(seen.life);
            self.on_hold = false;
            return Look::NewContainer(Box::new(self.look_at(now_ms, seen, deleted)));
        }
        self.look_at(now_ms, seen, deleted)
    }

    fn look_at(&self, now_ms: u64, seen: Seen, deleted: bool) -> Look {
        if self.on_hold {
            return Look::Idle(Idle::OnHold);
        }
        if !seen.running {
            return Look::Idle(Idle::NotRunning);
        }
        if deleted && self.kind != ProbeKind::Readiness {
            return Look::End;
        }
        let elapsed_ms = i64::try_from(now_ms)
            .unwrap_or(i64::MAX)
            .saturating_sub(seen.started_at_ms);
        // Whole seconds, as `int32(time.Since(..).Seconds())` in worker.go has them (K2, K4).
        if elapsed_ms / 1000 < i64::from(self.probe.timings.initial_delay_seconds) {
            return Look::Idle(Idle::Delayed);
        }
        // K6: a started container has no use for startup, an unstarted one for nothing else.
        if seen.started == (self.kind == ProbeKind::Startup) {
            return Look::Idle(Idle::Gated);
        }
        Look::Probe
    }

    pub(crate) fn begin(&mut self, life: usize, began_ms: u64, started_ms: u64, reply: Reply) {
        self.in_flight = Some(InFlight {
            life,
            began_ms,
            ends_ms: started_ms.saturating_add(reply.ends_ms),
            result: reply.result,
            reply: reply.kind,
        });
    }

    /// The container ended: a waiting attempt is cut short.
    pub(crate) fn cut(&mut self, life: usize, now_ms: u64) {
        if let Some(attempt) = &mut self.in_flight
            && attempt.life == life
            && attempt.ends_ms > now_ms
        {
            attempt.ends_ms = now_ms;
            attempt.result = ProbeResult::Failure;
            attempt.reply = ReplyKind::Cut;
        }
    }

    /// The end of `doProbe`: count the result and say whether it is a verdict (K7..K10).
    pub(crate) fn finish(&mut self, attempt: InFlight) -> Option<Verdict> {
        self.in_flight = None;
        if attempt.result == ProbeResult::Errored {
            return None;
        }
        if self.last == attempt.result {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = attempt.result;
            self.run = 1;
        }
        let healthy = attempt.result == ProbeResult::Success;
        let threshold = if healthy {
            self.probe.success_threshold.max(1)
        } else {
            self.probe.timings.failure_threshold.max(1)
        };
        if self.run < threshold {
            return None;
        }
        let decisive =
            self.kind == ProbeKind::Startup || (self.kind == ProbeKind::Liveness && !healthy);
        if decisive {
            self.on_hold = true;
            self.run = 0;
        }
        Some(Verdict {
            life: attempt.life,
            healthy,
        })
    }

    /// The streak that an attempt with this result makes.
    pub(crate) fn streak_with(&self, result: ProbeResult) -> u32 {
        match result {
            ProbeResult::Errored => self.run,
            _ if result == self.last => self.run.saturating_add(1),
            _ => 1,
        }
    }
}
