//! Killed pods that no rollout replaces: deleted once for each budget written, or kept with a reason.

use probepilot_api::{Mode, TargetKind};
use serde_json::json;

use crate::testing::{
    CONTAINER, World, chart_liveness, in_sync, killed_pod, spec, timings, workload,
};
use crate::{Action, Brake, Decision, PodView, ReadyTurned, replaced, settle_replacement};

fn world(kind: TargetKind) -> World {
    let mut object = workload(
        kind,
        ("helm", "Update"),
        &json!({"livenessProbe": chart_liveness()}),
    );
    object["status"]["updateRevision"] = json!("lbc-1");
    object["metadata"]["annotations"] = json!({"deprecated.daemonset.template.generation": "7"});
    if kind == TargetKind::DaemonSet {
        object["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    }
    let target = json!({"apiVersion": "apps/v1", "kind": kind, "name": CONTAINER});
    World::new(spec(json!({"targetRef": target})), object)
}

/// A pod of the template before, killed under the owner's 40 s and never ready.
fn killed(world: &World, name: &str) -> PodView {
    let mut pod = killed_pod(timings(30, 10, 10, 2), 57, world.now);
    pod.name = name.to_owned();
    pod.uid = format!("uid-{name}");
    pod.resource_version = "41".to_owned();
    pod.node = Some(format!("node-of-{name}"));
    pod.template = Some(match world.kind {
        TargetKind::DaemonSet => "7".to_owned(),
        _ => "lbc-1".to_owned(),
    });
    let taken = world.now - jiff::SignedDuration::from_secs(62);
    pod.taken_at = Some(taken);
    pod.ready_turned = Some(ReadyTurned {
        ready: false,
        at: taken,
    });
    pod
}

/// Its successor, from the template as it is, not ready yet.
fn successor(world: &World, name: &str) -> PodView {
    let mut pod = killed(world, name);
    pod.uid = format!("new-{name}");
    pod.template = Some(match world.kind {
        TargetKind::DaemonSet => "8".to_owned(),
        _ => "lbc-2".to_owned(),
    });
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    (view.restart_count, view.last_life) = (0, None);
    pod
}

/// The controller takes the template in.
fn observed(world: &mut World) {
    world.object["status"]["updateRevision"] = json!("lbc-2");
    world.object["metadata"]["annotations"]["deprecated.daemonset.template.generation"] =
        json!("8");
}

/// Killed and raised.
fn raised(kind: TargetKind) -> World {
    let mut world = world(kind);
    world.pass(100);
    world.pods = vec![killed(&world, "lbc-1")];
    assert!(matches!(world.step().action, Action::Write(_)));
    observed(&mut world);
    world
}

fn deleted(decision: &Decision) -> Option<&str> {
    match &decision.action {
        Action::Replace(replace) => Some(&replace.uid),
        _ => None,
    }
}

/// As the operator does it: remembered, done, told.
fn delete(world: &mut World) -> Decision {
    let decision = world.look();
    if let Action::Replace(replace) = &decision.action {
        let memory = world.status.memory.get_or_insert_default();
        replaced(memory, replace, world.now, true);
        world.pods.retain(|pod| pod.uid != replace.uid);
    }
    decision
}

#[test]
fn a_killed_pod_of_a_statefulset_or_under_on_delete_is_deleted() {
    for kind in [TargetKind::StatefulSet, TargetKind::DaemonSet] {
        let mut world = raised(kind);
        let decision = world.look();
        let Action::Replace(replace) = &decision.action else {
            panic!("{kind:?}: {decision:?}");
        };
        assert_eq!(
            (
                replace.pod.as_str(),
                replace.uid.as_str(),
                replace.resource_version.as_str()
            ),
            ("lbc-1", "uid-lbc-1", "41")
        );
        assert_eq!(
            replace.sentence,
            "pod lbc-1 was killed by its probe under a startup budget of 40 s and was never healthy; it is deleted, because no rollout replaces it, and the new one gets 120 s"
        );
        assert_eq!(in_sync(&decision), "ReplacingPod");
        let told = |event: &crate::Event| event.reason == "ReplacingPod";
        assert!(
            !decision.events.iter().any(told),
            "the deletion tells of itself"
        );
    }
}

#[test]
fn a_pod_is_kept_with_a_reason() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, &str); 12] = [
        (
            "partition",
            |world| {
                world.object["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 2}});
            },
            "Partitioned",
        ),
        (
            "partition from another first ordinal",
            |world| {
                world.object["spec"]["ordinals"] = json!({"start": 1});
                world.object["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 1}});
            },
            "Partitioned",
        ),
        (
            "read-only",
            |world| world.brake = Some(Brake::ReadOnly),
            "ReadOnly",
        ),
        (
            "ignored namespace",
            |world| world.brake = Some(Brake::NamespaceIgnored),
            "Ignored",
        ),
        (
            "ignored",
            |world| {
                world.object["metadata"]["annotations"]["probepilot.dev/ignore"] = json!("true");
            },
            "Ignored",
        ),
        (
            "observe",
            |world| world.spec.mode = Mode::Observe,
            "ObserveOnly",
        ),
        (
            "the owner changed the template afterwards",
            |world| {
                world.edit("helm", &json!({"image": "controller:v3"}));
                world.object["status"]["updateRevision"] = json!("lbc-3");
            },
            "OwnerChangePending",
        ),
        (
            "the owner's change was pending before",
            |world| world.pods[0].template = Some("lbc-0".to_owned()),
            "OwnerChangePending",
        ),
        (
            "a pod that does not say",
            |world| world.pods[0].template = None,
            "OwnerChangePending",
        ),
        (
            "ready once",
            |world| {
                world.pods[0].ready_turned.as_mut().unwrap().at +=
                    jiff::SignedDuration::from_secs(20);
            },
            "PodKept",
        ),
        (
            "not known whether",
            |world| world.pods[0].ready_turned = None,
            "PodKept",
        ),
        (
            "no way to see health, and lives that nobody judged",
            |world| {
                let view = world.pods[0].containers.get_mut(CONTAINER).unwrap();
                (view.has_readiness, view.restart_count) = (false, 3);
            },
            "PodKept",
        ),
    ];
    for (name, change, expected) in cases {
        let mut world = raised(TargetKind::StatefulSet);
        world.look();
        change(&mut world);
        let decision = world.look();
        assert_eq!(
            (in_sync(&decision).as_str(), deleted(&decision)),
            (expected, None),
            "{name}"
        );
    }
}

#[test]
fn what_keeps_no_pod() {
    type Change = fn(&mut World);
    let cases: [(&str, Change); 4] = [
        ("a partition below it", |world| {
            world.object["spec"]["updateStrategy"] = json!({"rollingUpdate": {"partition": 1}});
        }),
        ("a partition that OnDelete does not read", |world| {
            world.object["spec"]["updateStrategy"] =
                json!({"type": "OnDelete", "rollingUpdate": {"partition": 9}});
        }),
        ("a change of replicas", |world| {
            world.object["spec"]["replicas"] = json!(5);
            world.object["metadata"]["generation"] = json!(9);
            world.object["status"]["observedGeneration"] = json!(9);
        }),
        ("no way to see health, but every life judged", |world| {
            world.pods[0]
                .containers
                .get_mut(CONTAINER)
                .unwrap()
                .has_readiness = false;
        }),
    ];
    for (name, change) in cases {
        let mut world = raised(TargetKind::StatefulSet);
        world.look();
        change(&mut world);
        assert_eq!(deleted(&world.look()), Some("uid-lbc-1"), "{name}");
    }
}

#[test]
fn a_template_that_its_controller_has_not_seen_is_waited_for() {
    let mut world = raised(TargetKind::StatefulSet);
    world.object["status"]["observedGeneration"] = json!(1);
    let decision = world.look();
    assert_eq!(
        (in_sync(&decision).as_str(), deleted(&decision)),
        ("Covered", None)
    );
}

#[test]
fn a_healthy_pod_and_one_that_goes_are_never_deleted() {
    let mut world = raised(TargetKind::StatefulSet);
    let view = world.pods[0].containers.get_mut(CONTAINER).unwrap();
    view.ready = true;
    assert_eq!(deleted(&world.look()), None);
    let mut world = raised(TargetKind::StatefulSet);
    world.pods[0].deleting = true;
    assert_eq!(deleted(&world.look()), None);
}

#[test]
fn other_controllers_replace_pods_themselves() {
    let mut world = raised(TargetKind::DaemonSet);
    world.object["spec"]["updateStrategy"] = json!({"type": "RollingUpdate"});
    let decision = world.look();
    assert_eq!(
        (in_sync(&decision).as_str(), deleted(&decision)),
        ("Covered", None)
    );

    let mut world = self::world(TargetKind::Deployment);
    world.object["spec"]["paused"] = json!(true);
    world.pass(100);
    world.pods = vec![killed(&world, "lbc-1")];
    assert!(
        matches!(world.step().action, Action::Write(_)),
        "a raise waits for no pause"
    );
    world.roll();
    let decision = world.look();
    assert_eq!(
        (in_sync(&decision).as_str(), deleted(&decision)),
        ("Paused", None)
    );
}

#[test]
fn one_goes_at_a_time_and_each_once() {
    for kind in [TargetKind::StatefulSet, TargetKind::DaemonSet] {
        let mut world = raised(kind);
        world.pods.push(killed(&world, "lbc-2"));
        assert_eq!(deleted(&delete(&mut world)), Some("uid-lbc-1"), "{kind:?}");
        assert_eq!(deleted(&world.look()), None, "the successor is awaited");
        let decision = world.look();
        assert_eq!(in_sync(&decision), "ReplacingPod");
        assert!(decision.look_again.is_some());
        let next = successor(&world, "lbc-1");
        world.pods.push(next);
        assert_eq!(deleted(&world.look()), None, "it starts");
        let view = world.pods[1].containers.get_mut(CONTAINER).unwrap();
        view.ready = true;
        assert_eq!(deleted(&delete(&mut world)), Some("uid-lbc-2"), "{kind:?}");
    }
}

#[test]
fn a_successor_with_the_probes_before_is_not_deleted_again() {
    let mut world = raised(TargetKind::StatefulSet);
    delete(&mut world);
    world.pass(100);
    let mut again = killed(&world, "lbc-1");
    again.uid = "uid-again".to_owned();
    world.pods = vec![again];
    let decision = world.look();
    assert_eq!(
        (in_sync(&decision).as_str(), deleted(&decision)),
        ("PodKept", None)
    );
}

#[test]
fn the_next_budget_deletes_again_also_a_pod_of_two_writes_before() {
    let mut world = raised(TargetKind::StatefulSet);
    delete(&mut world);
    world.pass(200);
    // The new pod is killed under the 120 s as well; another one still has the owner's.
    let mut next = successor(&world, "lbc-1");
    let view = next.containers.get_mut(CONTAINER).unwrap();
    *view = killed(&world, "x").containers.remove(CONTAINER).unwrap();
    view.startup = Some(timings(0, 10, 10, 13));
    view.started = Some(false);
    view.kills.as_mut().unwrap()[0].probe = crate::FailedProbe::Startup;
    let life = view.last_life.as_mut().unwrap();
    life.started_at = life.finished_at - jiff::SignedDuration::from_secs(131);
    world.pods = vec![next, killed(&world, "lbc-2")];
    assert!(matches!(world.step().action, Action::Write(_)));
    world.object["status"]["updateRevision"] = json!("lbc-3");
    assert_eq!(deleted(&delete(&mut world)), Some("new-lbc-1"));
    let mut well = successor(&world, "lbc-1");
    (well.uid, well.template) = ("newer".to_owned(), Some("lbc-3".to_owned()));
    well.containers.get_mut(CONTAINER).unwrap().ready = true;
    world.pods.push(well);
    assert_eq!(deleted(&world.look()), Some("uid-lbc-2"));
}

#[test]
fn a_deletion_that_nobody_told_of_is_done_again_or_told() {
    let mut world = raised(TargetKind::StatefulSet);
    let Action::Replace(replace) = world.look().action else {
        panic!("a deletion");
    };
    let memory = world.status.memory.get_or_insert_default();
    replaced(memory, &replace, world.now, false);
    assert_eq!(settle_replacement(&mut world.status, &world.pods), None);
    assert_eq!(deleted(&world.look()), Some("uid-lbc-1"), "not lost");
    world.pods[0].deleting = true;
    let told = settle_replacement(&mut world.status, &world.pods);
    assert_eq!(told.as_deref(), Some(replace.sentence.as_str()));
    assert_eq!(
        settle_replacement(&mut world.status, &world.pods),
        None,
        "once"
    );
    assert_eq!(deleted(&world.look()), None, "not repeated");
}
