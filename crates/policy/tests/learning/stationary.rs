//! A target whose starts never change makes learning write once or twice, not for ever.

use probepilot_policy::{Outcome, Starts, recommendation};

use crate::chance::Chance;
use crate::world::{HEADROOM_PERCENT, World, key, objects, start, whole};

const DAYS: usize = 1_000;

struct Case {
    name: &'static str,
    count: f64,
    /// Largest change of the count, in parts of it.
    sway: f64,
    noise: f64,
    /// Part of the starts that are a standby's, ten times as fast.
    standby: f64,
    /// Part of the starts that are cut off before their end.
    cut: f64,
    budget: u32,
}

/// Writes in 1,000 days of one start a day, by the rule of design, section 6: nothing while the
/// budget covers the bare need, then the need with headroom.
fn writes(case: &Case, seed: u64) -> usize {
    let mut chance = Chance::new(seed);
    let world = World {
        noise: case.noise,
        ..World::growing(0.0)
    };
    let (mut starts, mut budget, mut writes) = (Starts::default(), case.budget, 0);
    for day in 0..DAYS {
        let count = objects(case.count * (1.0 + case.sway * (2.0 * chance.uniform() - 1.0)));
        let standby = chance.uniform() < case.standby;
        let seconds = world.start(1.0, &mut chance) / if standby { 10.0 } else { 1.0 };
        let cut = chance.uniform() < case.cut;
        let (seconds, outcome) = if cut {
            (seconds * chance.uniform(), Outcome::Killed)
        } else {
            (seconds, Outcome::Healthy)
        };
        starts.record(start(day, count, whole(seconds), outcome));
        let learned = recommendation(&starts, &key(), count, HEADROOM_PERCENT);
        let need = learned.need().unwrap();
        if !need.covered_by(budget) {
            budget = need.seconds;
            writes += 1;
        }
    }
    writes
}

#[test]
fn a_thousand_days_of_noise_cause_at_most_two_writes() {
    let usual = Case {
        name: "a fifth of noise",
        count: 3_000.0,
        sway: 0.05,
        noise: 0.2,
        standby: 0.0,
        cut: 0.0,
        budget: 40,
    };
    let cases = [
        Case {
            name: "half the noise",
            noise: 0.1,
            ..usual
        },
        Case {
            name: "more noise",
            noise: 0.3,
            ..usual
        },
        Case {
            name: "a count on the border of two doublings",
            count: 4_096.0,
            ..usual
        },
        Case {
            name: "a count that sways by a third",
            sway: 0.33,
            ..usual
        },
        Case {
            name: "leader and standby",
            standby: 0.5,
            ..usual
        },
        Case {
            name: "a third cut off",
            cut: 0.33,
            ..usual
        },
        usual,
    ];
    for case in cases {
        for seed in [1, 2] {
            let writes = writes(&case, seed);
            assert!((1..=2).contains(&writes), "{}: {writes} writes", case.name);
        }
    }
}
