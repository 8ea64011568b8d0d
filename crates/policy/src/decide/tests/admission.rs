//! Delivery Admission: nothing but status is written, and killed pods are deleted.

mod kills;

use jiff::SignedDuration;
use probepilot_api::{ConditionType, Mode, ProbePair, TargetKind};
use serde_json::{Value, json};

use crate::testing::{
    CONTAINER, World, chart_liveness, in_sync, killed_pod, reason, seed_rules, spec, timings,
    workload,
};
use crate::{Action, Admission, Brake, Decision, PodView, ReadyTurned, Support, replaced};

fn world_of(kind: TargetKind, fields: &Value, probes: &Value) -> World {
    let mut object = workload(kind, ("argocd-controller", "Apply"), probes);
    object["status"]["updateRevision"] = json!("lbc-1");
    object["metadata"]["annotations"] = json!({"deprecated.daemonset.template.generation": "7"});
    let mut all = json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": CONTAINER},
        "rules": seed_rules(), "apply": {"delivery": "Admission"},
        // Nothing of this matters: nothing restarts.
        "behavior": {"raise": {"stabilizationWindowSeconds": 600, "minIntervalSeconds": 600}},
    });
    for (key, value) in fields.as_object().unwrap() {
        all[key] = value.clone();
    }
    let mut world = World::new(spec(all), object);
    world.slot = crate::Slot::None;
    world.admission = Admission {
        policy: "lbc".to_owned(),
        support: Support::Ready {
            since: crate::testing::at(-1000),
        },
    };
    world
}

fn world() -> World {
    world_of(
        TargetKind::Deployment,
        &json!({}),
        &json!({"livenessProbe": chart_liveness()}),
    )
}

/// A healthy pod of the template as it is, created now.
fn pod(world: &World, name: &str) -> PodView {
    let mut pod = killed_pod(timings(30, 10, 10, 2), 57, world.now);
    (pod.name, pod.uid) = (name.to_owned(), format!("uid-{name}"));
    pod.created_at = Some(world.now);
    pod.template = Some("lbc-1".to_owned());
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    (view.restart_count, view.last_life, view.ready) = (0, None, true);
    pod
}

/// The same with what new pods get.
fn given(world: &World, name: &str) -> PodView {
    let mut pod = pod(world, name);
    let desired = world.status.desired.unwrap();
    pod.admitted = Some(format!("lbc:{}", desired.revision()));
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.startup = desired.startup_probe.map(Into::into);
    pod
}

/// Killed under the owner's 40 s, and never ready.
fn killed(world: &World, name: &str) -> PodView {
    let mut pod = pod(world, name);
    pod.containers = killed_pod(timings(30, 10, 10, 2), 57, world.now).containers;
    let taken = world.now - SignedDuration::from_secs(62);
    (pod.created_at, pod.taken_at) = (Some(taken), Some(taken));
    pod.ready_turned = Some(ReadyTurned {
        ready: false,
        at: taken,
    });
    pod
}

fn admits(decision: &Decision) -> bool {
    matches!(decision.action, Action::Admit(_))
}

fn desired(world: &World) -> String {
    world.status.desired.unwrap_or_default().revision()
}

fn delivery(decision: &Decision) -> String {
    reason(decision, ConditionType::Delivery)
}

fn says(decision: &Decision, kind: ConditionType) -> String {
    let mut conditions = decision.conditions.iter();
    conditions
        .find(|state| state.kind() == kind)
        .unwrap()
        .message
        .clone()
}

fn deleted(decision: &Decision) -> Option<&str> {
    match &decision.action {
        Action::Replace(replace) => Some(&replace.uid),
        _ => None,
    }
}

/// As the operator does it.
fn delete(world: &mut World) -> Decision {
    let decision = world.step();
    if let Action::Replace(replace) = &decision.action {
        let memory = world.status.memory.get_or_insert_default();
        replaced(memory, replace, world.now, true);
        world.pods.retain(|pod| pod.uid != replace.uid);
    }
    decision
}

