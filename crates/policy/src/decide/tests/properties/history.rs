//! What holds at every look of every history.

use jiff::Timestamp;
use probepilot_api::{ConditionType, CountSelector, LowerPolicy, Mode, ProbePolicySpec};
use probepilot_kubelet::Timings;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategies::{absurd_spec, count, target, valid_spec};
use crate::pod::{ContainerView, FailedProbe, KillingEvent, Life, SeenStart};
use crate::starts::MeasuredBy;
use crate::testing::{CONTAINER, World, at, killed_pod};
use crate::timing::TimingField;
use crate::workload::{ContainerProbes, Workload};
use crate::{
    Action, Asked, Brake, Cause, Count, CountFailure, CountFailureKind, Decision, PodView, Policy,
    Sample, Slot, budget, decide, need, worth_writing,
};

/// Something that happens, and then a look.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each happens by itself")]
struct Event {
    passed: i64,
    pods: Option<i64>,
    services: Option<i64>,
    failing: bool,
    killed: bool,
    slot: Slot,
    brake: bool,
    mode: Mode,
    rolling: bool,
    owner: Option<Value>,
    crash: Option<bool>,
}

fn event() -> impl Strategy<Value = Event> {
    let counted = || prop_oneof![4 => count().prop_map(Some), 1 => Just(None)];
    let slot = prop_oneof![3 => Just(Slot::Granted), 1 => Just(Slot::None), 1 => Just(Slot::Waiting { position: 2 })];
    let mode = prop_oneof![4 => Just(Mode::Enforce), 1 => Just(Mode::Observe)];
    let passed = prop_oneof![0..700_i64, Just(90_000)];
    let owner = prop_oneof![
        6 => Just(None),
        1 => (0..100_u32).prop_map(|delay| Some(json!({"livenessProbe": {"initialDelaySeconds": delay}}))),
        1 => (1..9_u32).prop_map(|threshold| Some(json!({"livenessProbe": {"failureThreshold": threshold}}))),
    ];
    let rare = || prop::bool::weighted(0.15);
    let crash = prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (
        (passed, counted(), counted(), rare(), rare()),
        (slot, rare(), mode, rare(), owner, crash),
    )
        .prop_map(
            |(
                (passed, pods, services, failing, killed),
                (slot, brake, mode, rolling, owner, crash),
            )| Event {
                passed,
                pods,
                services,
                failing,
                killed,
                slot,
                brake,
                mode,
                rolling,
                owner,
                crash,
            },
        )
}

/// Lets an event happen.
fn happen(world: &mut World, event: &Event) {
    world.pass(event.passed);
    world.spec.mode = event.mode;
    world.slot = event.slot;
    world.brake = event.brake.then_some(Brake::ReadOnly);
    let failure = event.failing.then(|| CountFailure {
        kind: CountFailureKind::Unavailable,
        message: String::new(),
    });
    world.counts = [("pods", event.pods), ("services", event.services)]
        .map(|(resource, value)| Count {
            selector: CountSelector {
                resource: resource.to_owned(),
                ..CountSelector::default()
            },
            last: value.map(|value| Sample {
                value,
                at: world.now,
            }),
            failure: failure.clone(),
        })
        .to_vec();
    let present = Workload::parse(world.kind, &world.object).unwrap();
    let present = present.container(CONTAINER).unwrap();
    let has_liveness = present.liveness.is_some();
    world.pods.clear();
    if event.killed
        && let Some(liveness) = &present.liveness
    {
        let lived = i64::from(liveness.timings.budget_seconds().min(100_000)) + 1;
        world
            .pods
            .push(killed_pod(liveness.timings, lived, world.now));
    }
    if let Some(change) = event.owner.as_ref().filter(|_| has_liveness) {
        world.edit("helm", change);
    }
    let updated = json!(if event.rolling { 1 } else { 2 });
    world.object["status"]["updatedReplicas"] = updated.clone();
    world.object["status"]["updatedNumberScheduled"] = updated;
}

fn container(world: &World) -> ContainerProbes {
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    workload.container(CONTAINER).unwrap().clone()
}

/// The timings that a status or a record has, with the API's defaults.
fn full(timings: Option<probepilot_api::ProbeTimings>) -> Option<Timings> {
    timings.map(Timings::from)
}

fn asked(world: &World, decision: &Decision) -> Asked {
    let baseline = decision
        .probes
        .and_then(|probes| full(probes.baseline.liveness_probe));
    need(
        &Policy::try_from(&world.spec).unwrap(),
        &world.counts,
        baseline,
    )
}

