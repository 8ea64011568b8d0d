//! When a budget shrinks, and what keeps it.

use probepilot_api::{LowerPolicy, Mode};
use serde_json::json;

use super::lbc::{chart, first_rung, hours, second_rung};
use crate::testing::{World, in_sync, killed_pod, pods, timings};
use crate::{Action, CountFailureKind, Slot};

fn lowering() -> World {
    World::chart(&json!({
        "behavior": {"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 3600}},
        "crashLoop": {"enabled": false},
    }))
}

#[test]
fn lowering_waits_for_its_window() {
    let mut world = lowering();
    world.step_at(10_000);
    assert_eq!(
        hours(&mut world, 1, 200),
        None,
        "the window begins with the first look"
    );
    assert_eq!(hours(&mut world, 1, 200), Some(0));
    assert_eq!(world.timings(), first_rung());
    assert_eq!(
        world
            .status
            .memory
            .as_ref()
            .unwrap()
            .lowered_at
            .as_ref()
            .unwrap()
            .0,
        world.status.last_write.as_ref().unwrap().at.0
    );
}

#[test]
fn lowering_happens_once_a_day() {
    let mut world = lowering();
    world.step_at(10_000);
    assert_eq!(hours(&mut world, 2, 200), Some(1));
    world.step_at(10_000);
    assert_eq!(
        world.timings(),
        second_rung(),
        "raising waits for nothing of this"
    );
    let hour = hours(&mut world, 48, 200).unwrap();
    assert!(
        (22..=25).contains(&hour),
        "lowered again after {hour} hours"
    );
}

#[test]
fn the_highest_count_of_the_window_decides() {
    let steps = json!([{"atLeast": 0, "startupSeconds": 60}, {"atLeast": 1000, "startupSeconds": 100}, {"atLeast": 9000, "startupSeconds": 400}]);
    let mut world = World::chart(&json!({
        "rules": [{"steps": steps}],
        "behavior": {"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 3600}},
    }));
    world.step_at(9000);
    world.pass(600);
    world.step_at(1000);
    assert_eq!(hours(&mut world, 2, 200), Some(0));
    assert_eq!(world.budget(), 100);
}

/// Name, fields of the spec, what happens to the world, and whether it is lowered.
type Refusal = (&'static str, serde_json::Value, fn(&mut World), bool);

#[test]
fn what_is_not_lowered() {
    let tolerance = |percent: i32| json!({"behavior": {"lower": {"tolerancePercent": percent}}});
    let rising = json!([{"steps": [{"atLeast": 0, "startupSeconds": 80}, {"atLeast": 10000, "startupSeconds": 110}]}]);
    let cases: [Refusal; 9] = [
        ("nothing is in the way", json!({}), |_| {}, true),
        (
            "within the tolerance",
            json!({"rules": rising}),
            |_| {},
            false,
        ),
        (
            "beyond a smaller tolerance",
            {
                let mut all = tolerance(20);
                all["rules"] = rising.clone();
                all
            },
            |_| {},
            true,
        ),
        ("a tolerance of all", tolerance(100), |_| {}, false),
        (
            "Observe",
            json!({}),
            |world| world.spec.mode = Mode::Observe,
            false,
        ),
        (
            "OnKill",
            json!({"behavior": {"raise": {"policy": "OnKill"}}}),
            |_| {},
            false,
        ),
        (
            "Safe where old pods stop first",
            json!({}),
            |world| world.object["spec"]["strategy"] = json!({"type": "Recreate"}),
            false,
        ),
        (
            "paused",
            json!({}),
            |world| world.object["spec"]["paused"] = json!(true),
            false,
        ),
        ("the target is rolling out", json!({}), World::roll, false),
    ];
    for (name, fields, change, lowers) in cases {
        let mut all = fields;
        all["behavior"]["lower"]["policy"] = json!("Enabled");
        all["behavior"]["lower"]["stabilizationWindowSeconds"] = json!(3600);
        // OnKill must not keep the first raise from being written.
        let policy = std::mem::replace(&mut all["behavior"]["raise"]["policy"], json!("Always"));
        all["behavior"]["raise"]["stabilizationWindowSeconds"] = json!(0);
        let mut world = World::chart(&all);
        world.step_at(10_000);
        assert_eq!(world.budget(), 110, "{name}");
        world.spec.behavior.raise.policy = serde_json::from_value(if policy.is_null() {
            json!("Safe")
        } else {
            policy
        })
        .unwrap();
        change(&mut world);
        assert_eq!(hours(&mut world, 30, 200).is_some(), lowers, "{name}");
    }
}

#[test]
fn a_stale_count_never_lowers() {
    let mut world = lowering();
    world.step_at(10_000);
    world.pass(600);
    world.counts = vec![pods(200, world.now)];
    for kind in [
        CountFailureKind::Forbidden,
        CountFailureKind::UnknownTotal,
        CountFailureKind::Unavailable,
    ] {
        world.fail_count(kind);
        for _ in 0..20 {
            world.pass(600);
            assert_eq!(world.step().action, Action::None, "{kind:?}");
        }
    }
    // No failure was told, but nothing was read either.
    world.counts = vec![pods(200, world.now)];
    for _ in 0..20 {
        world.pass(600);
        world.step();
    }
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn a_failed_count_in_between_does_not_begin_the_window_again() {
    let mut world = lowering();
    world.step_at(10_000);
    for look in 0..8 {
        world.pass(600);
        world.counts = vec![pods(200, world.now)];
        if look == 3 {
            world.fail_count(CountFailureKind::Unavailable);
        }
        world.step();
    }
    assert_eq!(world.timings(), first_rung());
}

#[test]
fn a_restart_does_not_begin_the_window_again() {
    let mut world = lowering();
    world.step_at(10_000);
    for look in 0..8 {
        world.pass(600);
        if look == 3 {
            world.counts.clear();
            let mut unread = world.observe();
            unread.target = crate::Target::Unread;
            world.look_at(&unread);
            assert_eq!(in_sync(&world.look()), "NeedUnknown");
        }
        world.step_at(200);
    }
    assert_eq!(world.timings(), first_rung());
}

#[test]
fn no_lower_while_a_probe_kills_the_target() {
    let mut world = lowering();
    world.step_at(10_000);
    for _ in 0..20 {
        world.pass(600);
        world.pods = vec![killed_pod(timings(60, 10, 30, 6), 130, world.now)];
        world.step_at(200);
    }
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn a_lower_keeps_its_place_in_the_queue_and_the_target_stays_in_sync() {
    let mut world = lowering();
    world.step_at(10_000);
    hours(&mut world, 1, 200);
    for slot in [Slot::None, Slot::Waiting { position: 2 }] {
        world.slot = slot;
        world.pass(600);
        let decision = world.step_at(200);
        assert!(
            matches!(decision.action, Action::Queue(_)),
            "{slot:?}: {:?}",
            decision.action
        );
        assert_eq!(in_sync(&decision), "Covered");
    }
    assert_eq!(
        world.status.startup.as_ref().unwrap().queue_position,
        Some(2)
    );
    world.slot = Slot::Granted;
    world.step_at(200);
    assert_eq!(world.timings(), first_rung());
}

#[test]
fn rules_that_are_gone_give_the_owners_probes_back() {
    let mut world = lowering();
    world.step_at(10_000);
    world.spec.rules.clear();
    hours(&mut world, 2, 200);
    assert_eq!(world.timings(), chart());
    assert_eq!(world.object["metadata"]["annotations"], json!({}));
    world.spec.behavior.lower.policy = LowerPolicy::Disabled;
    assert_eq!(in_sync(&world.look()), "NothingAsked");
}

/// The same count ends in the same template, whether it was reached from below or from above.
#[test]
fn an_owner_who_covers_the_ask_gets_his_own_probes_back() {
    let cases = [
        (
            "headroom is no reason to keep ours: 38 s asked, 48 s with headroom",
            json!({"rules": [{"linear": {"baseSeconds": 38, "secondsPerThousand": 0}},
                {"steps": [{"atLeast": 5000, "startupSeconds": 300}]}]}),
        ),
        (
            "nor is the lower limit",
            json!({
                "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 20}, {"atLeast": 5000, "startupSeconds": 300}]}],
                "limits": {"minStartupSeconds": 100},
            }),
        ),
    ];
    for (name, fields) in cases {
        let mut all = fields;
        all["behavior"] =
            json!({"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 3600}});
        let mut world = World::chart(&all);
        world.step_at(200);
        assert_eq!(world.timings(), chart(), "{name}");
        world.step_at(5000);
        assert_eq!(world.budget(), 300, "{name}");
        hours(&mut world, 2, 200);
        assert_eq!(world.timings(), chart(), "{name}");
    }
}
