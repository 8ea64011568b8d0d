//! How long a day of one container takes to simulate.

use probepilot_kubelet::{
    Answer, Behaviour, Container, Kubelet, Life, Probe, Scenario, Start, Timings, simulate,
    start_outcome,
};

const DAY_MS: u64 = 24 * 3600 * 1000;

fn main() {
    divan::main();
}

/// The chart defaults of aws-load-balancer-controller.
fn container() -> Container {
    let timings = |failure_threshold| Timings {
        initial_delay_seconds: 30,
        period_seconds: 10,
        timeout_seconds: 10,
        failure_threshold,
    };
    Container {
        liveness: Some(Probe::from(timings(2))),
        ..Container::default()
    }
}

fn day(life: Life) -> Scenario {
    Scenario::new(
        container(),
        Kubelet::default(),
        Behaviour::always(life),
        DAY_MS,
    )
}

#[divan::bench]
fn healthy_day(bencher: divan::Bencher) {
    let scenario = day(Life::starting(Some(20_000), Answer::Refused));
    bencher.bench(|| simulate(divan::black_box(&scenario)));
}

#[divan::bench]
fn crash_loop_day(bencher: divan::Bencher) {
    let scenario = day(Life::starting(None, Answer::Hang));
    bencher.bench(|| simulate(divan::black_box(&scenario)));
}

#[divan::bench]
fn start_over_all_phases(bencher: divan::Bencher) {
    let start = Start::new(Some(55_000), Answer::Hang);
    bencher.bench(|| {
        start_outcome(
            divan::black_box(&container()),
            &Kubelet::default(),
            divan::black_box(&start),
        )
    });
}
