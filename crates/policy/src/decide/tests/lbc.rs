//! The seed's story: aws-load-balancer-controller at 200 and at 10,000 pods.

use probepilot_api::{BudgetSource, ConditionType, LowerPolicy, Mode};
use serde_json::json;

use crate::testing::{
    CONTAINER, World, chart_liveness, in_sync, killed_pod, pods, reason, timings,
};
use crate::{Action, Cause, CountFailureKind, Slot};

fn pair(startup: &str, liveness: &str) -> (String, String) {
    (startup.to_owned(), liveness.to_owned())
}

fn chart() -> (String, String) {
    pair("", "30/10/10/2")
}

fn first_rung() -> (String, String) {
    pair("0/10/10/7", "30/10/10/2")
}

fn second_rung() -> (String, String) {
    pair("", "60/10/30/6")
}

fn cause(action: &Action) -> Option<Cause> {
    match action {
        Action::Write(write) => Some(write.cause),
        Action::None | Action::Queue(_) => None,
    }
}

fn lowering() -> World {
    World::chart(
        &json!({"behavior": {"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 3600}}}),
    )
}

/// Looks every ten minutes for so many hours at a count, stepping each time; returns the hour of the first write.
fn hours(world: &mut World, hours: i64, count: i64) -> Option<i64> {
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
fn lowering_waits_for_its_window() {
    let mut world = lowering();
    world.step_at(10_000);
    assert_eq!(
        hours(&mut world, 1, 200),
        None,
        "the window begins with the first look"
    );
    assert_eq!(hours(&mut world, 1, 200), Some(0));
    assert_eq!(world.timings(), first_rung());
    assert_eq!(
        world
            .status
            .memory
            .as_ref()
            .unwrap()
            .lowered_at
            .as_ref()
            .unwrap()
            .0,
        world.status.last_write.as_ref().unwrap().at.0
    );
}

#[test]
fn lowering_happens_once_a_day() {
    let mut world = lowering();
    world.step_at(10_000);
    assert_eq!(hours(&mut world, 2, 200), Some(1));
    world.step_at(10_000);
    assert_eq!(
        world.timings(),
        second_rung(),
        "raising waits for nothing of this"
    );
    let hour = hours(&mut world, 48, 200).unwrap();
    assert!(
        (22..=25).contains(&hour),
        "lowered again after {hour} hours"
    );
}

#[test]
fn the_highest_count_of_the_window_decides() {
    let steps = json!([{"atLeast": 0, "startupSeconds": 60}, {"atLeast": 1000, "startupSeconds": 100}, {"atLeast": 9000, "startupSeconds": 400}]);
    let mut world = World::chart(&json!({
        "rules": [{"steps": steps}],
        "behavior": {"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 3600}},
    }));
    world.step_at(9000);
    world.pass(600);
    world.step_at(1000);
    assert_eq!(hours(&mut world, 2, 200), Some(0));
    assert_eq!(world.budget(), 100);
}

/// Name, fields of the spec, what happens to the world, and whether it is lowered.
type Refusal = (&'static str, serde_json::Value, fn(&mut World), bool);

#[test]
fn what_is_not_lowered() {
    let tolerance = |percent: i32| json!({"behavior": {"lower": {"tolerancePercent": percent}}});
    let rising = json!([{"steps": [{"atLeast": 0, "startupSeconds": 80}, {"atLeast": 10000, "startupSeconds": 110}]}]);
    let cases: [Refusal; 9] = [
        ("nothing is in the way", json!({}), |_| {}, true),
        (
            "within the tolerance",
            json!({"rules": rising}),
            |_| {},
            false,
        ),
        (
            "beyond a smaller tolerance",
            {
                let mut all = tolerance(20);
                all["rules"] = rising.clone();
                all
            },
            |_| {},
            true,
        ),
        ("a tolerance of all", tolerance(100), |_| {}, false),
        (
            "Observe",
            json!({}),
            |world| world.spec.mode = Mode::Observe,
            false,
        ),
        (
            "OnKill",
            json!({"behavior": {"raise": {"policy": "OnKill"}}}),
            |_| {},
            false,
        ),
        (
            "Safe where old pods stop first",
            json!({}),
            |world| world.object["spec"]["strategy"] = json!({"type": "Recreate"}),
            false,
        ),
        (
            "paused",
            json!({}),
            |world| world.object["spec"]["paused"] = json!(true),
            false,
        ),
        ("the target is rolling out", json!({}), World::roll, false),
    ];
    for (name, fields, change, lowers) in cases {
        let mut all = fields;
        all["behavior"]["lower"]["policy"] = json!("Enabled");
        all["behavior"]["lower"]["stabilizationWindowSeconds"] = json!(3600);
        // OnKill must not keep the first raise from being written.
        let policy = std::mem::replace(&mut all["behavior"]["raise"]["policy"], json!("Always"));
        all["behavior"]["raise"]["stabilizationWindowSeconds"] = json!(0);
        let mut world = World::chart(&all);
        world.step_at(10_000);
        assert_eq!(world.budget(), 110, "{name}");
        world.spec.behavior.raise.policy = serde_json::from_value(if policy.is_null() {
            json!("Safe")
        } else {
            policy
        })
        .unwrap();
        change(&mut world);
        assert_eq!(hours(&mut world, 30, 200).is_some(), lowers, "{name}");
    }
}

#[test]
fn a_stale_count_never_lowers() {
    let mut world = lowering();
    world.step_at(10_000);
    world.pass(600);
    world.counts = vec![pods(200, world.now)];
    for kind in [
        CountFailureKind::Forbidden,
        CountFailureKind::UnknownTotal,
        CountFailureKind::Unavailable,
    ] {
        world.fail_count(kind);
        for _ in 0..20 {
            world.pass(600);
            assert_eq!(world.step().action, Action::None, "{kind:?}");
        }
    }
    // No failure was told, but nothing was read either.
    world.counts = vec![pods(200, world.now)];
    for _ in 0..20 {
        world.pass(600);
        world.step();
    }
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn a_failed_count_in_between_does_not_begin_the_window_again() {
    let mut world = lowering();
    world.step_at(10_000);
    for look in 0..8 {
        world.pass(600);
        world.counts = vec![pods(200, world.now)];
        if look == 3 {
            world.fail_count(CountFailureKind::Unavailable);
        }
        world.step();
    }
    assert_eq!(world.timings(), first_rung());
}

#[test]
fn a_restart_does_not_begin_the_window_again() {
    let mut world = lowering();
    world.step_at(10_000);
    for look in 0..8 {
        world.pass(600);
        if look == 3 {
            world.counts.clear();
            let mut unread = world.observe();
            unread.target = crate::Target::Unread;
            world.look_at(&unread);
            assert_eq!(in_sync(&world.look()), "NeedUnknown");
        }
        world.step_at(200);
    }
    assert_eq!(world.timings(), first_rung());
}

#[test]
fn no_lower_while_a_probe_kills_the_target() {
    let mut world = lowering();
    world.step_at(10_000);
    for _ in 0..20 {
        world.pass(600);
        world.pods = vec![killed_pod(timings(60, 10, 30, 6), 130, world.now)];
        world.step_at(200);
    }
    assert_eq!(world.timings(), second_rung());
}

#[test]
fn a_lower_keeps_its_place_in_the_queue_and_the_target_stays_in_sync() {
    let mut world = lowering();
    world.step_at(10_000);
    hours(&mut world, 1, 200);
    for slot in [Slot::None, Slot::Waiting { position: 2 }] {
        world.slot = slot;
        world.pass(600);
        let decision = world.step_at(200);
        assert!(
            matches!(decision.action, Action::Queue(_)),
            "{slot:?}: {:?}",
            decision.action
        );
        assert_eq!(in_sync(&decision), "Covered");
    }
    assert_eq!(
        world.status.startup.as_ref().unwrap().queue_position,
        Some(2)
    );
    world.slot = Slot::Granted;
    world.step_at(200);
    assert_eq!(world.timings(), first_rung());
}

#[test]
fn rules_that_are_gone_give_the_owners_probes_back() {
    let mut world = lowering();
    world.step_at(10_000);
    world.spec.rules.clear();
    hours(&mut world, 2, 200);
    assert_eq!(world.timings(), chart());
    assert_eq!(world.object["metadata"]["annotations"], json!({}));
    world.spec.behavior.lower.policy = LowerPolicy::Disabled;
    assert_eq!(in_sync(&world.look()), "NothingAsked");
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
fn a_kill_under_a_budget_that_covers_the_need_does_not_hurry() {
    let mut world = World::chart(&json!({}));
    world.roll();
    world.pods = vec![killed_pod(timings(100, 10, 10, 2), 130, world.now)];
    assert_eq!(in_sync(&world.step_at(200)), "RollingOut");
}

/// The same count ends in the same template, whether it was reached from below or from above.
#[test]
fn an_owner_who_covers_the_ask_gets_his_own_probes_back() {
    let cases = [
        (
            "headroom is no reason to keep ours: 38 s asked, 48 s with headroom",
            json!({"rules": [{"linear": {"baseSeconds": 38, "secondsPerThousand": 0}},
                {"steps": [{"atLeast": 5000, "startupSeconds": 300}]}]}),
        ),
        (
            "nor is the lower limit",
            json!({
                "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 20}, {"atLeast": 5000, "startupSeconds": 300}]}],
                "limits": {"minStartupSeconds": 100},
            }),
        ),
    ];
    for (name, fields) in cases {
        let mut all = fields;
        all["behavior"] =
            json!({"lower": {"policy": "Enabled", "stabilizationWindowSeconds": 3600}});
        let mut world = World::chart(&all);
        world.step_at(200);
        assert_eq!(world.timings(), chart(), "{name}");
        world.step_at(5000);
        assert_eq!(world.budget(), 300, "{name}");
        hours(&mut world, 2, 200);
        assert_eq!(world.timings(), chart(), "{name}");
    }
}
