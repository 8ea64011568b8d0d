//! K1 to K8: when a probe is asked and what its answers count for.

use probepilot_kubelet::ProbeKind::{Liveness, Readiness, Startup};
use probepilot_kubelet::{
    Answer, Answering, Behaviour, Container, EventKind, Handler, KubeletRestart, Life, OnSigterm,
    Phases, Probe, ProbeResult, Stop, first_attempt_ms, simulate,
};

use crate::{answers, began, kills, liveness, never_healthy, probe, scenario};

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
