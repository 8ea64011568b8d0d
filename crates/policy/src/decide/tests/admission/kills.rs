//! Kills under delivery Admission: the pod is deleted, and its successor has to come with its probes.

use jiff::SignedDuration;
use probepilot_api::TargetKind;
use serde_json::json;

use super::{admits, delete, deleted, delivery, desired, given, killed, world, world_of};
use crate::testing::{CONTAINER, chart_liveness, in_sync};
use crate::{PodView, Support};

#[test]
fn a_kill_raises_and_the_pod_is_deleted_once_api_servers_know() {
    for kind in [
        TargetKind::Deployment,
        TargetKind::StatefulSet,
        TargetKind::DaemonSet,
    ] {
        let probes = json!({"livenessProbe": chart_liveness()});
        let mut world = world_of(kind, &json!({"rules": []}), &probes);
        let name = if kind == TargetKind::StatefulSet {
            "lbc-0"
        } else {
            "lbc"
        };
        let node = |mut pod: PodView| {
            if kind == TargetKind::DaemonSet {
                pod.template = Some("7".to_owned());
            }
            pod.node = Some("node".to_owned());
            pod
        };
        world.pods = vec![node(killed(&world, name))];
        assert!(admits(&world.step()), "{kind:?}");
        assert_eq!(
            (desired(&world), world.status.raises),
            ("s0.10.10.13".to_owned(), Some(1))
        );
        world.pass(3);
        let waits = world.step();
        assert_eq!(
            (in_sync(&waits), deleted(&waits)),
            ("ReplacingPod".to_owned(), None)
        );
        let left = waits.look_again.unwrap();
        assert!(left <= SignedDuration::from_secs(5), "{left}");
        world.pass(6);
        let gone = delete(&mut world);
        assert_eq!(
            deleted(&gone),
            Some(format!("uid-{name}").as_str()),
            "{kind:?}"
        );
        let mut next = node(given(&world, name));
        next.uid = "next".to_owned();
        world.pods = vec![next];
        world.pass(5);
        let decision = world.step();
        assert_eq!(
            (in_sync(&decision), delivery(&decision)),
            ("Covered".to_owned(), "AdmissionReady".to_owned())
        );
        assert_eq!(world.status.raises, Some(1), "no second raise");
    }
}

#[test]
fn killed_pods_go_one_at_a_time() {
    let mut world = world();
    world.pods = ["a", "b"].map(|name| killed(&world, name)).into();
    world.step_at(100);
    world.pass(10);
    assert_eq!(deleted(&delete(&mut world)), Some("uid-a"));
    world.pass(1);
    assert_eq!(deleted(&world.step()), None, "its successor is not there");
    let mut next = given(&world, "c");
    next.containers.get_mut(CONTAINER).unwrap().ready = false;
    next.containers.get_mut(CONTAINER).unwrap().started = Some(false);
    world.pods.push(next);
    world.pass(1);
    let waits = world.step();
    assert_eq!(
        (deleted(&waits), in_sync(&waits)),
        (None, "ReplacingPod".to_owned()),
        "it starts"
    );
    world.pods[1] = given(&world, "c");
    assert_eq!(deleted(&world.step()), Some("uid-b"));
}

#[test]
fn a_pod_that_served_somebody_or_would_come_back_changed_stays() {
    type Turn = fn(&mut PodView);
    let probes = json!({"livenessProbe": chart_liveness()});
    let ready = |pod: &mut PodView| {
        let turned = pod.ready_turned.as_mut().unwrap();
        turned.at += SignedDuration::from_secs(20);
    };
    let older = |pod: &mut PodView| pod.template = Some("lbc-0".to_owned());
    let cases: [(TargetKind, Turn, &str); 4] = [
        (TargetKind::Deployment, ready, "PodKept"),
        (TargetKind::StatefulSet, ready, "PodKept"),
        (TargetKind::StatefulSet, older, "OwnerChangePending"),
        (TargetKind::DaemonSet, older, "RollingOut"),
    ];
    for (kind, change, why) in cases {
        let mut world = world_of(kind, &json!({}), &probes);
        world.pods = vec![killed(&world, "lbc-0")];
        assert!(admits(&world.step_at(100)));
        change(&mut world.pods[0]);
        world.pass(60);
        let decision = world.step();
        assert_eq!(
            (in_sync(&decision).as_str(), deleted(&decision)),
            (why, None),
            "{kind:?}"
        );
    }
}

#[test]
fn successors_without_their_probes_are_deleted_once_more_and_then_it_is_broken() {
    let mut world = world();
    world.pods = vec![killed(&world, "a")];
    world.step_at(100);
    world.pass(10);
    assert_eq!(deleted(&delete(&mut world)), Some("uid-a"));
    for (name, goes) in [("b", true), ("c", false)] {
        world.pass(100);
        let mut next = killed(&world, name);
        // Its first kill is new.
        next.uid = format!("uid-{name}");
        world.pods = vec![next];
        let decision = delete(&mut world);
        assert_eq!(deleted(&decision).is_some(), goes, "{name}: {decision:?}");
        let expected = if goes {
            "AdmissionReady"
        } else {
            "AdmissionBroken"
        };
        assert_eq!(delivery(&decision), expected);
    }
    assert_eq!(in_sync(&world.step()), "NotDelivered");
    // Somebody changed config/admission, and the canary got its probes: it is tried again.
    world.admission.support = Support::Ready { since: world.now };
    let again = world.step();
    assert_eq!(delivery(&again), "AdmissionReady");
    assert!(deleted(&again).is_some());
}
