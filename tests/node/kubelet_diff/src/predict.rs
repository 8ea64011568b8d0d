//! What may happen to a configuration: for each history of a pod, how the next life may end, and when.
//!
//! The simulation is run for every value of what a real node leaves to chance, and the results are united. All of it
//! lies on a lattice of 500 ms:
//!
//! | chance | values | why these |
//! |---|---|---|
//! | phase of the workers (K1, K2) | all of the least common multiple of the periods | a ticker may stand anywhere |
//! | which of two workers ticks first | startup, or liveness a millisecond before it | they start together (K1) and their order is that of goroutines; a restarted container's liveness is probed once when it comes first (K14) |
//! | part of a second at which the container starts | 0 to 999 ms | `startedAt` is cut to the second (K2) |
//! | status lag | 0 to 1000 ms | the kubelet relists its containers every second (pkg/kubelet/pleg/generic.go) |
//! | cost of a start | 0 to 6000 ms | containerd and runc on a node that shares two cores with compilers; 4 s were seen |
//! | lateness of a sync after a back-off | 0 or 50 % | K13 |
//! | waits between the dials of a refused grpc probe | 80, 100 or 120 % in each life | grpc-go's jitter (K8) |
//! | the program's clock ahead of `startedAt` | 0 or 500 ms | containerd takes the time after `runc start` has returned |
//!
//! Since all moments of a configuration are multiples of the lattice, the course of a run can change only at a phase that
//! is one too; so each phase is tried on the lattice and a millisecond before the next point, and no border is missed.
//!
//! A worker's ticker outlives its container (K1), so how long a restart took decides where the ticks fall in the next life.
//! That time is the machine's and is seen, to the second; so a life is predicted for its [`Past`], which contains it.

use std::collections::{BTreeMap, BTreeSet};

use probepilot_kubelet::{
    Behaviour, Container, Event, EventKind, Handler, Kubelet, Life, LifeRecord, Phases, ProbeKind,
    Scenario, Stop, Timeline, simulate,
};
use serde::Serialize;

use crate::Config;
use crate::judge::LATE_MS;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum End {
    /// The kubelet killed it because of this probe.
    Killed(ProbeKind),
    /// By itself.
    Exited,
}

/// From the first to the last moment, both included, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Not before.
    pub earliest_ms: u64,
    /// Not after.
    pub latest_ms: u64,
}

impl Window {
    fn at(ms: u64) -> Self {
        Self {
            earliest_ms: ms,
            latest_ms: ms,
        }
    }

    fn include(window: &mut Option<Self>, ms: u64) {
        let seen = window.get_or_insert(Self::at(ms));
        seen.earliest_ms = seen.earliest_ms.min(ms);
        seen.latest_ms = seen.latest_ms.max(ms);
    }
}

/// One way for a life to end. Times count from `startedAt` as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// The kubelet's decision, which the Killing event carries.
    pub killed: Option<Window>,
    /// `finishedAt`.
    pub finished: Option<Window>,
    /// From `finishedAt` to the next life's `startedAt`, both true moments, not cut to seconds.
    pub until_next: Option<Window>,
    /// Exit codes.
    pub codes: BTreeSet<i32>,
}

/// What may become of one life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The ways to end.
    pub endings: BTreeMap<End, Ending>,
    /// Whether it may go on for ever.
    pub may_go_on: bool,
}

/// What is known of a container when it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Past {
    /// How all earlier lives ended.
    pub ends: Vec<End>,
    /// Whole seconds, as shown, from the decision that ended the last life (its Killing event, or its own end) to this start;
    /// `None` for a first life, and after a wait: then the ticks may fall anywhere.
    restarted_after: Option<i64>,
}

/// A restart that takes so long has waited. Unit: seconds.
const WAITED: i64 = 10;

impl Past {
    /// The past of the life that comes after one more end, so many shown seconds after it.
    pub fn then(&mut self, end: End, restarted_after: i64) {
        self.ends.push(end);
        self.restarted_after = (restarted_after < WAITED).then_some(restarted_after);
    }
}

/// What may become of a pod's container: the fate of each life, by its past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prediction {
    /// Every past that is possible.
    pub fates: BTreeMap<Past, Fate>,
}

