//! Starts are recorded, a budget is recommended, and with `learning` it is asked for.

use probepilot_api::{BudgetSource, StartOutcome};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::pod::{ContainerView, FailedProbe, KillingEvent, Life, SeenStart};
use crate::starts::{MeasuredBy, ProgramSum};
use crate::testing::{CONTAINER, World, at, chart, in_sync, killed_pod, spec, timings};
use crate::{Action, Decision, PodView, Workload};

/// The image of the chart's Deployment.
const IMAGE: &str = "controller:v2.13.0";

fn world(fields: Value) -> World {
    World::new(spec(fields), chart())
}

/// A pod of the present template that began `seconds` ago and is healthy now.
fn pod(world: &World, name: &str, seconds: i64) -> PodView {
    let workload = Workload::parse(world.kind, &world.object).unwrap();
    let probes = workload.container(CONTAINER).unwrap();
    let program = workload.program(CONTAINER).unwrap();
    let started_at = world.now - jiff::SignedDuration::from_secs(seconds);
    let view = ContainerView {
        liveness: probes.liveness.as_ref().map(|probe| probe.timings),
        startup: probes.startup.as_ref().map(|probe| probe.timings),
        has_readiness: true,
        ready: true,
        started: Some(true),
        running_since: Some(started_at),
        program: ProgramSum::of(&program.image, &program.command, &program.args),
        cpu_limit: program.cpu_limit,
        seen: vec![SeenStart {
            started_at,
            healthy_at: Some((world.now, MeasuredBy::ContainersReady)),
        }],
        ..ContainerView::default()
    };
    PodView {
        name: name.to_owned(),
        uid: name.to_owned(),
        containers: [(CONTAINER.to_owned(), view)].into(),
        ..PodView::default()
    }
}

/// A day later a pod took so long to start at this count.
fn start(world: &mut World, count: i64, seconds: i64) -> Decision {
    world.pass(86_400);
    world.pods = vec![pod(world, "lbc-1", seconds)];
    world.step_at(count)
}

fn recommended(world: &World) -> Option<i64> {
    world.status.startup.as_ref().unwrap().recommended_seconds
}

#[test]
fn a_start_is_recorded_once_with_what_is_known_of_it() {
    let mut world = world(json!({"mode": "Observe"}));
    start(&mut world, 3_000, 31);
    let [record] = world.status.starts.as_slice() else {
        panic!("{:?}", world.status.starts);
    };
    assert_eq!((record.seconds, record.count), (31, 3_000));
    assert_eq!(record.outcome, StartOutcome::Healthy);
    assert_eq!(record.measured_by, MeasuredBy::ContainersReady);
    assert!(record.key.ends_with("-nolimit"), "{}", record.key);
    let once = world.status.starts.clone();
    world.pass(20);
    world.step_at(3_100);
    assert_eq!(
        world.status.starts, once,
        "the count moved, the start is the same"
    );
    world.pass(86_400);
    world.status.starts.clear();
    world.step_at(6_000);
    assert_eq!(
        world.status.starts,
        [],
        "nobody knows the count of that time any more"
    );
}

/// The pod of `world` behind a startup probe that was seen to be done just now; liveness 30/10/10/2, no readiness probe.
fn taken_for_started(world: &World) -> PodView {
    let mut pod = pod(world, "lbc-1", 31);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.startup = Some(timings(0, 10, 10, 30));
    view.has_readiness = false;
    view.seen[0].healthy_at = Some((world.now, MeasuredBy::Started));
    pod
}

#[test]
fn started_is_believed_once_liveness_would_have_killed_it() {
    let mut world = world(json!({"mode": "Observe"}));
    world.pods = vec![taken_for_started(&world)];
    // 30 s until liveness kills what never answers it, a second for rounding, 2 s and no grace for the kill.
    for seconds in [0, 33] {
        world.pass(seconds);
        world.step_at(3_000);
        assert_eq!(world.status.starts, [], "after {seconds} s");
    }
    world.pass(1);
    world.step_at(3_000);
    let [record] = world.status.starts.as_slice() else {
        panic!("{:?}", world.status.starts);
    };
    assert_eq!(
        (record.seconds, record.measured_by),
        (31, MeasuredBy::Started)
    );
}

#[test]
fn started_is_believed_at_once_when_it_was_ready_since() {
    let mut world = world(json!({"mode": "Observe"}));
    let mut pod = taken_for_started(&world);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.seen_ready = vec![view.seen[0].started_at];
    for (has_readiness, recorded) in [(false, 0), (true, 1)] {
        let view = pod.containers.get_mut(CONTAINER).unwrap();
        view.has_readiness = has_readiness;
        world.pods = vec![pod.clone()];
        world.step_at(3_000);
        assert_eq!(
            world.status.starts.len(),
            recorded,
            "readiness probe: {has_readiness}"
        );
    }
}

