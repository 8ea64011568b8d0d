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

#[test]
fn the_need_is_still_met_after_the_handler_was_followed() {
    let mut world = first_rung();
    world.edit(
        "helm",
        &json!({"livenessProbe": {"httpGet": {"path": "/livez"}}}),
    );
    world.step_at(10_000);
    world.step_at(10_000);
    assert_eq!(world.timings(), (String::new(), "60/10/30/6".to_owned()));
    assert_eq!(
        world.container()["livenessProbe"]["httpGet"]["path"],
        json!("/livez")
    );
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
