//! For how long more must be needed, how far writes lie apart, and counts that cannot be read.

use jiff::SignedDuration;
use probepilot_api::{ConditionType, CountSelector};
use serde_json::json;

use crate::testing::{World, in_sync, pods, reason};
use crate::{Action, Count, CountFailureKind, Sample};

fn stabilizing() -> World {
    World::chart(&json!({
        "rules": [{"linear": {"baseSeconds": 30, "secondsPerThousand": 10}}],
        "behavior": {"raise": {"stabilizationWindowSeconds": 300, "minIntervalSeconds": 600}},
    }))
}

#[test]
fn the_lowest_count_of_the_window_is_written() {
    let mut world = stabilizing();
    for (seconds, count) in [(0, 12_000), (100, 9_000), (100, 20_000)] {
        world.pass(seconds);
        assert_eq!(in_sync(&world.step_at(count)), "Stabilizing");
    }
    world.pass(100);
    world.step_at(20_000);
    assert_eq!(
        world.budget(),
        150,
        "9,000 ask for 120 s, with headroom 150 s"
    );
}

#[test]
fn a_count_that_falls_back_begins_the_window_again() {
    let mut world = stabilizing();
    world.step_at(12_000);
    world.pass(200);
    assert_eq!(in_sync(&world.step_at(900)), "WouldShorten");
    world.pass(200);
    let decision = world.step_at(12_000);
    assert_eq!(in_sync(&decision), "Stabilizing");
    assert_eq!(decision.look_again, Some(SignedDuration::from_secs(300)));
}

#[test]
fn the_window_outlives_a_restart_but_not_a_long_absence() {
    let mut world = stabilizing();
    world.step_at(12_000);
    world.pass(200);
    world.counts.clear();
    assert_eq!(in_sync(&world.look()), "NeedUnknown");
    world.pass(100);
    assert!(matches!(world.step_at(12_000).action, Action::Write(_)));

    let mut world = stabilizing();
    world.step_at(12_000);
    world.pass(1300);
    assert_eq!(
        in_sync(&world.step_at(12_000)),
        "Stabilizing",
        "what happened meanwhile is unknown"
    );
}

#[test]
fn writes_lie_apart() {
    let mut world = stabilizing();
    world.step_at(10_000);
    world.pass(300);
    world.step_at(10_000);
    let first = world.budget();
    world.step_at(50_000);
    world.pass(300);
    let decision = world.step_at(50_000);
    assert_eq!(
        (in_sync(&decision).as_str(), world.budget()),
        ("MinInterval", first)
    );
    assert_eq!(decision.look_again, Some(SignedDuration::from_secs(300)));
    world.pass(300);
    world.step_at(50_000);
    assert_eq!(
        world.budget(),
        670,
        "530 s, with headroom 663 s, in whole periods"
    );
}

/// Each look asks for more than there is, but no count did so all the time.
#[test]
fn counts_that_rise_and_fall_in_turn_wait_for_each_other() {
    let rule = |resource: &str| json!({"count": {"resource": resource}, "steps": [{"atLeast": 1000, "startupSeconds": 100}]});
    let mut world = World::chart(&json!({
        "rules": [rule("pods"), rule("services")],
        "behavior": {"raise": {"stabilizationWindowSeconds": 300}},
    }));
    let counts = |pods: i64, services: i64, world: &World| {
        [("pods", pods), ("services", services)]
            .map(|(resource, value)| Count {
                selector: CountSelector {
                    resource: resource.to_owned(),
                    ..CountSelector::default()
                },
                last: Some(Sample {
                    value,
                    at: world.now,
                }),
                failure: None,
            })
            .to_vec()
    };
    for look in 0..12 {
        world.counts = if look % 2 == 0 {
            counts(2000, 0, &world)
        } else {
            counts(0, 2000, &world)
        };
        let decision = world.step();
        assert_eq!(in_sync(&decision), "Stabilizing", "look {look}");
        assert!(
            decision.look_again.unwrap() >= SignedDuration::from_secs(30),
            "no hot loop"
        );
        world.pass(60);
    }
    for _ in 0..12 {
        world.counts = counts(2000, 2000, &world);
        world.step();
        world.pass(60);
    }
    assert_eq!(world.budget(), 100);
}

#[test]
fn counts_that_cannot_be_read() {
    let cases = [
        (CountFailureKind::Forbidden, "CountForbidden"),
        (CountFailureKind::NoSuchResource, "NoSuchResource"),
        (CountFailureKind::UnknownTotal, "CountUnknown"),
        (CountFailureKind::Unavailable, "CountUnavailable"),
    ];
    for (kind, expected) in cases {
        let mut world = World::chart(&json!({}));
        world.counts = vec![pods(10_000, world.now)];
        world.fail_count(kind);
        let decision = world.step();
        assert_eq!(reason(&decision, ConditionType::CountFresh), expected);
        assert_eq!(
            world.budget(),
            110,
            "{expected}: the last value is kept, and may raise"
        );
        assert_eq!(world.status.counts[0].value, Some(10_000));

        world.counts[0].last = None;
        let decision = world.step();
        assert_eq!(
            (in_sync(&decision).as_str(), decision.action),
            ("NeedUnknown", Action::None)
        );
        assert_eq!(
            decision.startup.need_seconds, None,
            "an unknown is never zero"
        );
    }
}

#[test]
fn counts_that_were_not_read_yet() {
    let mut world = World::chart(&json!({}));
    let decision = world.step();
    assert_eq!(reason(&decision, ConditionType::CountFresh), "CountPending");
    assert_eq!(
        (in_sync(&decision).as_str(), decision.action),
        ("NeedUnknown", Action::None)
    );
    world.spec.rules.clear();
    let decision = world.step();
    assert_eq!(reason(&decision, ConditionType::CountFresh), "CountPending");
    assert_eq!(in_sync(&decision), "NothingAsked");
    let decision = world.step_at(100);
    assert_eq!(reason(&decision, ConditionType::CountFresh), "NoRules");
    assert_eq!(decision.startup.count, Some(100));
    assert_eq!(in_sync(&decision), "NothingAsked");
}
