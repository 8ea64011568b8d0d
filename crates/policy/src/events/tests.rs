use serde_json::json;

use crate::testing::{CONTAINER, World, killed_pod, pods, timings};
use crate::{Decision, Event};

fn reasons(decision: &Decision) -> Vec<&str> {
    decision
        .events
        .iter()
        .map(|event| event.reason.as_str())
        .collect()
}

fn cautions(decision: &Decision) -> Vec<&Event> {
    let known = ["LivenessThresholdOne", "BudgetOverProgressDeadline"];
    decision
        .events
        .iter()
        .filter(|event| known.contains(&event.reason.as_str()))
        .collect()
}

/// A policy that asks for 700 s, more than the Deployment's deadline of 600 s.
fn long() -> World {
    let mut world =
        World::chart(&json!({"rules": [{"steps": [{"atLeast": 0, "startupSeconds": 700}]}]}));
    world.counts = vec![pods(1, world.now)];
    world
}

#[test]
fn a_refusal_is_told_once() {
    let mut world = World::chart(&json!({"mode": "Observe"}));
    world.counts = vec![pods(200, world.now)];
    let first = world.look();
    assert_eq!(reasons(&first), ["ObserveOnly"]);
    assert!(!first.events[0].warning);
    assert_eq!(reasons(&world.look()), [""; 0]);
}

#[test]
fn what_is_a_warning() {
    let mut yielded = World::chart(&json!({}));
    yielded.object = crate::testing::workload(
        probepilot_api::TargetKind::Deployment,
        ("kustomize-controller", "Apply"),
        &json!({"startupProbe": crate::testing::chart_liveness(), "livenessProbe": crate::testing::chart_liveness()}),
    );
    let mut stabilizing =
        World::chart(&json!({"behavior": {"raise": {"stabilizationWindowSeconds": 300}}}));
    let mut owned = World::chart(&json!({}));
    owned.object["metadata"]["ownerReferences"] =
        json!([{"kind": "Prometheus", "name": "k8s", "controller": true}]);
    let mut missing = World::chart(&json!({"containerName": "gone"}));
    for (name, world, expected, warning) in [
        ("Yielded", &mut yielded, "Yielded", true),
        ("Stabilizing", &mut stabilizing, "Stabilizing", false),
        ("OwnedByController", &mut owned, "OwnedByController", true),
        ("ContainerNotFound", &mut missing, "ContainerNotFound", true),
    ] {
        world.counts = vec![pods(200, world.now)];
        let decision = world.look();
        let told: Vec<_> = decision
            .events
            .iter()
            .map(|event| (event.reason.as_str(), event.warning))
            .collect();
        assert_eq!(told, [(expected, warning)], "{name}");
    }
}

#[test]
fn a_budget_that_the_owner_exceeds_is_told() {
    let mut world =
        World::chart(&json!({"rules": [{"steps": [{"atLeast": 0, "startupSeconds": 20}]}]}));
    world.counts = vec![pods(1, world.now)];
    assert_eq!(reasons(&world.look()), ["WouldShorten"]);
}

#[test]
fn cautions_come_with_the_write_even_when_the_plan_was_shown_before() {
    let mut world = long();
    world.spec.mode = probepilot_api::Mode::Observe;
    assert!(cautions(&world.look()).is_empty());
    world.spec.mode = probepilot_api::Mode::Enforce;
    let writing = world.look();
    let [caution] = cautions(&writing)[..] else {
        panic!("{:?}", writing.events)
    };
    assert!(
        caution.warning
            && caution
                .message
                .contains("700 s exceeds progressDeadlineSeconds 600")
    );
    assert!(
        cautions(&world.look()).is_empty(),
        "a second try of the same write is no news"
    );
}

#[test]
fn a_threshold_of_one_is_told() {
    let mut world = long();
    world.container_mut()["livenessProbe"]["failureThreshold"] = json!(1);
    let told = world.look();
    assert_eq!(cautions(&told).len(), 2, "{:?}", told.events);
    assert!(cautions(&told)[0].message.contains("failureThreshold is 1"));
}

#[test]
fn loops_are_told_when_they_begin_and_when_they_end() {
    let mut world = World::chart(&json!({"mode": "Observe"}));
    world.counts = vec![pods(200, world.now)];
    world.look();
    let mut pod = killed_pod(timings(30, 10, 10, 2), 57, world.now);
    pod.containers.get_mut(CONTAINER).unwrap().waiting_reason = Some("CrashLoopBackOff".to_owned());
    world.pods = vec![pod];
    assert_eq!(reasons(&world.look()), ["BackOff"]);
    assert_eq!(reasons(&world.look()), [""; 0]);
    world.pods.clear();
    assert_eq!(reasons(&world.look()), ["NotLooping"]);
}

#[test]
fn a_count_that_fails_and_comes_back() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    world.fail_count(crate::CountFailureKind::Forbidden);
    let failed = world.look();
    assert_eq!(reasons(&failed), ["CountForbidden"]);
    assert!(failed.events[0].warning);
    world.counts = vec![pods(200, world.now)];
    assert_eq!(reasons(&world.look()), ["Counted"]);
}
