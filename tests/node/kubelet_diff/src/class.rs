//! What a configuration covers, read off itself and its prediction, so that a generator cannot claim what it does not make.

use std::collections::BTreeSet;

use probepilot_kubelet::{Answer, Handler, OnSigterm, Probe};
use serde::Serialize;

use crate::Config;
use crate::predict::{End, Past, Prediction};

/// The classes that issue 4 asks for, and some more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[allow(
    missing_docs,
    reason = "each name says what it is; `classes` says when it holds"
)]
pub enum Class {
    Http,
    Tcp,
    Exec,
    Grpc,
    Refused,
    Hang,
    Status503,
    SlowAnswer,
    LivenessAlone,
    StartupAndLiveness,
    TimeoutBeyondPeriod,
    ThresholdOne,
    DelayOffPeriod,
    ExitsBeforeKill,
    ProbeGrace,
    PreStop,
    Sidecar,
    SixKills,
    MayBeKilled,
    Survives,
    Killed,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Http,
        Self::Tcp,
        Self::Exec,
        Self::Grpc,
        Self::Refused,
        Self::Hang,
        Self::Status503,
        Self::SlowAnswer,
        Self::LivenessAlone,
        Self::StartupAndLiveness,
        Self::TimeoutBeyondPeriod,
        Self::ThresholdOne,
        Self::DelayOffPeriod,
        Self::ExitsBeforeKill,
        Self::ProbeGrace,
        Self::PreStop,
        Self::Sidecar,
        Self::SixKills,
        Self::MayBeKilled,
        Self::Survives,
        Self::Killed,
    ];
}

/// The classes of a configuration.
#[must_use]
pub fn classes(config: &Config, prediction: &Prediction) -> BTreeSet<Class> {
    let container = &config.container;
    let probes: Vec<&Probe> = container
        .startup
        .iter()
        .chain(&container.liveness)
        .collect();
    let any = |holds: fn(&Probe) -> bool| probes.iter().any(|probe| holds(probe));
    let answers = |holds: fn(Answer) -> bool| {
        let entries = &config.life.answers;
        entries.iter().any(|entry| holds(entry.answer))
            || (entries.is_empty() && holds(Answer::Refused))
    };
    let first = prediction.fate(&Past::default());
    let ends = |holds: fn(End) -> bool| {
        first.is_some_and(|fate| fate.endings.keys().any(|end| holds(*end)))
    };
    let killed_first = ends(|end| matches!(end, End::Killed(_)));
    let table = [
        (Class::Http, any(|probe| probe.handler == Handler::Http)),
        (Class::Tcp, any(|probe| probe.handler == Handler::Tcp)),
        (Class::Exec, any(|probe| probe.handler == Handler::Exec)),
        (Class::Grpc, any(|probe| probe.handler == Handler::Grpc)),
        (Class::Refused, answers(|answer| answer == Answer::Refused)),
        (Class::Hang, answers(|answer| answer == Answer::Hang)),
        (
            Class::Status503,
            answers(|answer| answer == Answer::Status(503)),
        ),
        (
            Class::SlowAnswer,
            config.life.answers.iter().any(|entry| entry.latency_ms > 0),
        ),
        (
            Class::LivenessAlone,
            container.startup.is_none() && container.liveness.is_some(),
        ),
        (
            Class::StartupAndLiveness,
            container.startup.is_some() && container.liveness.is_some(),
        ),
        (
            Class::TimeoutBeyondPeriod,
            any(|probe| probe.timings.timeout_seconds > probe.timings.period_seconds),
        ),
        (
            Class::ThresholdOne,
            any(|probe| probe.timings.failure_threshold == 1),
        ),
        (
            Class::DelayOffPeriod,
            any(|probe| {
                !probe
                    .timings
                    .initial_delay_seconds
                    .is_multiple_of(probe.timings.period_seconds)
            }),
        ),
        (Class::ExitsBeforeKill, ends(|end| end == End::Exited)),
        (
            Class::ProbeGrace,
            any(|probe| probe.termination_grace_period_seconds.is_some())
                && config.life.on_sigterm == OnSigterm::Ignored,
        ),
        (Class::PreStop, container.pre_stop_ms.is_some()),
        (Class::Sidecar, container.sidecar),
        (Class::SixKills, six_kills(config, prediction)),
        (
            Class::MayBeKilled,
            killed_first && first.is_some_and(|fate| fate.may_go_on),
        ),
        (Class::Survives, !prediction.may_be_killed()),
        (
            Class::Killed,
            killed_first && first.is_some_and(|fate| !fate.may_go_on),
        ),
    ];
    table
        .into_iter()
        .filter_map(|(class, holds)| holds.then_some(class))
        .collect()
}

/// Six kills, and a restart among them that has to wait.
fn six_kills(config: &Config, prediction: &Prediction) -> bool {
    let waits = prediction
        .fates
        .values()
        .flat_map(|fate| fate.endings.values())
        .any(|ending| {
            ending
                .until_next
                .is_some_and(|window| window.earliest_ms >= 10_000)
        });
    let six = |past: &Past| {
        past.ends.len() >= 6 && past.ends.iter().all(|end| matches!(end, End::Killed(_)))
    };
    config.lives >= 6 && waits && prediction.fates.keys().any(six)
}
