use insta::assert_json_snapshot;
use probepilot_api::TargetKind;
use serde_json::{Value, json};

use super::patch;
use crate::baseline::BaselineRecord;
use crate::testing::{CONTAINER, World, http, probe_json, spec, workload};
use crate::workload::Workload;
use crate::{Action, Decision};

/// The patch of the write that a policy asking for `asked` decides on.
fn written(world: &mut World) -> Option<Value> {
    let Decision { action, .. } = world.look();
    let Action::Write(write) = action else {
        return None;
    };
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    patch(&workload, &write.probes, &write.record)
}

fn asking(seconds: u32, probes: &Value) -> World {
    let rules = json!([{"steps": [{"atLeast": 0, "startupSeconds": seconds}]}]);
    let object = workload(TargetKind::Deployment, ("helm", "Update"), probes);
    let mut world = World::new(spec(json!({"rules": rules})), object);
    world.counts = vec![crate::testing::pods(1, world.now)];
    world
}

/// The startup probe that is added to a liveness probe with `handler`.
fn added(handler: Value) -> Value {
    let liveness = probe_json(handler, 10, 5, 3, 3);
    let patch = written(&mut asking(60, &json!({"livenessProbe": liveness}))).unwrap();
    patch["spec"]["template"]["spec"]["containers"].clone()
}

#[test]
fn a_new_startup_probe_over_http() {
    let patch = written(&mut asking(
        60,
        &json!({"livenessProbe": probe_json(http(), 30, 10, 10, 2)}),
    ));
    assert_json_snapshot!(patch);
}

#[test]
fn a_new_startup_probe_over_exec() {
    assert_json_snapshot!(added(
        json!({"exec": {"command": ["sh", "-c", "test -f /tmp/ok"]}})
    ));
}

#[test]
fn a_new_startup_probe_over_tcp() {
    assert_json_snapshot!(added(
        json!({"tcpSocket": {"port": "health", "host": "localhost"}})
    ));
}

#[test]
fn a_new_startup_probe_over_grpc() {
    assert_json_snapshot!(added(
        json!({"grpc": {"port": 9000, "service": "liveness"}})
    ));
}

#[test]
fn unknown_fields_of_a_handler_are_copied() {
    let handler = json!({
        "httpGet": {"path": "/", "port": 1, "tls": {"serverName": "x", "alpn": ["h2"]}},
        "futureHandler": {"depth": [1, {"two": null}]},
    });
    assert_json_snapshot!(added(handler));
}

#[test]
fn the_probes_grace_is_copied() {
    let mut liveness = probe_json(http(), 30, 10, 10, 2);
    liveness["terminationGracePeriodSeconds"] = json!(7);
    let patch = written(&mut asking(60, &json!({"livenessProbe": liveness}))).unwrap();
    let startup = &patch["spec"]["template"]["spec"]["containers"][0]["startupProbe"];
    assert_eq!(startup["terminationGracePeriodSeconds"], json!(7));
}

#[test]
fn only_timings_that_change_are_in_the_patch() {
    let probes = json!({
        "livenessProbe": probe_json(http(), 30, 10, 10, 2),
        "startupProbe": probe_json(http(), 0, 10, 10, 3),
    });
    assert_json_snapshot!(written(&mut asking(60, &probes)));
}

#[test]
fn the_seeds_liveness_timings() {
    let mut world = World::chart(&json!({}));
    world.counts = vec![crate::testing::pods(10_000, world.now)];
    assert_json_snapshot!(written(&mut world));
}

#[test]
fn our_startup_probe_gives_way_to_the_seeds_liveness_timings() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    world.counts = vec![crate::testing::pods(10_000, world.now)];
    assert_json_snapshot!(written(&mut world));
}

#[test]
fn another_kind_of_handler_replaces_the_probe() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    world.edit(
        "helm",
        &json!({"livenessProbe": {"httpGet": null, "tcpSocket": {"port": 61779}}}),
    );
    assert_json_snapshot!(written(&mut world));
}

#[test]
fn the_annotation_goes_when_the_owners_own_probes_are_back() {
    let mut world = World::chart(
        &json!({"behavior": {"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 0}}}),
    );
    world.step_at(10_000);
    world.spec.rules.clear();
    assert_json_snapshot!(written(&mut world));
}

#[test]
fn nothing_that_differs_is_no_patch() {
    let world = World::chart(&json!({}));
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    let container = workload.container(CONTAINER).unwrap().clone();
    let record = BaselineRecord {
        container: CONTAINER.to_owned(),
        baseline: container.timings(),
        written: container.timings(),
        taken: Vec::new(),
        released: false,
    };
    assert_eq!(patch(&workload, &container, &record), None);
    let mut gone = container;
    gone.name = "gone".to_owned();
    assert_eq!(
        patch(&workload, &gone, &record),
        None,
        "a container that is gone"
    );
}

#[test]
fn records_of_other_containers_stay() {
    let other = |name: &str| json!({"container": name, "baseline": {}, "written": {"startupProbe": {"periodSeconds": 10}}});
    let mut world = World::chart(
        &json!({"behavior": {"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 0}}}),
    );
    world.object["metadata"]["annotations"] = json!({"probepilot.dev/baseline": json!([other("a-sidecar"), other("renamed")]).to_string()});
    // The one that was renamed is there no more, and its record goes with the next write.
    let containers = world.object["spec"]["template"]["spec"]["containers"].as_array_mut();
    containers.unwrap().push(json!({"name": "a-sidecar"}));
    let containers = |world: &World| -> Vec<String> {
        let workload = Workload::parse(world.kind, &world.object).unwrap();
        workload
            .records
            .iter()
            .map(|record| record.container.clone())
            .collect()
    };
    world.step_at(200);
    assert_eq!(containers(&world), ["a-sidecar", CONTAINER]);
    world.pass(100_000);
    world.step_at(10_000);
    assert_eq!(
        containers(&world),
        ["a-sidecar", CONTAINER],
        "one record a container"
    );
    world.spec.rules.clear();
    world.pass(100_000);
    world.step_at(10_000);
    assert_eq!(containers(&world), ["a-sidecar"]);
    assert_eq!(world.timings().1, "30/10/10/2");
}
