//! The shapes.

use std::ops::RangeInclusive;

use fastrand::Rng;
use probepilot_kubelet::{Answer, Container, Handler, Life, OnSigterm, Probe};

use super::{Draft, Recipe, life, timings};

const HALF_MS: u64 = 500;

/// All shapes: name, how many in a full run, how many of them in every run.
pub(super) const ALL: &[Recipe] = &[
    recipe("backoff", 1, 0, |_| back_off()),
    recipe("http-refused", 4, 1, |rng| {
        never_well(rng, Handler::Http, Answer::Refused)
    }),
    recipe("http-hang", 4, 1, |rng| {
        never_well(rng, Handler::Http, Answer::Hang)
    }),
    recipe("http-503", 4, 1, |rng| {
        never_well(rng, Handler::Http, Answer::Status(503))
    }),
    recipe("tcp-refused", 3, 1, |rng| {
        never_well(rng, Handler::Tcp, Answer::Refused)
    }),
    recipe("tcp-hang", 2, 1, |rng| {
        steady(rng, Handler::Tcp, Answer::Hang)
    }),
    recipe("exec-refused", 3, 1, |rng| {
        never_well(rng, Handler::Exec, Answer::Refused)
    }),
    recipe("exec-hang", 2, 0, |rng| {
        never_well(rng, Handler::Exec, Answer::Hang)
    }),
    recipe("exec-503", 1, 0, |rng| {
        never_well(rng, Handler::Exec, Answer::Status(503))
    }),
    recipe("exec-well", 1, 0, |rng| {
        steady(rng, Handler::Exec, Answer::Ok)
    }),
    recipe("grpc-refused", 3, 0, |rng| {
        never_well(rng, Handler::Grpc, Answer::Refused)
    }),
    recipe("grpc-hang", 2, 1, |rng| {
        never_well(rng, Handler::Grpc, Answer::Hang)
    }),
    recipe("grpc-503", 2, 0, |rng| {
        never_well(rng, Handler::Grpc, Answer::Status(503))
    }),
    recipe("grpc-well", 2, 1, |rng| {
        steady(rng, Handler::Grpc, Answer::Ok)
    }),
    recipe("grpc-late", 3, 0, grpc_late),
    recipe("too-slow", 4, 1, |rng| slow(rng, true)),
    recipe("slow-enough", 3, 0, |rng| slow(rng, false)),
    recipe("long-timeout", 5, 1, long_timeout),
    recipe("one-failure", 3, 0, |rng| Draft {
        container: alone(one_failure(rng)),
        ..refusing()
    }),
    recipe("odd-delay", 3, 1, |rng| Draft {
        container: alone(odd_delay(rng)),
        ..refusing()
    }),
    recipe("in-time", 3, 0, |rng| start(rng, false, false)),
    recipe("luck", 3, 0, |rng| start(rng, false, true)),
    recipe("outage", 2, 0, outage),
    recipe("startup-never", 3, 0, |rng| Draft {
        container: guarded(rng),
        ..refusing()
    }),
    recipe("startup-in-time", 3, 1, |rng| start(rng, true, false)),
    recipe("startup-luck", 3, 0, |rng| start(rng, true, true)),
    recipe("startup-then-sick", 6, 1, then_sick),
    recipe("own-exit", 4, 1, own_exit),
    recipe("probe-grace", 3, 1, |rng| grace(rng, true)),
    recipe("pod-grace", 2, 0, |rng| grace(rng, false)),
    recipe("pre-stop", 2, 0, pre_stop),
    recipe("slow-exit", 2, 0, slow_exit),
    recipe("sidecar-refused", 2, 1, |rng| {
        as_sidecar(never_well(rng, Handler::Http, Answer::Refused))
    }),
    recipe("sidecar-startup", 3, 0, |rng| as_sidecar(then_sick(rng))),
];

const fn recipe(
    name: &'static str,
    count: usize,
    every_run: usize,
    draw: fn(&mut Rng) -> Draft,
) -> Recipe {
    Recipe {
        name,
        count,
        every_run,
        draw,
    }
}

fn alone(liveness: Probe) -> Container {
    Container {
        liveness: Some(liveness),
        termination_grace_period_seconds: 5,
        ..Container::default()
    }
}

fn refusing() -> Draft {
    Draft {
        container: Container::default(),
        life: life(&[(0, Answer::Refused, 0)]),
        lives: Some(3),
        observe_seconds: None,
    }
}

fn draw(rng: &mut Rng, handler: Handler) -> Probe {
    let probe = timings(
        rng.u32(0..=7),
        rng.u32(2..=6),
        rng.u32(1..=2),
        rng.u32(1..=4),
    );
    Probe { handler, ..probe }
}

/// A multiple of the lattice.
fn moment(rng: &mut Rng, ms: RangeInclusive<u64>) -> u64 {
    rng.u64(ms.start().div_ceil(HALF_MS)..=ms.end() / HALF_MS) * HALF_MS
}