/// As after a restart of the kubelet (K20): the start was none, and its kill asks for nothing.
#[test]
fn a_start_that_only_the_kubelet_took_for_done_is_neither_recorded_nor_raised_for() {
    let mut world = world(json!({}));
    let mut pod = taken_for_started(&world);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    let begun = view.seen[0].started_at;
    view.last_life = Some(Life {
        started_at: begun,
        finished_at: world.now + jiff::SignedDuration::from_secs(29),
        exit_code: 1,
        reason: "Error".to_owned(),
        ..Life::default()
    });
    let killed_at = world.now + jiff::SignedDuration::from_secs(28);
    view.kills = Some(vec![KillingEvent {
        probe: FailedProbe::Liveness,
        first_at: killed_at,
        last_at: killed_at,
        count: 1,
    }]);
    view.restart_count = 1;
    view.running_since = Some(world.now + jiff::SignedDuration::from_secs(30));
    view.started = Some(false);
    view.ready = false;
    world.pods = vec![pod];
    world.pass(60);
    let decision = world.step_at(3_000);
    assert_eq!(world.status.starts, []);
    assert_eq!(world.status.verdict.as_deref(), Some("Unknown"));
    assert_eq!((decision.action, world.status.raises), (Action::None, None));
    let rules: Vec<_> = world
        .status
        .advice
        .iter()
        .map(|one| one.rule.as_str())
        .collect();
    assert_eq!(rules, ["unguarded-start"]);
}

#[test]
fn without_a_count_nothing_is_recorded() {
    let mut world = world(json!({}));
    world.pods = vec![pod(&world, "lbc-1", 31)];
    world.step();
    assert_eq!(world.status.starts, []);
    let counted = world.now;
    world.pass(3_600);
    world.pods = vec![pod(&world, "lbc-1", 31)];
    world.counts = vec![crate::testing::pods(3_000, counted)];
    world.step();
    assert_eq!(world.status.starts, [], "an hour is too old");
}

#[test]
fn what_is_recommended_is_shown_and_not_written_without_learning() {
    let mut world = world(json!({}));
    assert_eq!(
        start(&mut world, 3_000, 31).startup.recommended_seconds,
        Some(74)
    );
    let decision = start(&mut world, 12_000, 39);
    assert!(recommended(&world).unwrap() > 60);
    assert_eq!((decision.action, world.budget()), (Action::None, 40));
}

#[test]
fn with_learning_a_grown_count_is_written_before_it_kills() {
    let mut world = world(json!({"learning": {}}));
    start(&mut world, 2_000, 20);
    assert_eq!(world.budget(), 40, "what is there covers what starts need");
    start(&mut world, 3_000, 30);
    let decision = start(&mut world, 4_000, 39);
    world.pods.clear();
    world.pass(600);
    let later = world.step_at(8_000);
    let written = [decision, later]
        .into_iter()
        .find_map(|decision| match decision.action {
            Action::Write(write) => Some((write, decision.startup.source)),
            _ => None,
        });
    let (write, source) = written.expect("a write");
    assert_eq!(source, Some(BudgetSource::Learned));
    assert!(
        write.sentence.contains("the starts that were seen ask for"),
        "{}",
        write.sentence
    );
    assert!(world.budget() > 78, "{} s at 8,000", world.budget());
}

#[test]
fn a_kill_is_a_lower_bound() {
    let mut world = world(json!({"mode": "Observe"}));
    world.pass(100);
    let mut killed = killed_pod(timings(30, 10, 10, 2), 57, world.now);
    let view = killed.containers.get_mut(CONTAINER).unwrap();
    view.program = ProgramSum::of(IMAGE, &[], &[]);
    world.pods = vec![killed];
    world.step_at(10_500);
    let [record] = world.status.starts.as_slice() else {
        panic!("{:?}", world.status.starts);
    };
    assert_eq!(
        (record.outcome, record.measured_by, record.seconds),
        (StartOutcome::Killed, MeasuredBy::Terminated, 56),
        "until the Killing event"
    );
    assert!(recommended(&world) > Some(56));
}

