use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::{MAX_KEYS, MAX_STARTS, MeasuredBy, Outcome, Start, StartKey, Starts, Template};

fn start(at: i64, count: i64, seconds: u32, outcome: Outcome) -> Start {
    Start {
        started_at: Timestamp::from_second(1_800_000_000 + at).unwrap(),
        seconds,
        measured_by: MeasuredBy::ContainersReady,
        outcome,
        count,
        key: StartKey::from("one".to_owned()),
        cpu_limit: None,
        own_write: false,
    }
}

fn of_key(start: Start, key: &str) -> Start {
    Start {
        key: StartKey::from(key.to_owned()),
        ..start
    }
}

/// Longest healthy and killed start of each doubling.
fn longest(starts: &Starts) -> BTreeMap<(u32, Outcome), u32> {
    let mut longest = BTreeMap::new();
    for start in starts.as_slice() {
        let most = longest.entry((start.bucket(), start.outcome)).or_insert(0);
        *most = start.seconds.max(*most);
    }
    longest
}

#[test]
fn a_rollout_of_1000_starts_at_one_count_changes_no_other_bucket() {
    let mut starts = Starts::default();
    for (at, count) in [100, 220, 500, 1_100, 9_000].into_iter().enumerate() {
        let (at, seconds) = (
            i64::try_from(at).unwrap() * 10,
            u32::try_from(count / 50).unwrap(),
        );
        starts.record(start(at, count, seconds, Outcome::Killed));
        starts.record(start(at + 1, count, 2 * seconds, Outcome::Healthy));
        starts.record(start(at + 2, count, seconds, Outcome::Healthy));
    }
    let before = longest(&starts);
    for at in 0..1_000 {
        let seconds = 20 + u32::try_from(at % 17).unwrap();
        starts.record(start(1_000 + at, 4_000, seconds, Outcome::Healthy));
    }
    let mut after = longest(&starts);
    let bucket = 4_000_u32.ilog2();
    assert_eq!(after.remove(&(bucket, Outcome::Healthy)), Some(36));
    assert_eq!(after, before);
    assert_eq!(starts.as_slice().len(), MAX_STARTS);
}

#[test]
fn the_newest_fill_what_is_left() {
    let mut starts = Starts::default();
    starts.record(start(0, 1_000, 500, Outcome::Killed));
    starts.record(start(1, 1_000, 400, Outcome::Healthy));
    for at in 2..100 {
        starts.record(start(at, 1_000, 30, Outcome::Exited));
    }
    let kept: Vec<i64> = starts
        .as_slice()
        .iter()
        .map(|start| start.started_at.as_second() - 1_800_000_000)
        .collect();
    let expected: Vec<i64> = [0, 1].into_iter().chain(70..100).collect();
    assert_eq!(kept, expected);
}

#[test]
fn exits_are_not_kept_for_their_length() {
    let mut starts = Starts::default();
    starts.record(start(0, 1_000, 500, Outcome::Exited));
    for at in 1..=40 {
        starts.record(start(at, 1_000, 30, Outcome::Healthy));
    }
    assert!(!longest(&starts).contains_key(&(9, Outcome::Exited)));
}

#[test]
fn recording_twice_does_no_harm() {
    let mut starts = Starts::default();
    starts.record(start(0, 1_000, 30, Outcome::Healthy));
    let once = starts.clone();
    starts.record(start(0, 1_000, 30, Outcome::Healthy));
    assert_eq!(starts, once);
    // Two replicas that started in the same second differ in their length.
    starts.record(start(0, 1_000, 31, Outcome::Healthy));
    assert_eq!(starts.as_slice().len(), 2);
}

#[test]
fn the_three_newest_keys_stay() {
    let mut starts = Starts::default();
    for (at, key) in ["a", "b", "c", "b", "d"].into_iter().enumerate() {
        let at = i64::try_from(at).unwrap();
        starts.record(of_key(start(at, 1_000, 30, Outcome::Healthy), key));
    }
    let keys: Vec<&str> = starts.keys().into_iter().map(StartKey::as_str).collect();
    assert_eq!(keys, ["d", "b", "c"]);
    assert_eq!(keys.len(), MAX_KEYS);
}

#[test]
fn an_earlier_key_keeps_its_longest_when_a_new_one_comes() {
    let mut starts = Starts::default();
    for at in 0..40 {
        let count = 100 << (at % 6);
        starts.record(of_key(start(at, count, 30, Outcome::Healthy), "old"));
    }
    for at in 100..200 {
        starts.record(of_key(start(at, 1_000, 40, Outcome::Healthy), "new"));
    }
    let old = StartKey::from("old".to_owned());
    assert_eq!(starts.of(&old).count(), 6);
}

#[test]
fn more_doublings_than_there_is_room_for_lose_the_oldest() {
    let mut starts = Starts::default();
    for bucket in 0..40_u32 {
        for (at, outcome) in [Outcome::Healthy, Outcome::Killed].into_iter().enumerate() {
            let at = i64::from(bucket) * 2 + i64::try_from(at).unwrap();
            starts.record(start(at, 1 << bucket, 30, outcome));
        }
    }
    assert_eq!(starts.as_slice().len(), MAX_STARTS);
    let newest = starts.as_slice().iter().map(Start::bucket).max();
    assert_eq!(newest, Some(39));
}

