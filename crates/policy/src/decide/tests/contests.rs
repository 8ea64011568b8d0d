//! Corrections, upgrades and rollbacks, told to the whole of `decide`.

use probepilot_api::{ConditionType, TargetKind};
use serde_json::{Value, json};

use crate::Action;
use crate::testing::{World, chart_liveness, in_sync, killed_pod, reason, timings, workload};

const OURS: (&str, &str) = ("", "60/10/30/6");

fn his() -> Value {
    json!({"livenessProbe": {"initialDelaySeconds": 30, "timeoutSeconds": 10, "failureThreshold": 2}})
}

fn shown(world: &World) -> (String, String) {
    world.timings()
}

fn has_ours(world: &World) -> bool {
    let (startup, liveness) = world.timings();
    (startup.as_str(), liveness.as_str()) == OURS
}

fn contested(world: &mut World) -> String {
    let decision = world.look();
    reason(&decision, ConditionType::Contested)
}

#[test]
fn a_second_correction_in_a_day_ends_the_writing() {
    let mut world = World::chart(&json!({}));
    world.step_at(10_000);
    assert!(has_ours(&world));
    world.pass(600);
    world.edit("helm", &his());
    let decision = world.step_at(10_000);
    let mut told = decision.events.iter();
    let told = told.find(|event| event.reason == "Corrected").unwrap();
    assert!(
        told.message.starts_with("helm changed nothing but"),
        "{}",
        told.message
    );
    assert!(has_ours(&world), "written once more");

    world.pass(600);
    world.edit("helm", &his());
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    let decision = world.step_at(10_000);
    assert_eq!(
        (in_sync(&decision).as_str(), &decision.action),
        ("GivenUp", &Action::None),
        "not even a rescue"
    );
    assert!(
        decision
            .events
            .iter()
            .any(|event| event.reason == "CorrectedAgain" && event.warning)
    );
    assert_eq!(contested(&mut world), "CorrectedAgain");

    // Time changes nothing; the author's word does.
    world.pass(30 * 86_400);
    assert_eq!(world.step_at(10_000).action, Action::None);
    world.retry = Some(crate::observation::Retry::From(world.now));
    world.step_at(10_000);
    assert!(has_ours(&world), "{:?}", shown(&world));
    assert_eq!(contested(&mut world), "NotContested");
}

#[test]
fn upgrades_are_written_again_however_many_come() {
    let mut world = World::chart(&json!({}));
    world.step_at(10_000);
    for release in 0..6 {
        world.pass(600);
        world.edit("helm", &his());
        world.container_mut()["image"] = json!(format!("controller:v2.14.{release}"));
        world.step_at(10_000);
        assert!(has_ours(&world), "{release}: {:?}", shown(&world));
        assert_eq!(contested(&mut world), "NotContested", "{release}");
    }
}

#[test]
fn a_rollback_is_written_again_only_after_a_kill() {
    let mut world = World::chart(&json!({}));
    world.step_at(10_000);
    world.pass(600);
    world.container_mut()["image"] = json!("controller:v3");
    world.step_at(10_000);
    // Back to the first image, with the owner's own probes.
    world.pass(600);
    world.edit("helm", &his());
    world.container_mut()["image"] = json!("controller:v2.13.0");
    let decision = world.step_at(10_000);
    assert_eq!(
        (in_sync(&decision).as_str(), &decision.action),
        ("RolledBack", &Action::None)
    );
    world.pass(86_400);
    assert_eq!(
        world.step_at(10_000).action,
        Action::None,
        "a healthy target stays as it is"
    );
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    world.step_at(10_000);
    assert!(has_ours(&world), "after its first startup kill");
}

#[test]
fn rollout_undo_of_our_own_write_is_a_rollback() {
    let mut world = World::chart(&json!({}));
    let template = world.object["spec"]["template"].clone();
    let fields = world.object["metadata"]["managedFields"].clone();
    world.step_at(10_000);
    // kubectl puts template and annotations of the older ReplicaSet back.
    world.pass(600);
    world.object["spec"]["template"] = template;
    world.object["metadata"]["managedFields"] = fields;
    world.object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    assert_eq!(in_sync(&world.step_at(10_000)), "RolledBack");

    // The owner's next release is another matter.
    world.container_mut()["image"] = json!("controller:v3");
    world.step_at(10_000);
    assert!(has_ours(&world), "{:?}", shown(&world));
}

#[test]
fn an_operator_that_restarts_counts_on() {
    let mut world = World::chart(&json!({}));
    world.crash(true);
    for _ in 0..2 {
        world.step_at(10_000);
        world.pass(60);
        // `look` reads status back from JSON each time, as a restarted operator does.
        world.edit("helm", &his());
    }
    assert_eq!(in_sync(&world.step_at(10_000)), "GivenUp");
}

#[test]
fn an_undo_of_a_daemon_set_is_seen_by_its_manager() {
    let mut world = World::chart(&json!({"behavior": {"raise": {"policy": "Always"}}}));
    world.kind = TargetKind::DaemonSet;
    world.object = workload(
        TargetKind::DaemonSet,
        ("kubectl-client-side-apply", "Update"),
        &json!({"livenessProbe": chart_liveness()}),
    );
    world.step_at(10_000);
    assert!(has_ours(&world));
    world.edit("kubectl", &his());
    assert_eq!(in_sync(&world.step_at(10_000)), "RolledBack");
}
