//! The container's life in the kubelet's hands: start, status, exit, back-off.

use super::{Engine, Results};
use crate::backoff::Entry;
use crate::timeline::{EventKind, Exit, ExitCause, LifeRecord};
use crate::worker::Seen;

/// The kubelet's default syncFrequency: no wait for a back-off is longer in one piece.
const SYNC_FREQUENCY_MS: u64 = 60_000;

/// What the container runtime has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Runtime {
    /// To be started at this moment.
    Starting { at_ms: u64 },
    /// Running; it ends by itself at `exits_ms` (never: `u64::MAX`).
    Running { life: usize, exits_ms: u64 },
    /// In `killContainer`: the sync that kills also restarts (K12).
    Stopping {
        life: usize,
        sigterm_ms: Option<u64>,
        exit: Exit,
        restarts: bool,
        /// The newest exited container in the snapshot that the kill was decided on (K13).
        snapshot_ms: Option<u64>,
    },
    /// Ended by itself; the kubelet notices at this moment.
    Gone {
        life: usize,
        noticed_ms: u64,
        code: i32,
    },
    /// Waiting for the next sync.
    BackOff { retry_ms: u64 },
    /// Over.
    Done,
}

impl Runtime {
    pub(super) fn next_ms(self) -> u64 {
        match self {
            Self::Starting { at_ms } => at_ms,
            Self::Running { exits_ms, .. } => exits_ms,
            Self::Stopping {
                sigterm_ms, exit, ..
            } => sigterm_ms.unwrap_or(exit.at_ms).min(exit.at_ms),
            Self::Gone { noticed_ms, .. } => noticed_ms,
            Self::BackOff { retry_ms } => retry_ms,
            Self::Done => u64::MAX,
        }
    }
}

impl Engine {
    /// The life that the kubelet takes for running.
    pub(super) fn current_life(&self) -> Option<usize> {
        match self.runtime {
            Runtime::Running { life, .. } | Runtime::Gone { life, .. } => Some(life),
            _ => None,
        }
    }

    /// Lets the container's own events happen that are due, in order.
    pub(super) fn step_runtime(&mut self) {
        while self.runtime.next_ms() <= self.now_ms {
            match self.runtime {
                Runtime::Starting { .. } => self.start(),
                Runtime::Running { life, exits_ms } => self.exit_by_itself(life, exits_ms),
                Runtime::Stopping {
                    sigterm_ms: Some(at),
                    exit,
                    ..
                } if at <= exit.at_ms => self.send_sigterm(),
                Runtime::Stopping {
                    life,
                    exit,
                    restarts,
                    snapshot_ms,
                    ..
                } => {
                    self.end_life(life, exit);
                    if restarts {
                        self.restart_after_kill(snapshot_ms);
                    } else {
                        self.publish_not_running(life);
                        self.runtime = Runtime::Done;
                    }
                }
                Runtime::Gone { life, code, .. } => {
                    self.publish_not_running(life);
                    if self.container.restarts_after_exit(code) {
                        self.start_or_wait();
                    } else {
                        // K5: the worker ends with a container that will not be restarted.
                        self.runtime = Runtime::Done;
                        self.workers = [None, None, None];
                    }
                }
                Runtime::BackOff { .. } => self.start_or_wait(),
                Runtime::Done => return,
            }
        }
    }

    fn start(&mut self) {
        let life = self.lives;
        self.lives += 1;
        let now = self.now_ms;
        // The wall clock's second is cut off, so the report may lie before the first start.
        let cut = (now.saturating_add(self.wall_offset_ms) % 1000).cast_signed();
        let reported = now.cast_signed() - cut;
        self.timeline.lives.push(LifeRecord {
            started_ms: now,
            reported_started_ms: reported,
            became_started_ms: None,
            kill: None,
            exit: None,
            back_off_ms: 0,
        });
        self.record(EventKind::ContainerStarted { life });
        let exits_ms = self
            .behaviour
            .life(life)
            .and_then(|life| life.exit)
            .map_or(u64::MAX, |exit| now.saturating_add(exit.at_ms));
        self.runtime = Runtime::Running { life, exits_ms };
        let seen = Seen {
            life,
            running: true,
            started_at_ms: reported,
            started: false,
        };
        self.publishing
            .push_back((now.saturating_add(self.kubelet.status_lag_ms), seen));
    }

    /// The status manager learns of a change; `started` is computed when it does.
    pub(super) fn step_publishing(&mut self) {
        while let Some((at, seen)) = self.publishing.front().copied() {
            if at > self.now_ms {
                return;
            }
            self.publishing.pop_front();
            self.publish(seen);
        }
    }

