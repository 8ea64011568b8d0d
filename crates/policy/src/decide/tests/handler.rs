//! Our startup probe goes with the owner's liveness probe.

use serde_json::{Value, json};

use crate::testing::{World, in_sync, probe_json};
use crate::{Action, Brake, Cause};

fn first_rung() -> World {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    assert_eq!(world.timings().0, "0/10/10/7");
    world
}

fn handler(probe: &Value) -> Value {
    let mut handler = probe.clone();
    let fields = handler.as_object_mut().unwrap();
    for timing in [
        "initialDelaySeconds",
        "periodSeconds",
        "timeoutSeconds",
        "failureThreshold",
        "successThreshold",
    ] {
        fields.remove(timing);
    }
    handler
}

#[test]
fn every_change_of_livenesss_handler_is_followed_at_once() {
    let cases = [
        ("path", json!({"httpGet": {"path": "/livez"}})),
        ("port", json!({"httpGet": {"port": "health"}})),
        ("scheme", json!({"httpGet": {"scheme": "HTTPS"}})),
        (
            "header",
            json!({"httpGet": {"httpHeaders": [{"name": "Host", "value": "x"}]}}),
        ),
        (
            "kind",
            json!({"httpGet": null, "exec": {"command": ["true"]}}),
        ),
    ];
    for (name, change) in cases {
        let mut world = first_rung();
        world.edit("helm", &json!({"livenessProbe": change}));
        // It waits for no rollout: the probe that is wrong now kills.
        world.roll();
        world.slot = crate::Slot::None;
        let decision = world.step();
        let Action::Write(write) = &decision.action else {
            panic!("{name}: {:?}", decision.action)
        };
        assert_eq!(write.cause, Cause::Handler, "{name}");
        assert!(!write.takes_slot, "{name}");
        let container = world.container();
        assert_eq!(
            handler(&container["startupProbe"]),
            handler(&container["livenessProbe"]),
            "{name}"
        );
        assert_eq!(
            world.timings(),
            ("0/10/10/7".to_owned(), "30/10/10/2".to_owned()),
            "{name}"
        );
        let settled = world.step();
        assert_eq!(
            (in_sync(&settled).as_str(), &settled.action),
            ("Covered", &Action::None),
            "{name}"
        );
    }
}

#[test]
fn timings_alone_are_no_drift() {
    let mut world = first_rung();
    world.edit("helm", &json!({"livenessProbe": {"timeoutSeconds": 5}}));
    assert_eq!(world.step().action, Action::None);
}

#[test]
fn without_liveness_ours_goes_too() {
    let mut world = first_rung();
    world.edit("helm", &json!({"livenessProbe": null}));
    world.step();
    assert_eq!(world.timings(), (String::new(), String::new()));
    assert_eq!(
        world.object["metadata"]["annotations"],
        json!({}),
        "nothing of ours is left"
    );
    let decision = world.step();
    assert_eq!(decision.action, Action::None);
    let ready = crate::testing::reason(&decision, probepilot_api::ConditionType::Ready);
    assert_eq!(ready, "NoProbe");
}

#[test]
fn an_owners_startup_probe_follows_nobody() {
    let mut world = World::chart(&json!({}));
    world.edit(
        "helm",
        &json!({"startupProbe": probe_json(json!({"tcpSocket": {"port": 1}}), 0, 10, 1, 3)}),
    );
    world.step_at(200);
    assert_eq!(world.timings().0, "0/10/1/7");
    world.edit(
        "helm",
        &json!({"livenessProbe": {"httpGet": {"path": "/livez"}}}),
    );
    assert_eq!(world.step().action, Action::None);
    assert_eq!(
        world.container()["startupProbe"]["tcpSocket"],
        json!({"port": 1})
    );
}

/// A change of the owner's and a rung that was reached at the same look.
fn moved_and_grown(fields: &Value) -> World {
    let mut world = World::chart(fields);
    world.step_at(200);
    world.edit(
        "helm",
        &json!({"livenessProbe": {"httpGet": {"path": "/livez"}}}),
    );
    world.roll();
    world.slot = crate::Slot::None;
    world
}

#[test]
fn a_raise_that_is_due_goes_with_the_handler() {
    let mut world = moved_and_grown(&json!({"apply": {"probe": "Startup"}, "rules": [{"steps": [
        {"atLeast": 0, "startupSeconds": 60}, {"atLeast": 10000, "startupSeconds": 600}]}]}));
    let decision = world.step_at(10_000);
    let Action::Write(write) = &decision.action else {
        panic!("{:?}", decision.action)
    };
    assert_eq!((write.cause, write.takes_slot), (Cause::Raise, false));
    assert!(
        write
            .sentence
            .ends_with("follows the owner's liveness probe"),
        "{}",
        write.sentence
    );
    assert_eq!(world.timings().0, "0/10/10/61");
    let container = world.container();
    assert_eq!(
        handler(&container["startupProbe"]),
        handler(&container["livenessProbe"])
    );
    assert_eq!(world.step_at(10_000).action, Action::None, "one write");

    let mut world = moved_and_grown(&json!({}));
    world.step_at(10_000);
    assert_eq!(
        world.timings(),
        (String::new(), "60/10/30/6".to_owned()),
        "a rung of liveness timings needs no startup probe"
    );
    assert_eq!(
        world.container()["livenessProbe"]["httpGet"]["path"],
        json!("/livez")
    );
}

#[test]
fn a_raise_that_has_to_wait_does_not_go_with_the_handler() {
    let raise = |raise: Value| json!({"behavior": {"raise": raise}});
    let cases = [
        (
            "a window",
            raise(json!({"stabilizationWindowSeconds": 300})),
        ),
        ("OnKill", raise(json!({"policy": "OnKill"}))),
    ];
    for (name, fields) in cases {
        let mut world = World::chart(&json!({"behavior": {"raise": {"policy": "Always"}}}));
        world.step_at(200);
        let mut spec = crate::testing::spec(fields);
        spec.rules.clone_from(&world.spec.rules);
        world.spec = spec;
        world.edit(
            "helm",
            &json!({"livenessProbe": {"httpGet": {"path": "/livez"}}}),
        );
        let decision = world.step_at(10_000);
        let Action::Write(write) = &decision.action else {
            panic!("{name}: {:?}", decision.action)
        };
        assert_eq!(write.cause, Cause::Handler, "{name}");
        assert_eq!(world.timings().0, "0/10/10/7", "{name}");
        let memory = world.status.memory.clone().unwrap();
        assert!(memory.pending_raise.is_some(), "{name}: its window goes on");
    }
}

#[test]
fn a_brake_leaves_even_a_wrong_handler() {
    let mut world = first_rung();
    world.edit(
        "helm",
        &json!({"livenessProbe": {"httpGet": {"path": "/livez"}}}),
    );
    world.brake = Some(Brake::ReadOnly);
    let decision = world.step();
    assert_eq!(
        (in_sync(&decision).as_str(), decision.action),
        ("ReadOnly", Action::None)
    );
}
