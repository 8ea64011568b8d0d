//! Whatever the order of counts, modes and restarts, the same need ends in the same template.

use probepilot_api::{Apply, GuardProbe, Limits, LowerPolicy, Mode, ProbePolicySpec, ScalingRule};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::strategies::{count, guard, ladder, limits, probes};
use crate::testing::{CONTAINER, World, at, spec, workload};
use crate::workload::Workload;
use crate::{Action, Asked, Cause, CountFailureKind, Policy, need};

/// Longer than a day, so that a lower is always allowed.
const DAY: i64 = 100_000;

/// One stop of a path.
#[derive(Clone, Debug)]
struct Stop {
    count: i64,
    mode: Mode,
    /// The operator stops in the middle of a write, before or after the patch.
    crash: Option<bool>,
    /// The operator starts with nothing read.
    restart: bool,
}

fn stop() -> impl Strategy<Value = Stop> {
    let mode = prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Observe)];
    let crash = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (count(), mode, crash, any::<bool>()).prop_map(|(count, mode, crash, restart)| Stop {
        count,
        mode,
        crash,
        restart,
    })
}

fn policy(
    rule: &ScalingRule,
    limits: Limits,
    probe: GuardProbe,
    lower: LowerPolicy,
) -> ProbePolicySpec {
    let mut spec = spec(
        json!({"behavior": {"lower": {"tolerancePercent": 0, "stabilizationWindowSeconds": 0}}}),
    );
    spec.rules = vec![rule.clone()];
    spec.limits = limits;
    spec.apply = Apply {
        probe,
        ..Apply::default()
    };
    spec.behavior.lower.policy = lower;
    spec.container_name = Some(CONTAINER.to_owned());
    spec
}

fn world(spec: &ProbePolicySpec, probes: &Value) -> World {
    World::new(
        spec.clone(),
        workload(spec.target_ref.kind, ("helm", "Update"), probes),
    )
}

/// Follows a path, and then stays at `end` in Enforce.
fn follow(world: &mut World, path: &[Stop], end: i64) {
    for stop in path {
        world.pass(DAY);
        world.spec.mode = stop.mode;
        if stop.restart {
            world.counts.clear();
            let mut unread = world.observe();
            unread.target = crate::Target::Unread;
            world.look_at(&unread);
            world.look();
        }
        world.counts = vec![crate::testing::pods(stop.count, world.now)];
        match stop.crash {
            Some(patched) => world.crash(patched),
            None => {
                world.step();
            }
        }
    }
    world.spec.mode = Mode::Enforce;
    world.pass(DAY);
    world.step_at(end);
    world.step_at(end);
}

/// The container and the annotation of ours: all that a rollout can see. From whom timings were ever taken is
/// history, for a hand-back.
fn template(world: &World) -> (Value, Option<Vec<Value>>) {
    let annotation = &world.object["metadata"]["annotations"]["probepilot.dev/baseline"];
    let records = annotation.as_str().map(|text| {
        let mut records: Vec<Value> = serde_json::from_str(text).unwrap();
        for record in &mut records {
            record.as_object_mut().unwrap().remove("taken");
        }
        records
    });
    (world.container().clone(), records)
}

/// The need at a count, as the baseline has it.
fn needed(spec: &ProbePolicySpec, probes: &Value, count: i64) -> Asked {
    let object = workload(spec.target_ref.kind, ("helm", "Update"), probes);
    let workload = Workload::parse(spec.target_ref.kind, &object).unwrap();
    let liveness = workload
        .container(CONTAINER)
        .unwrap()
        .liveness
        .as_ref()
        .map(|probe| probe.timings);
    need(
        &Policy::try_from(spec).unwrap(),
        &[crate::testing::pods(count, at(0))],
        liveness,
    )
}

