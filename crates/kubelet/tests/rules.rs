//! One test or more for each rule of the kubelet, K1 to K16 and K20, named for it.

use ProbeKind::{Liveness, Readiness, Startup};
use probepilot_kubelet::{
    Answer, Answering, BackOff, Behaviour, Container, EventKind, ExitCause, Failing, Handler,
    KillWindow, Kubelet, KubeletRestart, Life, OnSigterm, Outcome, Phases, Probe, ProbeKind,
    ProbeResult, RestartPolicy, Scenario, Start, Stop, Timeline, Timings, Version,
    first_attempt_ms, simulate, start_outcome,
};

/// A probe `d/p/t/F`.
fn probe(d: u32, p: u32, t: u32, f: u32) -> Probe {
    Probe::from(Timings {
        initial_delay_seconds: d,
        period_seconds: p,
        timeout_seconds: t,
        failure_threshold: f,
    })
}

fn liveness(probe: Probe) -> Container {
    Container {
        liveness: Some(probe),
        ..Container::default()
    }
}

fn answers(entries: &[(u64, Answer)]) -> Life {
    Life {
        answers: entries
            .iter()
            .map(|(from, answer)| Answering {
                from_ms: from * 1000,
                answer: *answer,
                latency_ms: 0,
            })
            .collect(),
        ..Life::default()
    }
}

fn never_healthy() -> Life {
    answers(&[(0, Answer::Refused)])
}

/// A run of `seconds` with all tickers in phase zero.
fn scenario(container: Container, life: Life, seconds: u64) -> Scenario {
    Scenario::new(
        container,
        Kubelet::default(),
        Behaviour::always(life),
        seconds * 1000,
    )
}

fn began(timeline: &Timeline, kind: ProbeKind) -> Vec<u64> {
    timeline.attempts(kind).map(|(began, _)| began).collect()
}

fn kills(timeline: &Timeline) -> Vec<u64> {
    timeline.probe_kills().map(|kill| kill.at_ms).collect()
}

/// Seconds that each successor had to wait.
fn waits(timeline: &Timeline) -> Vec<u64> {
    let lives = &timeline.lives;
    lives[..lives.len() - 1]
        .iter()
        .map(|life| life.back_off_ms / 1000)
        .collect()
}

#[test]
fn k1_a_worker_keeps_its_ticker_over_the_lives_of_its_container() {
    let life = never_healthy().on_sigterm(OnSigterm::Exits {
        after_ms: 1_000,
        code: 1,
    });
    let run = scenario(liveness(probe(0, 10, 1, 1)), life, 20).with_phases(Phases {
        liveness_ms: 3_000,
        ..Phases::default()
    });
    // The second container starts at 4 s, yet the ticks stay on 3, 13, 23.
    assert_eq!(began(&simulate(&run), Liveness), [3_000, 13_000]);
}

#[test]
fn k2_the_first_attempt_is_the_first_tick_after_the_initial_delay() {
    for (name, d, p, lead_ms, expected_ms) in [
        ("delay a multiple, worker just ahead", 30, 10, 20, 39_980),
        ("delay a multiple, worker at once", 30, 10, 0, 30_000),
        ("delay no multiple", 25, 10, 0, 30_000),
        ("no delay, worker just ahead", 0, 10, 1, 9_999),
        ("after a restart: any phase", 30, 10, 6_500, 33_500),
    ] {
        let container = liveness(probe(d, p, 1, 3));
        let run = scenario(container, Life::default(), 60)
            .with_phases(Phases::workers_ahead_by(&container, lead_ms));
        let closed = first_attempt_ms(&probe(d, p, 1, 3).timings, lead_ms);
        assert_eq!(closed, expected_ms, "{name}");
        assert_eq!(began(&simulate(&run), Liveness)[0], expected_ms, "{name}");
    }
}

#[test]
fn k2_started_at_is_cut_to_the_second_so_an_attempt_may_come_a_second_early() {
    let mut run = scenario(liveness(probe(5, 1, 1, 1)), Life::default(), 10);
    run.wall_offset_ms = 400;
    run.phases.liveness_ms = 600;
    let timeline = simulate(&run);
    assert_eq!(timeline.lives[0].reported_started_ms, -400);
    assert_eq!(began(&timeline, Liveness)[0], 4_600);
}

