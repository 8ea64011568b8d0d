use probepilot_api::OnDelete::{Keep, Restore};
use probepilot_api::{FIELD_MANAGER, OnDelete};
use serde_json::{Value, json};

use super::{Step, step};
use crate::testing::{
    CONTAINER, World, apply, apply_json, chart_liveness, http, probe_json, workload,
};
use crate::workload::Workload;

/// What was done, in order.
fn leave(world: &mut World, how: OnDelete) -> Vec<&'static str> {
    let mut done = Vec::new();
    while let Some(what) = one_step(world, how) {
        done.push(what);
        assert!(done.len() < 5, "no end: {done:?}");
    }
    done
}

fn one_step(world: &mut World, how: OnDelete) -> Option<&'static str> {
    match next(world, how) {
        Step::Done => None,
        Step::PutBack(back) => {
            apply(&mut world.object, &back.patch, FIELD_MANAGER);
            Some("put back")
        }
        Step::LetGo(end) => {
            apply_json(&mut world.object, &end.operations);
            Some("let go")
        }
    }
}

fn next(world: &World, how: OnDelete) -> Step {
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    step(&workload, CONTAINER, how)
}

fn written(count: i64) -> World {
    let mut world = World::chart(&json!({}));
    world.step_at(count);
    world
}

/// The chart's Deployment, applied by `manager`.
fn applied(manager: &str) -> World {
    let mut world = World::chart(&json!({"apply": {"onConflict": "Take"}}));
    let probes = json!({"livenessProbe": chart_liveness()});
    world.object = workload(world.kind, (manager, "Apply"), &probes);
    world.step_at(10_000);
    world
}

fn annotation(world: &World, name: &str) -> Option<String> {
    let annotations = &world.object["metadata"]["annotations"];
    annotations[format!("probepilot.dev/{name}")]
        .as_str()
        .map(str::to_owned)
}

/// Managers with the fields of liveness and startup probe that each owns.
fn owners(world: &World) -> Vec<String> {
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    let of = workload.managers.of(CONTAINER).iter();
    let shown = of.map(|owner| {
        let keys = |keys: &std::collections::BTreeSet<String>| {
            keys.iter().cloned().collect::<Vec<_>>().join(" ")
        };
        format!(
            "{}: {} | {}",
            owner.manager,
            keys(&owner.liveness),
            keys(&owner.startup)
        )
    });
    shown.collect()
}

const ALL: &str =
    "failureThreshold httpGet initialDelaySeconds periodSeconds successThreshold timeoutSeconds";

#[test]
fn keep_leaves_the_probes_and_owns_nothing() {
    for (count, probes) in [
        (200, ("0/10/10/7", "30/10/10/2")),
        (10_000, ("", "60/10/30/6")),
    ] {
        let mut world = written(count);
        assert_eq!(leave(&mut world, Keep), ["let go"]);
        let (startup, liveness) = world.timings();
        assert_eq!((startup.as_str(), liveness.as_str()), probes);
        assert!(
            !owners(&world)
                .iter()
                .any(|one| one.starts_with(FIELD_MANAGER))
        );
        assert!(
            annotation(&world, "baseline").is_some(),
            "for a policy that comes back"
        );
        assert_eq!(next(&world, Keep), Step::Done);
    }
}

#[test]
fn the_command_in_the_annotation_takes_kept_probes_away() {
    let cases = [
        (
            200,
            r#"{"name":"aws-load-balancer-controller","startupProbe":null}"#,
        ),
        (
            10_000,
            r#"{"livenessProbe":{"failureThreshold":2,"initialDelaySeconds":30,"timeoutSeconds":10},"name":"aws-load-balancer-controller"}"#,
        ),
    ];
    for (count, container) in cases {
        let mut world = written(count);
        leave(&mut world, Keep);
        let command = annotation(&world, "kept").unwrap();
        let expected = format!(
            r#"kubectl --namespace kube-system patch deployment/aws-load-balancer-controller --type strategic --patch '{{"metadata":{{"annotations":{{"probepilot.dev/baseline":null,"probepilot.dev/kept":null}}}},"spec":{{"template":{{"spec":{{"containers":[{container}]}}}}}}}}'"#
        );
        assert_eq!(command, expected);
        let (_, patch) = command.split_once("--patch '").unwrap();
        let mut patch: Value = serde_json::from_str(patch.trim_end_matches('\'')).unwrap();
        for guard in ["uid", "resourceVersion"] {
            patch["metadata"][guard] = world.object["metadata"][guard].clone();
        }
        apply(&mut world.object, &patch, "kubectl-patch");
        assert_eq!(world.timings(), (String::new(), "30/10/10/2".to_owned()));
        assert_eq!(
            (annotation(&world, "kept"), annotation(&world, "baseline")),
            (None, None)
        );
    }
}

