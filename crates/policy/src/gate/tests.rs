use jiff::SignedDuration;
use probepilot_api::TargetKind;
use serde_json::{Value, json};

use super::{Change, Gate, gate};
use crate::observation::{Brake, Slot};
use crate::policy::Policy;
use crate::testing::{World, at, seed_rules, spec};
use crate::workload::Workload;

/// What a case sets up, before one change asks to be written.
struct Setup {
    /// Fields of the spec.
    spec: Value,
    /// Fields of the workload.
    workload: Value,
    brake: Option<Brake>,
    slot: Slot,
    urgent: bool,
    window_left: i64,
    written: Option<i64>,
}

fn setup() -> Setup {
    Setup {
        spec: json!({}),
        workload: json!({}),
        brake: None,
        slot: Slot::Granted,
        urgent: false,
        window_left: 0,
        written: None,
    }
}

fn spec_of(raise: &Value) -> Setup {
    Setup {
        spec: json!({"behavior": {"raise": raise}}),
        ..setup()
    }
}

fn workload_of(workload: Value) -> Setup {
    Setup {
        workload,
        ..setup()
    }
}

fn overlay(base: &mut Value, over: &Value) {
    match over.as_object() {
        Some(fields) if !base.is_null() => {
            for (key, value) in fields {
                overlay(&mut base[key], value);
            }
        }
        _ => *base = over.clone(),
    }
}

/// `Open`, `Queue`, or the reason and the seconds after which time opens it.
fn answer(setup: &Setup) -> String {
    let mut fields = json!({"rules": seed_rules()});
    overlay(&mut fields, &setup.spec);
    let mut world = World::new(spec(fields), crate::testing::chart());
    overlay(&mut world.object, &setup.workload);
    world.brake = setup.brake;
    world.slot = setup.slot;
    let policy = Policy::try_from(&world.spec).unwrap();
    let workload = Workload::parse(TargetKind::Deployment, &world.object).unwrap();
    let change = Change {
        summary: "it changes",
        urgent: setup.urgent,
        window_left: SignedDuration::from_secs(setup.window_left),
        interval: (300, setup.written.map(at)),
        held_back: None,
    };
    match gate(&policy, &world.observe(), &workload, &change, at(1000)) {
        Gate::Open => "Open".to_owned(),
        Gate::Queue => "Queue".to_owned(),
        Gate::Closed(closed) => {
            assert!(
                closed.condition.message.starts_with("it changes"),
                "{}",
                closed.condition.message
            );
            let opens = closed.opens_after.map(|left| left.as_secs());
            format!(
                "{}{}",
                closed.condition.reason,
                opens.map_or_else(String::new, |seconds| format!(" {seconds}"))
            )
        }
    }
}

fn paused() -> Value {
    json!({"spec": {"paused": true}})
}

fn rolling() -> Value {
    json!({"status": {"updatedReplicas": 1}})
}

fn recreate() -> Value {
    json!({"spec": {"strategy": {"type": "Recreate"}}})
}

fn both(one: &Value, other: &Value) -> Value {
    let mut all = one.clone();
    overlay(&mut all, other);
    all
}

fn ignored() -> Value {
    json!({"metadata": {"annotations": {"probepilot.dev/ignore": "true"}}})
}

