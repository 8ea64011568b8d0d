//! One test or more for each rule of the kubelet, K1 to K16 and K20, named for it.

mod attempts;
mod back_off;
mod charts;
mod kills;
mod restarts;

use probepilot_kubelet::{
    Answer, Answering, Behaviour, Container, Kubelet, Life, Probe, ProbeKind, Scenario, Timeline,
    Timings,
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
