//! Leaving: what is decided when a policy is deleted, or observes from now on.

use probepilot_api::{Mode, OnDelete};
use serde_json::json;

use crate::observation::{Brake, Going, Target};
use crate::testing::{World, in_sync};
use crate::{Decision, Finalizer, Leave};

const TAKE: Leave = Leave {
    hand_back: None,
    finalizer: Some(Finalizer::Take),
};
const PUT: Leave = Leave {
    hand_back: None,
    finalizer: Some(Finalizer::Put),
};
const NOTHING: Leave = Leave {
    hand_back: None,
    finalizer: None,
};

fn back(how: OnDelete) -> Leave {
    Leave {
        hand_back: Some(how),
        finalizer: None,
    }
}

type Edit = fn(&mut World);

/// The chart with the seed's first rung written, by a policy with this onDelete.
fn world(on_delete: &str) -> World {
    let mut world = World::chart(&json!({"apply": {"onDelete": on_delete}}));
    world.step_at(200);
    world
}

fn deleted(world: &mut World) {
    world.going.deleting = true;
    world.going.finalizer = world.spec.apply.on_delete == OnDelete::Restore;
}

fn message(decision: &Decision) -> &str {
    let mut states = decision.conditions.iter();
    let state = states.find(|state| state.kind() == probepilot_api::ConditionType::InSync);
    &state.unwrap().message
}

#[test]
fn the_finalizer_comes_with_the_first_write_and_not_before() {
    let mut world = World::chart(&json!({"apply": {"onDelete": "Restore"}}));
    assert_eq!(world.step().leave, NOTHING, "no count yet");
    assert_eq!(world.step_at(200).leave, PUT);
    // It was put, and stays as long as there is something to put back.
    world.going.finalizer = true;
    assert_eq!(world.step_at(200).leave, NOTHING);
    // A policy that finds what one before it wrote has something to put back without a write.
    world.going = Going::default();
    world.status = probepilot_api::ProbePolicyStatus::default();
    assert_eq!(world.step_at(200).leave, PUT);
}

#[test]
fn keep_has_no_finalizer_and_takes_one_away_that_is_left() {
    let mut world = world("Keep");
    assert_eq!(world.look().leave, NOTHING);
    world.going.finalizer = true;
    assert_eq!(world.look().leave, TAKE);
}

#[test]
fn observe_lets_go_as_keep_does() {
    for on_delete in ["Keep", "Restore"] {
        let mut world = world(on_delete);
        world.spec.mode = Mode::Observe;
        world.going.finalizer = on_delete == "Restore";
        let decision = world.look();
        assert_eq!(decision.leave, back(OnDelete::Keep), "{on_delete}");
        assert_eq!(in_sync(&decision), "Covered");
        world.hand_back(OnDelete::Keep);
        let expected = if world.going.finalizer { TAKE } else { NOTHING };
        assert_eq!(world.look().leave, expected, "{on_delete}");
        assert_eq!(world.budget(), 60);
    }
}

#[test]
fn a_deleted_policy_writes_nothing_new() {
    let mut world = world("Keep");
    deleted(&mut world);
    let decision = world.step_at(20_000);
    assert_eq!(world.budget(), 60);
    assert_eq!(
        decision.leave,
        back(OnDelete::Keep),
        "while somebody else's finalizer holds it"
    );
    world.hand_back(OnDelete::Keep);
    assert_eq!(world.look().leave, NOTHING);
}

#[test]
fn restore_is_refused_while_a_start_would_be_killed_again() {
    let mut world = world("Restore");
    deleted(&mut world);
    let decision = world.look();
    assert_eq!(
        (decision.leave, in_sync(&decision).as_str()),
        (NOTHING, "RestoreRefused")
    );
    assert_eq!(
        message(&decision),
        "the policy is being deleted, but a startup budget of 60 s is needed at a count of 200 and the owner's probes give 40 s, so the next start would be killed: give the owner's own probes more, or set apply.onDelete to Keep, or annotate the policy probepilot.dev/restore-anyway=true to put them back all the same"
    );
    let told = decision
        .events
        .iter()
        .filter(|event| event.reason == "RestoreRefused");
    assert_eq!(told.count(), 1);
    assert!(world.look().events.is_empty(), "told once");

    world.going.anyway = true;
    let decision = world.look();
    assert_eq!(
        (decision.leave, in_sync(&decision).as_str()),
        (back(OnDelete::Restore), "Restoring")
    );
    world.hand_back(OnDelete::Restore);
    assert_eq!(world.look().leave, TAKE);
    assert_eq!(world.timings(), (String::new(), "30/10/10/2".to_owned()));
}