    pub(super) fn publish(&mut self, mut seen: Seen) {
        let before = self.seen;
        let is_new = before.is_none_or(|before| before.life != seen.life);
        if is_new {
            self.results = Results::default();
            if self.kubelet.container_scoped_workers {
                let now = self.now_ms;
                self.create_workers(|_| now);
            }
        }
        seen.started = seen.running && self.is_container_started(seen, before);
        self.seen = Some(seen);
        if before.is_some_and(|before| before.started) != seen.started {
            self.record(EventKind::Started {
                started: seen.started,
            });
        }
        if seen.started {
            self.mark_started(seen.life);
        }
        self.trigger_readiness();
        self.update_ready();
    }

    /// prober_manager.go, `isContainerStarted`, after `convertToAPIContainerStatuses` (K14).
    fn is_container_started(&self, seen: Seen, before: Option<Seen>) -> bool {
        if let Some(passed) = self.results.startup_passed {
            return passed;
        }
        let inherits = before.is_some_and(|before| {
            before.started
                && (self.kubelet.started_inherited_by_name
                    || (self.kubelet.started_kept_on_kubelet_restart && before.life == seen.life))
        });
        inherits || self.container.startup.is_none()
    }

    fn publish_not_running(&mut self, life: usize) {
        if let Some(seen) = self.seen.filter(|seen| seen.life == life) {
            self.publish(Seen {
                running: false,
                ..seen
            });
        }
    }

    fn exit_by_itself(&mut self, life: usize, at_ms: u64) {
        let code = self
            .behaviour
            .life(life)
            .and_then(|life| life.exit)
            .map_or(0, |exit| exit.code);
        self.end_life(
            life,
            Exit {
                at_ms,
                code,
                cause: ExitCause::Own,
            },
        );
        self.runtime = Runtime::Gone {
            life,
            noticed_ms: at_ms.saturating_add(self.kubelet.status_lag_ms),
            code,
        };
    }

    fn end_life(&mut self, life: usize, exit: Exit) {
        self.last_finished_ms = Some(exit.at_ms);
        if let Some(record) = self.timeline.lives.get_mut(life) {
            record.exit = Some(exit);
        }
        self.record(EventKind::Exited(exit));
        for worker in self.workers.iter_mut().flatten() {
            worker.cut(life, exit.at_ms);
        }
    }

    fn send_sigterm(&mut self) {
        if let Runtime::Stopping { sigterm_ms, .. } = &mut self.runtime {
            *sigterm_ms = None;
        }
        self.record(EventKind::Sigterm);
    }

    /// K13: the sync that killed asks the back-off with what it knew before the kill.
    pub(super) fn restart_after_kill(&mut self, snapshot_ms: Option<u64>) {
        match snapshot_ms {
            None => self.begin_start(),
            Some(finished_ms) if self.waits_until(finished_ms).is_none() => {
                self.pass_back_off(finished_ms);
            }
            Some(_) => {
                if let Some(life) = self.lives.checked_sub(1) {
                    self.publish_not_running(life);
                }
                self.start_or_wait();
            }
        }
    }

    /// A sync that finds the container exited.
    fn start_or_wait(&mut self) {
        let Some(finished_ms) = self.last_finished_ms else {
            self.begin_start();
            return;
        };
        let Some(until_ms) = self.waits_until(finished_ms) else {
            self.pass_back_off(finished_ms);
            return;
        };
        let piece = (until_ms - self.now_ms).min(SYNC_FREQUENCY_MS);
        let jitter = u64::from(self.kubelet.sync_jitter_percent.min(50));
        let retry_ms = self.now_ms + piece + piece * jitter / 100;
        if !matches!(self.runtime, Runtime::BackOff { .. }) {
            self.record(EventKind::BackOff {
                delay_ms: self.back_off.map_or(0, |entry| entry.delay_ms),
                until_ms,
            });
        }
        self.runtime = Runtime::BackOff { retry_ms };
    }

    fn waits_until(&self, finished_ms: u64) -> Option<u64> {
        self.back_off?.waits_until(finished_ms, self.now_ms)
    }

    fn pass_back_off(&mut self, finished_ms: u64) {
        self.back_off = Some(Entry::next(
            self.back_off,
            self.kubelet.back_off,
            finished_ms,
            self.now_ms,
        ));
        self.begin_start();
    }

    fn begin_start(&mut self) {
        let now = self.now_ms;
        if let (Runtime::BackOff { .. }, Some(finished), Some(record)) = (
            self.runtime,
            self.last_finished_ms,
            self.timeline.lives.last_mut(),
        ) {
            record.back_off_ms = now - finished;
        }
        self.runtime = Runtime::Starting {
            at_ms: now.saturating_add(self.kubelet.start_cost_ms),
        };
    }
}
