use serde_json::{Value, json};

use super::{Baseline, BaselineRecord};
use crate::testing::{CONTAINER, World, http, probe_json};
use crate::workload::{ContainerProbes, Workload};

/// The baseline of a workload as it is now.
fn baseline(world: &World) -> Baseline {
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    let current = workload.container(CONTAINER).unwrap();
    Baseline::of(current, &workload.records, workload.managers.of(CONTAINER))
}

/// Startup and liveness of the baseline as `d/p/t/f`.
fn shown(world: &World) -> (String, String) {
    let show = |probe: &Option<crate::Probe>| {
        probe.as_ref().map_or_else(String::new, |probe| {
            let t = probe.timings;
            format!(
                "{}/{}/{}/{}",
                t.initial_delay_seconds, t.period_seconds, t.timeout_seconds, t.failure_threshold
            )
        })
    };
    let ContainerProbes {
        startup, liveness, ..
    } = baseline(world).probes;
    (show(&startup), show(&liveness))
}

fn written(count: i64) -> World {
    let mut world = World::chart(&json!({}));
    world.step_at(count);
    world
}

fn pair(startup: &str, liveness: &str) -> (String, String) {
    (startup.to_owned(), liveness.to_owned())
}

fn set_record(world: &mut World, text: &str) {
    world.object["metadata"]["annotations"]["probepilot.dev/baseline"] = json!(text);
}

#[test]
fn before_any_write_everything_is_the_owners() {
    let world = World::chart(&json!({}));
    assert_eq!(shown(&world), pair("", "30/10/10/2"));
    assert!(!baseline(&world).startup_is_ours);
}

#[test]
fn what_we_wrote_is_not_the_owners() {
    let startup = written(200);
    assert_eq!(startup.timings(), pair("0/10/10/7", "30/10/10/2"));
    assert_eq!(shown(&startup), pair("", "30/10/10/2"));
    assert!(baseline(&startup).startup_is_ours);

    let liveness = written(10_000);
    assert_eq!(liveness.timings(), pair("", "60/10/30/6"));
    assert_eq!(shown(&liveness), pair("", "30/10/10/2"));
}

#[test]
fn an_owners_startup_probe_gets_its_own_threshold_back() {
    let mut world = World::chart(&json!({}));
    world.edit(
        "helm",
        &json!({"startupProbe": probe_json(http(), 0, 10, 5, 3)}),
    );
    world.step_at(200);
    assert_eq!(world.timings().0, "0/10/5/7");
    assert_eq!(shown(&world).0, "0/10/5/3");
    assert!(
        !baseline(&world).startup_is_ours,
        "its handler is the owner's"
    );
}

#[test]
fn a_change_by_another_manager_refreshes_the_baseline() {
    let cases = [
        ("a raise", json!({"initialDelaySeconds": 90}), "90/10/10/2"),
        (
            "back to the owner's value",
            json!({"initialDelaySeconds": 30}),
            "30/10/10/2",
        ),
        (
            "a timing that we do not write",
            json!({"periodSeconds": 5}),
            "30/5/10/2",
        ),
        (
            "two timings",
            json!({"initialDelaySeconds": 20, "failureThreshold": 4}),
            "20/10/10/4",
        ),
    ];
    for (name, change, expected) in cases {
        let mut world = written(10_000);
        world.edit("helm", &json!({"livenessProbe": change}));
        assert_eq!(shown(&world).1, expected, "{name}");
    }
}

#[test]
fn a_field_that_is_co_owned_and_as_we_wrote_it_is_ours() {
    let mut world = written(10_000);
    // Argo CD with RespectIgnoreDifferences applies our live value as its own.
    let list = format!("k:{}", json!({"name": CONTAINER}));
    let fields: Value = ["f:initialDelaySeconds", "f:failureThreshold", "f:httpGet"]
        .map(|f| (f, json!({})))
        .into_iter()
        .collect();
    let entries = world.object["metadata"]["managedFields"]
        .as_array_mut()
        .unwrap();
    entries.push(json!({"manager": "argocd-controller", "operation": "Apply", "fieldsV1":
        {"f:spec": {"f:template": {"f:spec": {"f:containers": {list: {"f:livenessProbe": fields}}}}}}}));
    assert_eq!(shown(&world).1, "30/10/10/2");
}

#[test]
fn an_owners_startup_probe_in_the_place_of_ours_is_the_owners() {
    let mut world = written(200);
    world.edit("helm", &json!({"startupProbe": probe_json(json!({"tcpSocket": {"port": 1}, "httpGet": null}), 0, 5, 1, 30)}));
    assert_eq!(shown(&world).0, "0/5/1/30");
    assert!(!baseline(&world).startup_is_ours);
}

#[test]
fn a_timing_of_our_startup_probe_that_somebody_changed_leaves_it_ours() {
    let mut world = written(200);
    world.edit(
        "kubectl-edit",
        &json!({"startupProbe": {"failureThreshold": 2}}),
    );
    assert!(
        baseline(&world).startup_is_ours,
        "nobody else declares its handler"
    );
    assert_eq!(shown(&world).0, "");
}

#[test]
fn records_that_cannot_be_used() {
    let cases = [
        ("malformed", "{\"container\":".to_owned()),
        (
            "of another container",
            json!([{"container": "other", "baseline": {}, "written": {}}]).to_string(),
        ),
        ("no list", json!({"container": CONTAINER}).to_string()),
    ];
    for (name, text) in cases {
        let mut world = written(10_000);
        set_record(&mut world, &text);
        assert_eq!(
            shown(&world),
            world.timings(),
            "{name}: the present probes are never shortened"
        );
    }
}

#[test]
fn without_managed_fields_everything_is_the_owners() {
    let mut world = written(10_000);
    world.object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("managedFields");
    assert_eq!(shown(&world), pair("", "60/10/30/6"));
}

#[test]
fn a_new_policy_finds_the_owners_probes_by_the_annotation() {
    let mut world = written(10_000);
    world.status = probepilot_api::ProbePolicyStatus::default();
    world.counts.clear();
    let decision = world.look();
    let baseline = decision.probes.unwrap().baseline.liveness_probe.unwrap();
    assert_eq!(
        (baseline.initial_delay_seconds, baseline.failure_threshold),
        (Some(30), Some(2))
    );
}

#[test]
fn the_record_in_the_annotation() {
    let world = written(10_000);
    let text = world.object["metadata"]["annotations"]["probepilot.dev/baseline"]
        .as_str()
        .unwrap();
    let first = r#"[{"baseline":{"livenessProbe":{"failureThreshold":2,"initialDelaySeconds":30,"periodSeconds":10,"timeoutSeconds":10}},"container":"aws-load-balancer-controller","#;
    let taken = r#""taken":[{"liveness":["initialDelaySeconds","timeoutSeconds","failureThreshold"],"manager":"helm","operation":"Update"}],"#;
    let last = r#""written":{"livenessProbe":{"failureThreshold":6,"initialDelaySeconds":60,"periodSeconds":10,"timeoutSeconds":30}}}]"#;
    assert_eq!(
        text,
        format!("{first}{taken}{last}"),
        "every later version must read this"
    );
    let records: Vec<BaselineRecord> = serde_json::from_str(text).unwrap();
    assert_eq!(records[0].container, CONTAINER);
    // As versions wrote it that gave nothing back.
    let records: Vec<BaselineRecord> = serde_json::from_str(&format!("{first}{last}")).unwrap();
    assert!(records[0].taken.is_empty() && !records[0].released);
}
