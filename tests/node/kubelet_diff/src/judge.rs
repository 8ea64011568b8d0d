//! Prediction against observation.
//!
//! Tolerance, from first principles. The API cuts `startedAt`, `finishedAt` and the time of an event to whole seconds. The
//! worker reads `startedAt` from the same cut status, and the prediction counts from it too, so a moment `m` after it is
//! shown as `floor(m)` and nothing is to be added: the earliest second is `floor(earliest)`, exactly. The time from one
//! shown moment to another shown one (`finishedAt` to the next `startedAt`) can be shown a second longer than it is.
//!
//! The simulated kubelet acts in no time, the real one does not: a look of a worker, an attempt, the sync that acts on a
//! verdict and containerd's part of the kill each wait for a processor. All of that makes things later, never earlier, so
//! the late end alone has a slack, [`LATE_MS`]; the report says how often it was needed.

use probepilot_kubelet::ProbeKind;
use serde::Serialize;

use crate::Config;
use crate::observe::{Seen, SeenKill, SeenLife};
use crate::predict::{End, Ending, Fate, Past, Prediction, Window};

/// How much later than the simulated one the real kubelet may act on a busy node of two cores.
pub const LATE_MS: u64 = 1_000;
/// How old the news of a container's end may be: a relist each second, a sync, and both times cut. Unit: seconds.
const NEWS_SECONDS: i64 = 3;

/// One life, predicted and seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Which life, from 1.
    pub life: usize,
    /// How it ended; `None`: it did not.
    pub end: Option<End>,
    /// What was predicted for this end; `None`: the end itself was not.
    pub predicted: Option<Ending>,
    /// Whether it was predicted that it may go on.
    pub may_go_on: bool,
    /// Whole seconds from `startedAt` to the Killing event.
    pub killed: Option<i64>,
    /// Whole seconds from `startedAt` to `finishedAt`; for a life that goes on, its age.
    pub lasted: i64,
    /// Exit code.
    pub code: Option<i32>,
    /// Whole seconds from `finishedAt` to the next `startedAt`.
    pub until_next: Option<i64>,
    /// What does not fit; empty if all does.
    pub mismatches: Vec<String>,
    /// Moments that lay beyond the predicted window by no more than the slack.
    pub late: usize,
}

/// All lives of one pod.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Judged {
    /// One row a life.
    pub rows: Vec<Row>,
    /// What does not fit, beyond single lives.
    pub mismatches: Vec<String>,
}

impl Judged {
    /// Whether all that was seen is among what was predicted.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.all_mismatches().next().is_none()
    }

    /// Everything that does not fit.
    pub fn all_mismatches(&self) -> impl Iterator<Item = String> + '_ {
        let of_lives = self.rows.iter().flat_map(|row| {
            row.mismatches
                .iter()
                .map(|mismatch| format!("life {}: {mismatch}", row.life))
        });
        of_lives.chain(self.mismatches.iter().cloned())
    }
}

/// Compares. `now` is when `seen` was read, in whole seconds since 1970.
#[must_use]
pub fn judge(config: &Config, prediction: &Prediction, seen: &Seen, now: i64) -> Judged {
    let mut past = Past::default();
    let mut rows = Vec::new();
    let mut kills = seen.kills.iter().copied().peekable();
    let nothing = Fate::default();
    for (index, life) in seen.lives.iter().enumerate() {
        let fate = prediction.fate(&past).unwrap_or(&nothing);
        // In order of time: a life may begin in the very second in which its predecessor was killed.
        let next = seen.lives.get(index + 1);
        let kill = kills.next_if(|kill| is_of(*kill, life, next));
        let row = judge_life(index, life, kill, next, fate, now);
        if let (Some(end), Some(next)) = (row.end, next) {
            let decided = row.killed.unwrap_or(row.lasted) + life.started;
            past.then(end, next.started - decided);
        }
        rows.push(row);
    }
    let mut mismatches = whole(config, seen);
    mismatches.extend(kills.map(|kill| format!("the Killing event at {} is of no life", kill.at)));
    Judged { rows, mismatches }
}

/// What the whole of a pod must satisfy for its lives to be judged at all.
fn whole(config: &Config, seen: &Seen) -> Vec<String> {
    let mut mismatches = Vec::new();
    let mut demand = |holds: bool, otherwise: String| {
        if !holds {
            mismatches.push(otherwise);
        }
    };
    let lives = seen.lives.len();
    demand(lives > 0, "its container was never seen running".to_owned());
    let restarts = usize::try_from(seen.restarts).unwrap_or(usize::MAX);
    demand(
        restarts + 1 == lives.max(1),
        format!("{lives} lives seen, but restartCount is {restarts}"),
    );
    let counted = usize::try_from(seen.kills_counted).unwrap_or(usize::MAX);
    let kills = seen.kills.len();
    demand(
        counted == kills,
        format!("{kills} Killing events seen, but they count {counted}"),
    );
    // The kubelet's spam filter swallows the events of later lives (facts: 25 events, 4 a life).
    demand(
        config.lives <= 6,
        "more than six lives leave no events".to_owned(),
    );
    mismatches
}