#[test]
fn the_shape_in_status() {
    let start = Start {
        cpu_limit: Some("500m".into()),
        own_write: false,
        ..start(0, 12_000, 118, Outcome::Killed)
    };
    let starts = Starts::from(vec![start]);
    let shape = json!([{
        "startedAt": "2027-01-15T08:00:00Z",
        "seconds": 118,
        "measuredBy": "ContainersReady",
        "outcome": "Killed",
        "count": 12000,
        "key": "one",
        "cpuLimit": "500m",
    }]);
    assert_eq!(serde_json::to_value(&starts).unwrap(), shape);
    assert_eq!(serde_json::from_value::<Starts>(shape).unwrap(), starts);
}

#[test]
fn counts_and_their_doublings() {
    for (count, bucket) in [
        (i64::MIN, 0),
        (0, 0),
        (1, 0),
        (2, 1),
        (1_023, 9),
        (1_024, 10),
        (i64::MAX, 62),
    ] {
        assert_eq!(
            start(0, count, 1, Outcome::Healthy).bucket(),
            bucket,
            "{count}"
        );
    }
}

fn key(image: &str, args: &[&str], cpu: Option<u64>, known: &[StartKey]) -> StartKey {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    let template = Template {
        image,
        command: &[],
        args: &args,
        cpu_limit_milli: cpu,
    };
    StartKey::of(template, known)
}

#[test]
fn image_command_and_arguments_make_a_key() {
    let this = key("a:1", &["--x", "--y"], Some(500), &[]);
    assert_eq!(this, key("a:1", &["--x", "--y"], Some(500), &[]));
    for (name, other) in [
        ("image", key("a:2", &["--x", "--y"], Some(500), &[])),
        ("order", key("a:1", &["--y", "--x"], Some(500), &[])),
        ("one word", key("a:1", &["--x --y"], Some(500), &[])),
        ("border", key("a:1", &["--x-", "-y"], Some(500), &[])),
        (
            "limit doubled",
            key("a:1", &["--x", "--y"], Some(1_000), &[]),
        ),
        ("no limit", key("a:1", &["--x", "--y"], None, &[])),
    ] {
        assert_ne!(this, other, "{name}");
    }
    let words = ["--x".to_owned()];
    let template = Template {
        image: "a:1",
        command: &words,
        args: &[],
        cpu_limit_milli: Some(500),
    };
    assert_ne!(
        StartKey::of(template, &[]),
        key("a:1", &["--x"], Some(500), &[])
    );
}

/// The key is stored, so it must not change from one version to the next.
#[test]
fn a_key_is_the_same_in_every_version() {
    let limit = key("registry.example/a:1", &["--x"], Some(500), &[]);
    let none = key("registry.example/a:1", &["--x"], Some(0), &[]);
    assert_eq!(limit.as_str(), "32b0a41ff9496fe2-cpu512m");
    assert_eq!(none.as_str(), "32b0a41ff9496fe2-nolimit");
}

#[test]
fn a_limit_that_moves_by_a_tenth_keeps_the_key() {
    for limit in 1..20_000_u64 {
        let first = key("a:1", &[], Some(limit), &[]);
        for moved in [limit * 9 / 10, limit.div_ceil(10) * 11] {
            if moved == 0 || moved * 10 < limit * 9 || moved * 10 > limit * 11 {
                continue;
            }
            let known = std::slice::from_ref(&first);
            assert_eq!(
                key("a:1", &[], Some(moved), known),
                first,
                "{limit} to {moved}"
            );
        }
    }
}

#[test]
fn a_limit_that_moves_by_half_starts_over() {
    let first = key("a:1", &[], Some(500), &[]);
    let known = std::slice::from_ref(&first);
    for (moved, kept) in [
        (450, true),
        (550, true),
        (800, true),
        (900, false),
        (320, true),
        (300, false),
    ] {
        assert_eq!(
            key("a:1", &[], Some(moved), known) == first,
            kept,
            "{moved}"
        );
    }
    // Of two known keys the nearer.
    let second = key("a:1", &[], Some(1_000), &[]);
    let known = [first.clone(), second.clone()];
    assert_eq!(key("a:1", &[], Some(700), &known), first);
    assert_eq!(key("a:1", &[], Some(760), &known), second);
    // Another image's key is none of ours.
    assert_ne!(key("b:1", &[], Some(720), &known), first);
}

#[test]
fn strange_keys_and_limits_are_survived() {
    let known: Vec<StartKey> = [
        "",
        "-",
        "x-cpu",
        "cpu512m",
        "0000000000000000-cpu0m",
        "é-cpu3m",
    ]
    .map(|key| StartKey::from(key.to_owned()))
    .into();
    for limit in [0, 1, 3, u64::MAX - 1, u64::MAX] {
        let made = key("", &[], Some(limit), &known);
        assert_eq!(key("", &[], Some(limit), std::slice::from_ref(&made)), made);
    }
}