#[test]
fn an_own_exit_before_health_is_recorded_and_recommends_nothing() {
    let mut world = world(json!({"mode": "Observe"}));
    world.pass(100);
    let mut ended = pod(&world, "lbc-1", 0);
    let view = ended.containers.get_mut(CONTAINER).unwrap();
    let started_at = world.now - jiff::SignedDuration::from_secs(20);
    view.last_life = Some(Life {
        started_at,
        finished_at: world.now - jiff::SignedDuration::from_secs(15),
        exit_code: 2,
        reason: "Error".to_owned(),
        ..Life::default()
    });
    (view.restart_count, view.kills) = (1, Some(Vec::new()));
    view.seen = vec![SeenStart {
        started_at,
        healthy_at: None,
    }];
    world.pods = vec![ended];
    world.step_at(500);
    world.pass(15);
    world.step_at(500);
    let [record] = world.status.starts.as_slice() else {
        panic!("{:?}", world.status.starts);
    };
    assert_eq!((record.outcome, record.seconds), (StartOutcome::Exited, 5));
    assert_eq!(recommended(&world), None);
}

#[test]
fn a_new_program_starts_over_and_says_so_once() {
    let mut world = world(json!({"mode": "Observe"}));
    start(&mut world, 3_000, 31);
    world.container_mut()["image"] = json!("controller:v3");
    world.pods.clear();
    world.pass(60);
    let told = |decision: &Decision| {
        let mut events = decision.events.iter();
        events.any(|event| event.reason == "LearningStartsOver")
    };
    assert!(told(&world.step_at(3_000)));
    assert_eq!(recommended(&world), None);
    assert!(!told(&world.step_at(3_000)));
    assert_eq!(
        world.status.starts.len(),
        1,
        "the old program may come back"
    );
}

#[test]
fn a_cpu_limit_that_moves_by_a_tenth_keeps_the_key() {
    let mut world = world(json!({"mode": "Observe"}));
    let limit = |world: &mut World, cpu: &str| {
        world.container_mut()["resources"] = json!({"limits": {"cpu": cpu}});
    };
    limit(&mut world, "350m");
    start(&mut world, 3_000, 31);
    limit(&mut world, "385m");
    start(&mut world, 3_000, 30);
    limit(&mut world, "1");
    start(&mut world, 3_000, 11);
    let keys: Vec<_> = world
        .status
        .starts
        .iter()
        .map(|start| start.key.as_str())
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[test]
fn starts_that_a_write_caused_ask_for_no_write_while_the_count_is_the_same() {
    let mut world = world(json!({
        "learning": {"headroomPercent": 0},
        "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 60}]}],
    }));
    world.step_at(3_000);
    assert_eq!(world.budget(), 60);
    let generation = Workload::parse(world.kind, &world.object)
        .unwrap()
        .generation;
    world.status.last_write.as_mut().unwrap().generation = Some(generation);
    world.pass(120);
    world.pods = vec![pod(&world, "lbc-1", 59), pod(&world, "lbc-2", 58)];
    let decision = world.step_at(3_000);
    assert!(world.status.starts.iter().all(|start| start.own_write));
    assert_eq!(world.status.starts.len(), 2);
    world.pods.clear();
    world.pass(86_400);
    let next = world.step_at(3_600);
    assert_eq!((decision.action, next.action), (Action::None, Action::None));
    world.pass(86_400);
    let grown = world.step_at(6_000);
    assert!(
        matches!(grown.action, Action::Write(_)),
        "{:?}",
        in_sync(&grown)
    );
}

#[test]
fn a_start_at_another_count_is_another_curve() {
    let services = json!([{"count": {"resource": "services"}, "steps": [{"atLeast": 0, "startupSeconds": 20}]}]);
    let mut keys = Vec::new();
    for rules in [json!([]), services] {
        let mut world = world(json!({"mode": "Observe", "rules": rules}));
        world.pods = vec![pod(&world, "lbc-1", 31)];
        let mut count = crate::testing::pods(3_000, world.now);
        count.selector = crate::Policy::try_from(&world.spec).unwrap().driver();
        world.counts = vec![count];
        world.step();
        keys.push(world.status.starts[0].key.clone());
    }
    assert_ne!(keys[0], keys[1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3))]

    /// A thousand days of stationary noise around any start time cause at most two writes.
    #[test]
    fn a_thousand_days_cause_two_writes_at_most(
        seconds in 5.0..300.0_f64,
        noise in proptest::collection::vec(0.7..1.3_f64, 1_000),
    ) {
        let mut world = world(json!({"learning": {}}));
        let mut writes = 0;
        for factor in noise {
            #[expect(clippy::cast_possible_truncation, reason = "some hundred seconds")]
            let took = (seconds * factor).ceil() as i64;
            // What the budget does not cover is killed, and raised for that; learning alone is looked at here.
            let took = took.min(i64::from(world.budget()));
            let decision = start(&mut world, 3_000, took);
            writes += usize::from(matches!(decision.action, Action::Write(_)));
        }
        prop_assert!(writes <= 2, "{writes} writes");
        prop_assert!(world.status.starts.len() <= 32);
        prop_assert!(at(0) < world.now);
    }
}
