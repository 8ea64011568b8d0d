//! The discrete-event engine: workers, container and kubelet in one loop.
//!
//! At one instant the container's own events come first, then what the kubelet publishes, then the
//! workers. So an answer that comes at the very moment of a deadline still counts.

mod disruption;
mod kill;
mod lifecycle;

use crate::backoff::Entry;
use crate::behaviour::{Behaviour, Reply};
use crate::container::{Container, ProbeKind};
use crate::kubelet::Kubelet;
use crate::scenario::{KubeletRestart, Scenario};
use crate::timeline::{Event, EventKind, Stop, Timeline};
use crate::worker::{Look, Seen, Verdict, Worker};
use lifecycle::Runtime;
use std::collections::VecDeque;

/// Runs a scenario. Equal scenarios give equal timelines.
#[must_use]
pub fn simulate(scenario: &Scenario) -> Timeline {
    let mut engine = Engine::new(scenario);
    engine.run(false);
    engine.timeline
}

/// Runs a scenario up to its first kill by a probe, and says what the run's course was: two runs
/// with the same course differ only in when things happened, not in what happened.
pub(crate) fn simulate_to_first_kill(scenario: &Scenario) -> (Timeline, u64) {
    let mut engine = Engine::new(scenario);
    engine.run(true);
    (engine.timeline, engine.course)
}

const KINDS: [ProbeKind; 3] = [
    ProbeKind::Startup,
    ProbeKind::Liveness,
    ProbeKind::Readiness,
];

pub(crate) struct Engine {
    container: Container,
    kubelet: Kubelet,
    behaviour: Behaviour,
    wall_offset_ms: u64,
    kubelet_restarts: VecDeque<KubeletRestart>,
    deleted_at_ms: Option<u64>,
    until_ms: u64,

    now_ms: u64,
    runtime: Runtime,
    lives: usize,
    deleted: bool,
    /// What the status manager shows, and what it will show once the lag has passed.
    seen: Option<Seen>,
    publishing: VecDeque<(u64, Seen)>,
    workers: [Option<Worker>; 3],
    results: Results,
    ready: bool,
    back_off: Option<Entry>,
    /// When the kubelet last restarted.
    kubelet_started_ms: Option<u64>,
    /// When the newest exited container finished.
    last_finished_ms: Option<u64>,
    timeline: Timeline,
    course: u64,
}

/// The results managers' entries for the container in view.
#[derive(Clone, Copy, Debug, Default)]
struct Results {
    /// `None` is Unknown or no entry.
    startup_passed: Option<bool>,
    liveness_failed: bool,
    readiness_passed: bool,
}

impl Engine {
    fn new(scenario: &Scenario) -> Self {
        let mut engine = Self {
            container: scenario.container,
            kubelet: scenario.kubelet,
            behaviour: scenario.behaviour.or_healthy(),
            wall_offset_ms: scenario.wall_offset_ms,
            kubelet_restarts: scenario.kubelet_restarts.iter().copied().collect(),
            deleted_at_ms: scenario.deleted_at_ms,
            until_ms: scenario.until_ms,
            now_ms: 0,
            runtime: Runtime::Starting { at_ms: 0 },
            lives: 0,
            deleted: false,
            seen: None,
            publishing: VecDeque::new(),
            workers: [None, None, None],
            results: Results::default(),
            ready: false,
            back_off: None,
            kubelet_started_ms: None,
            last_finished_ms: None,
            timeline: Timeline::default(),
            course: 0xcbf2_9ce4_8422_2325,
        };
        if !engine.kubelet.container_scoped_workers {
            engine.create_workers(|kind| scenario.phases.of(kind));
            engine.inherit_failures(scenario.inherited_failures);
        }
        engine
    }

    /// K1: one worker per probe.
    fn create_workers(&mut self, first_look_ms: impl Fn(ProbeKind) -> u64) {
        for (slot, kind) in self.workers.iter_mut().zip(KINDS) {
            *slot = self
                .container
                .probe(kind)
                .map(|probe| Worker::new(kind, *probe, first_look_ms(kind)));
        }
    }

