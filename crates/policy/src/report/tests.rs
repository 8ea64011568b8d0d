use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{Memory, Pending, ProbePolicyStatus};
use serde_json::json;

use super::{Settled, intent, last_write, remember_write, settle_intent, worth_writing};
use crate::testing::{CONTAINER, World, apply, at, pods};
use crate::workload::Workload;
use crate::{Action, Cause, Write, patch};

/// Status after a look at so many pods of a settled target, `later` seconds on.
fn statuses(first: i64, second: i64, later: i64) -> (World, ProbePolicyStatus) {
    let mut world = World::chart(
        &json!({"rules": [{"linear": {"baseSeconds": 400, "secondsPerThousand": 1}}]}),
    );
    world.step_at(first);
    world.counts = vec![pods(first, world.now)];
    world.look();
    let written = world.status.clone();
    world.pass(later);
    world.counts = vec![pods(second, world.now)];
    world.look();
    (world, written)
}

#[test]
fn when_a_count_alone_is_worth_a_write() {
    let cases = [
        ("nothing moved", 1000, 1000, 3600, false),
        ("5 % after 10 minutes", 1000, 1050, 600, true),
        ("5 % before that", 1000, 1050, 599, false),
        ("less than 5 %", 1000, 1049, 3600, false),
        ("fewer", 1000, 950, 600, true),
        ("the first object", 0, 1, 600, true),
        ("out of nothing", 0, 0, 3600, false),
    ];
    for (name, first, second, later, expected) in cases {
        let (world, written) = statuses(first, second, later);
        assert_eq!(
            worth_writing(&written, &world.status, world.now),
            expected,
            "{name}"
        );
    }
}

#[test]
fn what_is_written_at_once() {
    // Linear 400 s + 1 s per 1,000: a fifth more is 80,000 objects more.
    let (world, written) = statuses(0, 80_000, 1);
    assert!(
        worth_writing(&written, &world.status, world.now),
        "the need jumped by 20 %"
    );
    let (world, written) = statuses(0, 79_000, 1);
    assert!(
        !worth_writing(&written, &world.status, world.now),
        "less than that waits"
    );

    let (mut world, written) = statuses(1000, 1000, 1);
    world.counts[0].last = None;
    world.look();
    assert!(
        worth_writing(&written, &world.status, world.now),
        "a value became unknown"
    );

    let (mut world, written) = statuses(1000, 1000, 1);
    world.spec.rules.clear();
    world.look();
    assert!(
        worth_writing(&written, &world.status, world.now),
        "a reason changed"
    );

    let (world, written) = statuses(1000, 1000, 1);
    assert!(
        worth_writing(&ProbePolicyStatus::default(), &written, world.now),
        "the first status"
    );
}

#[test]
fn a_waiting_window_is_written_down_every_10_minutes() {
    let fields = json!({"behavior": {"raise": {"stabilizationWindowSeconds": 7200}}});
    let mut world = World::chart(&fields);
    world.step_at(10_000);
    let written = world.status.clone();
    world.pass(599);
    world.step_at(10_000);
    assert!(!worth_writing(&written, &world.status, world.now));
    world.pass(1);
    world.step_at(10_000);
    assert!(worth_writing(&written, &world.status, world.now));
}

#[test]
fn the_status_of_the_main_job() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    world.pass(600);
    world.step_at(10_000);
    world.pass(30);
    world.step_at(10_000);
    insta::assert_yaml_snapshot!(world.status);
}

#[test]
fn transition_times_move_with_the_status_alone() {
    let mut world = World::chart(&json!({"mode": "Observe"}));
    world.step_at(200);
    let since = |world: &World| {
        let mut conditions = world.status.conditions.iter();
        conditions
            .find(|condition| condition.type_ == "InSync")
            .unwrap()
            .last_transition_time
            .0
    };
    world.pass(60);
    world.brake = Some(crate::Brake::ReadOnly);
    world.step_at(200);
    assert_eq!(since(&world), at(0), "another reason, the same status");
    world.pass(60);
    world.spec.rules.clear();
    world.step_at(200);
    assert_eq!(since(&world), at(120));
}

/// A world whose operator was stopped after its intent was written, before or after the patch.
fn stopped(patched: bool) -> (World, Write) {
    let mut world = World::chart(&json!({}));
    world.counts = vec![pods(10_000, world.now)];
    let Action::Write(write) = world.look().action else {
        panic!("it writes")
    };
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    world.status.memory.get_or_insert_default().intent = Some(intent(&write, &workload, world.now));
    if patched {
        let patch = patch(&workload, &write.probes, &write.record).unwrap();
        apply(&mut world.object, &patch, probepilot_api::FIELD_MANAGER);
    }
    world.pass(30);
    (world, *write)
}

