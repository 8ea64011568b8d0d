use jiff::Timestamp;

use super::{Learned, Unlearned, recommendation};
use crate::starts::{MeasuredBy, Outcome, Start, StartKey, Starts};

use Outcome::{Exited, Healthy, Killed};

fn key(name: &str) -> StartKey {
    StartKey::from(name.to_owned())
}

fn starts(starts: &[(&str, i64, u32, Outcome)]) -> Starts {
    let starts = starts.iter().enumerate();
    let starts: Vec<Start> = starts
        .map(|(at, &(of, count, seconds, outcome))| Start {
            started_at: Timestamp::from_second(i64::try_from(at).unwrap()).unwrap(),
            seconds,
            measured_by: MeasuredBy::Started,
            outcome,
            count,
            key: key(of),
            cpu_limit: None,
            own_write: false,
        })
        .collect();
    Starts::from(starts)
}

#[test]
fn nothing_to_learn_from() {
    for (name, starts, why, sentence) in [
        (
            "no start",
            starts(&[]),
            Unlearned::NoStarts,
            "No start has been seen yet.",
        ),
        (
            "a new key",
            starts(&[("old", 100, 20, Healthy), ("old", 200, 30, Killed)]),
            Unlearned::NewKey { others: 2 },
            "No start of this image, command, arguments and CPU limit has been seen yet: learning starts over, 2 starts of others are not used.",
        ),
        (
            "one start of another key",
            starts(&[("old", 100, 20, Healthy)]),
            Unlearned::NewKey { others: 1 },
            "No start of this image, command, arguments and CPU limit has been seen yet: learning starts over, 1 start of others is not used.",
        ),
        (
            "an exit",
            starts(&[("now", 100, 120, Exited), ("old", 100, 20, Healthy)]),
            Unlearned::OnlyExits { exits: 1 },
            "1 start ended by itself before it was healthy, which no probe decides: nothing can be learnt from that.",
        ),
    ] {
        let learned = recommendation(&starts, &key("now"), 1_000, 50);
        assert_eq!(learned, Learned::Nothing(why), "{name}");
        assert_eq!(learned.sentence(), sentence, "{name}");
        assert_eq!(learned.need(), None, "{name}");
    }
}

#[test]
fn sentences() {
    for (name, starts, count, sentence) in [
        (
            "measured, and beyond",
            starts(&[("now", 100, 20, Healthy), ("now", 1000, 961, Healthy)]),
            3_000,
            "From 2 healthy starts at counts from 100 to 1000. Seconds grow with the count to the power 1.68. At 3000, 3.0 times the largest count seen, 95 % of starts are expected within 6097 s; 13353 s are recommended, with 50 % headroom and 46 % for how few healthy starts were seen.",
        ),
        (
            "one start and another key",
            starts(&[("old", 10, 500, Healthy), ("now", 1000, 60, Healthy)]),
            1_000,
            "From 1 healthy start at a count of 1000, without 1 start of another image, command, arguments or CPU limit. The counts differ too little to tell how seconds grow, so the power 1.00 is taken. At 1000 95 % of starts are expected within 60 s; 143 s are recommended, with 50 % headroom and 58 % for how few healthy starts were seen.",
        ),
        (
            "kills alone, and below",
            starts(&[("now", 10_000, 57, Killed), ("now", 10_000, 58, Killed)]),
            400,
            "From 2 kills as lower bounds at a count of 10000. The counts differ too little to tell how seconds grow, so the power 1.00 is taken. At 400, below all counts seen, as at the smallest of them, 95 % of starts are expected within 58 s; 159 s are recommended, with 50 % headroom and 82 % for how few healthy starts were seen.",
        ),
        (
            "leader and standby",
            starts(&[
                ("now", 10_000, 57, Killed),
                ("now", 10_000, 90, Healthy),
                ("now", 10_000, 4, Healthy),
                ("now", 10_000, 5, Healthy),
            ]),
            10_000,
            "From 1 healthy start and 1 kill as a lower bound at a count of 10000, without 2 starts that took less than a third of others (another role, such as a standby). The counts differ too little to tell how seconds grow, so the power 1.00 is taken. At 10000 95 % of starts are expected within 90 s; 215 s are recommended, with 50 % headroom and 58 % for how few healthy starts were seen.",
        ),
    ] {
        let learned = recommendation(&starts, &key("now"), count, 50);
        assert_eq!(learned.sentence(), sentence, "{name}");
    }
}

#[test]
fn nothing_is_written_until_the_bare_need_exceeds_the_budget() {
    let starts = starts(&[("now", 1000, 60, Healthy)]);
    let learned = recommendation(&starts, &key("now"), 1_000, 50);
    let need = learned.need().unwrap();
    assert!(need.covered_by(60));
    assert!(!need.covered_by(59));
    assert!(need.covered_by(need.seconds));
}

#[test]
fn caution_falls_with_every_healthy_start_and_ends_at_19() {
    let mut last = u32::MAX;
    for healthy in 1..=20_usize {
        let same = vec![("now", 1000, 100, Healthy); healthy];
        let learned = recommendation(&starts(&same), &key("now"), 1_000, 0);
        let need = learned.need().unwrap();
        assert_eq!(need.bare_seconds, 100);
        assert_eq!(need.seconds, 100 + need.caution_percent);
        assert!(need.caution_percent < last || healthy == 20);
        assert_eq!(need.caution_percent == 0, healthy >= 19, "{healthy}");
        // (20 / (n + 1))^0.2, to the nearest percent.
        let healthy = f64::from(u32::try_from(healthy).unwrap());
        let factor = (20.0 / (healthy + 1.0)).powf(0.2).max(1.0);
        assert!((f64::from(100 + need.caution_percent) / 100.0 - factor).abs() <= 0.006);
        last = need.caution_percent;
    }
}

#[test]
fn absurd_headroom_saturates() {
    let starts = starts(&[("now", 1, u32::MAX, Healthy)]);
    let learned = recommendation(&starts, &key("now"), i64::MAX, u32::MAX);
    assert_eq!(learned.need().unwrap().seconds, u32::MAX);
}