    /// K10: the guard of the start finds what a predecessor left behind.
    fn inherit_failures(&mut self, failures: u32) {
        let guard = self.container.start_guard().map(|(kind, _)| kind);
        for worker in self.workers.iter_mut().flatten() {
            if failures > 0 && Some(worker.kind) == guard {
                worker.inherit_failures(failures);
            }
        }
    }

    fn run(&mut self, to_first_kill: bool) {
        loop {
            let next = self.next_ms();
            if next > self.until_ms {
                return;
            }
            self.now_ms = next;
            self.step_kubelet_restart();
            self.step_deletion();
            self.step_runtime();
            self.step_publishing();
            for slot in 0..self.workers.len() {
                self.step_worker(slot);
            }
            if to_first_kill && self.killed_by_probe() {
                return;
            }
        }
    }

    fn killed_by_probe(&self) -> bool {
        self.timeline
            .lives
            .last()
            .and_then(|life| life.kill)
            .is_some_and(|kill| matches!(kill.stop, Stop::Probe(_)))
    }

    fn next_ms(&self) -> u64 {
        let mut next = self.runtime.next_ms();
        if let Some((at, _)) = self.publishing.front() {
            next = next.min(*at);
        }
        if let Some(restart) = self.kubelet_restarts.front() {
            next = next.min(restart.at_ms);
        }
        if let Some(at) = self.deleted_at_ms {
            next = next.min(at);
        }
        for worker in self.workers.iter().flatten() {
            next = next.min(worker.wakes_ms());
        }
        next.max(self.now_ms)
    }

    fn record(&mut self, kind: EventKind) {
        self.timeline.events.push(Event {
            at_ms: self.now_ms,
            kind,
        });
    }

