//! The exact result over all phases of the probe workers.
//!
//! The phase is a continuous unknown, but only finitely many things can happen: each decision of
//! the run compares two moments, and each moment is either fixed or moves one to one with the
//! phase. So the phases that lead to one course of events form an interval, and within it the kill
//! moves in a straight line. Bisection finds the borders of these intervals to the millisecond,
//! and no phase goes unseen: where both ends of an interval have the same course, all of it has.

use crate::behaviour::{Behaviour, Life};
use crate::container::{Container, ProbeKind};
use crate::engine::simulate_to_first_kill;
use crate::kubelet::Kubelet;
use crate::scenario::{Phases, Scenario};
use crate::timeline::Stop;
use serde::{Deserialize, Serialize};

/// Phases with one course of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Piece {
    /// The first phase, in milliseconds: the workers tick first this long after the start, each
    /// modulo its own period.
    pub from_ms: u64,
    /// The last phase in whole milliseconds, included.
    pub to_ms: u64,
    /// The kill by a probe in this piece, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<PieceKill>,
}

impl Piece {
    /// How much of the sweep it covers, in milliseconds.
    #[must_use]
    pub fn width_ms(&self) -> u64 {
        self.to_ms - self.from_ms + 1
    }
}

/// The kill within a piece: it moves in a straight line from one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PieceKill {
    /// The probe that kills.
    pub probe: ProbeKind,
    /// Its moment at the first phase, from the container's start.
    pub at_from_ms: u64,
    /// Its moment at the last phase.
    pub at_to_ms: u64,
}

impl PieceKill {
    /// The least moment that no kill of this piece passes: phases go on between milliseconds.
    #[must_use]
    pub fn latest_ms(&self, piece: &Piece) -> u64 {
        let moves = piece.from_ms == piece.to_ms || self.at_from_ms != self.at_to_ms;
        self.at_to_ms.saturating_add(u64::from(moves))
    }
}

/// What happens to a first life over all phases, up to its first kill by a probe or `until_ms`.
///
/// The pieces cover `[0, L)` in order without a gap, `L` being the least common multiple of the
/// periods of all probes: workers of one container start together (K1). Workers that live and die
/// with the container know only one phase.
#[must_use]
pub fn sweep(
    container: &Container,
    kubelet: &Kubelet,
    life: &Life,
    inherited_failures: u32,
    until_ms: u64,
) -> Vec<Piece> {
    let mut scenario = Scenario::new(
        *container,
        *kubelet,
        Behaviour::always(life.clone()),
        until_ms,
    );
    scenario.inherited_failures = inherited_failures;
    let mut run = |offset_ms| {
        scenario.phases = Phases::workers_behind_by(container, offset_ms);
        let (timeline, course) = simulate_to_first_kill(&scenario);
        let kill = timeline.first_kill().and_then(|kill| match kill.stop {
            Stop::Probe(probe) => Some((probe, kill.at_ms)),
            Stop::Deletion => None,
        });
        // A ticker that is moved by a whole period stands where it stood: there the line breaks.
        let wraps = periods_ms(container).map(|period_ms| offset_ms / period_ms);
        Run {
            offset_ms,
            course: (course, wraps),
            kill,
        }
    };
    let last = if kubelet.container_scoped_workers {
        0
    } else {
        length_ms(container).saturating_sub(1)
    };
    let (first, last) = (run(0), run(last));
    let mut borders = vec![first];
    split(&mut run, first, last, &mut borders);
    merge(&borders)
}

/// What happened, and how often each ticker went round.
type Course = (u64, [u64; 3]);

#[derive(Clone, Copy)]
struct Run {
    offset_ms: u64,
    course: Course,
    kill: Option<(ProbeKind, u64)>,
}

/// Appends the last run of each course and the first of the next one, up to and with `to`.
fn split(run: &mut impl FnMut(u64) -> Run, from: Run, to: Run, borders: &mut Vec<Run>) {
    let mut stack = vec![(from, to)];
    while let Some((from, to)) = stack.pop() {
        if from.course == to.course || to.offset_ms - from.offset_ms <= 1 {
            borders.push(to);
            continue;
        }
        let middle = run(from.offset_ms + (to.offset_ms - from.offset_ms) / 2);
        stack.push((middle, to));
        stack.push((from, middle));
    }
}

/// Joins neighbouring runs of one course into pieces.
fn merge(runs: &[Run]) -> Vec<Piece> {
    let mut pieces: Vec<(Course, Piece)> = Vec::new();
    for run in runs {
        match pieces.last_mut() {
            Some((course, piece)) if *course == run.course => {
                piece.to_ms = run.offset_ms;
                if let (Some(kill), Some((_, at_ms))) = (&mut piece.kill, run.kill) {
                    kill.at_to_ms = at_ms;
                }
            }
            _ => pieces.push((
                run.course,
                Piece {
                    from_ms: run.offset_ms,
                    to_ms: run.offset_ms,
                    kill: run.kill.map(|(probe, at_ms)| PieceKill {
                        probe,
                        at_from_ms: at_ms,
                        at_to_ms: at_ms,
                    }),
                },
            )),
        }
    }
    pieces.into_iter().map(|(_, piece)| piece).collect()
}

/// The least common multiple of all periods.
fn length_ms(container: &Container) -> u64 {
    periods_ms(container)
        .into_iter()
        .filter(|period_ms| *period_ms != u64::MAX)
        .fold(1, least_common_multiple)
}

/// The periods of the three probes; of one that is not there: one that no phase ever fills.
fn periods_ms(container: &Container) -> [u64; 3] {
    [container.startup, container.liveness, container.readiness]
        .map(|probe| probe.map_or(u64::MAX, |probe| probe.timings.period_ms()))
}

fn least_common_multiple(a: u64, b: u64) -> u64 {
    fn divisor(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { divisor(b, a % b) }
    }
    (a / divisor(a, b)).saturating_mul(b)
}
