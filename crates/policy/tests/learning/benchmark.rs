//! Learning against what people do without it.
//!
//! The table is printed with `cargo test -p probepilot-policy --test learning benchmark -- --nocapture`.

use probepilot_policy::{Outcome, Starts, recommendation};

use crate::chance::Chance;
use crate::world::{HEADROOM_PERCENT, World, fraction, key, median, objects, start, whole};

const SEEDS: u64 = 20;
const STARTS: usize = 40;
/// Lives of a start after which nobody waits any longer.
const LIVES: usize = 6;
/// The guaranteed budget of the chart this project was made for: 30 + (2 - 1) * 10.
const CHART_DEFAULT: u32 = 40;

/// Where the budget comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ChartDefault,
    /// One value, twice what the largest cluster needed when somebody looked.
    HandTuned,
    /// So many seconds for each thousand objects, one and a half times what was needed in the middle.
    PerThousand,
    /// The chart's, and twice the length of each life that it killed.
    DoubleOnKill,
    /// The same, and learning: the budget in force, which is only written once the bare need exceeds
    /// it.
    Learned,
    /// The same, and what is recommended at each count, written or not.
    Recommended,
}

struct Target {
    way: Way,
    world: World,
    budget: u32,
    starts: Starts,
    lives: usize,
    kills: usize,
    writes: usize,
}

impl Target {
    fn new(way: Way, world: World) -> Self {
        Self {
            way,
            world,
            budget: CHART_DEFAULT,
            starts: Starts::default(),
            lives: 0,
            kills: 0,
            writes: 0,
        }
    }

    /// The budget at a count.
    fn budget(&mut self, count: f64) -> u32 {
        let wanted = match self.way {
            Way::ChartDefault | Way::DoubleOnKill => self.budget,
            Way::HandTuned => whole(2.0 * self.world.median(self.world.largest)),
            Way::PerThousand => {
                let middle = (self.world.smallest * self.world.largest).sqrt();
                let per_thousand = 1.5 * self.world.median(middle) / middle * 1000.0;
                CHART_DEFAULT.max(whole(per_thousand * count / 1000.0))
            }
            Way::Learned | Way::Recommended => {
                let learned =
                    recommendation(&self.starts, &key(), objects(count), HEADROOM_PERCENT);
                match learned.need() {
                    Some(need) if !need.covered_by(self.budget) => need.seconds,
                    _ => self.budget,
                }
            }
        };
        if wanted != self.budget && (self.way != Way::PerThousand || wanted > self.budget) {
            // A rule with seconds per thousand has the hysteresis of design, section 6, as well.
            self.writes += 1;
            self.budget = match self.way {
                Way::PerThousand => wanted + wanted.div_ceil(4),
                _ => wanted,
            };
        }
        self.budget
    }

    /// What would be in force at a count that is reached without another start.
    fn ask(&mut self, count: f64) -> u32 {
        if self.way != Way::Recommended {
            return self.budget(count);
        }
        let learned = recommendation(&self.starts, &key(), objects(count), HEADROOM_PERCENT);
        learned.need().unwrap().seconds
    }

    fn live(&mut self, count: f64, seconds: u32, outcome: Outcome) {
        let start = start(self.lives, objects(count), seconds, outcome);
        self.starts.record(start);
        self.lives += 1;
    }

    /// One start, with the lives it takes.
    fn start(&mut self, count: f64, chance: &mut Chance) {
        for _ in 0..LIVES {
            let seconds = whole(self.world.start(count, chance));
            let budget = self.budget(count);
            if seconds <= budget {
                self.live(count, seconds, Outcome::Healthy);
                return;
            }
            self.kills += 1;
            self.live(count, budget, Outcome::Killed);
            if matches!(
                self.way,
                Way::DoubleOnKill | Way::Learned | Way::Recommended
            ) {
                self.writes += 1;
                self.budget = 2 * budget;
            }
        }
    }
}

struct Found {
    covered: f64,
    ratio: f64,
    kills: f64,
    writes: f64,
}

fn measure(way: Way, exponent: f64) -> Found {
    let world = World::growing(exponent);
    let (mut covered, mut next, mut kills, mut writes) = (0, 0, 0, 0);
    let mut ratios = Vec::new();
    for seed in 0..SEEDS {
        let mut chance = Chance::new(1 + seed * 7919);
        let mut target = Target::new(way, world);
        for number in 0..STARTS {
            let count = world.count(number, STARTS, &mut chance);
            target.start(count, &mut chance);
        }
        kills += target.kills;
        writes += target.writes;
        for count in world.counts_ahead() {
            let ask = f64::from(target.ask(count));
            ratios.push(ask / world.median(count));
            for _ in 0..5 {
                covered += usize::from(world.start(count, &mut chance) <= ask);
                next += 1;
            }
        }
    }
    let runs = usize::try_from(SEEDS).unwrap();
    Found {
        covered: 100.0 * fraction(covered, next),
        ratio: median(ratios),
        kills: fraction(kills, runs),
        writes: fraction(writes, runs),
    }
}

const WAYS: [Way; 6] = [
    Way::ChartDefault,
    Way::HandTuned,
    Way::PerThousand,
    Way::DoubleOnKill,
    Way::Learned,
    Way::Recommended,
];

#[test]
fn only_learning_covers_every_exponent_with_little() {
    println!(
        "{:<14} {:>4} {:>10} {:>9} {:>7} {:>7}",
        "way", "exp.", "covered %", "ask/need", "kills", "writes"
    );
    let mut good = WAYS.map(|_| 0);
    for exponent in [0.0, 0.5, 1.0, 1.5, 2.0] {
        let found = WAYS.map(|way| measure(way, exponent));
        for ((way, found), good) in WAYS.iter().zip(&found).zip(&mut good) {
            println!(
                "{:<14} {exponent:>4.1} {:>10.1} {:>9.2} {:>7.1} {:>7.1}",
                format!("{way:?}"),
                found.covered,
                found.ratio,
                found.kills,
                found.writes,
            );
            *good += usize::from(found.covered >= 95.0 && found.ratio < 3.0);
        }
        let [default, _, _, doubled, learned, _] = found;
        assert!(learned.kills <= doubled.kills && doubled.kills < default.kills);
        // Until the first start was seen nobody can know.
        assert!(learned.kills < 1.5, "{}", learned.kills);
        // What is in force may be a little short: it is only written once the need exceeds it.
        assert!(learned.covered >= 90.0, "{}", learned.covered);
        assert!(learned.covered >= doubled.covered - 1.0);
    }
    let [others @ .., _, recommended] = good;
    assert_eq!(recommended, 5);
    assert!(others.iter().all(|good| *good <= 2), "{others:?}");
}