fn some_handler(rng: &mut Rng) -> Handler {
    [Handler::Http, Handler::Exec, Handler::Grpc][rng.usize(0..3)]
}

fn never_well(rng: &mut Rng, handler: Handler, answer: Answer) -> Draft {
    Draft {
        container: alone(draw(rng, handler)),
        life: life(&[(0, answer, 0)]),
        ..refusing()
    }
}

/// Nothing ever fails.
fn steady(rng: &mut Rng, handler: Handler, answer: Answer) -> Draft {
    // Room for the program to bind its port.
    let mut probe = draw(rng, handler);
    probe.timings.initial_delay_seconds = probe.timings.initial_delay_seconds.max(2);
    Draft {
        container: alone(probe),
        life: life(&[(0, answer, 0)]),
        lives: None,
        observe_seconds: None,
    }
}

/// Every answer comes a second before its timeout, or half a second after.
fn slow(rng: &mut Rng, too_slow: bool) -> Draft {
    let handler = some_handler(rng);
    let mut probe = draw(rng, handler);
    probe.timings.initial_delay_seconds = probe.timings.initial_delay_seconds.max(2);
    probe.timings.timeout_seconds = rng.u32(2..=3);
    let timeout_ms = u64::from(probe.timings.timeout_seconds) * 1000;
    let latency_ms = if too_slow {
        timeout_ms + 500
    } else {
        timeout_ms - 1000
    };
    Draft {
        container: alone(probe),
        life: life(&[(0, Answer::Ok, latency_ms)]),
        lives: too_slow.then_some(3),
        observe_seconds: None,
    }
}

/// A refused gRPC attempt dials again after 1 s, and then after longer and longer waits: it may not notice a start that came
/// before its timeout.
fn grpc_late(rng: &mut Rng) -> Draft {
    // The worker of a first life is about a second ahead of its container, so its first attempt comes soon after the delay.
    let period = rng.u32(5..=6);
    let delay = period - 2;
    let probe = Probe {
        handler: Handler::Grpc,
        ..timings(delay, period, 5, 1)
    };
    // Before the timeout of any attempt, but after the last dial of the earliest.
    let healthy_ms = moment(
        rng,
        u64::from(delay) * 1000 + 4500..=u64::from(delay) * 1000 + 5000,
    );
    Draft {
        container: alone(probe),
        life: life(&[(0, Answer::Refused, 0), (healthy_ms, Answer::Ok, 0)]),
        lives: Some(3),
        observe_seconds: Some(45),
    }
}

/// K11: the timeout is longer than the period, and each attempt takes all of it.
fn long_timeout(rng: &mut Rng) -> Draft {
    let period = rng.u32(2..=3);
    let probe = timings(
        rng.u32(0..=4),
        period,
        period + rng.u32(1..=4),
        rng.u32(1..=3),
    );
    let handler = some_handler(rng);
    Draft {
        container: alone(Probe { handler, ..probe }),
        life: life(&[(0, Answer::Hang, 0)]),
        ..refusing()
    }
}

fn one_failure(rng: &mut Rng) -> Probe {
    timings(rng.u32(0..=6), rng.u32(2..=8), 1, 1)
}

fn odd_delay(rng: &mut Rng) -> Probe {
    let period = rng.u32(3..=6);
    timings(
        period * rng.u32(1..=2) - rng.u32(1..period),
        period,
        1,
        rng.u32(1..=3),
    )
}

/// A start that ends well within the budget, or between the budget and one period more, where the phase decides.
fn start(rng: &mut Rng, with_startup: bool, by_luck: bool) -> Draft {
    let handler = some_handler(rng);
    let probe = Probe {
        handler,
        ..timings(rng.u32(0..=4), rng.u32(3..=5), 1, rng.u32(2..=4))
    };
    let budget_ms = u64::from(probe.timings.budget_seconds()) * 1000;
    let healthy_ms = if by_luck {
        moment(
            rng,
            budget_ms + 1000..=budget_ms + probe_period_ms(&probe) - 1000,
        )
    } else {
        moment(rng, 1000..=budget_ms - 1000)
    };
    let container = if with_startup {
        let liveness = timings(0, probe.timings.period_seconds, 1, 1);
        Container {
            startup: Some(probe),
            ..alone(Probe {
                handler,
                ..liveness
            })
        }
    } else {
        alone(probe)
    };
    Draft {
        container,
        life: Life::starting(Some(healthy_ms), Answer::Status(503)),
        lives: by_luck.then_some(2),
        observe_seconds: None,
    }
}

fn probe_period_ms(probe: &Probe) -> u64 {
    u64::from(probe.timings.period_seconds) * 1000
}

/// K7: away for less than it takes to fail often enough.
fn outage(rng: &mut Rng) -> Draft {
    let probe = timings(0, 2, 1, 4);
    let from_ms = moment(rng, 4_000..=8_000);
    let mut answers = vec![(0, Answer::Ok, 0), (from_ms, Answer::Refused, 0)];
    // Four ticks never fit into less than six seconds.
    answers.push((from_ms + moment(rng, 3_000..=5_000), Answer::Ok, 0));
    let mut container = alone(probe);
    if let Some(liveness) = &mut container.liveness {
        liveness.timings.initial_delay_seconds = 2;
    }
    Draft {
        container,
        life: life(&answers),
        lives: None,
        observe_seconds: None,
    }
}