fn check(
    world: &World,
    before: &ContainerProbes,
    decision: &Decision,
) -> Result<(), TestCaseError> {
    let kinds: Vec<_> = decision
        .conditions
        .iter()
        .map(crate::ConditionState::kind)
        .collect();
    // Delivery is a matter of delivery Admission alone.
    let mut all = ConditionType::ALL.to_vec();
    all.retain(|kind| *kind != ConditionType::Delivery);
    prop_assert_eq!(kinds, all, "one of each condition");
    let Action::Write(write) = &decision.action else {
        return Ok(());
    };
    prop_assert_eq!(world.spec.mode, Mode::Enforce);
    prop_assert_eq!(world.brake, None);
    prop_assert_eq!(write.to_seconds, budget(&write.probes));

    let asked = asked(world, decision);
    let covered = asked.ask().is_none_or(|ask| ask.covered_by(budget(before)));
    let after = budget(&write.probes);
    match write.cause {
        Cause::Raise | Cause::Kill => {
            prop_assert!(
                !covered,
                "a target whose budget covers the need is never touched"
            );
            prop_assert!(after > budget(before));
            let ask = asked.ask().unwrap();
            let enough =
                ask.covered_by(after) || world.spec.behavior.raise.stabilization_window_seconds > 0;
            prop_assert!(enough, "{after} s written, {ask:?} needed");
        }
        Cause::Lower => {
            prop_assert_eq!(world.spec.behavior.lower.policy, LowerPolicy::Enabled);
            prop_assert!(
                asked.ask().is_none_or(|ask| ask.covered_by(after)),
                "{} s, {:?}",
                after,
                asked
            );
            prop_assert!(after < budget(before));
        }
        Cause::Handler => prop_assert!(before.startup.is_some()),
    }

    let baseline = decision.probes.unwrap().baseline;
    let pairs = [
        (full(baseline.liveness_probe), &write.probes.liveness),
        (full(baseline.startup_probe), &write.probes.startup),
    ];
    for (owner, written) in pairs {
        let Some(owner) = owner else { continue };
        let written = written.as_ref().map(|probe| probe.timings);
        prop_assert!(written.is_some(), "an owner's probe stays");
        for field in TimingField::ALL {
            prop_assert!(
                field.get(written.unwrap()) >= field.get(owner),
                "{:?} below the baseline",
                field
            );
        }
    }
    let handler = |probes: &ContainerProbes| {
        probes
            .liveness
            .clone()
            .map(|probe| (probe.handler, probe.grace_seconds))
    };
    prop_assert_eq!(
        handler(before),
        handler(&write.probes),
        "liveness's handler is the owner's"
    );
    Ok(())
}

/// Whatever else happens, the same look again changes nothing.
fn check_twice(world: &mut World, first: &Decision) -> Result<(), TestCaseError> {
    if !matches!(first.action, Action::Write(_)) {
        return Ok(());
    }
    let written = container(world);
    let followed = matches!(&first.action, Action::Write(write) if write.cause == Cause::Handler);
    if !followed {
        let again = world.step();
        prop_assert!(
            !matches!(again.action, Action::Write(_)),
            "{:?}\nthen {:?}",
            first.action,
            again.action
        );
        prop_assert_eq!(written, container(world));
    }
    Ok(())
}