const LATTICE_MS: u64 = 500;
const LONGEST_START_MS: u64 = 6000;
/// The union over all that is chance.
#[must_use]
pub fn predict(config: &Config) -> Prediction {
    // A life that begins while somebody looks and has not ended by then does not end.
    let until_ms = observed_ms(config) + u64::from(config.longest_life_seconds) * 1000;
    let mut prediction = Prediction::default();
    for chance in Chance::all(config) {
        let timeline = simulate(&chance.scenario(config, until_ms));
        prediction.add(&timeline, chance.start_cost_ms, config);
        let waits = |event: &Event| matches!(event.kind, EventKind::BackOff { .. });
        if timeline.events.iter().any(waits) {
            let late = Chance {
                sync_jitter_percent: 50,
                ..chance
            };
            let timeline = simulate(&late.scenario(config, until_ms));
            prediction.add(&timeline, late.start_cost_ms, config);
        }
    }
    prediction
}

fn observed_ms(config: &Config) -> u64 {
    u64::from(config.observe_seconds) * 1000
}

impl Prediction {
    /// The fate of a life with this past.
    #[must_use]
    pub fn fate(&self, past: &Past) -> Option<&Fate> {
        self.fates.get(past)
    }

    /// Whether a probe may kill any life.
    #[must_use]
    pub fn may_be_killed(&self) -> bool {
        self.fates
            .values()
            .any(|fate| fate.endings.keys().any(|end| matches!(end, End::Killed(_))))
    }

    fn add(&mut self, timeline: &Timeline, start_cost_ms: u64, config: &Config) {
        let observed_ms = observed_ms(config);
        let mut pasts = vec![Past::default()];
        // One life more may have begun when enough have ended.
        for (index, life) in timeline.lives.iter().enumerate().take(config.lives + 1) {
            // Later lives are beyond what is looked at, and may be cut off by the end of the run.
            if life.started_ms > observed_ms {
                return;
            }
            let next = timeline.lives.get(index + 1);
            let end = end_of(life);
            for past in &pasts {
                let fate = self.fates.entry(past.clone()).or_default();
                match end {
                    Some(end) => {
                        let ending = fate.endings.entry(end).or_default();
                        ending.add(life, next, start_cost_ms);
                    }
                    None => fate.may_go_on = true,
                }
            }
            let (Some(end), Some(next)) = (end, next) else {
                return;
            };
            pasts = pasts_after(&pasts[0], end, decided_ms(life), next);
        }
    }
}

/// The pasts of a life as they may be shown: the time between two moments that are each cut to the second may be shown as
/// anything less than a second away from it. And the decision may come [`LATE_MS`] after the tick that it follows from,
/// which makes the restart look as much shorter.
fn pasts_after(past: &Past, end: End, decided_ms: u64, next: &LifeRecord) -> Vec<Past> {
    let took_ms = next.started_ms.saturating_sub(decided_ms);
    let from = took_ms.saturating_sub(1000 + LATE_MS).div_ceil(1000);
    let to = (took_ms + 1000) / 1000;
    let mut pasts: Vec<Past> = (from..=to)
        .map(|shown| {
            let mut past = past.clone();
            past.then(end, i64::try_from(shown).unwrap_or(i64::MAX));
            past
        })
        .collect();
    pasts.dedup();
    pasts
}

/// When it was decided that this life is over.
fn decided_ms(life: &LifeRecord) -> u64 {
    let by_itself = life.exit.map_or(life.started_ms, |exit| exit.at_ms);
    life.kill.map_or(by_itself, |kill| kill.at_ms)
}

fn end_of(life: &LifeRecord) -> Option<End> {
    life.exit?;
    Some(match life.kill.map(|kill| kill.stop) {
        Some(Stop::Probe(kind)) => End::Killed(kind),
        _ => End::Exited,
    })
}

impl Ending {
    fn add(&mut self, life: &LifeRecord, next: Option<&LifeRecord>, start_cost_ms: u64) {
        let since_start = |ms: u64| {
            let since = ms.cast_signed() - life.reported_started_ms;
            u64::try_from(since).unwrap_or(0)
        };
        if let Some(kill) = life.kill {
            Window::include(&mut self.killed, since_start(kill.at_ms));
        }
        if let Some(exit) = life.exit {
            Window::include(&mut self.finished, since_start(exit.at_ms));
            self.codes.insert(exit.code);
            if let Some(next) = next {
                // Each start takes its own time, whatever the one before took.
                let waited_ms = (next.started_ms - exit.at_ms).saturating_sub(start_cost_ms);
                Window::include(&mut self.until_next, waited_ms);
                Window::include(&mut self.until_next, waited_ms + LONGEST_START_MS);
            }
        }
    }
}