/// Startup and liveness of one period, so that the phases stay few.
fn guarded(rng: &mut Rng) -> Container {
    let handler = some_handler(rng);
    let period = rng.u32(2..=4);
    let startup = timings(rng.u32(0..=2), period, 1, rng.u32(2..=4));
    let liveness = timings(rng.u32(0..=3), period, 1, rng.u32(1..=2));
    Container {
        startup: Some(Probe { handler, ..startup }),
        ..alone(Probe {
            handler,
            ..liveness
        })
    }
}

/// It starts in time, is well for a while, and falls ill: K6, and K14 in the lives after the first.
fn then_sick(rng: &mut Rng) -> Draft {
    let mut container = guarded(rng);
    let mut healthy_ms = 0;
    if let Some(startup) = &mut container.startup {
        startup.timings.failure_threshold = startup.timings.failure_threshold.max(3);
        let budget_ms = u64::from(startup.timings.budget_seconds()) * 1000;
        healthy_ms = moment(rng, 1500..=budget_ms - 1000);
    }
    let sick_ms = healthy_ms + moment(rng, 7_000..=10_000);
    let sick = [Answer::Hang, Answer::Status(503), Answer::Refused][rng.usize(0..3)];
    let starting = [Answer::Refused, Answer::Status(503)][rng.usize(0..2)];
    Draft {
        container,
        life: life(&[
            (0, starting, 0),
            (healthy_ms, Answer::Ok, 0),
            (sick_ms, sick, 0),
        ]),
        ..refusing()
    }
}

/// K10: it ends by itself after some failures, and the next life inherits them.
fn own_exit(rng: &mut Rng) -> Draft {
    let period = rng.u32(2..=3);
    let probe = timings(rng.u32(1..=2), period, 1, rng.u32(3..=4));
    let earliest_kill_ms = u64::from(probe.timings.budget_seconds()) * 1000;
    let exit_ms = moment(rng, earliest_kill_ms - 3_000..=earliest_kill_ms - 1_000);
    let container = if rng.bool() {
        Container {
            startup: Some(probe),
            ..alone(timings(0, period, 1, 1))
        }
    } else {
        alone(probe)
    };
    // From its second death on it waits 10 s and more (K13).
    let life = life(&[(0, Answer::Refused, 0)]).exiting(exit_ms, 3);
    Draft {
        container,
        life,
        lives: Some(3),
        observe_seconds: Some(90),
    }
}

/// K12: it ignores SIGTERM.
fn grace(rng: &mut Rng, of_probe: bool) -> Draft {
    let mut probe = timings(rng.u32(1..=3), 3, 1, 1);
    if of_probe {
        // 1 becomes 2, the least that the kubelet grants.
        probe.termination_grace_period_seconds = Some(rng.u32(1..=6));
    }
    let container = Container {
        termination_grace_period_seconds: rng.u32(7..=10),
        ..alone(probe)
    };
    let life = life(&[(0, Answer::Refused, 0)]).on_sigterm(OnSigterm::Ignored);
    Draft {
        container,
        life,
        lives: Some(2),
        observe_seconds: None,
    }
}

fn pre_stop(rng: &mut Rng) -> Draft {
    let container = Container {
        pre_stop_ms: Some(rng.u64(2..=4) * 1000),
        termination_grace_period_seconds: 8,
        ..alone(timings(rng.u32(1..=3), 3, 1, 1))
    };
    let on_sigterm = if rng.bool() {
        OnSigterm::Ignored
    } else {
        OnSigterm::Exits {
            after_ms: 0,
            code: 143,
        }
    };
    let life = life(&[(0, Answer::Refused, 0)]).on_sigterm(on_sigterm);
    Draft {
        container,
        life,
        lives: Some(2),
        observe_seconds: Some(90),
    }
}

fn slow_exit(rng: &mut Rng) -> Draft {
    let on_sigterm = OnSigterm::Exits {
        after_ms: moment(rng, 1_000..=4_000),
        code: 1,
    };
    let container = Container {
        termination_grace_period_seconds: 10,
        ..alone(timings(rng.u32(1..=3), rng.u32(2..=4), 1, 2))
    };
    let life = life(&[(0, Answer::Refused, 0)]).on_sigterm(on_sigterm);
    Draft {
        container,
        life,
        ..refusing()
    }
}

/// K13: short lives, so that the back-off shows from the third kill on. Six kills, after which the events are used up.
fn back_off() -> Draft {
    Draft {
        container: alone(timings(1, 3, 1, 1)),
        lives: Some(6),
        observe_seconds: Some(600),
        ..refusing()
    }
}

fn as_sidecar(mut draft: Draft) -> Draft {
    draft.container.sidecar = true;
    draft
}