/// Whether this kill is of this life. A worker that has not heard yet of a container's own end probes it once more, and the
/// kubelet then kills what is gone already.
fn is_of(kill: SeenKill, life: &SeenLife, next: Option<&SeenLife>) -> bool {
    let until = life.finished.map(|finished| {
        let known = next.map_or(i64::MAX, |next| next.started).max(finished);
        known.min(finished + NEWS_SECONDS)
    });
    life.started <= kill.at && until.is_none_or(|until| kill.at <= until)
}

fn judge_life(
    index: usize,
    life: &SeenLife,
    kill: Option<SeenKill>,
    next: Option<&SeenLife>,
    fate: &Fate,
    now: i64,
) -> Row {
    let end = life
        .finished
        .map(|_| kill.map_or(End::Exited, |kill| End::Killed(kill.probe)));
    let mut row = Row {
        life: index + 1,
        end,
        predicted: None,
        may_go_on: fate.may_go_on,
        killed: kill.map(|kill| kill.at - life.started),
        lasted: life.finished.unwrap_or(now) - life.started,
        code: life.code,
        until_next: life
            .finished
            .and_then(|finished| next.map(|next| next.started - finished)),
        mismatches: Vec::new(),
        late: 0,
    };
    match end {
        None => row.must_be_allowed_to_go_on(fate),
        Some(end) => match fate.endings.get(&end) {
            None => row.mismatches.push(format!(
                "{} was not predicted; {}",
                name(end),
                options(fate)
            )),
            Some(ending) => {
                row.predicted = Some(ending.clone());
                row.must_fit(&ending.clone());
            }
        },
    }
    row
}

impl Row {
    fn must_be_allowed_to_go_on(&mut self, fate: &Fate) {
        let latest_ms = fate
            .endings
            .values()
            .filter_map(|ending| ending.finished)
            .map(|window| window.latest_ms)
            .max();
        let latest = latest_ms.map_or(0, |ms| seconds(ms + LATE_MS)) + NEWS_SECONDS;
        if !fate.may_go_on && self.lasted > latest {
            self.mismatches.push(format!(
                "runs for {} s already; {}",
                self.lasted,
                options(fate)
            ));
        }
    }

    fn must_fit(&mut self, ending: &Ending) {
        let (killed, lasted, until_next) = (self.killed, self.lasted, self.until_next);
        self.check("killed", killed, ending.killed, 0);
        self.check("finished", Some(lasted), ending.finished, 0);
        // Between two moments that are each cut to the second.
        self.check("started again", until_next, ending.until_next, 999);
        if self.code.is_some_and(|code| !ending.codes.contains(&code)) {
            self.mismatches.push(format!(
                "exit code {:?}, predicted {:?}",
                self.code, ending.codes
            ));
        }
    }

    fn check(&mut self, what: &str, seen: Option<i64>, window: Option<Window>, cut_ms: u64) {
        let Some(seen) = seen else { return };
        let Some(window) = window else {
            self.mismatches
                .push(format!("{what} after {seen} s, predicted: never"));
            return;
        };
        let (earliest, latest) = (
            seconds(window.earliest_ms),
            seconds(window.latest_ms + cut_ms),
        );
        let with_slack = seconds(window.latest_ms + cut_ms + LATE_MS);
        if seen < earliest || seen > with_slack {
            self.mismatches.push(format!(
                "{what} after {seen} s, predicted {} to {} ms",
                window.earliest_ms, window.latest_ms
            ));
        } else if seen > latest {
            self.late += 1;
        }
    }
}

fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}

/// An end in words.
#[must_use]
pub fn name(end: End) -> &'static str {
    match end {
        End::Killed(ProbeKind::Startup) => "startup kill",
        End::Killed(ProbeKind::Liveness) => "liveness kill",
        End::Killed(ProbeKind::Readiness) => "readiness kill",
        End::Exited => "own exit",
    }
}

/// What was predicted instead.
fn options(fate: &Fate) -> String {
    let mut options: Vec<String> = fate
        .endings
        .iter()
        .map(|(end, ending)| match ending.killed.or(ending.finished) {
            Some(window) => format!(
                "{} after {} to {} ms",
                name(*end),
                window.earliest_ms,
                window.latest_ms
            ),
            None => name(*end).to_owned(),
        })
        .collect();
    if fate.may_go_on {
        options.push("no end".to_owned());
    }
    if options.is_empty() {
        options.push("no such life".to_owned());
    }
    format!("predicted: {}", options.join(", or "))
}
