//! Kills raise the budget: once for each budget that was too little, until a start is healthy.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{CONTAINER, World, chart, in_sync, killed_pod, reason, spec, timings};
use probepilot_api::ConditionType;

use crate::{Action, Decision};

/// No rules at all: kills alone raise.
fn world(crash_loop: &Value) -> World {
    World::new(spec(json!({"crashLoop": crash_loop})), chart())
}

/// The pod that runs the template as it is now was killed after `lived` seconds.
fn kill(world: &mut World, lived: i64) -> Decision {
    world.pass(lived + 30);
    let workload = crate::Workload::parse(world.kind, &world.object).unwrap();
    let probes = workload.container(CONTAINER).unwrap();
    let liveness = probes.liveness.as_ref().unwrap().timings;
    let mut pod = killed_pod(liveness, lived, world.now);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.startup = probes.startup.as_ref().map(|probe| probe.timings);
    if view.startup.is_some() {
        view.started = Some(false);
        view.kills.as_mut().unwrap()[0].probe = crate::FailedProbe::Startup;
    }
    world.pods = vec![pod];
    world.step()
}

/// Every pod is healthy from now on.
fn heal(world: &mut World) {
    let mut pod = killed_pod(timings(30, 10, 10, 2), 57, world.now);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    (view.ready, view.restart_count, view.last_life) = (true, 0, None);
    pod.uid = "pod-2".to_owned();
    world.pods = vec![pod];
}

fn exhausted(decision: &Decision) -> String {
    reason(decision, ConditionType::Exhausted)
}

#[test]
fn one_proven_kill_raises_to_twice_the_life() {
    let mut world = world(&json!({}));
    let decision = kill(&mut world, 57);
    let Action::Write(write) = &decision.action else {
        panic!("{decision:?}");
    };
    assert!(!write.takes_slot, "a raise waits for nothing");
    assert_eq!(
        write.sentence,
        "startup budget raised from 40 s to 120 s: a kill asks for 114 s; pod lbc-1 was killed by its probe while it started"
    );
    assert_eq!(world.timings(), ("0/10/10/13".into(), "30/10/10/2".into()));
    assert_eq!(world.status.raises, Some(1));
    assert_eq!(exhausted(&decision), "RaisesLeft");
}

#[test]
fn many_replicas_and_looks_raise_once() {
    let mut world = world(&json!({}));
    world.spec.mode = probepilot_api::Mode::Observe;
    for _ in 0..5 {
        let decision = kill(&mut world, 57);
        assert_eq!(
            (in_sync(&decision).as_str(), world.status.raises),
            ("ObserveOnly", None),
            "nothing is written, so nothing is counted"
        );
    }
    world.spec.mode = probepilot_api::Mode::Enforce;
    kill(&mut world, 58);
    assert_eq!((world.budget(), world.status.raises), (120, Some(1)));
}

#[test]
fn a_kill_under_less_than_the_rules_ask_raises_nothing() {
    let mut world = World::chart(&json!({}));
    world.counts = vec![crate::testing::pods(10_000, world.now)];
    kill(&mut world, 57);
    assert_eq!(
        (world.budget(), world.status.raises),
        (110, None),
        "the rung as it stands"
    );
    kill(&mut world, 131);
    assert_eq!(
        (world.budget(), world.status.raises),
        (270, Some(1)),
        "the rung was too little"
    );
}

#[test]
fn a_kill_under_an_older_budget_raises_nothing() {
    let mut world = world(&json!({}));
    kill(&mut world, 57);
    world.pass(60);
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    world.step();
    assert_eq!((world.budget(), world.status.raises), (120, Some(1)));
}

#[test]
fn raises_end_at_their_number_and_say_so() {
    let mut world = world(&json!({"maxRaises": 2}));
    let budgets: Vec<_> = [57, 131, 290]
        .into_iter()
        .map(|lived| {
            kill(&mut world, lived);
            world.budget()
        })
        .collect();
    assert_eq!(budgets, [120, 270, 270]);
    let decision = kill(&mut world, 290);
    assert_eq!(
        (exhausted(&decision).as_str(), &decision.action),
        ("MaxRaises", &Action::None)
    );
}

