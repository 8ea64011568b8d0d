//! Closed forms, the sweep over all phases and the simulation say the same.

use probepilot_kubelet::{
    Answer, Behaviour, Container, Failing, Handler, KillWindow, Kubelet, Life, OnSigterm, Outcome,
    Phases, Probe, Scenario, Start, Timings, Version, first_attempt_ms, simulate, start_outcome,
    sweep,
};
use proptest::prelude::*;

fn timings() -> impl Strategy<Value = Timings> {
    (0_u32..40, 1_u32..13, 1_u32..16, 1_u32..6).prop_map(|(d, p, t, f)| Timings {
        initial_delay_seconds: d,
        period_seconds: p,
        timeout_seconds: t,
        failure_threshold: f,
    })
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        Just(Answer::Refused),
        Just(Answer::Hang),
        Just(Answer::Drop),
        Just(Answer::Status(503)),
    ]
}

fn handler() -> impl Strategy<Value = Handler> {
    prop_oneof![
        Just(Handler::Http),
        Just(Handler::Tcp),
        Just(Handler::Exec),
        Just(Handler::Grpc),
    ]
}

fn guarded_by(probe: Probe, startup: bool) -> Container {
    Container {
        startup: startup.then_some(probe),
        liveness: (!startup).then_some(probe),
        ..Container::default()
    }
}

/// When the first probe kill of a life comes in this phase.
fn kill_ms(container: &Container, life: &Life, phase_ms: u64, until_ms: u64) -> Option<u64> {
    let run = Scenario::new(
        *container,
        Kubelet::default(),
        Behaviour::always(life.clone()),
        until_ms,
    )
    .with_phases(Phases {
        startup_ms: phase_ms,
        liveness_ms: phase_ms,
        readiness_ms: 0,
    });
    simulate(&run).lives[0].kill.map(|kill| kill.at_ms)
}

/// Both ends of the sweep see no attempt at all: the first because its ticks come before the delay
/// is over, the last because the container has ended by then. Only phases between them kill.
#[test]
fn a_kill_between_two_phases_without_any_attempt_is_found() {
    let timings = Timings {
        initial_delay_seconds: 23,
        period_seconds: 10,
        timeout_seconds: 1,
        failure_threshold: 1,
    };
    let container = guarded_by(Probe::from(timings), false);
    let life = Life::starting(None, Answer::Refused).exiting(23_480, 1);
    let killed: Vec<(u64, u64)> = sweep(&container, &Kubelet::default(), &life, 0, 23_480)
        .iter()
        .filter(|piece| piece.kill.is_some())
        .map(|piece| (piece.from_ms, piece.to_ms))
        .collect();
    assert_eq!(killed, [(3_000, 3_479)]);
}