#[test]
fn restore_puts_a_startup_probe_away_and_lets_go() {
    let mut world = written(200);
    assert_eq!(leave(&mut world, Restore), ["put back", "let go"]);
    assert_eq!(world.timings(), (String::new(), "30/10/10/2".to_owned()));
    assert_eq!(owners(&world), [format!("helm: {ALL} | ")]);
    assert_eq!(
        (annotation(&world, "kept"), annotation(&world, "baseline")),
        (None, None)
    );
}

#[test]
fn restore_gives_timings_back_to_whom_they_were_taken_from() {
    for mut world in [written(10_000), applied("kustomize-controller")] {
        let before = owners(&World::new(world.spec.clone(), world.object.clone())).join(", ");
        assert!(
            before.contains("probepilot: failureThreshold initialDelaySeconds timeoutSeconds"),
            "{before}"
        );
        assert_eq!(leave(&mut world, Restore), ["put back", "let go"]);
        assert_eq!(world.timings(), (String::new(), "30/10/10/2".to_owned()));
        let [only] = owners(&world).try_into().unwrap();
        assert!(only.ends_with(&format!(": {ALL} | ")), "{only}");
    }
}

#[test]
fn stopped_between_the_two_steps_another_one_goes_on() {
    for (count, how) in [(200, Restore), (10_000, Restore), (10_000, Keep)] {
        let mut world = written(count);
        assert_eq!(one_step(&mut world, Restore), Some("put back"));
        // Whoever comes next knows the workload alone, and perhaps another wish.
        assert_eq!(leave(&mut world, how), ["let go"]);
        assert_eq!(
            owners(&world),
            [format!("helm: {ALL} | ")],
            "{count} {how:?}"
        );
        assert_eq!(
            (annotation(&world, "kept"), annotation(&world, "baseline")),
            (None, None)
        );
    }
}

#[test]
fn values_that_are_somebody_elses_by_now_are_not_touched() {
    // The owner set one of the timings that we wrote.
    let mut world = written(10_000);
    world.edit(
        "helm",
        &json!({"livenessProbe": {"initialDelaySeconds": 90}}),
    );
    leave(&mut world, Restore);
    assert_eq!(world.timings().1, "90/10/10/2");
    assert_eq!(owners(&world), [format!("helm: {ALL} | ")]);

    // He has a startup probe of his own in the place of ours.
    let mut world = written(200);
    let own = probe_json(
        json!({"tcpSocket": {"port": 1}, "httpGet": null}),
        0,
        5,
        1,
        30,
    );
    world.edit("helm", &json!({"startupProbe": own}));
    assert_eq!(leave(&mut world, Restore), ["let go"]);
    assert_eq!(world.timings().0, "0/5/1/30");
    assert_eq!(annotation(&world, "baseline"), None);
}

#[test]
fn an_owners_own_startup_probe_gets_its_threshold_back() {
    let mut world = World::chart(&json!({}));
    world.edit(
        "helm",
        &json!({"startupProbe": probe_json(http(), 0, 10, 5, 3)}),
    );
    world.step_at(200);
    assert_eq!(world.timings().0, "0/10/5/7");
    assert_eq!(leave(&mut world, Restore), ["put back", "let go"]);
    assert_eq!(
        world.timings(),
        ("0/10/5/3".to_owned(), "30/10/10/2".to_owned())
    );
    assert_eq!(owners(&world), [format!("helm: {ALL} | {ALL}")]);
}