/// How much of a budget a count asks for; nothing asks for none.
fn weight(asked: &Asked) -> u32 {
    asked
        .ask()
        .map_or(0, |ask| ask.bare_seconds.min(ask.need_seconds))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn with_lower_enabled_the_end_alone_counts(
        rule in ladder(false), limits in limits(), probe in guard(), probes in probes(false),
        path in vec(stop(), 0..7), end in count(),
    ) {
        let spec = policy(&rule, limits, probe, LowerPolicy::Enabled);
        let mut long = world(&spec, &probes);
        follow(&mut long, &path, end);
        let mut short = world(&spec, &probes);
        follow(&mut short, &[], end);
        prop_assert_eq!(template(&long), template(&short));
    }

    #[test]
    fn with_lower_disabled_the_largest_enforced_need_counts(
        rule in ladder(false), limits in limits(), probe in guard(), probes in probes(false),
        path in vec(stop(), 0..7), end in count(),
    ) {
        let spec = policy(&rule, limits, probe, LowerPolicy::Disabled);
        let mut long = world(&spec, &probes);
        follow(&mut long, &path, end);
        let written = path.iter().filter(|stop| stop.mode == Mode::Enforce && stop.crash != Some(false));
        let counts = written.map(|stop| stop.count).chain([end]);
        let largest = counts.max_by_key(|&count| weight(&needed(&spec, &probes, count))).unwrap();
        let mut short = world(&spec, &probes);
        follow(&mut short, &[], largest);
        prop_assert_eq!(template(&long), template(&short));
    }

    /// Rungs with liveness timings may give the same budget in another form, which is left alone; the
    /// template is then one of those that the counts on the way ask for.
    #[test]
    fn with_liveness_timings_the_template_is_one_that_a_count_asked_for(
        rule in ladder(true), limits in limits(), probe in guard(), probes in probes(false),
        path in vec(stop(), 0..5), end in count(), lower in any::<bool>(),
    ) {
        let policy_of_lower = if lower { LowerPolicy::Enabled } else { LowerPolicy::Disabled };
        let spec = policy(&rule, limits, probe, policy_of_lower);
        let mut long = world(&spec, &probes);
        follow(&mut long, &path, end);
        let direct = |count: i64| {
            let mut short = world(&spec, &probes);
            follow(&mut short, &[], count);
            (template(&short), short.budget())
        };
        let counts: Vec<i64> = path.iter().map(|stop| stop.count).chain([end]).collect();
        prop_assert!(counts.iter().any(|&count| direct(count).0 == template(&long)));
        let enough = needed(&spec, &probes, end).ask().is_none_or(|ask| ask.covered_by(long.budget()));
        prop_assert!(enough, "{} s at the end", long.budget());
        if lower {
            prop_assert!(long.budget() <= direct(end).1, "{} s, where {} s are asked for", long.budget(), direct(end).1);
        }
    }

    /// A lower comes only when the present and the highest count of the window ask for no more than what
    /// it writes (a ladder may fall again, so that is not every count between), and at most once a day; a look with a failed count lowers nothing and does not end the window.
    #[test]
    fn lower_never_happens_inside_its_window(
        rule in ladder(false), probes in probes(false), window in 0..7200_i32,
        looks in vec((count(), prop::bool::weighted(0.1)), 1..60),
    ) {
        let mut spec = policy(&rule, Limits::default(), GuardProbe::Startup, LowerPolicy::Enabled);
        spec.behavior.lower.stabilization_window_seconds = window;
        let mut world = world(&spec, &probes);
        let mut seen: Vec<(i64, i64)> = Vec::new();
        let mut lowered: Option<i64> = None;
        for (index, (count, failed)) in looks.into_iter().enumerate() {
            let seconds = i64::try_from(index).unwrap() * 600;
            world.now = at(seconds);
            // A cluster keeps its size for a while; a raw sequence would never fill a window.
            let count = if index % 6 == 0 { count } else { world.counts[0].last.unwrap().value };
            world.counts = vec![crate::testing::pods(count, world.now)];
            if failed {
                world.fail_count(CountFailureKind::Unavailable);
            }
            seen.push((seconds, count));
            let decision = world.step();
            let Action::Write(write) = decision.action else { continue };
            if write.cause != Cause::Lower {
                continue;
            }
            prop_assert!(!failed);
            prop_assert!(lowered.is_none_or(|last| seconds - last >= 86_400), "once a day");
            lowered = Some(seconds);
            let begin = seconds - i64::from(window);
            prop_assert!(begin >= 0, "the window has not passed");
            let highest = seen.iter().filter(|(at, _)| *at >= begin).map(|(_, count)| *count).max().unwrap();
            for count in [count, highest] {
                let need = weight(&needed(&spec, &probes, count));
                prop_assert!(need <= write.to_seconds, "{need} s at {count} in the window, {} s written", write.to_seconds);
            }
        }
    }
}
