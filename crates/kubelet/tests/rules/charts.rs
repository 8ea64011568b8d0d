//! K16: the probes of real charts.

use probepilot_kubelet::{
    Answer, Behaviour, Failing, KillWindow, Kubelet, Outcome, Scenario, Start, Version, simulate,
    start_outcome,
};

use crate::{liveness, never_healthy, probe};

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