/// One draw of all that is chance.
#[derive(Clone, Copy, Debug)]
struct Chance {
    offset_ms: u64,
    wall_offset_ms: u64,
    status_lag_ms: u64,
    start_cost_ms: u64,
    sync_jitter_percent: u32,
    ahead_ms: u64,
    redial_percents: [u32; 3],
    liveness_first: bool,
}

impl Chance {
    fn all(config: &Config) -> Vec<Self> {
        let period_ms = common_period_ms(&config.container);
        let offsets: Vec<u64> = (0..period_ms)
            .step_by(usize::try_from(LATTICE_MS).unwrap_or(1))
            .flat_map(|ms| [ms, ms + LATTICE_MS - 1])
            .collect();
        // What cannot make a difference is not varied.
        let has_clock = config.life.exit.is_some() || config.life.answers.len() > 1;
        let ahead: &[u64] = if has_clock { &[0, LATTICE_MS] } else { &[0] };
        let redials = if has_clock && has_grpc(&config.container) {
            each_life([80, 100, 120])
        } else {
            vec![[100; 3]]
        };
        let orders: &[bool] = if config
            .container
            .startup
            .and(config.container.liveness)
            .is_some()
        {
            &[false, true]
        } else {
            &[false]
        };
        let mut all = Vec::new();
        for &offset_ms in &offsets {
            for wall_offset_ms in [0, 500, 999] {
                for status_lag_ms in [0, 500, 1000] {
                    for start_cost_ms in (0..=LONGEST_START_MS).step_by(500) {
                        for &ahead_ms in ahead {
                            let both = redials.iter().flat_map(|&redial_percents| {
                                orders
                                    .iter()
                                    .map(move |&liveness_first| (redial_percents, liveness_first))
                            });
                            all.extend(both.map(|(redial_percents, liveness_first)| Self {
                                offset_ms,
                                wall_offset_ms,
                                status_lag_ms,
                                start_cost_ms,
                                sync_jitter_percent: 0,
                                ahead_ms,
                                redial_percents,
                                liveness_first,
                            }));
                        }
                    }
                }
            }
        }
        all
    }

    fn scenario(self, config: &Config, until_ms: u64) -> Scenario {
        let kubelet = Kubelet {
            status_lag_ms: self.status_lag_ms,
            start_cost_ms: self.start_cost_ms,
            sync_jitter_percent: self.sync_jitter_percent,
            redial_percents: self.redial_percents,
            ..Kubelet::default()
        };
        let behaviour = Behaviour::always(ahead(&config.life, self.ahead_ms));
        let period_ms = common_period_ms(&config.container);
        let ahead_by_ms = (period_ms - self.offset_ms) % period_ms;
        let mut phases = Phases::workers_ahead_by(&config.container, ahead_by_ms);
        if let Some(startup) = config.container.startup.filter(|_| self.liveness_first) {
            phases.startup_ms =
                (phases.startup_ms + 1) % (u64::from(startup.timings.period_seconds) * 1000);
        }
        let mut scenario =
            Scenario::new(config.container, kubelet, behaviour, until_ms).with_phases(phases);
        scenario.wall_offset_ms = self.wall_offset_ms;
        scenario
    }
}

/// Each of these in each of three lives: one life's draw says nothing of the next.
fn each_life(values: [u32; 3]) -> Vec<[u32; 3]> {
    let pairs = values.into_iter().flat_map(|a| values.map(|b| (a, b)));
    pairs.flat_map(|(a, b)| values.map(|c| [a, b, c])).collect()
}

/// The same life on a clock that is so much ahead.
fn ahead(life: &Life, by_ms: u64) -> Life {
    let mut life = life.clone();
    for entry in &mut life.answers {
        entry.from_ms = entry.from_ms.saturating_sub(by_ms);
    }
    if let Some(exit) = &mut life.exit {
        exit.at_ms = exit.at_ms.saturating_sub(by_ms);
    }
    life
}

fn has_grpc(container: &Container) -> bool {
    let mut probes = container.startup.iter().chain(&container.liveness);
    probes.any(|probe| probe.handler == Handler::Grpc)
}

fn common_period_ms(container: &Container) -> u64 {
    [container.startup, container.liveness]
        .into_iter()
        .flatten()
        .map(|probe| u64::from(probe.timings.period_seconds) * 1000)
        .fold(1000, least_common_multiple)
}

fn least_common_multiple(a: u64, b: u64) -> u64 {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    a / divisor * b
}
