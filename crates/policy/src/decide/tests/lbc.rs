//! The seed's story: aws-load-balancer-controller at 200 and at 10,000 pods.

use probepilot_api::{BudgetSource, ConditionType, Mode};
use serde_json::json;

use crate::testing::{CONTAINER, World, chart_liveness, in_sync, killed_pod, reason, timings};
use crate::{Action, Cause, Slot};

pub(super) fn pair(startup: &str, liveness: &str) -> (String, String) {
    (startup.to_owned(), liveness.to_owned())
}

pub(super) fn chart() -> (String, String) {
    pair("", "30/10/10/2")
}

pub(super) fn first_rung() -> (String, String) {
    pair("0/10/10/7", "30/10/10/2")
}

pub(super) fn second_rung() -> (String, String) {
    pair("", "60/10/30/6")
}

fn cause(action: &Action) -> Option<Cause> {
    match action {
        Action::Write(write) => Some(write.cause),
        Action::None | Action::Queue(_) | Action::Admit(_) | Action::Replace(_) => None,
    }
}

/// Looks every ten minutes for so many hours at a count, stepping each time; returns the hour of the first write.
pub(super) fn hours(world: &mut World, hours: i64, count: i64) -> Option<i64> {
    let mut first = None;
    for look in 0..hours * 6 {
        world.pass(600);
        let decision = world.step_at(count);
        if matches!(decision.action, Action::Write(_)) {
            first = first.or(Some(look / 6));
        }
    }
    first
}

