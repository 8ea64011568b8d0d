//! K8 for grpc: what a refused attempt does until its timeout.

use probepilot_kubelet::{
    Answer, Behaviour, Container, EventKind, Handler, Kubelet, Life, Probe, Scenario, Timings,
    simulate,
};

/// Seen on the real kubelet: a container that served 4 s after a refused attempt of 5 s began was killed all the same.
#[test]
fn k8_a_refused_grpc_attempt_sees_a_start_only_when_it_dials_again() {
    let outcome = |serves_ms, timeout, redial_percent| {
        let liveness = Probe {
            handler: Handler::Grpc,
            ..Probe::from(Timings {
                initial_delay_seconds: 0,
                period_seconds: 20,
                timeout_seconds: timeout,
                failure_threshold: 1,
            })
        };
        let container = Container {
            liveness: Some(liveness),
            ..Container::default()
        };
        let life = Life::starting(Some(serves_ms), Answer::Refused);
        let mut run = Scenario::new(
            container,
            Kubelet::default(),
            Behaviour::always(life),
            19_000,
        );
        run.kubelet.redial_percents = [redial_percent; 3];
        let timeline = simulate(&run);
        match timeline.first_kill() {
            Some(kill) => Err(kill.at_ms),
            None => Ok(timeline.events.iter().find_map(|event| {
                matches!(event.kind, EventKind::Attempt { .. }).then_some(event.at_ms)
            })),
        }
    };
    // Dials at 0, 1, 2.6, 5.16 and 9.256 s.
    let table = [
        ("before the second dial", 1_000, 5, 100, Ok(Some(1_000))),
        ("before the third", 1_001, 5, 100, Ok(Some(2_600))),
        (
            "before the timeout, after the last dial",
            2_601,
            5,
            100,
            Err(5_000),
        ),
        ("a longer timeout", 2_601, 6, 100, Ok(Some(5_160))),
        ("later still", 5_161, 10, 100, Ok(Some(9_256))),
        (
            "a timeout of 1 s still has its second dial",
            1_000,
            1,
            100,
            Ok(Some(1_000)),
        ),
        ("the shortest waits", 2_601, 5, 80, Ok(Some(4_328))),
        ("the longest waits", 2_601, 5, 120, Ok(Some(2_920))),
        ("the longest waits, too late", 2_921, 5, 120, Err(5_000)),
        (
            "no jitter before the second dial",
            500,
            5,
            120,
            Ok(Some(1_000)),
        ),
    ];
    for (name, serves_ms, timeout, percent, expected) in table {
        assert_eq!(outcome(serves_ms, timeout, percent), expected, "{name}");
    }
}