proptest! {
    /// K2: the closed form for the first attempt is what the worker does.
    #[test]
    fn first_attempt(timings in timings(), lead_ms in 0_u64..20_000) {
        let container = guarded_by(Probe::from(timings), false);
        let run = Scenario::new(container, Kubelet::default(), Behaviour::default(), 100_000)
            .with_phases(Phases::workers_ahead_by(&container, lead_ms));
        let first = simulate(&run).attempts(probepilot_kubelet::ProbeKind::Liveness).next();
        prop_assert_eq!(first.map(|(began, _)| began), Some(first_attempt_ms(&timings, lead_ms)));
    }

    /// K16: a container that never gets healthy is killed at the closed form's moment in any phase.
    #[test]
    fn never_healthy(timings in timings(), hangs in any::<bool>(), startup in any::<bool>(), phase in 0.0..1.0) {
        let (answer, failing) = if hangs {
            (Answer::Hang, Failing::AfterTimeout)
        } else {
            (Answer::Refused, Failing::AtOnce)
        };
        let period_ms = u64::from(timings.period_seconds) * 1000;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let phase_ms = (phase * period_ms as f64) as u64;
        let container = guarded_by(Probe::from(timings), startup);
        let window = KillWindow::never_healthy(&timings, failing);
        let kill = kill_ms(&container, &Life::starting(None, answer), phase_ms, 10_000_000);
        let delay_ms = u64::from(timings.initial_delay_seconds) * 1000;
        let late_ms = (phase_ms + period_ms - delay_ms % period_ms) % period_ms;
        prop_assert_eq!(kill, Some(window.earliest_ms + late_ms));
        prop_assert!(window.earliest_ms + late_ms < window.latest_ms);
    }

    /// K16: no kill inside the guaranteed budget, whatever the answers and the phase.
    #[test]
    fn no_kill_within_the_budget(timings in timings(), answer in answer(), handler in handler(), startup in any::<bool>(), phase_ms in 0_u64..12_000) {
        let container = guarded_by(Probe { handler, ..Probe::from(timings) }, startup);
        let phase_ms = phase_ms % (u64::from(timings.period_seconds) * 1000);
        let kill = kill_ms(&container, &Life::starting(None, answer), phase_ms, 10_000_000);
        prop_assert!(kill.is_none_or(|ms| ms >= u64::from(timings.budget_seconds()) * 1000));
    }

    /// K11, K16: a healthy container that hangs is killed within the detection time.
    #[test]
    fn detection_time(timings in timings(), hang_s in 60_u64..120, phase_ms in 0_u64..12_000) {
        let container = guarded_by(Probe::from(timings), false);
        let mut life = Life::default();
        life.answers.push(probepilot_kubelet::Answering {
            from_ms: hang_s * 1000,
            answer: Answer::Drop,
            latency_ms: 0,
        });
        let phase_ms = phase_ms % (u64::from(timings.period_seconds) * 1000);
        let kill = kill_ms(&container, &life, phase_ms, 10_000_000);
        let latest = hang_s * 1000 + u64::from(timings.detection_seconds()) * 1000;
        prop_assert!(kill.is_some_and(|ms| ms > hang_s * 1000 && ms <= latest), "{kill:?} {latest}");
    }

    /// The sweep covers every phase without a gap and says of each what the simulation says.
    #[test]
    fn sweep_is_the_simulation_in_every_phase(
        timings in timings(), answer in answer(), handler in handler(), startup in any::<bool>(),
        healthy_ms in 0_u64..150_000, exits in proptest::option::of(1_u64..150_000), probes in proptest::collection::vec(0.0..1.0, 40),
    ) {
        let container = guarded_by(Probe { handler, ..Probe::from(timings) }, startup);
        let mut life = Life::starting(Some(healthy_ms), answer);
        if let Some(at_ms) = exits {
            life = life.exiting(at_ms, 1);
        }
        let until_ms = exits.unwrap_or(400_000);
        let pieces = sweep(&container, &Kubelet::default(), &life, 0, until_ms);
        let period_ms = u64::from(timings.period_seconds) * 1000;
        prop_assert_eq!(pieces[0].from_ms, 0);
        prop_assert_eq!(pieces[pieces.len() - 1].to_ms, period_ms - 1);
        for pair in pieces.windows(2) {
            prop_assert_eq!(pair[0].to_ms + 1, pair[1].from_ms);
        }
        for share in probes {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let phase_ms = (share * period_ms as f64) as u64;
            let piece = pieces.iter().find(|piece| piece.to_ms >= phase_ms).expect("no gap");
            let predicted = piece.kill.map(|kill| {
                if kill.at_from_ms == kill.at_to_ms { kill.at_from_ms } else { kill.at_from_ms + (phase_ms - piece.from_ms) }
            });
            prop_assert_eq!(kill_ms(&container, &life, phase_ms, until_ms), predicted, "phase {}", phase_ms);
        }
    }

    /// The same with two probes: their workers start together, so one phase moves both.
    #[test]
    fn sweep_moves_the_workers_of_both_probes(
        startup in timings(), liveness in timings(), answer in answer(),
        healthy_ms in 0_u64..40_000, hangs_after_ms in 1_u64..60_000, shares in proptest::collection::vec(0.0..1.0, 20),
    ) {
        let container = Container {
            startup: Some(Probe::from(startup)), liveness: Some(Probe::from(liveness)), ..Container::default()
        };
        let mut life = Life::starting(Some(healthy_ms), answer);
        life.answers.push(probepilot_kubelet::Answering {
            from_ms: healthy_ms + hangs_after_ms, answer: Answer::Drop, latency_ms: 0,
        });
        let until_ms = 150_000;
        let pieces = sweep(&container, &Kubelet::default(), &life, 0, until_ms);
        let length_ms = pieces[pieces.len() - 1].to_ms + 1;
        let (p, q) = (u64::from(startup.period_seconds), u64::from(liveness.period_seconds));
        prop_assert!(length_ms.is_multiple_of(p * 1000) && length_ms.is_multiple_of(q * 1000));
        for share in shares {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let offset_ms = (share * length_ms as f64) as u64;
            let piece = pieces.iter().find(|piece| piece.to_ms >= offset_ms).expect("no gap");
            let predicted = piece.kill.map(|kill| {
                let moved = if kill.at_from_ms == kill.at_to_ms { 0 } else { offset_ms - piece.from_ms };
                (kill.probe, kill.at_from_ms + moved)
            });
            let run = Scenario::new(container, Kubelet::default(), Behaviour::always(life.clone()), until_ms)
                .with_phases(Phases {
                    startup_ms: offset_ms % (p * 1000), liveness_ms: offset_ms % (q * 1000), readiness_ms: 0,
                });
            let found = simulate(&run).first_kill().and_then(|kill| match kill.stop {
                probepilot_kubelet::Stop::Probe(probe) => Some((probe, kill.at_ms)),
                probepilot_kubelet::Stop::Deletion => None,
            });
            prop_assert_eq!(found, predicted, "offset {}", offset_ms);
        }
    }

    /// The outcome of a start is the sum of its phases.
    #[test]
    fn outcome_is_the_sum_of_the_phases(timings in timings(), answer in answer(), handler in handler(), startup in any::<bool>(), healthy_ms in 0_u64..150_000) {
        let container = guarded_by(Probe { handler, ..Probe::from(timings) }, startup);
        let found = start_outcome(&container, &Kubelet::default(), &Start::new(Some(healthy_ms), answer));
        let life = Life::starting(Some(healthy_ms), answer);
        let period_ms = u64::from(timings.period_seconds) * 1000;
        let all: Vec<Option<u64>> = (0..period_ms).step_by(97)
            .map(|phase| kill_ms(&container, &life, phase, 600_000)).collect();
        let killed = all.iter().flatten().count();
        match found.outcome {
            Outcome::Survives => prop_assert_eq!(killed, 0),
            Outcome::Killed => prop_assert_eq!(killed, all.len()),
            Outcome::MayBeKilled => prop_assert!(found.killed_per_mille > 0 && found.killed_per_mille <= 1000),
        }
        for ms in all.into_iter().flatten() {
            let window = found.kill.expect("something kills");
            prop_assert!(window.earliest_ms <= ms && ms <= window.latest_ms, "{ms} not in {window:?}");
        }
        if let Some(window) = found.kill {
            prop_assert!(window.earliest_ms >= found.guaranteed_ms.expect("there is a guard"));
        }
    }

    /// A longer start, a smaller threshold or a shorter delay never helps.
    #[test]
    fn outcomes_are_monotonic(timings in timings(), answer in answer(), healthy_ms in 0_u64..150_000, more_ms in 0_u64..50_000) {
        let kubelet = Kubelet::default();
        let of = |timings: Timings, ms| {
            start_outcome(&guarded_by(Probe::from(timings), true), &kubelet, &Start::new(Some(ms), answer)).killed_per_mille
        };
        let base = of(timings, healthy_ms);
        prop_assert!(of(timings, healthy_ms + more_ms) >= base);
        let generous = Timings { failure_threshold: timings.failure_threshold + 1, ..timings };
        prop_assert!(of(generous, healthy_ms) <= base);
    }

    /// K10: an inherited streak is the same as a smaller threshold.
    #[test]
    fn inherited_failures_are_a_smaller_threshold(timings in timings(), answer in answer(), healthy_ms in 0_u64..150_000, used in 0_u32..5) {
        let used = used % timings.failure_threshold;
        let kubelet = Kubelet::default();
        let container = guarded_by(Probe::from(timings), true);
        let life = Life::starting(Some(healthy_ms), answer);
        let left = Timings { failure_threshold: timings.failure_threshold - used, ..timings };
        let smaller = guarded_by(Probe::from(left), true);
        let kills = |pieces: Vec<probepilot_kubelet::Piece>| -> Vec<_> {
            pieces.into_iter().map(|piece| (piece.from_ms, piece.kill)).collect()
        };
        prop_assert_eq!(
            kills(sweep(&container, &kubelet, &life, used, 400_000)),
            kills(sweep(&smaller, &kubelet, &life, 0, 400_000))
        );
    }

    /// Whatever happens, a timeline is in order and its lives do not overlap.
    #[test]
    fn timelines_are_in_order(
        liveness in timings(), startup in proptest::option::of(timings()), readiness in proptest::option::of(timings()),
        answer in answer(), healthy_ms in 0_u64..60_000, ignores in any::<bool>(), minor in 33_u32..39,
        lag_ms in 0_u64..1_500, restarts in proptest::collection::vec(0_u64..600_000, 0..3), scoped in any::<bool>(),
    ) {
        let mut kubelet = Kubelet::of(Version::new(1, minor));
        kubelet.status_lag_ms = lag_ms;
        kubelet.container_scoped_workers = scoped;
        let container = Container {
            startup: startup.map(Probe::from), liveness: Some(Probe::from(liveness)), readiness: readiness.map(Probe::from),
            ..Container::default()
        };
        let sigterm = if ignores { OnSigterm::Ignored } else { OnSigterm::Exits { after_ms: 700, code: 1 } };
        let lives = vec![
            Life::starting(Some(healthy_ms), answer).exiting(healthy_ms + 90_000, 2),
            Life::starting(None, answer).on_sigterm(sigterm),
        ];
        let mut run = Scenario::new(container, kubelet, Behaviour::lives(lives), 900_000);
        let mut restarts = restarts;
        restarts.sort_unstable();
        run.kubelet_restarts = restarts.into_iter().map(|at_ms| probepilot_kubelet::KubeletRestart { at_ms, phases: Phases::default() }).collect();
        let timeline = simulate(&run);
        prop_assert_eq!(&timeline, &simulate(&run));
        for pair in timeline.events.windows(2) {
            prop_assert!(pair[0].at_ms <= pair[1].at_ms);
        }
        for pair in timeline.lives.windows(2) {
            let end = pair[0].exit.expect("a life that has a successor has ended").at_ms;
            prop_assert!(end <= pair[1].started_ms);
        }
        let text = serde_json::to_string(&timeline).expect("plain data");
        let back: probepilot_kubelet::Timeline = serde_json::from_str(&text).expect("its own output");
        prop_assert_eq!(back, timeline);
        let text = serde_json::to_string(&run).expect("plain data");
        let back: Scenario = serde_json::from_str(&text).expect("its own output");
        prop_assert_eq!(back, run);
    }
}