#[test]
fn k2_a_worker_sees_a_container_only_after_the_status_lag() {
    let mut run = scenario(liveness(probe(0, 1, 1, 1)), Life::default(), 5);
    run.kubelet.status_lag_ms = 900;
    assert_eq!(began(&simulate(&run), Liveness)[0], 1_000);
    run.kubelet.status_lag_ms = 0;
    assert_eq!(began(&simulate(&run), Liveness)[0], 0);
}

#[test]
fn k3_after_a_kubelet_restart_each_worker_sleeps_part_of_its_period_first() {
    let mut run = scenario(liveness(probe(0, 10, 1, 3)), Life::default(), 130);
    run.kubelet_restarts = vec![KubeletRestart {
        at_ms: 101_000,
        phases: Phases {
            liveness_ms: 7_000,
            ..Phases::default()
        },
    }];
    let after: Vec<u64> = began(&simulate(&run), Liveness)
        .into_iter()
        .filter(|began| *began > 100_000)
        .collect();
    assert_eq!(after, [108_000, 118_000, 128_000]);
}

#[test]
fn k4_the_initial_delay_of_liveness_does_not_restart_when_startup_succeeds() {
    let container = Container {
        startup: Some(probe(0, 10, 1, 30)),
        ..liveness(probe(30, 10, 1, 3))
    };
    let life = Life::starting(Some(35_000), Answer::Refused);
    let run = scenario(container, life, 60).with_phases(Phases {
        liveness_ms: 5_000,
        ..Phases::default()
    });
    let timeline = simulate(&run);
    // Startup succeeds at 40 s; D = 30 s is long over, so liveness asks at its next tick.
    assert_eq!(timeline.lives[0].became_started_ms, Some(40_000));
    assert_eq!(began(&timeline, Liveness)[0], 45_000);
}

#[test]
fn k5_a_container_that_is_not_running_is_not_probed_and_its_streak_is_left_alone() {
    let container = liveness(probe(0, 10, 1, 9));
    let life = never_healthy().exiting(5_000, 1);
    let timeline = simulate(&scenario(container, life, 40));
    // Lives: 0 to 5 s, 5 to 10 s, then 10 s of back-off, 20 to 25 s, then 20 s of it.
    let results: Vec<(u64, u32)> = timeline
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Attempt { streak, .. } => Some((event.at_ms, streak)),
            _ => None,
        })
        .collect();
    assert_eq!(results, [(0, 1), (20_000, 2)]);
}

#[test]
fn k5_a_deleted_pod_is_stopped_without_liveness_and_not_restarted() {
    let mut run = scenario(liveness(probe(0, 10, 1, 1)), Life::default(), 100);
    run.deleted_at_ms = Some(35_000);
    run.behaviour = Behaviour::always(
        answers(&[(0, Answer::Ok), (36, Answer::Refused)]).on_sigterm(OnSigterm::Exits {
            after_ms: 20_000,
            code: 0,
        }),
    );
    let timeline = simulate(&run);
    assert_eq!(began(&timeline, Liveness), [0, 10_000, 20_000, 30_000]);
    let kill = timeline.lives[0].kill.expect("the pod was deleted");
    assert_eq!((kill.at_ms, kill.stop), (35_000, Stop::Deletion));
    assert_eq!(timeline.lives.len(), 1);
    assert_eq!(timeline.lives[0].exit.map(|exit| exit.at_ms), Some(55_000));
}

#[test]
fn k6_startup_gates_the_others_and_then_idles() {
    let container = Container {
        startup: Some(probe(0, 10, 1, 30)),
        readiness: Some(probe(0, 30, 1, 3)),
        ..liveness(probe(0, 10, 1, 3))
    };
    let life = Life::starting(Some(15_000), Answer::Refused);
    let run = scenario(container, life, 60).with_phases(Phases {
        startup_ms: 0,
        liveness_ms: 4_000,
        readiness_ms: 29_000,
    });
    let timeline = simulate(&run);
    assert_eq!(began(&timeline, Startup), [0, 10_000, 20_000]);
    assert_eq!(
        began(&timeline, Liveness),
        [24_000, 34_000, 44_000, 54_000],
        "liveness waits for its own tick"
    );
    assert_eq!(
        began(&timeline, Readiness),
        [20_000, 50_000],
        "readiness is triggered at once and its ticker starts anew"
    );
    let ready = timeline
        .events
        .iter()
        .find(|event| event.kind == EventKind::Ready { ready: true });
    assert_eq!(ready.map(|event| event.at_ms), Some(20_000));
}