#[test]
fn the_largest_startup_budget_ends_them_too() {
    let mut world = world(&json!({}));
    world.spec.limits.max_startup_seconds = 100;
    kill(&mut world, 57);
    assert_eq!(world.budget(), 100);
    let decision = kill(&mut world, 111);
    assert_eq!(
        (exhausted(&decision).as_str(), world.budget()),
        ("MaxStartup", 100)
    );
    assert!(
        decision
            .events
            .iter()
            .any(|event| event.warning && event.reason == "MaxStartup"),
        "{:?}",
        decision.events
    );
}

#[test]
fn the_author_may_ask_for_another_try() {
    let mut world = world(&json!({"maxRaises": 1}));
    kill(&mut world, 57);
    assert_eq!(exhausted(&kill(&mut world, 131)), "MaxRaises");
    world.pods.clear();
    world.pass(60);
    let mut observation = world.observe();
    observation.retry = Some(crate::Retry::From(world.now));
    assert_eq!(exhausted(&world.look_at(&observation)), "RaisesLeft");
    assert_eq!(world.status.raises, None);
}

#[test]
fn another_try_begins_with_the_next_kill() {
    let mut world = world(&json!({"maxRaises": 1}));
    kill(&mut world, 57);
    assert_eq!(exhausted(&kill(&mut world, 131)), "MaxRaises");
    world.pass(60);
    let asked = world.now;
    let mut observation = world.observe();
    observation.retry = Some(crate::Retry::From(asked));
    let decision = world.look_at(&observation);
    assert_eq!(
        (
            exhausted(&decision).as_str(),
            &decision.action,
            world.budget()
        ),
        ("RaisesLeft", &Action::None, 120),
        "the kill before no longer counts"
    );
    world.retry = Some(crate::Retry::From(asked));
    kill(&mut world, 131);
    assert_eq!(
        (world.budget(), world.status.raises),
        (270, Some(1)),
        "a new series"
    );
}

#[test]
fn what_is_no_time_asks_for_nothing_and_is_told() {
    let cases = [
        (
            "now",
            "`now` is no time and is ignored: write one as 2027-01-15T",
        ),
        ("", "`` is no time"),
        ("2100-01-01T00:00:00Z", "is still to come"),
    ];
    for (value, expected) in cases {
        let mut world = world(&json!({"maxRaises": 1}));
        kill(&mut world, 57);
        kill(&mut world, 131);
        world.retry = Some(crate::Retry::parse(value));
        let decision = world.look();
        let mut conditions = decision.conditions.iter();
        let told = conditions.find(|state| state.reason.to_string() == "MaxRaises");
        let message = &told.expect("still exhausted").message;
        assert!(message.contains(expected), "{value}: {message}");
    }
}

#[test]
fn a_lost_status_counts_a_written_raise_all_the_same() {
    for (patched, raises) in [(true, Some(1)), (false, None)] {
        let mut world = world(&json!({}));
        world.pass(100);
        world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
        world.crash(patched);
        assert_eq!(world.status.raises, raises, "patched: {patched}");
    }
}

#[test]
fn health_ends_a_series_after_twice_the_need_and_the_floor_stays() {
    let mut world = world(&json!({}));
    kill(&mut world, 57);
    heal(&mut world);
    world.pass(100);
    world.step();
    assert_eq!(world.status.raises, Some(1), "not yet");
    world.pass(200);
    let decision = world.step();
    assert_eq!(world.status.raises, None);
    let told: Vec<_> = decision
        .events
        .iter()
        .map(|event| event.reason.as_str())
        .collect();
    assert_eq!(told, ["RaisesEnded"]);
    let startup = world.status.startup.clone().unwrap();
    assert_eq!((startup.need_seconds, world.budget()), (Some(114), 120));
}