#[test]
fn restore_when_nothing_asks_for_more() {
    let cases: [(&str, Edit); 3] = [
        ("no rule", |world| world.spec.rules.clear()),
        ("a small rung", |world| {
            world.spec.rules =
                serde_json::from_value(json!([{"steps": [{"atLeast": 0, "startupSeconds": 40}]}]))
                    .unwrap();
        }),
        ("the owner gives more by now", |world| {
            world.edit(
                "helm",
                &json!({"livenessProbe": {"initialDelaySeconds": 60}}),
            );
        }),
    ];
    for (name, change) in cases {
        let mut world = world("Restore");
        change(&mut world);
        deleted(&mut world);
        let decision = world.look();
        assert_eq!(
            decision.leave,
            back(OnDelete::Restore),
            "{name}: {}",
            message(&decision)
        );
        world.hand_back(OnDelete::Restore);
        assert_eq!(world.look().leave, TAKE, "{name}");
        assert_eq!(world.timings().0, "", "{name}");
    }
}

#[test]
fn an_unknown_need_is_refused_too() {
    let mut world = world("Restore");
    deleted(&mut world);
    world.counts.clear();
    let decision = world.look();
    assert_eq!(
        (decision.leave, in_sync(&decision).as_str()),
        (NOTHING, "RestoreRefused")
    );
}

#[test]
fn stopped_between_the_two_steps_the_need_is_asked_no_more() {
    let mut world = world("Restore");
    deleted(&mut world);
    world.going.anyway = true;
    world.hand_back_first(OnDelete::Restore);
    world.going.anyway = false;
    assert_eq!(world.look().leave, back(OnDelete::Restore));
}

#[test]
fn brakes_keep_the_hands_off() {
    let cases: [(&str, Edit); 3] = [
        ("--read-only", |world| world.brake = Some(Brake::ReadOnly)),
        ("namespace", |world| {
            world.brake = Some(Brake::NamespaceIgnored);
        }),
        ("workload", |world| {
            world.object["metadata"]["annotations"]["probepilot.dev/ignore"] = json!("true");
        }),
    ];
    for (name, brake) in cases {
        for on_delete in ["Keep", "Restore"] {
            let mut world = world(on_delete);
            brake(&mut world);
            deleted(&mut world);
            world.going.anyway = true;
            let decision = world.look();
            assert_eq!(decision.leave, NOTHING, "{name} {on_delete}");
            let held = in_sync(&decision) == "RestoreHeld";
            assert_eq!(held, on_delete == "Restore", "{name} {on_delete}");
        }
    }
}

#[test]
fn what_is_somebody_elses_business() {
    let cases: [(&str, Edit); 3] = [
        ("an older policy", |world| {
            world.duplicate_of = Some("team/older".to_owned());
        }),
        ("one that takes over", |world| {
            world.going.successor = Some("team/next".to_owned());
        }),
        ("delivery Admission", |world| {
            world.spec.apply.delivery = probepilot_api::Delivery::Admission;
        }),
    ];
    for (name, change) in cases {
        let mut world = world("Restore");
        change(&mut world);
        deleted(&mut world);
        assert_eq!(world.look().leave, TAKE, "{name}");
    }
}

#[test]
fn a_missing_target_holds_nothing() {
    let mut world = world("Restore");
    deleted(&mut world);
    let mut observation = world.observe();
    observation.target = Target::Missing;
    assert_eq!(world.look_at(&observation).leave, TAKE);
    observation.target = Target::Unread;
    assert_eq!(
        world.look_at(&observation).leave,
        NOTHING,
        "nobody looked yet"
    );
}