#[test]
fn k7_below_the_threshold_nothing_changes_and_a_success_starts_the_count_anew() {
    let life = answers(&[
        (0, Answer::Refused),
        (15, Answer::Ok),
        (25, Answer::Status(500)),
    ]);
    let timeline = simulate(&scenario(liveness(probe(0, 10, 1, 3)), life, 60));
    // Failures at 0 and 10, success at 20, failures at 30, 40 and 50.
    assert_eq!(kills(&timeline), [50_000]);
}

#[test]
fn k7_readiness_honours_its_success_threshold() {
    let container = Container {
        readiness: Some(Probe {
            success_threshold: 3,
            ..probe(5, 10, 1, 2)
        }),
        ..Container::default()
    };
    let life = answers(&[(0, Answer::Ok), (50, Answer::Status(503))]);
    let timeline = simulate(&scenario(container, life, 100));
    let changes: Vec<(u64, bool)> = timeline
        .events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Ready { ready } => Some((event.at_ms, ready)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(30_000, true), (60_000, false)]);
    assert_eq!(kills(&timeline), [0_u64; 0], "readiness never kills");
}

#[test]
fn k8_a_probe_that_errs_moves_no_streak() {
    let life = answers(&[
        (0, Answer::Refused),
        (5, Answer::Error),
        (15, Answer::Refused),
    ]);
    let timeline = simulate(&scenario(liveness(probe(0, 10, 1, 2)), life, 30));
    let results: Vec<ProbeResult> = timeline
        .attempts(Liveness)
        .map(|(_, result)| result)
        .collect();
    assert_eq!(
        results[..3],
        [
            ProbeResult::Failure,
            ProbeResult::Errored,
            ProbeResult::Failure
        ]
    );
    assert_eq!(kills(&timeline)[0], 20_000);
    let errs_for_ever = answers(&[(0, Answer::Error)]);
    let timeline = simulate(&scenario(liveness(probe(0, 1, 1, 1)), errs_for_ever, 3_600));
    assert_eq!(timeline.first_kill(), None);
}

#[test]
fn k8_an_error_is_tried_three_times() {
    let life = Life {
        answers: vec![Answering {
            from_ms: 0,
            answer: Answer::Error,
            latency_ms: 4_000,
        }],
        ..Life::default()
    };
    let timeline = simulate(&scenario(liveness(probe(0, 10, 5, 1)), life, 30));
    // 3 x 4 s: the attempt outlasts the period, and the overdue tick fires at once.
    assert_eq!(began(&timeline, Liveness), [0, 12_000]);
}

#[test]
fn k8_statuses_below_400_are_successes() {
    for (status, killed) in [
        (200, false),
        (204, false),
        (302, false),
        (399, false),
        (400, true),
        (404, true),
        (503, true),
        (101, true),
    ] {
        let life = answers(&[(0, Answer::Status(status))]);
        let timeline = simulate(&scenario(liveness(probe(0, 10, 1, 1)), life, 5));
        assert_eq!(timeline.first_kill().is_some(), killed, "status {status}");
    }
}

#[test]
fn k8_what_silence_and_refusal_mean_depends_on_the_handler() {
    let of = |handler, answer| {
        let container = liveness(Probe {
            handler,
            ..probe(0, 10, 7, 1)
        });
        let timeline = simulate(&scenario(container, answers(&[(0, answer)]), 9));
        timeline.first_kill().map(|kill| kill.at_ms)
    };
    let table = [
        (Handler::Http, Answer::Refused, Some(0)),
        (Handler::Http, Answer::Hang, Some(7_000)),
        (Handler::Tcp, Answer::Refused, Some(0)),
        (Handler::Tcp, Answer::Hang, None),
        (Handler::Tcp, Answer::Status(500), None),
        (Handler::Tcp, Answer::Drop, Some(7_000)),
        (Handler::Exec, Answer::Refused, Some(0)),
        (Handler::Exec, Answer::Hang, Some(7_000)),
        (Handler::Grpc, Answer::Refused, Some(7_000)),
        (Handler::Grpc, Answer::Hang, Some(7_000)),
    ];
    for (handler, answer, expected) in table {
        assert_eq!(of(handler, answer), expected, "{handler:?} {answer:?}");
    }
}

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