#[test]
fn a_fast_standby_ends_nothing() {
    let mut world = world(&json!({}));
    kill(&mut world, 57);
    let slow = world.pods.clone();
    heal(&mut world);
    world.pods.extend(slow);
    world.pass(1_000);
    world.step();
    assert_eq!(world.status.raises, Some(1));
}

#[test]
fn the_floor_holds_for_the_same_program_at_such_counts() {
    let cases: [(&str, i64, Value, u32); 4] = [
        ("same", 1_000, json!({}), 120),
        ("80 %", 800, json!({}), 120),
        ("fewer", 700, json!({}), 60),
        ("other image", 1_000, json!({"image": "controller:v3"}), 60),
    ];
    for (name, count, edit, budget) in cases {
        let fields = json!({"behavior": {"lower": {
            "policy": "Enabled", "tolerancePercent": 0, "stabilizationWindowSeconds": 0}}});
        let mut world = World::chart(&fields);
        world.counts = vec![crate::testing::pods(1_000, world.now)];
        kill(&mut world, 57);
        kill(&mut world, 71);
        assert_eq!(
            world.budget(),
            150,
            "{name}: raised beyond the rung of 60 s"
        );
        heal(&mut world);
        world.edit("helm", &edit);
        world.pass(1_000);
        world.step_at(count);
        let expected = if budget == 60 { 60 } else { 150 };
        assert_eq!(world.budget(), expected, "{name}");
    }
}

proptest! {
    /// Whichever rule decides, a floor compares counts of what was counted at the kill.
    #[test]
    fn a_floor_compares_counts_of_the_same_thing(
        now_pods in 0_i64..3_000, maps in 0_i64..100_000, then in 1_i64..3_000,
    ) {
        let counts = |pods: i64, at| {
            let other = probepilot_api::CountSelector {
                resource: "configmaps".to_owned(),
                ..probepilot_api::CountSelector::default()
            };
            let mut counts = vec![crate::testing::pods(pods, at); 2];
            counts[0].selector = other;
            counts[0].last = Some(crate::Sample { value: maps, at });
            counts
        };
        let fields = json!({
            "rules": [
                {"steps": [{"atLeast": 0, "startupSeconds": 45}]},
                {"count": {"resource": "configmaps"}, "steps": [{"atLeast": 50_000, "startupSeconds": 50}]},
            ],
            "crashLoop": {},
        });
        let mut world = World::new(spec(fields), chart());
        world.counts = vec![crate::testing::pods(then, world.now)];
        kill(&mut world, 57);
        kill(&mut world, 71);
        let floor = world.status.memory.clone().unwrap().floor.unwrap();
        prop_assert_eq!(floor.count, Some(then), "what the first rule counts");
        heal(&mut world);
        world.counts = counts(now_pods, world.now);
        world.step();
        let asked = world.status.startup.clone().unwrap().need_seconds.unwrap();
        prop_assert_eq!(asked >= floor.seconds, now_pods * 100 >= then * 80, "asked for {} s", asked);
    }

    /// A start of constant length is killed at most as often as doubling from the first budget takes.
    #[test]
    fn a_constant_start_is_soon_survived(start in 41_i64..1_700, counts in prop::collection::vec(0_i64..20_000, 1..20)) {
        let mut world = world(&json!({"maxRaises": 16}));
        let mut kills = 0;
        for count in counts.iter().cycle().take(60) {
            world.counts = vec![crate::testing::pods(*count, world.now)];
            if i64::from(world.budget()) < start {
                let lived = i64::from(world.budget()) + 17;
                kill(&mut world, lived);
                kills += 1;
            } else {
                heal(&mut world);
                world.pass(4_000);
                world.step();
            }
        }
        prop_assert!(kills <= 6, "{kills} kills for a start of {start} s");
        prop_assert!(i64::from(world.budget()) >= start);
        prop_assert!(i64::from(world.budget()) <= 2 * start + 44, "no more than needed: {} s", world.budget());
    }
}