#[test]
fn a_policy_that_comes_back_finds_the_owners_probes() {
    for count in [200, 10_000] {
        let mut world = written(count);
        let probes = world.timings();
        leave(&mut world, Keep);
        world.status = probepilot_api::ProbePolicyStatus::default();
        let decision = world.step_at(count);
        assert_eq!(world.timings(), probes, "nothing is written");
        let baseline = decision.probes.unwrap().baseline;
        assert_eq!(baseline.startup_probe, None);
        assert_eq!(
            baseline.liveness_probe.unwrap().initial_delay_seconds,
            Some(30)
        );
        // And writes on from there: the probes are what they are without the detour.
        world.pass(1000);
        world.step_at(20_000);
        assert_eq!(
            world.timings(),
            (String::new(), "60/10/30/6".to_owned()),
            "{count}"
        );
        leave(&mut world, Restore);
        assert_eq!(
            world.timings(),
            (String::new(), "30/10/10/2".to_owned()),
            "{count}"
        );
        assert_eq!(annotation(&world, "kept"), None);
    }
}

#[test]
fn what_was_kept_can_still_be_put_back() {
    for count in [200, 10_000] {
        let mut world = written(count);
        leave(&mut world, Keep);
        assert_eq!(leave(&mut world, Restore), ["put back", "let go"]);
        assert_eq!(world.timings(), (String::new(), "30/10/10/2".to_owned()));
        assert_eq!(
            (annotation(&world, "kept"), annotation(&world, "baseline")),
            (None, None)
        );
    }
}

#[test]
fn kept_probes_that_the_owner_declares_are_his() {
    let mut world = written(10_000);
    leave(&mut world, Keep);
    // His next apply has his own value again.
    world.edit("helm", &json!({"livenessProbe": chart_liveness()}));
    assert_eq!(world.timings().1, "30/10/10/2");
    assert_eq!(leave(&mut world, Restore), ["let go"]);
    assert_eq!(
        (annotation(&world, "kept"), annotation(&world, "baseline")),
        (None, None)
    );
}

#[test]
fn other_containers_of_the_workload_stay_as_they_are() {
    let mut world = written(200);
    let other = json!({"container": "other", "baseline": {}, "written": {"startupProbe": {"failureThreshold": 9}}});
    let mut records: Vec<Value> =
        serde_json::from_str(&annotation(&world, "baseline").unwrap()).unwrap();
    records.push(other);
    world.object["metadata"]["annotations"]["probepilot.dev/baseline"] =
        json!(json!(records).to_string());
    let containers = world.object["spec"]["template"]["spec"]["containers"].as_array_mut();
    containers.unwrap().push(json!({"name": "other"}));
    let ours = world.object["metadata"]["managedFields"]
        .as_array_mut()
        .unwrap();
    let ours = ours
        .iter_mut()
        .find(|entry| entry["manager"] == FIELD_MANAGER)
        .unwrap();
    ours["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]["k:{\"name\":\"other\"}"] =
        json!({"f:startupProbe": {"f:failureThreshold": {}}});
    for how in [Keep, Restore] {
        leave(&mut world, how);
        let records: Vec<Value> =
            serde_json::from_str(&annotation(&world, "baseline").unwrap()).unwrap();
        assert_eq!(records.last().unwrap()["container"], "other", "{how:?}");
        let workload = Workload::parse(world.kind, &world.object).unwrap();
        assert!(
            workload.managers.ours("other") && !workload.managers.ours(CONTAINER),
            "{how:?}"
        );
    }
    let text = world.object["metadata"]["managedFields"].to_string();
    assert!(
        !text.contains("{\"k:{\\\"name\\\":\\\"aws-load-balancer-controller\\\"}\":{}"),
        "S2: {text}"
    );
}

#[test]
fn nothing_of_ours_is_done_at_once() {
    let world = World::chart(&json!({}));
    for how in [Keep, Restore] {
        assert_eq!(next(&world, how), Step::Done);
    }
}

#[test]
fn a_container_that_is_gone_is_forgotten() {
    let mut world = written(200);
    world.container_mut()["name"] = json!("renamed");
    assert_eq!(leave(&mut world, Restore), ["let go"]);
    assert_eq!(annotation(&world, "baseline"), None);
    assert_eq!(leave(&mut world, Keep), Vec::<&str>::new());
}