    /// Folds one decision into the course, as rustc's own hasher mixes words.
    fn note(&mut self, decision: u64) {
        self.course = (self.course.rotate_left(5) ^ decision).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn step_worker(&mut self, slot: usize) {
        // An attempt that takes no time ends at once and may be followed by an overdue tick.
        loop {
            let Some(worker) = &mut self.workers[slot] else {
                return;
            };
            if let Some(attempt) = worker.in_flight {
                if attempt.ends_ms > self.now_ms {
                    return;
                }
                // Ticks that passed meanwhile are lost but for one (K11).
                let _ = worker.ticker.advance(self.now_ms);
                let kind = worker.kind;
                let streak = worker.streak_with(attempt.result);
                let verdict = worker.finish(attempt);
                self.note(1 + attempt.reply as u64);
                self.record(EventKind::Attempt {
                    probe: kind,
                    began_ms: attempt.began_ms,
                    result: attempt.result,
                    reply: attempt.reply,
                    streak,
                });
                if let Some(verdict) = verdict {
                    self.judge(kind, verdict);
                }
            } else if worker.take_wake(self.now_ms) {
                let look = worker.look(self.now_ms, self.seen, self.deleted);
                self.follow(slot, look);
            } else {
                return;
            }
        }
    }

    fn follow(&mut self, slot: usize, look: Look) {
        match look {
            // Also a tick at which nothing happens is a comparison of two moments.
            Look::Idle(why) => self.note(0x200 + 16 * slot as u64 + why as u64),
            Look::End => self.workers[slot] = None,
            Look::NewContainer(then) => {
                self.meet_container(slot);
                self.follow(slot, *then);
            }
            Look::Probe => self.begin_attempt(slot),
        }
    }

    /// What a worker leaves in the results managers when it meets a container (K5).
    fn meet_container(&mut self, slot: usize) {
        let Some(worker) = &self.workers[slot] else {
            return;
        };
        if worker.kind != ProbeKind::Startup || self.results.startup_passed.is_some() {
            return;
        }
        let started = self.seen.is_some_and(|seen| seen.started);
        if self.survived_kubelet_restart() {
            // worker.go seeds a sidecar that had started with Success (k/k#136910).
            if self.container.sidecar && started {
                self.results.startup_passed = Some(true);
            }
            return;
        }
        // Unknown is a change, so the status manager is told `started = false`: the end of K14.
        self.set_started(false);
    }

    fn begin_attempt(&mut self, slot: usize) {
        let (Some(seen), Some(worker)) = (self.seen, &mut self.workers[slot]) else {
            return;
        };
        let (Some(record), Some(life)) = (
            self.timeline.lives.get(seen.life),
            self.behaviour.life(seen.life),
        ) else {
            return;
        };
        let started_ms = record.started_ms;
        let age_ms = self.now_ms.saturating_sub(started_ms);
        // A container that has ended, unnoticed yet, answers no more.
        let reply = if record.exit.is_some() {
            Reply::from_the_dead(worker.probe.handler, age_ms)
        } else {
            let redial_percent = self.kubelet.redial_percent(seen.life);
            life.reply(&worker.probe, redial_percent, age_ms)
        };
        worker.begin(seen.life, self.now_ms, started_ms, reply);
        let ticks = worker.ticker.count;
        self.note(0x100 + slot as u64);
        self.note(ticks);
        self.note(reply.index.map_or(0, |index| index as u64 + 1));
        self.note(u64::from(reply.redials));
    }

    /// K7, K9: what a verdict changes.
    fn judge(&mut self, kind: ProbeKind, verdict: Verdict) {
        if self.current_life() != Some(verdict.life) {
            return;
        }
        match (kind, verdict.healthy) {
            (ProbeKind::Startup, true) => {
                self.results.startup_passed = Some(true);
                self.set_started(true);
                self.trigger_readiness();
                if self.results.liveness_failed {
                    self.kill(Stop::Probe(ProbeKind::Liveness));
                }
            }
            (ProbeKind::Startup, false) => {
                self.results.startup_passed = Some(false);
                self.kill(Stop::Probe(ProbeKind::Startup));
            }
            (ProbeKind::Liveness, true) => self.results.liveness_failed = false,
            (ProbeKind::Liveness, false) => {
                self.results.liveness_failed = true;
                // kuberuntime_container.go: a sidecar's liveness waits for its startup result.
                let hidden = self.container.sidecar
                    && self.container.startup.is_some()
                    && self.results.startup_passed != Some(true);
                if !hidden {
                    self.kill(Stop::Probe(ProbeKind::Liveness));
                }
            }
            (ProbeKind::Readiness, passed) => {
                self.results.readiness_passed = passed;
                self.update_ready();
            }
        }
    }

    fn set_started(&mut self, started: bool) {
        if let Some(seen) = &mut self.seen
            && seen.started != started
        {
            seen.started = started;
            let life = seen.life;
            self.record(EventKind::Started { started });
            if started {
                self.mark_started(life);
            }
            self.update_ready();
        }
    }

    fn mark_started(&mut self, life: usize) {
        let now = self.now_ms;
        if let Some(record) = self.timeline.lives.get_mut(life) {
            record.became_started_ms.get_or_insert(now);
        }
    }

    fn update_ready(&mut self) {
        let passed = self.container.readiness.is_none() || self.results.readiness_passed;
        let ready = passed && self.seen.is_some_and(|seen| seen.running && seen.started);
        if ready != self.ready {
            self.ready = ready;
            self.record(EventKind::Ready { ready });
        }
    }

    /// K6: UpdatePodStatus triggers the readiness worker of a started container that is not ready.
    fn trigger_readiness(&mut self) {
        let started = self.seen.is_some_and(|seen| seen.running && seen.started);
        if started
            && !self.results.readiness_passed
            && let Some(worker) = &mut self.workers[2]
        {
            worker.trigger();
        }
    }
}
