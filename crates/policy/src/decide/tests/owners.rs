//! Who else writes the target, and what that leaves to us.

use probepilot_api::TargetKind;
use serde_json::{Value, json};

use crate::testing::{
    World, chart_liveness, http, in_sync, killed_pod, pods, probe_json, timings, workload,
};
use crate::{Action, Brake};

fn with(manager: (&str, &str), probes: &Value) -> World {
    let mut world = World::chart(&json!({}));
    world.object = workload(TargetKind::Deployment, manager, probes);
    world
}

fn liveness() -> Value {
    json!({"livenessProbe": chart_liveness()})
}

fn declared_both() -> Value {
    json!({"livenessProbe": chart_liveness(), "startupProbe": probe_json(http(), 0, 10, 5, 3)})
}

fn pair(startup: &str, liveness: &str) -> (String, String) {
    (startup.to_owned(), liveness.to_owned())
}

#[test]
fn what_each_manager_leaves_to_us_at_10_000_pods() {
    let taken = pair("", "60/10/30/6");
    let beside = pair("0/10/10/12", "30/10/10/2");
    let cases = [
        (("helm", "Update"), &taken),
        (("kubectl-client-side-apply", "Update"), &taken),
        (("kubectl-edit", "Update"), &taken),
        (("helm", "Apply"), &beside),
        (("kubectl", "Apply"), &beside),
        (("kustomize-controller", "Apply"), &beside),
        (("argocd-controller", "Apply"), &beside),
        (("some-operator", "Update"), &beside),
    ];
    for (manager, expected) in cases {
        let mut world = with(manager, &liveness());
        world.step_at(10_000);
        assert_eq!(&world.timings(), expected, "{manager:?}");
        let settled = world.step_at(10_000);
        assert_eq!(
            (in_sync(&settled).as_str(), &settled.action),
            ("Covered", &Action::None),
            "{manager:?}"
        );
    }
}

#[test]
fn an_applier_that_declares_a_handler_keeps_all_its_timings() {
    let mut world = with(("kubectl", "Apply"), &liveness());
    let probe = &mut world.object["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:template"]
        ["f:spec"]["f:containers"];
    let container = probe.as_object_mut().unwrap().values_mut().next().unwrap();
    let declared = container["f:livenessProbe"].as_object_mut().unwrap();
    declared.remove("f:initialDelaySeconds");
    declared.remove("f:timeoutSeconds");
    declared.remove("f:failureThreshold");
    world.step_at(10_000);
    // With a leaf of ours in it he could not drop the probe any more (S4).
    assert_eq!(world.timings(), pair("0/10/10/12", "30/10/10/2"));
}

#[test]
fn both_probes_declared_by_an_applier() {
    let mut world = with(("kustomize-controller", "Apply"), &declared_both());
    let before = world.object.clone();
    let mut decisions = vec![world.step_at(10_000)];
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    decisions.push(world.step_at(10_000));
    for decision in decisions {
        assert_eq!(
            (in_sync(&decision).as_str(), &decision.action),
            ("Yielded", &Action::None)
        );
        let message = &decision
            .conditions
            .iter()
            .find(|state| state.reason.to_string() == "Yielded")
            .unwrap()
            .message;
        assert!(
            message.contains(
                "kustomize-controller declares the startupProbe, which is left to it: set startupProbe: {failureThreshold: 12} there"
            ),
            "{message}"
        );
    }
    assert_eq!(world.object, before);
}

#[test]
fn an_owners_startup_probe_takes_the_budget_and_keeps_its_handler() {
    let mut probes = declared_both();
    probes["startupProbe"] = probe_json(json!({"exec": {"command": ["ready"]}}), 5, 5, 2, 3);
    let mut world = with(("helm", "Update"), &probes);
    world.step_at(200);
    assert_eq!(world.timings(), pair("5/5/2/12", "30/10/10/2"));
    assert_eq!(
        world.container()["startupProbe"]["exec"],
        json!({"command": ["ready"]})
    );
}