#[test]
fn up_and_down_the_ladder() {
    let mut world = World::chart(&json!({}));
    let decision = world.step_at(200);
    assert_eq!(cause(&decision.action), Some(Cause::Raise));
    assert_eq!(world.timings(), first_rung());
    let startup = decision.startup;
    assert_eq!(
        (startup.count, startup.need_seconds, startup.budget_seconds),
        (Some(200), Some(60), Some(40))
    );
    assert_eq!(startup.source, Some(BudgetSource::Rule));

    world.pass(600);
    world.step_at(10_000);
    assert_eq!(
        world.timings(),
        second_rung(),
        "our startup probe goes, liveness is exactly the rung's"
    );
    assert_eq!(
        world.container()["livenessProbe"]["httpGet"],
        chart_liveness()["httpGet"]
    );
    let settled = world.step_at(10_000);
    assert_eq!(
        (in_sync(&settled).as_str(), &settled.action),
        ("Covered", &Action::None)
    );
    let startup = settled.startup;
    assert_eq!(
        (startup.need_seconds, startup.budget_seconds),
        (Some(110), Some(110))
    );
    assert_eq!(
        (
            startup.detection_seconds,
            startup.baseline_detection_seconds
        ),
        (Some(190), Some(30))
    );

    assert_eq!(hours(&mut world, 72, 200), None, "lower is Disabled");
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn the_other_form_at_10_000_pods() {
    let steps =
        json!([{"atLeast": 0, "startupSeconds": 60}, {"atLeast": 10000, "startupSeconds": 110}]);
    for (probe, expected) in [
        ("Startup", pair("0/10/10/12", "30/10/10/2")),
        ("Liveness", pair("", "100/10/10/2")),
    ] {
        let mut world =
            World::chart(&json!({"rules": [{"steps": steps}], "apply": {"probe": probe}}));
        world.step_at(200);
        world.step_at(10_000);
        assert_eq!(world.timings(), expected, "{probe}");
        if probe == "Startup" {
            assert_eq!(
                world.container()["startupProbe"]["httpGet"],
                world.container()["livenessProbe"]["httpGet"]
            );
        }
    }
}

#[test]
fn observe_writes_nothing_and_shows_what_it_would_write() {
    let mut world = World::chart(&json!({"mode": "Observe"}));
    let before = world.object.clone();
    for count in [200, 10_000] {
        let decision = world.step_at(count);
        assert_eq!(
            (in_sync(&decision).as_str(), &decision.action),
            ("ObserveOnly", &Action::None)
        );
        assert_eq!(reason(&decision, ConditionType::Ready), "Observing");
    }
    assert_eq!(world.object, before);
    let desired = world.status.desired.unwrap();
    assert_eq!(desired.startup_probe, None);
    assert_eq!(desired.liveness_probe.unwrap().failure_threshold, Some(6));
    assert_eq!(
        world
            .status
            .baseline
            .unwrap()
            .liveness_probe
            .unwrap()
            .failure_threshold,
        Some(2)
    );

    world.spec.mode = Mode::Enforce;
    world.step_at(10_000);
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn observe_shows_what_the_present_count_asks_for_however_long_it_waited() {
    let steps =
        json!([{"atLeast": 0, "startupSeconds": 60}, {"atLeast": 10000, "startupSeconds": 300}]);
    let mut world = World::chart(&json!({
        "mode": "Observe", "rules": [{"steps": steps}],
        "behavior": {"raise": {"stabilizationWindowSeconds": 300}},
    }));
    let shown = |world: &World| {
        world
            .status
            .desired
            .unwrap()
            .startup_probe
            .unwrap()
            .failure_threshold
    };
    hours(&mut world, 1, 200);
    assert_eq!(shown(&world), Some(7));
    hours(&mut world, 1, 20_000);
    assert_eq!(shown(&world), Some(31));
}

/// A kill waits for nothing: window, interval, queue, rollout, pause, strategy, policy.
#[test]
fn a_kill_bypasses_every_wait() {
    let mut world = World::chart(&json!({"behavior": {"raise": {
        "policy": "OnKill", "stabilizationWindowSeconds": 3600, "minIntervalSeconds": 3600,
    }}}));
    world.object["spec"]["paused"] = json!(true);
    world.object["spec"]["strategy"] = json!({"type": "Recreate"});
    world.roll();
    world.slot = Slot::Waiting { position: 5 };
    assert_eq!(in_sync(&world.step_at(10_000)), "WaitingForKill");
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    let decision = world.step_at(10_000);
    assert_eq!(cause(&decision.action), Some(Cause::Kill));
    assert_eq!(world.timings(), second_rung());
    assert_eq!(
        decision
            .verdict
            .map(|verdict| verdict.to_string())
            .as_deref(),
        Some("StartupKill")
    );
    assert!(
        world
            .status
            .last_write
            .unwrap()
            .reason
            .contains("pod lbc-1 was killed by its probe")
    );
}

/// A crash-looping Deployment never finishes its rollout and must not be waited for.
#[test]
fn a_target_that_has_looped_for_hours_is_rescued_in_one_look() {
    let mut world = World::chart(&json!({}));
    world.roll();
    let mut pod = killed_pod(timings(30, 10, 10, 2), 57, world.now);
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.restart_count = 40;
    view.kills = Some(Vec::new());
    view.running_since = None;
    view.waiting_reason = Some("CrashLoopBackOff".to_owned());
    world.pods = vec![pod];
    let decision = world.step_at(10_000);
    assert_eq!(cause(&decision.action), Some(Cause::Kill));
    assert_eq!(reason(&decision, ConditionType::CrashLooping), "BackOff");
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn a_kill_under_an_older_smaller_budget_changes_nothing() {
    let mut world = World::chart(&json!({}));
    world.step_at(10_000);
    world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
    let decision = world.step_at(10_000);
    assert_eq!(
        (in_sync(&decision).as_str(), &decision.action),
        ("Covered", &Action::None)
    );
}

#[test]
fn without_raises_a_kill_under_a_budget_that_covers_the_need_does_not_hurry() {
    let mut world = World::chart(&json!({"crashLoop": {"enabled": false}}));
    world.roll();
    world.pods = vec![killed_pod(timings(100, 10, 10, 2), 130, world.now)];
    assert_eq!(in_sync(&world.step_at(200)), "RollingOut");
}