#[test]
fn k13_a_probe_kill_waits_only_if_the_life_before_it_ended_recently() {
    // Each life is killed 60 s after its start and exits at once.
    let container = liveness(probe(50, 10, 1, 2));
    let timeline = simulate(&scenario(container, never_healthy(), 1_800));
    // Kills 1 to 5 restart at once, the back-off growing to 80 s; the sixth waits all of it. From
    // the ninth on the 300 s are over every second time: then they count from the life before.
    assert_eq!(
        waits(&timeline)[..10],
        [0, 0, 0, 0, 0, 80, 160, 300, 0, 300]
    );
}

#[test]
fn k13_a_container_that_dies_by_itself_waits_from_its_second_death_on() {
    let life = Life::default().exiting(1_000, 1);
    let timeline = simulate(&scenario(Container::default(), life, 1_500));
    assert_eq!(waits(&timeline)[..8], [0, 10, 20, 40, 80, 160, 300, 300]);
}

#[test]
fn k13_reduced_decay_and_node_cap() {
    let dies = Life::default().exiting(1_000, 1);
    let table = [
        (
            "reduced",
            BackOff::reduced(),
            [0, 1, 2, 4, 8, 16, 32, 60, 60],
        ),
        (
            "cap 25 s",
            BackOff::default().capped_by_node(25_000),
            [0, 10, 20, 25, 25, 25, 25, 25, 25],
        ),
        (
            "cap below the first",
            BackOff::default().capped_by_node(3_000),
            [0, 3, 3, 3, 3, 3, 3, 3, 3],
        ),
    ];
    for (name, back_off, expected) in table {
        let mut run = scenario(Container::default(), dies.clone(), 600);
        run.kubelet.back_off = back_off;
        assert_eq!(waits(&simulate(&run))[..9], expected, "{name}");
    }
}

#[test]
fn k13_back_off_is_forgotten_after_ten_good_minutes() {
    let lives = vec![
        Life::default().exiting(1_000, 1),
        Life::default().exiting(1_000, 1),
        Life::default().exiting(700_000, 1),
        Life::default().exiting(1_000, 1),
    ];
    let run = Scenario::new(
        Container::default(),
        Kubelet::default(),
        Behaviour::lives(lives),
        800_000,
    );
    // The third life lasts longer than 600 s: its successor starts at once and the next waits 10 s.
    assert_eq!(waits(&simulate(&run))[..4], [0, 10, 0, 10]);
}

#[test]
fn k13_a_late_sync_makes_the_wait_longer_by_its_jitter() {
    let mut run = scenario(Container::default(), Life::default().exiting(0, 1), 60);
    run.kubelet.sync_jitter_percent = 50;
    assert_eq!(waits(&simulate(&run))[..3], [0, 15, 30]);
}

/// Healthy at first, hung from 100 s on; its successor needs 20 s to start.
fn hangs_once() -> (Container, Behaviour) {
    let container = Container {
        startup: Some(probe(0, 10, 1, 30)),
        ..liveness(probe(0, 3, 1, 1))
    };
    let behaviour = Behaviour::lives(vec![
        answers(&[(0, Answer::Refused), (5, Answer::Ok), (99, Answer::Refused)]),
        Life::starting(Some(20_000), Answer::Refused),
    ]);
    (container, behaviour)
}

fn hangs_once_on(version: Version) -> Scenario {
    let (container, behaviour) = hangs_once();
    Scenario::new(container, Kubelet::of(version), behaviour, 200_000).with_phases(Phases {
        liveness_ms: 1_000,
        ..Phases::default()
    })
}

#[test]
fn k14_a_restarted_container_inherits_started_and_is_killed_by_liveness_while_it_starts() {
    let table = [
        (Version::new(1, 34), vec![100_000]),
        (Version::new(1, 35), vec![100_000, 103_000, 106_000]),
        (Version::new(1, 36), vec![100_000, 103_000, 106_000]),
        (Version::new(1, 37), vec![100_000, 103_000, 106_000]),
        (Version::new(1, 38), vec![100_000]),
    ];
    for (version, expected) in table {
        let timeline = simulate(&hangs_once_on(version));
        assert_eq!(kills(&timeline), expected, "{version}");
    }
    // The third kill meets a back-off, which publishes started = false: the fourth life is safe.
    let timeline = simulate(&hangs_once_on(Version::READ));
    assert_eq!(waits(&timeline), [0, 0, 10]);
}