#[test]
fn a_need_changes_what_new_pods_get_at_once_and_running_pods_not_at_all() {
    let mut world = world();
    world.roll();
    let before = world.object.clone();
    world.pods = ["a", "b"].map(|name| pod(&world, name)).into();
    let decision = world.step_at(100);
    assert!(
        admits(&decision),
        "no window, no rollout, no slot is waited for"
    );
    assert_eq!(desired(&world), "s0.10.10.7");
    assert_eq!(world.object, before, "nothing is written to the workload");
    assert_eq!(delivery(&decision), "AdmissionReady");
    assert_eq!(in_sync(&decision), "PodsBehind");
    assert_eq!(decision.startup.budget_seconds, Some(40), "what pods carry");

    world.pass(600);
    world.pods[0] = given(&world, "c");
    let decision = world.step();
    assert_eq!(decision.action, Action::None);
    let message = says(&decision, ConditionType::InSync);
    assert!(
        message.starts_with("1 of 2 running pods carry"),
        "{message}"
    );

    world.pods[1] = given(&world, "d");
    let decision = world.step();
    assert_eq!(in_sync(&decision), "Covered");
    assert_eq!(decision.startup.budget_seconds, Some(60));

    let rung = world.step_at(10_000);
    assert!(admits(&rung));
    assert_eq!(
        desired(&world),
        "l60.-.30.6",
        "the rung covers the need alone"
    );
    assert_eq!(in_sync(&rung), "PodsBehind");
}

#[test]
fn how_many_pods_carry_it_is_told_in_tenths_where_they_are_many() {
    let mut world = world();
    world.step_at(100);
    world.pass(60);
    world.pods = (0..100)
        .map(|index| {
            if index < 37 {
                return given(&world, &format!("new-{index}"));
            }
            let mut old = pod(&world, &format!("old-{index}"));
            old.created_at = Some(world.now - SignedDuration::from_hours(1));
            old
        })
        .collect();
    let message = says(&world.step(), ConditionType::InSync);
    assert!(
        message.starts_with("at least 30 of 100 running pods"),
        "{message}"
    );
}

#[test]
fn nothing_is_desired_before_a_canary_got_its_probes() {
    let untried = Support::Untried;
    let missing = Support::Missing("kubectl apply -k config/admission".to_owned());
    let broken = Support::Broken("the canary got nothing".to_owned());
    for (support, why) in [
        (untried, "AdmissionUntried"),
        (missing, "AdmissionMissing"),
        (broken, "AdmissionBroken"),
    ] {
        let mut world = world();
        let ready = std::mem::replace(&mut world.admission.support, support.clone());
        world.pods = vec![killed(&world, "a")];
        let decision = world.step_at(100);
        assert_eq!(delivery(&decision), why);
        assert_eq!(in_sync(&decision), "NotDelivered", "{why}");
        assert_eq!(
            (decision.action, desired(&world)),
            (Action::None, String::new())
        );
        world.admission.support = ready;
        assert!(admits(&world.step_at(100)), "{why}: once it works");
        // And when it is taken away, what is desired stays: pods get it once it is back.
        world.admission.support = support;
        world.pass(60);
        let decision = world.step_at(100);
        assert_eq!(
            (in_sync(&decision), deleted(&decision)),
            ("NotDelivered".to_owned(), None)
        );
        assert!(!desired(&world).is_empty());
    }
}

#[test]
fn an_owners_startup_probe_is_never_changed_and_he_is_told_what_to_write() {
    let own = json!({"livenessProbe": chart_liveness(), "startupProbe": chart_liveness()});
    let mut world = world_of(TargetKind::Deployment, &json!({}), &own);
    let decision = world.step_at(100);
    assert_eq!(in_sync(&decision), "OwnerStartupProbe");
    assert_eq!(
        (decision.action.clone(), desired(&world)),
        (Action::None, String::new())
    );
    let message = says(&decision, ConditionType::InSync);
    assert!(
        message.contains("startupProbe: {failureThreshold: 4}"),
        "{message}"
    );
    // One that is large enough is just that.
    world.container_mut()["startupProbe"]["failureThreshold"] = json!(4);
    assert_eq!(in_sync(&world.step_at(100)), "Covered");
}