#[test]
fn an_intent_is_settled_by_what_the_target_has() {
    let (done, write) = stopped(true);
    let workload = Workload::parse(done.kind, &done.object).unwrap();
    let Settled { status, done } = settle_intent(&done.status, &workload);
    let memory = status.memory.clone().unwrap_or_default();
    assert_eq!((memory.intent, memory.pending_raise), (None, None));
    assert_eq!(done.and_then(|intent| intent.cause), Some(Cause::Raise));
    let settled = status;
    assert_eq!(settled.last_write, Some(last_write(&write, Some(2), at(0))));

    let (undone, _) = stopped(false);
    let workload = Workload::parse(undone.kind, &undone.object).unwrap();
    let Settled { status, done } = settle_intent(&undone.status, &workload);
    assert_eq!(
        (status.memory.unwrap().intent, status.last_write, done),
        (None, None, None)
    );

    let (mut recreated, _) = stopped(true);
    recreated.object["metadata"]["uid"] = json!("another");
    let workload = Workload::parse(recreated.kind, &recreated.object).unwrap();
    assert_eq!(
        settle_intent(&recreated.status, &workload).done,
        None,
        "not the object that was written"
    );
}

/// An owner changed the path of liveness under our startup probe; the operator was stopped before or
/// after it followed.
fn followed(patched: bool) -> Settled {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    world.edit(
        "helm",
        &json!({"livenessProbe": {"httpGet": {"path": "/livez"}}}),
    );
    let Action::Write(write) = world.look().action else {
        panic!("it follows")
    };
    assert_eq!(write.cause, Cause::Handler);
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    world.status.memory.get_or_insert_default().intent = Some(intent(&write, &workload, world.now));
    if patched {
        let patch = patch(&workload, &write.probes, &write.record).unwrap();
        apply(&mut world.object, &patch, probepilot_api::FIELD_MANAGER);
    }
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    settle_intent(&world.status, &workload)
}

#[test]
fn a_write_of_the_handler_alone_is_told_from_none() {
    let before = followed(false);
    assert_eq!(
        before.done, None,
        "the timings are those intended all along"
    );
    let after = followed(true);
    let generation = after.status.last_write.unwrap().generation;
    assert_eq!(generation, Some(4), "created, raised, edited, followed");
    assert_eq!(after.done.unwrap().cause, Some(Cause::Handler));
}

#[test]
fn memory_after_a_write() {
    let (world, write) = stopped(false);
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    let pending = Pending {
        since: Time(at(0)),
        observed_at: Time(at(0)),
        counts: Vec::new(),
        turned_at: None,
        earlier: Vec::new(),
    };
    let memory = Memory {
        pending_raise: Some(pending.clone()),
        pending_lower: Some(pending),
        intent: Some(intent(&write, &workload, at(0))),
        ..Memory::default()
    };
    let raised = remember_write(memory.clone(), &write, at(5));
    let template = Some(probepilot_api::TemplateMemory {
        target_uid: write.target_uid.clone(),
        sum: write.template.clone(),
        probes: Some(write.record.written),
        earlier: Vec::new(),
    });
    assert_eq!(
        raised,
        Memory {
            template: template.clone(),
            ..Memory::default()
        },
        "a raise begins every window again"
    );
    let handler = Write {
        cause: Cause::Handler,
        ..write.clone()
    };
    let followed = remember_write(memory.clone(), &handler, at(5));
    assert_eq!(
        followed,
        Memory {
            intent: None,
            template,
            ..memory.clone()
        },
        "a handler that followed changed no budget: windows go on"
    );
    let lower = Write {
        cause: Cause::Lower,
        ..write
    };
    let lowered = remember_write(memory, &lower, at(5));
    assert_eq!(lowered.lowered_at, Some(Time(at(5))));
    let raised = remember_write(
        lowered,
        &Write {
            cause: Cause::Raise,
            ..lower
        },
        at(9),
    );
    assert_eq!(
        raised.lowered_at,
        Some(Time(at(5))),
        "a raise does not forget the last lower"
    );
}

#[test]
fn windows_are_counted_in_whole_status() {
    let mut world = World::chart(&json!({}));
    world.step_at(200);
    assert_eq!(
        world.status.target.as_deref(),
        Some("deployment/aws-load-balancer-controller")
    );
    assert_eq!(world.status.container.as_deref(), Some(CONTAINER));
    assert_eq!(
        SignedDuration::ZERO,
        world
            .now
            .duration_since(world.status.counts[0].observed_at.clone().unwrap().0)
    );
}
