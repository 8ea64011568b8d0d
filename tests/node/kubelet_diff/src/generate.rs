//! Configurations from a seed.
//!
//! Each [`Recipe`] is a shape; the seed draws its numbers. All moments are multiples of 500 ms (see [`crate::predict`]), and periods
//! are small, so that a life is short and the phases are few.

mod recipes;

use fastrand::Rng;
use probepilot_kubelet::{Answer, Answering, Container, Life, OnSigterm, Probe, Timings};

use crate::Config;

/// The seed unless another is asked for.
pub const SEED: u64 = 20_261_124;

/// One shape of configurations.
pub(crate) struct Recipe {
    /// Begins the names of its pods.
    pub(crate) name: &'static str,
    /// How many a full run has.
    pub(crate) count: usize,
    /// How many every run has.
    pub(crate) every_run: usize,
    /// Draws one.
    pub(crate) draw: fn(&mut Rng) -> Draft,
}

/// A configuration without a name.
pub(crate) struct Draft {
    pub(crate) container: Container,
    pub(crate) life: Life,
    /// Lives to see; `None`: it is to survive, so it is seen until no misreading of its probes could kill it any more.
    pub(crate) lives: Option<usize>,
    /// For how long at most, where the probes do not say it. Unit: seconds.
    pub(crate) observe_seconds: Option<u32>,
}

/// All configurations of a seed.
#[must_use]
pub fn generate(seed: u64) -> Vec<Config> {
    let mut rng = Rng::with_seed(seed);
    let mut configs = Vec::new();
    for recipe in recipes::ALL {
        for index in 0..recipe.count {
            let draft = (recipe.draw)(&mut rng);
            let name = format!("{}-{}", recipe.name, index + 1);
            configs.push(draft.named(name, index < recipe.every_run));
        }
    }
    configs
}

impl Draft {
    fn named(self, name: String, every_run: bool) -> Config {
        let lives = self.lives.unwrap_or(1);
        let longest_life_seconds = longest_life(&self.container, &self.life);
        let observe_seconds = self.observe_seconds.unwrap_or_else(|| {
            // And some seconds for each start.
            u32::try_from(lives).unwrap_or(1) * (longest_life_seconds + 5) + 5
        });
        Config {
            name,
            container: self.container,
            life: self.life,
            lives,
            observe_seconds,
            longest_life_seconds,
            every_run,
        }
    }
}

/// No kill is later, even if delay, period and timeout all came on top of one another. Unit: seconds.
fn longest_life(container: &Container, life: &Life) -> u32 {
    let of = |probe: &Probe| {
        let Timings {
            initial_delay_seconds: d,
            period_seconds: p,
            timeout_seconds: t,
            failure_threshold: f,
        } = probe.timings;
        let grace = match life.on_sigterm {
            OnSigterm::Ignored => probe
                .termination_grace_period_seconds
                .unwrap_or(container.termination_grace_period_seconds),
            OnSigterm::Exits { after_ms, .. } => u32::try_from(after_ms / 1000).unwrap_or(0),
        };
        d + f * p.max(t) + p + t + grace
    };
    let last_change_ms = life.answers.last().map_or(0, |entry| entry.from_ms);
    let probes: u32 = container
        .startup
        .iter()
        .chain(&container.liveness)
        .map(of)
        .sum();
    probes + u32::try_from(last_change_ms / 1000).unwrap_or(0)
}

/// `d/p/t/F` with this handler.
pub(crate) fn timings(d: u32, p: u32, t: u32, f: u32) -> Probe {
    Probe::from(Timings {
        initial_delay_seconds: d,
        period_seconds: p,
        timeout_seconds: t,
        failure_threshold: f,
    })
}

/// Answers in order: from when, what, after how long.
pub(crate) fn life(entries: &[(u64, Answer, u64)]) -> Life {
    let answers = entries
        .iter()
        .map(|&(from_ms, answer, latency_ms)| Answering {
            from_ms,
            answer,
            latency_ms,
        })
        .collect();
    Life {
        answers,
        ..Life::default()
    }
}