#[test]
fn an_owner_who_asks_for_more_keeps_his_values() {
    let mut world = with(
        ("helm", "Update"),
        &json!({"livenessProbe": probe_json(http(), 300, 10, 10, 3)}),
    );
    let decision = world.step_at(10_000);
    assert_eq!(
        (in_sync(&decision).as_str(), &decision.action),
        ("WouldShorten", &Action::None)
    );
    assert_eq!(
        decision.startup.source,
        Some(probepilot_api::BudgetSource::Owner)
    );
}

#[test]
fn an_upgrade_of_the_owners_is_followed() {
    let mut world = with(("helm", "Update"), &liveness());
    world.step_at(10_000);
    // helm upgrade puts its own values back, with a longer delay than before.
    world.edit("helm", &json!({"livenessProbe": {"initialDelaySeconds": 45, "timeoutSeconds": 10, "failureThreshold": 2}}));
    assert_eq!(world.timings(), pair("", "45/10/10/2"));
    let decision = world.step_at(10_000);
    assert_eq!(world.timings(), pair("", "60/10/30/6"));
    assert_eq!(
        decision
            .probes
            .unwrap()
            .baseline
            .liveness_probe
            .unwrap()
            .initial_delay_seconds,
        Some(45)
    );
    world.edit(
        "helm",
        &json!({"livenessProbe": {"initialDelaySeconds": 200}}),
    );
    assert_eq!(
        world.step_at(10_000).action,
        Action::None,
        "200 s cover the need"
    );
}

#[test]
fn a_lower_does_not_undercut_the_need_where_a_threshold_was_taken_over() {
    let mut world = with(("helm", "Update"), &declared_both());
    world.spec.behavior.lower.policy = probepilot_api::LowerPolicy::Enabled;
    world.spec.behavior.lower.stabilization_window_seconds = 0;
    world.step_at(10_000);
    assert_eq!(world.budget(), 110);
    // Argo CD adopts the live value: it is ours by its value, and held by a manager that fights.
    let list = format!("k:{}", json!({"name": crate::testing::CONTAINER}));
    let entries = world.object["metadata"]["managedFields"]
        .as_array_mut()
        .unwrap();
    entries.push(json!({"manager": "argocd-controller", "operation": "Apply", "fieldsV1":
        {"f:spec": {"f:template": {"f:spec": {"f:containers": {list: {"f:startupProbe": {"f:failureThreshold": {}}}}}}}}}));
    world.pass(100_000);
    world.step_at(200);
    assert!(world.budget() >= 60, "{}", world.budget());
}

type Change = Box<dyn Fn(&mut World)>;

#[test]
fn brakes_stop_even_a_rescue() {
    let metadata = |fields: Value| {
        move |world: &mut World| {
            for (key, value) in fields.as_object().unwrap() {
                world.object["metadata"][key] = value.clone();
            }
        }
    };
    let cases: [(&str, Change); 6] = [
        (
            "ReadOnly",
            Box::new(|world| world.brake = Some(Brake::ReadOnly)),
        ),
        (
            "Ignored",
            Box::new(|world| world.brake = Some(Brake::NamespaceIgnored)),
        ),
        (
            "Ignored",
            Box::new(metadata(
                json!({"annotations": {"probepilot.dev/ignore": ""}}),
            )),
        ),
        (
            "OwnedByController",
            Box::new(metadata(
                json!({"ownerReferences": [{"kind": "Prometheus", "name": "k8s", "controller": true}]}),
            )),
        ),
        (
            "OwnedByController",
            Box::new(metadata(json!({"labels": {"olm.owner": "x"}}))),
        ),
        (
            "ObserveOnly",
            Box::new(|world| world.spec.mode = probepilot_api::Mode::Observe),
        ),
    ];
    for (expected, change) in cases {
        let mut world = with(("helm", "Update"), &liveness());
        world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
        change(&mut world);
        let before = world.object.clone();
        let decision = world.step_at(10_000);
        assert_eq!(
            (in_sync(&decision).as_str(), &decision.action),
            (expected, &Action::None)
        );
        assert_eq!(world.object, before, "{expected}");
        world.counts = vec![pods(0, world.now)];
        world.spec.rules.clear();
        world.spec.crash_loop.enabled = false;
        assert_eq!(
            in_sync(&world.look()),
            "NothingAsked",
            "no brake where nothing is asked"
        );
    }
}
