//! K9 to K12: from a verdict to the end of a container.

use probepilot_kubelet::ProbeKind::Liveness;
use probepilot_kubelet::{
    Answer, Answering, Behaviour, Container, EventKind, ExitCause, Kubelet, Life, OnSigterm,
    Outcome, Probe, RestartPolicy, Scenario, Start, simulate, start_outcome,
};

use crate::{answers, began, kills, liveness, never_healthy, probe, scenario};

#[test]
fn k9_a_verdict_puts_the_worker_on_hold_until_there_is_a_new_container() {
    let life = never_healthy().on_sigterm(OnSigterm::Ignored);
    let timeline = simulate(&scenario(liveness(probe(0, 10, 1, 2)), life, 75));
    // Killed at 10 s, SIGKILL at 40 s, new container at 40 s: its own two failures at 40 and 50.
    assert_eq!(began(&timeline, Liveness), [0, 10_000, 40_000, 50_000]);
    assert_eq!(kills(&timeline), [10_000, 50_000]);
}

#[test]
fn k10_streak_survives_a_container_that_dies_by_itself() {
    let container = liveness(probe(10, 10, 1, 3));
    let behaviour = Behaviour::lives(vec![never_healthy().exiting(25_000, 1), never_healthy()]);
    let run = Scenario::new(container, Kubelet::default(), behaviour, 60_000);
    let timeline = simulate(&run);
    // Failures at 10 and 20; the next life begins at 25 and has one try left, at 40.
    assert_eq!(timeline.lives[1].started_ms, 25_000);
    assert_eq!(timeline.lives[1].kill_after_ms(), Some(15_000));
}

#[test]
fn k10_a_startup_budget_shrinks_too() {
    let container = Container {
        startup: Some(probe(0, 10, 1, 6)),
        ..Container::default()
    };
    let mut start = Start::new(Some(45_000), Answer::Refused);
    let whole = start_outcome(&container, &Kubelet::default(), &start);
    assert_eq!(
        (whole.guaranteed_ms, whole.outcome),
        (Some(50_000), Outcome::Survives)
    );
    start.inherited_failures = 3;
    let short = start_outcome(&container, &Kubelet::default(), &start);
    assert_eq!(
        (short.guaranteed_ms, short.outcome),
        (Some(20_000), Outcome::Killed)
    );
}

#[test]
fn k11_an_attempt_blocks_its_worker_and_one_overdue_tick_fires_at_once() {
    let hang = answers(&[(0, Answer::Hang)]);
    let timeline = simulate(&scenario(liveness(probe(0, 5, 12, 9)), hang, 30));
    assert_eq!(began(&timeline, Liveness), [0, 12_000, 24_000][..2]);

    let slow_once = Life {
        answers: vec![
            Answering {
                from_ms: 0,
                answer: Answer::Ok,
                latency_ms: 7_000,
            },
            Answering {
                from_ms: 1_000,
                answer: Answer::Ok,
                latency_ms: 0,
            },
        ],
        ..Life::default()
    };
    let timeline = simulate(&scenario(liveness(probe(0, 5, 12, 9)), slow_once, 16));
    assert_eq!(
        began(&timeline, Liveness),
        [0, 7_000, 10_000, 15_000],
        "the ticker keeps its phase"
    );
}

#[test]
fn k12_a_kill_is_event_then_pre_stop_then_sigterm_then_sigkill_then_restart() {
    let container = Container {
        pre_stop_ms: Some(3_500),
        termination_grace_period_seconds: 10,
        ..liveness(probe(0, 10, 1, 1))
    };
    let life = never_healthy().on_sigterm(OnSigterm::Ignored);
    let timeline = simulate(&scenario(container, life, 15));
    let course: Vec<(u64, &str)> = timeline
        .events
        .iter()
        .filter_map(|event| {
            let name = match event.kind {
                EventKind::Kill(_) => "kill",
                EventKind::Sigterm => "sigterm",
                EventKind::Exited(exit) if exit.cause == ExitCause::Sigkill => "sigkill",
                EventKind::ContainerStarted { .. } => "start",
                _ => return None,
            };
            Some((event.at_ms, name))
        })
        .collect();
    // The hook takes whole seconds off the grace period: 10 - 3 = 7 s from SIGTERM.
    let expected = [
        (0, "start"),
        (0, "kill"),
        (3_500, "sigterm"),
        (10_500, "sigkill"),
        (10_500, "start"),
    ];
    assert_eq!(course, expected);
    let exit = timeline.lives[0].exit.expect("it was killed");
    assert_eq!((exit.code, exit.cause), (137, ExitCause::Sigkill));
}

#[test]
fn k12_grace_is_the_probes_own_or_the_pods_and_at_least_two_seconds() {
    let table = [
        ("the pod's", None, 60, None, 60_000),
        ("the probe's, shorter", Some(5), 60, None, 5_000),
        ("the probe's, longer", Some(90), 60, None, 90_000),
        ("minimum", Some(1), 60, None, 2_000),
        ("zero runs no hook", Some(0), 60, Some(9_000), 2_000),
        ("a hook that never ends", Some(5), 60, Some(900_000), 7_000),
    ];
    for (name, own, pod, pre_stop_ms, ends_ms) in table {
        let container = Container {
            termination_grace_period_seconds: pod,
            pre_stop_ms,
            ..liveness(Probe {
                termination_grace_period_seconds: own,
                ..probe(0, 10, 1, 1)
            })
        };
        let life = never_healthy().on_sigterm(OnSigterm::Ignored);
        let timeline = simulate(&scenario(container, life, 200));
        let exit = timeline.lives[0].exit.expect("it was killed");
        assert_eq!(exit.at_ms, ends_ms, "{name}");
    }
}

#[test]
fn k12_restart_follows_the_policy_and_the_event_says_so() {
    let table = [
        (
            RestartPolicy::Always,
            false,
            0,
            true,
            "Container web failed liveness probe, will be restarted",
        ),
        (
            RestartPolicy::OnFailure,
            false,
            0,
            true,
            "Container web failed liveness probe, will be restarted",
        ),
        (
            RestartPolicy::Never,
            false,
            1,
            false,
            "Container web failed liveness probe",
        ),
        (
            RestartPolicy::Never,
            true,
            1,
            true,
            "Init container web failed liveness probe",
        ),
    ];
    for (restart_policy, sidecar, code, restarts, message) in table {
        let container = Container {
            restart_policy,
            sidecar,
            ..liveness(probe(0, 10, 1, 1))
        };
        let life = never_healthy().on_sigterm(OnSigterm::Exits { after_ms: 0, code });
        let timeline = simulate(&scenario(container, life, 5));
        let kill = timeline.first_kill().expect("it is never healthy");
        assert_eq!(kill.message("web", sidecar), message);
        assert_eq!(timeline.restarts() > 0, restarts, "{restart_policy:?}");
    }
}