#[test]
fn k14_is_harmless_with_a_threshold_of_two_or_a_delay_beyond_the_startup_period() {
    for (name, liveness) in [
        ("delay beyond the startup period", probe(11, 3, 1, 1)),
        ("two failures do not fit in", probe(0, 10, 1, 2)),
    ] {
        let mut run = hangs_once_on(Version::READ);
        run.container.liveness = Some(liveness);
        run.phases.liveness_ms = 2_000;
        assert_eq!(simulate(&run).probe_kills().count(), 1, "{name}");
    }
}

#[test]
fn k14_a_sidecars_liveness_is_not_looked_at_before_its_startup_probe_succeeded() {
    let mut run = hangs_once_on(Version::READ);
    run.container.sidecar = true;
    let timeline = simulate(&run);
    // Liveness fails at 103 s; the startup probe's success at 120 s brings that to light.
    assert_eq!(kills(&timeline)[..2], [100_000, 120_000]);
}

fn restart_at(at_ms: u64) -> Vec<KubeletRestart> {
    vec![KubeletRestart {
        at_ms,
        phases: Phases::default(),
    }]
}

#[test]
fn k15_a_kubelet_restart_forgets_the_streak() {
    let life = answers(&[(0, Answer::Ok), (95, Answer::Refused)]);
    let mut run = scenario(liveness(probe(0, 10, 1, 3)), life, 200);
    assert_eq!(kills(&simulate(&run))[0], 120_000);
    run.kubelet_restarts = restart_at(115_000);
    assert_eq!(kills(&simulate(&run))[0], 135_000);
}

#[test]
fn k15_started_is_kept_so_startup_is_not_done_again_since_1_35() {
    let container = Container {
        startup: Some(probe(0, 10, 1, 30)),
        ..liveness(probe(0, 10, 1, 3))
    };
    for (version, sidecar, again) in [
        (Version::new(1, 34), false, 1),
        (Version::new(1, 36), false, 0),
        (Version::new(1, 36), true, 0),
    ] {
        let container = Container {
            sidecar,
            ..container
        };
        let mut run = Scenario::new(
            container,
            Kubelet::of(version),
            Behaviour::default(),
            200_000,
        );
        run.kubelet_restarts = restart_at(95_000);
        let timeline = simulate(&run);
        let startups = began(&timeline, Startup);
        assert_eq!(
            startups.iter().filter(|began| **began > 90_000).count(),
            again,
            "{version}, sidecar {sidecar}"
        );
        assert!(
            began(&timeline, Liveness)
                .iter()
                .any(|began| *began > 110_000)
        );
        assert_eq!(timeline.first_kill(), None);
    }
}

#[test]
fn k15_a_kubelet_restart_forgets_the_back_off() {
    let mut run = scenario(Container::default(), Life::default().exiting(1_000, 1), 60);
    run.kubelet_restarts = restart_at(5_000);
    // The second death would wait until 12 s; the new kubelet knows of no back-off.
    assert_eq!(simulate(&run).lives[2].started_ms, 5_000);
}

/// Starts for 60 s; startup would wait 100 s, liveness 9 s. The kubelet is back at this second.
fn restarted_while_starting(version: Version, restart_ms: u64) -> Scenario {
    let container = Container {
        startup: Some(probe(0, 10, 1, 10)),
        ..liveness(probe(0, 3, 1, 3))
    };
    let behaviour = Behaviour::always(Life::starting(Some(60_000), Answer::Refused));
    let mut run = Scenario::new(container, Kubelet::of(version), behaviour, 300_000);
    run.kubelet_restarts = restart_at(restart_ms);
    run
}