#[test]
fn what_keeps_hands_off_keeps_what_new_pods_get() {
    type Turn = fn(&mut World);
    let brakes: [(&str, Turn); 4] = [
        ("ObserveOnly", |world| world.spec.mode = Mode::Observe),
        ("ReadOnly", |world| world.brake = Some(Brake::ReadOnly)),
        ("Ignored", |world| {
            world.brake = Some(Brake::NamespaceIgnored);
        }),
        ("WaitingForKill", |world| {
            world.spec.behavior.raise.policy = probepilot_api::RaisePolicy::OnKill;
        }),
    ];
    for (why, turn) in brakes {
        let mut world = world();
        turn(&mut world);
        let decision = world.step_at(100);
        assert_eq!(
            (in_sync(&decision), admits(&decision)),
            (why.to_owned(), false)
        );
        if world.spec.mode == Mode::Enforce {
            assert_eq!(desired(&world), "", "{why}: config/admission would give it");
        } else {
            assert_eq!(
                desired(&world),
                "s0.10.10.7",
                "shown; mode keeps it from pods"
            );
            world.spec.mode = Mode::Enforce;
            assert!(admits(&world.step_at(100)));
            continue;
        }
        let mut world = self::world();
        world.step_at(100);
        turn(&mut world);
        world.step_at(10_000);
        assert_eq!(desired(&world), "s0.10.10.7", "{why}: what there is stays");
    }
}

#[test]
fn a_workload_that_another_controller_makes_is_scaled_like_any_other() {
    let mut world = world();
    world.object["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Prometheus", "name": "p", "uid": "u", "controller": true}]);
    assert!(admits(&world.step_at(100)));
}

#[test]
fn a_target_that_comes_back_has_new_pods_that_get_what_the_ones_before_got() {
    let mut world = world();
    world.step_at(100);
    let mut away = world.observe();
    away.target = crate::Target::Missing;
    world.look_at(&away);
    assert_eq!(desired(&world), "s0.10.10.7");
    world.object["metadata"]["uid"] = json!("another");
    let back = world.step();
    assert_eq!(
        (back.action, in_sync(&world.step())),
        (Action::None, "Covered".to_owned())
    );
}

#[test]
fn a_need_that_fell_gives_new_pods_what_their_owner_wrote() {
    let lower = json!({"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 0}});
    let rules = json!([{"steps": [{"atLeast": 10000, "startupSeconds": 110}]}]);
    let fields = json!({"behavior": lower, "rules": rules});
    let probes = json!({"livenessProbe": chart_liveness()});
    let mut world = world_of(TargetKind::Deployment, &fields, &probes);
    assert!(admits(&world.step_at(10_000)));
    assert_eq!(desired(&world), "s0.10.10.12");
    for _ in 0..3 {
        world.pass(60);
        world.step_at(10);
    }
    assert_eq!(world.status.desired, Some(ProbePair::default()));
    assert_eq!(
        world.status.memory.clone().unwrap_or_default().handover,
        None
    );
    assert_eq!(in_sync(&world.step_at(10)), "NothingAsked");
}

#[test]
fn a_write_is_told_again_by_an_operator_that_was_stopped_before_it_had_told() {
    let mut world = world();
    world.counts = vec![crate::testing::pods(100, world.now)];
    let decision = world.look();
    let Action::Admit(write) = decision.action else {
        panic!("{decision:?}")
    };
    let crate::Target::Found(workload) = world.target() else {
        panic!()
    };
    crate::admitted(&mut world.status, &write, &workload, world.now);
    let settled = crate::settle_intent(&world.status, &workload);
    assert_eq!(settled.done.unwrap().probes, world.status.desired.unwrap());
    assert_eq!(settled.status.memory.unwrap().intent, None);
    assert_eq!(settled.status.last_write, world.status.last_write);
}
