//! Targets and containers that are missing, ambiguous, in the way or at the owner's pace.

use jiff::SignedDuration;
use probepilot_api::{ConditionType, Reason, TargetKind};
use serde_json::{Value, json};

use crate::testing::{
    CONTAINER, World, chart_liveness, in_sync, killed_pod, pods, reason, timings, workload,
};
use crate::{Action, ConditionState, Decision, Refusal, Slot, Target};

/// Ready, TargetFound and InSync.
fn reasons(decision: &Decision) -> [String; 3] {
    [
        ConditionType::Ready,
        ConditionType::TargetFound,
        ConditionType::InSync,
    ]
    .map(|kind| reason(decision, kind))
}

fn with_containers(fields: &Value, containers: &Value) -> World {
    let mut world = World::chart(fields);
    world.object["spec"]["template"]["spec"]["containers"] = containers.clone();
    world.counts = vec![pods(200, world.now)];
    world
}

#[test]
fn every_condition_is_there_once_whatever_the_target() {
    let probed = json!({"name": "a", "livenessProbe": chart_liveness()});
    let other = json!({"name": "b", "livenessProbe": chart_liveness()});
    let plain = json!({"name": "plain"});
    let sidecar =
        json!({"name": "proxy", "restartPolicy": "Always", "livenessProbe": chart_liveness()});
    let named = |name: &str| json!({"containerName": name});
    let cases = [
        (
            "one container",
            json!({}),
            json!([probed, plain]),
            ["Enforcing", "Found", "Writing"],
        ),
        (
            "no probe",
            json!({}),
            json!([plain]),
            ["NoProbe", "Found", "NeedUnknown"],
        ),
        (
            "no probe in the named one",
            named("plain"),
            json!([probed, plain]),
            ["NoProbe", "Found", "Covered"],
        ),
        (
            "several",
            json!({}),
            json!([probed, other]),
            ["AmbiguousContainer", "Found", "NeedUnknown"],
        ),
        (
            "several, one named",
            named("b"),
            json!([probed, other]),
            ["Enforcing", "Found", "Writing"],
        ),
        (
            "not found",
            named("gone"),
            json!([probed]),
            ["Enforcing", "ContainerNotFound", "NeedUnknown"],
        ),
        (
            "a sidecar",
            named("proxy"),
            json!([probed]),
            ["SidecarContainer", "Found", "NeedUnknown"],
        ),
    ];
    for (name, fields, containers, expected) in cases {
        let mut world = with_containers(&fields, &containers);
        world.object["spec"]["template"]["spec"]["initContainers"] = json!([sidecar]);
        let decision = world.look();
        assert_eq!(reasons(&decision), expected, "{name}");
        assert_eq!(
            decision.conditions.len(),
            ConditionType::ALL.len() - 1,
            "{name}: all but Delivery"
        );
        let writes = matches!(decision.action, Action::Write(_));
        assert_eq!(writes, expected[2] == "Writing", "{name}");
    }
}

#[test]
fn a_target_that_is_not_there() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    for (target, expected) in [(Target::Unread, "Reading"), (Target::Missing, "NotFound")] {
        let mut observation = world.observe();
        observation.target = target;
        let decision = world.look_at(&observation);
        assert_eq!(reasons(&decision), ["Enforcing", expected, "NeedUnknown"]);
        assert_eq!(decision.action, Action::None);
        assert_eq!(
            decision.container.as_deref(),
            Some(CONTAINER),
            "the pin stays"
        );
    }
}

#[test]
fn a_duplicate_decides_nothing() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    world.duplicate_of = Some("kube-system/older".to_owned());
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    let decision = world.step_at(10_000);
    assert_eq!(reasons(&decision), ["Duplicate", "Found", "NeedUnknown"]);
    assert_eq!(decision.action, Action::None);
    assert_eq!(world.status.desired, None);
}

#[test]
fn the_choice_is_pinned_for_its_target() {
    let probed = |name: &str| json!({"name": name, "livenessProbe": chart_liveness()});
    let mut world = with_containers(&json!({}), &json!([probed("a"), {"name": "b"}]));
    world.look();
    assert_eq!(world.status.container.as_deref(), Some("a"));
    world.object["spec"]["template"]["spec"]["containers"] = json!([probed("a"), probed("b")]);
    assert_eq!(
        reasons(&world.look())[0],
        "Enforcing",
        "a second probe does not unsettle it"
    );

    world.spec.target_ref.name = "another".to_owned();
    assert_eq!(
        reasons(&world.look())[0],
        "AmbiguousContainer",
        "another target is chosen afresh"
    );
}

#[test]
fn waiting_for_the_target() {
    let mut rolling = World::chart(&json!({}));
    rolling.roll();
    let mut paused = World::chart(&json!({}));
    paused.object["spec"]["paused"] = json!(true);
    for (world, expected) in [(&mut rolling, "RollingOut"), (&mut paused, "Paused")] {
        let decision = world.step_at(10_000);
        assert_eq!(
            (in_sync(&decision).as_str(), &decision.action),
            (expected, &Action::None)
        );
        world.object["status"]["updatedReplicas"] = json!(2);
        world.object["spec"]["paused"] = json!(false);
        world.step_at(10_000);
        assert_eq!(world.budget(), 110, "{expected}");
    }
}

#[test]
fn a_rollout_that_was_given_up_is_not_waited_for() {
    let mut world = World::chart(&json!({}));
    world.roll();
    world.object["status"]["conditions"] =
        json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
    world.step_at(10_000);
    assert_eq!(world.budget(), 110);
}