fn run(
    spec: ProbePolicySpec,
    kind: probepilot_api::TargetKind,
    object: Value,
    events: &[Event],
) -> Result<(), TestCaseError> {
    let mut world = World::new(spec, object);
    world.kind = kind;
    world.spec.target_ref.kind = kind;
    if container(&world).liveness.is_none() && container(&world).startup.is_none() {
        world.spec.container_name = Some(CONTAINER.to_owned());
    }
    for event in events {
        happen(&mut world, event);
        let before = container(&world);
        let policy = Policy::try_from(&world.spec).unwrap();
        let observation = world.observe();
        let decision = decide(&policy, &observation, &world.status, world.now);
        let again = decide(&policy, &observation, &world.status, world.now);
        prop_assert_eq!(&decision, &again, "deterministic");
        check(&world, &before, &decision)?;
        if let Some(patched) = event.crash {
            world.crash(patched);
            if patched && let Action::Write(write) = &decision.action {
                prop_assert_eq!(&container(&world), &write.probes);
            }
            continue;
        }
        let stepped = world.step();
        prop_assert_eq!(&stepped, &decision);
        if !matches!(decision.action, Action::Write(_)) {
            prop_assert_eq!(&before, &container(&world));
        }
        check_twice(&mut world, &decision)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn of_every_valid_spec(
        spec in valid_spec(),
        (kind, object) in target(false),
        events in vec(event(), 1..10),
    ) {
        run(spec, kind, object, &events)?;
    }

    /// Over the whole range of the types: nothing overflows, and what is written is still no shorter.
    #[test]
    fn of_every_absurd_spec(
        spec in absurd_spec(),
        (kind, object) in target(true),
        events in vec(event(), 1..6),
    ) {
        if Policy::try_from(&spec).is_ok() {
            run_absurd(spec, kind, object, &events)?;
        }
    }

    #[test]
    fn of_every_pod(pods in vec(wild_pod(), 0..40), now in time(), count in any::<i64>()) {
        let mut world = World::chart(&json!({}));
        world.pods = pods;
        world.counts = vec![Count {
            selector: CountSelector::default(),
            last: Some(Sample { value: count, at: now }),
            failure: None,
        }];
        world.now = now;
        let first = world.look();
        let judged = world.status.memory.clone().unwrap_or_default().judged;
        prop_assert!(judged.len() <= 16, "bounded as the schema has it");
        prop_assert!(judged.is_sorted_by_key(|life| life.finished_at.0));
        let status = world.status.clone();
        let second = world.look();
        prop_assert_eq!(&first.memory.judged, &second.memory.judged, "each life is judged once");
        prop_assert_eq!(first.verdict, second.verdict);
        prop_assert_eq!(&first.starts, &second.starts, "each start is recorded once");
        prop_assert!(!worth_writing(&status, &status, world.now));
    }
}

/// As `run`, without an edit or a pod that would need sane numbers.
fn run_absurd(
    spec: ProbePolicySpec,
    kind: probepilot_api::TargetKind,
    object: Value,
    events: &[Event],
) -> Result<(), TestCaseError> {
    let mut world = World::new(spec, object);
    world.kind = kind;
    world.spec.target_ref.kind = kind;
    for event in events {
        happen(
            &mut world,
            &Event {
                killed: false,
                owner: None,
                ..event.clone()
            },
        );
        world.counts[0].last = event.pods.map(|value| Sample {
            value: value.wrapping_mul(i64::MAX / 7),
            at: world.now,
        });
        let before = container(&world);
        let decision = world.step();
        if let Action::Write(write) = &decision.action {
            let shorter = write.cause != Cause::Lower && write.to_seconds < budget(&before);
            prop_assert!(!shorter, "{:?}", write);
            let fits = |probe: &Option<crate::Probe>| {
                probe.as_ref().is_none_or(|probe| {
                    TimingField::ALL
                        .iter()
                        .all(|field| i32::try_from(field.get(probe.timings)).is_ok())
                })
            };
            prop_assert!(
                fits(&write.probes.startup) && fits(&write.probes.liveness),
                "timings are int32: {:?}",
                write
            );
        }
    }
    Ok(())
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0..5_000_i64).prop_map(at),
        // Go's zero time, the earliest that an API server writes.
        1 => Just("0001-01-01T00:00:00Z".parse().unwrap()),
        1 => Just("9999-12-30T22:00:00Z".parse().unwrap()),
    ]
}

fn seen_start() -> impl Strategy<Value = SeenStart> {
    let healthy = prop::option::of(time().prop_map(|at| (at, MeasuredBy::Started)));
    (time(), healthy).prop_map(|(started_at, healthy_at)| SeenStart {
        started_at,
        healthy_at,
    })
}

fn wild_pod() -> impl Strategy<Value = PodView> {
    let timings = || {
        (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>())
            .prop_map(|(d, p, t, f)| crate::testing::timings(d, p, t, f))
    };
    let sane = || Just(crate::testing::timings(30, 10, 10, 2));
    let guard = (
        prop::option::weighted(0.2, timings()),
        prop_oneof![4 => sane().prop_map(Some), 1 => timings().prop_map(Some), 1 => Just(None)],
    );
    let probe = prop_oneof![Just(FailedProbe::Liveness), Just(FailedProbe::Startup)];
    let kill = (probe, time(), time()).prop_map(|(probe, first_at, last_at)| KillingEvent {
        probe,
        first_at,
        last_at,
        count: 1,
    });
    let life = (time(), time(), any::<i32>(), prop::bool::weighted(0.1)).prop_map(
        |(started_at, finished_at, exit_code, memory)| Life {
            started_at,
            finished_at,
            exit_code,
            reason: if memory { "OOMKilled" } else { "Error" }.to_owned(),
            ..Life::default()
        },
    );
    let view = (
        guard,
        prop::option::of(life),
        prop::option::of(vec(kill, 0..3)),
        any::<i32>(),
        any::<u32>(),
        (any::<bool>(), vec(seen_start(), 0..3)),
    );
    ("[a-z]{0,3}", view).prop_map(
        |(uid, ((startup, liveness), last_life, kills, restart_count, grace, (ready, seen)))| {
            PodView {
                name: uid.clone(),
                uid,
                deleting: false,
                grace_seconds: grace,
                containers: [(
                    CONTAINER.to_owned(),
                    ContainerView {
                        startup,
                        liveness,
                        last_life,
                        kills,
                        restart_count,
                        ready,
                        running_since: ready.then(|| at(0)),
                        seen,
                        ..ContainerView::default()
                    },
                )]
                .into(),
                ..PodView::default()
            }
        },
    )
}
