//! Advice in status: what a verdict gives stands while it is true, and is told once.

use jiff::SignedDuration;
use serde_json::json;

use crate::testing::{CONTAINER, World, chart, killed_pod, spec, timings};
use crate::{Decision, Latency, Quantity};

/// The only pod's last life ended for memory.
fn out_of_memory(world: &mut World) {
    let mut pod = killed_pod(timings(30, 10, 10, 2), 20, world.now);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.memory_limit = Quantity::parse("128Mi");
    view.kills = Some(Vec::new());
    let life = view.last_life.as_mut().unwrap();
    (life.reason, life.exit_code) = ("OOMKilled".to_owned(), 137);
    world.pods = vec![pod];
}

fn rules(decision: &Decision) -> Vec<&str> {
    let advice = decision.advice.iter();
    advice.map(|advice| advice.rule.as_str()).collect()
}

fn told(decision: &Decision) -> usize {
    let events = decision.events.iter();
    events.filter(|event| event.reason == "Advice").count()
}

fn world() -> World {
    World::new(spec(json!({"rules": []})), chart())
}

#[test]
fn advice_of_a_verdict_stands_while_its_pod_is_there_and_is_told_once() {
    let mut world = world();
    assert_eq!(rules(&world.look()), [""; 0]);
    out_of_memory(&mut world);
    let decision = world.look();
    assert_eq!(rules(&decision), ["out-of-memory"]);
    assert!(decision.advice[0].message.contains("128Mi"));
    assert_eq!(told(&decision), 1);

    world.pass(60);
    let decision = world.look();
    assert_eq!(
        (rules(&decision), told(&decision)),
        (vec!["out-of-memory"], 0)
    );

    // Somebody else replaced the pod.
    world.pods.clear();
    assert_eq!(rules(&world.look()), [""; 0]);
}

#[test]
fn advice_of_a_verdict_goes_with_it_after_a_day() {
    let mut world = world();
    out_of_memory(&mut world);
    world.look();
    for (seconds, expected) in [(23 * 3600, 1), (2 * 3600, 0)] {
        world.pass(seconds);
        assert_eq!(rules(&world.look()).len(), expected, "{seconds} s later");
    }
}

#[test]
fn a_slow_api_server_is_advice_while_it_is_slow() {
    let mut world = world();
    out_of_memory(&mut world);
    world.look();
    let mut look = |now: i64| {
        let mut observation = world.observe();
        observation.latency = Some(Latency {
            now: SignedDuration::from_millis(now),
            usual: SignedDuration::from_millis(200),
        });
        let decision = world.look_at(&observation);
        (decision.advice.len(), told(&decision))
    };
    assert_eq!(look(999), (1, 0));
    assert_eq!(look(1_000), (2, 1));
    assert_eq!(look(1_000), (2, 0), "told once");
    assert_eq!(look(999), (1, 0), "gone");
}

#[test]
fn what_the_policy_does_by_itself_is_no_advice() {
    let mut world = world();
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    let decision = world.look();
    assert!(
        !rules(&decision).contains(&"startup-budget"),
        "{:?}",
        decision.advice
    );
}