#[test]
fn what_stops_old_pods_first_waits_for_the_owners_rollout() {
    let none =
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
    let cases = [
        (
            TargetKind::Deployment,
            "strategy",
            json!({"type": "Recreate"}),
        ),
        (TargetKind::Deployment, "strategy", none.clone()),
        (
            TargetKind::StatefulSet,
            "updateStrategy",
            json!({"type": "RollingUpdate"}),
        ),
        (TargetKind::DaemonSet, "updateStrategy", none),
    ];
    for (kind, key, strategy) in cases {
        let fields = json!({"targetRef": {"kind": kind}, "behavior": {"raise": {"stabilizationWindowSeconds": 300}}});
        let mut world = World::chart(&fields);
        world.object = workload(
            kind,
            ("helm", "Update"),
            &json!({"livenessProbe": chart_liveness()}),
        );
        world.object["spec"][key] = strategy;
        let decision = world.step_at(10_000);
        assert_eq!(
            (in_sync(&decision).as_str(), &decision.action),
            ("RestartNeeded", &Action::None),
            "{kind:?}"
        );
        world.pass(600);
        world.roll();
        world.object["status"]["updatedNumberScheduled"] = json!(1);
        world.step_at(10_000);
        assert_eq!(
            world.budget(),
            110,
            "{kind:?} rides with it: the window passed while it waited"
        );
    }
}

#[test]
fn always_and_on_kill() {
    let raise = |policy: &str| json!({"behavior": {"raise": {"policy": policy}}});
    let mut always = World::chart(&raise("Always"));
    always.object["spec"]["strategy"] = json!({"type": "Recreate"});
    always.step_at(10_000);
    assert_eq!(always.budget(), 110);

    let mut on_kill = World::chart(&raise("OnKill"));
    assert_eq!(in_sync(&on_kill.step_at(10_000)), "WaitingForKill");
    on_kill.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, on_kill.now)];
    on_kill.step_at(10_000);
    assert_eq!(on_kill.budget(), 110);
}

/// Writing a template whose pods are replaced only when somebody deletes them restarts nothing.
#[test]
fn on_delete_is_written_and_restarts_nothing() {
    let mut world = World::chart(&json!({"targetRef": {"kind": "DaemonSet"}}));
    world.object = workload(
        TargetKind::DaemonSet,
        ("helm", "Update"),
        &json!({"livenessProbe": chart_liveness()}),
    );
    world.object["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    world.object["status"]["updatedNumberScheduled"] = json!(0);
    world.step_at(10_000);
    assert_eq!(world.budget(), 110);
}

#[test]
fn the_queue() {
    let mut world = World::chart(&json!({}));
    world.slot = Slot::None;
    let decision = world.step_at(10_000);
    let Action::Queue(priority) = decision.action else {
        panic!("{:?}", decision.action)
    };
    assert_eq!(
        (priority.looping, priority.coverage_permille),
        (false, 363),
        "40 s of 110 s"
    );
    assert_eq!(in_sync(&decision), "Queued");

    world.slot = Slot::Waiting { position: 3 };
    let decision = world.step_at(10_000);
    assert!(matches!(decision.action, Action::Queue(_)));
    assert_eq!(
        (in_sync(&decision).as_str(), decision.startup.queue_position),
        ("Queued", Some(3))
    );

    world.slot = Slot::Granted;
    let decision = world.step_at(10_000);
    let Action::Write(write) = decision.action else {
        panic!("{:?}", decision.action)
    };
    assert!(write.takes_slot);
    assert_eq!(write.progress_deadline_seconds, Some(600));
}

/// Two containers of one workload have a policy each: neither takes the other's writes for the owner's.
#[test]
fn two_policies_on_two_containers() {
    let container = |name: &str| json!({"name": name, "livenessProbe": chart_liveness()});
    let mut one = with_containers(
        &json!({"containerName": "one"}),
        &json!([container("one"), container("two")]),
    );
    let mut two = with_containers(&json!({"containerName": "two"}), &json!([]));
    for count in [200, 10_000] {
        one.step_at(count);
        two.object = one.object.clone();
        two.step_at(count);
        one.object = two.object.clone();
    }
    for world in [&mut one, &mut two] {
        let decision = world.step_at(10_000);
        let baseline = decision.probes.unwrap().baseline;
        assert_eq!(baseline.liveness_probe.unwrap().failure_threshold, Some(2));
        assert_eq!(
            (in_sync(&decision).as_str(), &decision.action),
            ("Covered", &Action::None)
        );
    }
}

#[test]
fn a_refused_write_is_not_asked_again_until_its_time_or_another_wish() {
    let mut world = World::chart(&json!({}));
    let Action::Write(write) = world.step_at(200).action else {
        panic!("it writes")
    };
    let mut world = World::chart(&json!({}));
    let refusal = Refusal {
        probes: write.probes.clone(),
        condition: ConditionState::new(Reason::WriteRefused, "the API server refused: no"),
        retry_in: SignedDuration::from_secs(40),
    };
    world.refusal = Some(refusal);
    let decision = world.step_at(200);
    assert_eq!(
        (in_sync(&decision).as_str(), &decision.action),
        ("WriteRefused", &Action::None)
    );
    assert_eq!(decision.look_again, Some(SignedDuration::from_secs(40)));

    let decision = world.step_at(10_000);
    assert_eq!(
        in_sync(&decision),
        "Writing",
        "other probes are another matter"
    );
}
