//! A controller whose start follows a power of the count, in a cluster that grows.

use jiff::Timestamp;
use probepilot_policy::{MeasuredBy, Outcome, Start, StartKey, Template};

use crate::chance::Chance;

pub const HEADROOM_PERCENT: u32 = 50;

/// The key of all starts that do not say otherwise.
pub fn key() -> StartKey {
    let template = Template {
        image: "registry.example/controller:1.0",
        command: &[],
        args: &[],
        cpu_limit_milli: Some(500),
    };
    StartKey::of(template, &[])
}

/// The `number`th start.
pub fn start(number: usize, count: i64, seconds: u32, outcome: Outcome) -> Start {
    Start {
        started_at: Timestamp::from_second(1_800_000_000 + 60 * i64::try_from(number).unwrap())
            .unwrap(),
        seconds,
        measured_by: match outcome {
            Outcome::Healthy => MeasuredBy::ContainersReady,
            Outcome::Killed | Outcome::Exited => MeasuredBy::Terminated,
        },
        outcome,
        count,
        key: key(),
        cpu_limit: Some("500m".into()),
        own_write: false,
    }
}

/// How long starts take.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Seconds grow with the count to this power.
    pub exponent: f64,
    /// Deviation of ln(seconds).
    pub noise: f64,
    /// The count at the first start.
    pub smallest: f64,
    /// The count at the last start.
    pub largest: f64,
}

impl World {
    /// From 333 to 10,000 objects; a start varies by about a fifth.
    pub const fn growing(exponent: f64) -> Self {
        Self {
            exponent,
            noise: 0.2,
            smallest: 333.0,
            largest: 10_000.0,
        }
    }

    /// The median seconds of a start: 60 in the middle of the growth.
    pub fn median(&self, count: f64) -> f64 {
        let middle = (self.smallest * self.largest).sqrt();
        60.0 * (count / middle).powf(self.exponent)
    }

    /// The seconds of one start.
    pub fn start(&self, count: f64, chance: &mut Chance) -> f64 {
        self.median(count) * (self.noise * chance.normal()).exp()
    }

    /// The count at the `number`th of `of` starts: it grows by the same factor from each to the next,
    /// give or take 2 %.
    pub fn count(&self, number: usize, of: usize, chance: &mut Chance) -> f64 {
        let share = fraction(number, of - 1);
        let wobble = 1.0 + 0.04 * (chance.uniform() - 0.5);
        let count = self.smallest * (self.largest / self.smallest).powf(share) * wobble;
        count.clamp(self.smallest, self.largest).round()
    }

    /// Counts from the largest seen to three times that.
    pub fn counts_ahead(&self) -> [f64; 5] {
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (self.largest * 3_f64.powf(share)).round())
    }
}

/// Whole seconds until a healthy answer is seen.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test's own numbers, and the cast saturates"
)]
pub fn whole(seconds: f64) -> u32 {
    seconds.ceil() as u32
}

#[expect(clippy::cast_possible_truncation, reason = "a test's own numbers")]
pub fn objects(count: f64) -> i64 {
    count.round() as i64
}

#[expect(clippy::cast_precision_loss, reason = "a test's own numbers")]
pub fn fraction(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

/// The middle of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