fn owned() -> Value {
    json!({"metadata": {"ownerReferences": [{"kind": "Prometheus", "name": "k8s", "controller": true}]}})
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_closes_the_gate() {
    let exceeded = json!({"status": {"updatedReplicas": 1, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}});
    let observe = || Setup {
        spec: json!({"mode": "Observe"}),
        ..setup()
    };
    let cases = [
        ("nothing", setup(), "Open"),
        (
            "no slot was asked for",
            Setup {
                slot: Slot::None,
                ..setup()
            },
            "Queue",
        ),
        (
            "other rollouts come first",
            Setup {
                slot: Slot::Waiting { position: 3 },
                ..setup()
            },
            "Queued",
        ),
        ("the workload is ignored", workload_of(ignored()), "Ignored"),
        (
            "the namespace is ignored",
            Setup {
                brake: Some(Brake::NamespaceIgnored),
                ..setup()
            },
            "Ignored",
        ),
        (
            "read only",
            Setup {
                brake: Some(Brake::ReadOnly),
                ..setup()
            },
            "ReadOnly",
        ),
        (
            "owned by a controller",
            workload_of(owned()),
            "OwnedByController",
        ),
        ("mode Observe", observe(), "ObserveOnly"),
        (
            "OnKill",
            spec_of(&json!({"policy": "OnKill"})),
            "WaitingForKill",
        ),
        ("paused", workload_of(paused()), "Paused"),
        ("rolling out", workload_of(rolling()), "RollingOut"),
        ("rolling out, given up", workload_of(exceeded), "Open"),
        (
            "old pods stop first",
            workload_of(recreate()),
            "RestartNeeded",
        ),
        (
            "old pods stop first, rides with the owner's rollout",
            workload_of(both(&recreate(), &rolling())),
            "Open",
        ),
        (
            "old pods stop first, Always",
            Setup {
                workload: recreate(),
                ..spec_of(&json!({"policy": "Always"}))
            },
            "Open",
        ),
        (
            "Always waits for a rollout",
            Setup {
                workload: both(&recreate(), &rolling()),
                ..spec_of(&json!({"policy": "Always"}))
            },
            "RollingOut",
        ),
        (
            "the window",
            Setup {
                window_left: 40,
                ..setup()
            },
            "Stabilizing 40",
        ),
        (
            "the last write",
            Setup {
                written: Some(900),
                ..setup()
            },
            "MinInterval 200",
        ),
        (
            "a write long ago",
            Setup {
                written: Some(700),
                ..setup()
            },
            "Open",
        ),
    ];
    for (name, setup, expected) in cases {
        assert_eq!(answer(&setup), expected, "{name}");
    }
}

#[test]
fn an_urgent_change_waits_for_a_brake_alone() {
    let urgent = |setup: Setup| Setup {
        urgent: true,
        window_left: 40,
        written: Some(999),
        slot: Slot::Waiting { position: 3 },
        ..setup
    };
    let cases = [
        ("window, interval and queue", setup(), "Open"),
        (
            "no slot",
            Setup {
                slot: Slot::None,
                ..setup()
            },
            "Open",
        ),
        ("OnKill", spec_of(&json!({"policy": "OnKill"})), "Open"),
        ("paused", workload_of(paused()), "Open"),
        ("rolling out", workload_of(rolling()), "Open"),
        ("old pods stop first", workload_of(recreate()), "Open"),
        ("ignored", workload_of(ignored()), "Ignored"),
        (
            "read only",
            Setup {
                brake: Some(Brake::ReadOnly),
                ..setup()
            },
            "ReadOnly",
        ),
        (
            "owned by a controller",
            workload_of(owned()),
            "OwnedByController",
        ),
        (
            "mode Observe",
            Setup {
                spec: json!({"mode": "Observe"}),
                ..setup()
            },
            "ObserveOnly",
        ),
    ];
    for (name, setup, expected) in cases {
        assert_eq!(answer(&urgent(setup)), expected, "{name}");
    }
}

/// With every gate closed, opening them one by one shows each answer in turn.
#[test]
fn the_order_of_the_gates() {
    let mut setup = Setup {
        spec: json!({"mode": "Observe", "behavior": {"raise": {"policy": "OnKill"}}}),
        workload: both(&both(&ignored(), &owned()), &both(&paused(), &recreate())),
        brake: Some(Brake::ReadOnly),
        slot: Slot::Waiting { position: 1 },
        urgent: false,
        window_left: 40,
        written: Some(999),
    };
    let mut answers = vec![answer(&setup)];
    setup.workload["metadata"]["annotations"] = json!({});
    answers.push(answer(&setup));
    setup.brake = None;
    answers.push(answer(&setup));
    setup.workload["metadata"]["ownerReferences"] = json!([]);
    answers.push(answer(&setup));
    setup.spec["mode"] = json!("Enforce");
    answers.push(answer(&setup));
    setup.spec["behavior"]["raise"]["policy"] = json!("Safe");
    answers.push(answer(&setup));
    setup.workload["spec"]["paused"] = json!(false);
    answers.push(answer(&setup));
    setup.workload["spec"]["strategy"]["type"] = json!("RollingUpdate");
    overlay(&mut setup.workload, &rolling());
    answers.push(answer(&setup));
    setup.workload["status"]["updatedReplicas"] = json!(2);
    answers.push(answer(&setup));
    setup.window_left = 0;
    answers.push(answer(&setup));
    setup.written = None;
    answers.push(answer(&setup));
    setup.slot = Slot::Granted;
    answers.push(answer(&setup));
    assert_eq!(
        answers,
        [
            "Ignored",
            "ReadOnly",
            "OwnedByController",
            "ObserveOnly",
            "WaitingForKill",
            "Paused",
            "RestartNeeded",
            "RollingOut",
            "Stabilizing 40",
            "MinInterval 299",
            "Queued",
            "Open",
        ]
    );
}