#[test]
fn k20_a_kubelet_restart_takes_a_starting_container_for_started_and_liveness_kills_it() {
    for (name, version, restart_ms, expected) in [
        ("while it starts", Version::READ, 30_000, vec![36_000]),
        // The restart of the container finds its startup probe on guard again (K14 needs a threshold of 1).
        ("once, however slow", Version::READ, 50_000, vec![56_000]),
        // worker.go: a container younger than 10 s is none that survived a restart, so its probe runs.
        ("when it is young", Version::READ, 9_000, vec![]),
        ("after the start", Version::READ, 80_000, vec![]),
        (
            "an older kubelet starts over",
            Version::new(1, 34),
            30_000,
            vec![],
        ),
    ] {
        let timeline = simulate(&restarted_while_starting(version, restart_ms));
        assert_eq!(kills(&timeline), expected, "{name}");
        let by_liveness = |kill: probepilot_kubelet::Kill| kill.stop == Stop::Probe(Liveness);
        assert!(timeline.probe_kills().all(by_liveness), "{name}");
    }
    let mut run = restarted_while_starting(Version::READ, 30_000);
    run.kubelet.starting_taken_for_started = false;
    assert_eq!(kills(&simulate(&run)), [] as [u64; 0]);
}

#[test]
fn k20_the_initial_delay_of_liveness_still_holds_and_readiness_still_tells() {
    let mut run = restarted_while_starting(Version::READ, 30_000);
    run.container.liveness = Some(probe(60, 3, 1, 3));
    run.container.readiness = Some(probe(0, 5, 1, 1));
    let timeline = simulate(&run);
    assert_eq!(kills(&timeline), [] as [u64; 0]);
    assert_eq!(timeline.lives[0].became_started_ms, Some(30_000));
    let ready = timeline
        .events
        .iter()
        .find(|event| event.kind == EventKind::Ready { ready: true });
    assert_eq!(ready.unwrap().at_ms, 60_000);
}

#[test]
fn k16_the_kill_of_the_real_chart_defaults() {
    // aws-load-balancer-controller: 30/10/10/2.
    let chart = probe(30, 10, 10, 2);
    for (name, answer, failing, earliest_ms, latest_ms) in [
        ("refused", Answer::Refused, Failing::AtOnce, 40_000, 50_000),
        (
            "hanging",
            Answer::Hang,
            Failing::AfterTimeout,
            50_000,
            60_000,
        ),
    ] {
        let window = KillWindow {
            earliest_ms,
            latest_ms,
        };
        assert_eq!(
            KillWindow::never_healthy(&chart.timings, failing),
            window,
            "{name}"
        );
        let start = Start::new(Some(63_000), answer);
        let outcome = start_outcome(&liveness(chart), &Kubelet::default(), &start);
        assert_eq!(outcome.kill, Some(window), "{name}");
        assert_eq!(outcome.outcome, Outcome::Killed, "{name}");
        assert_eq!(outcome.guaranteed_ms, Some(40_000), "{name}");
    }
}

#[test]
fn k16_between_the_budget_and_the_window_it_is_a_matter_of_luck() {
    let container = liveness(probe(30, 10, 10, 2));
    for (seconds, outcome, per_mille) in [
        (40, Outcome::Survives, 0),
        (45, Outcome::MayBeKilled, 500),
        (49, Outcome::MayBeKilled, 900),
        (50, Outcome::Killed, 1000),
    ] {
        let start = Start::new(Some(seconds * 1000), Answer::Refused);
        let found = start_outcome(&container, &Kubelet::default(), &start);
        assert_eq!(found.outcome, outcome, "{seconds} s");
        assert_eq!(found.killed_per_mille, per_mille, "{seconds} s");
    }
}

#[test]
fn container_scoped_workers_know_one_phase_and_inherit_nothing() {
    let mut kubelet = Kubelet::of(Version::new(1, 38));
    kubelet.container_scoped_workers = true;
    let container = liveness(probe(25, 10, 1, 2));
    let start = Start::new(None, Answer::Refused);
    let outcome = start_outcome(&container, &kubelet, &start);
    let window = KillWindow {
        earliest_ms: 40_000,
        latest_ms: 40_000,
    };
    assert_eq!(outcome.kill, Some(window));

    let behaviour = Behaviour::lives(vec![never_healthy().exiting(33_000, 1), never_healthy()]);
    let timeline = simulate(&Scenario::new(container, kubelet, behaviour, 200_000));
    // One failure at 30 s is not inherited, and the ticks begin with the container at 33 s.
    assert_eq!(timeline.lives[1].kill_after_ms(), Some(40_000));
}
