use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{ADVICE_RULES, Facts, Latency, Measured, Unmeasured, advise};
use crate::evidence::{Answer, Complaint, Handler, ProbeKind, Quantity, Quote, StartupErrorKind};
use crate::pod::{ContainerView, FailedProbe, PodView};
use crate::testing::{CONTAINER, at, killed_pod, timings};
use crate::verdict::{
    Confidence, Diagnosis, Hindrance, HowKnown, NeverBecause, OwnTimeout, ProbeKill, StartupError,
    Undecided, Why,
};
use crate::window::LifeWindow;

fn quantity(text: &str) -> Option<Quantity> {
    Quantity::parse(text)
}

fn kill(answer: Option<Answer>) -> ProbeKill {
    ProbeKill {
        probe: FailedProbe::Liveness,
        known: HowKnown::Event { at: at(0) },
        complaint: answer.map(|answer| Complaint {
            probe: ProbeKind::Liveness,
            answer,
            output: Quote::new("x"),
            first_at: at(0),
            last_at: at(0),
            count: 1,
        }),
    }
}

fn window() -> LifeWindow {
    LifeWindow {
        earliest: SignedDuration::from_secs(40),
        latest: SignedDuration::from_secs(72),
    }
}

/// The rules that speak, and what they say.
fn say(
    why: Why,
    measured: Measured,
    change: impl FnOnce(&mut ContainerView),
) -> Vec<(&'static str, String)> {
    let mut pod: PodView = killed_pod(timings(30, 10, 10, 2), 57, at(0));
    let view = pod.containers.get_mut(CONTAINER).unwrap();
    view.liveness_handler = Some(Handler::Tcp {
        port: "8080".to_owned(),
    });
    change(view);
    let diagnosis = Diagnosis {
        why,
        confidence: Confidence::Proven,
    };
    let facts = Facts {
        diagnosis: &diagnosis,
        pod: &pod,
        view: &pod.containers[CONTAINER],
        measured,
    };
    advise(&facts)
        .into_iter()
        .map(|advice| (advice.rule, advice.text))
        .collect()
}

fn ids(why: Why, measured: Measured, change: impl FnOnce(&mut ContainerView)) -> Vec<&'static str> {
    say(why, measured, change)
        .into_iter()
        .map(|(rule, _)| rule)
        .collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_cause_has_its_cure_and_no_other() {
    let said = |reason: &str| {
        Why::NotStarted(Hindrance {
            reason: Quote::new(reason),
            message: None,
        })
    };
    let error = |kind| Why::StartupError(StartupError { kind, said: None });
    let cases: Vec<(&str, Why, &[&str])> = vec![
        (
            "StartupKill",
            Why::StartupKill(kill(None)),
            &["startup-budget"],
        ),
        (
            "SteadyStateKill, silent",
            Why::SteadyStateKill(kill(Some(Answer::TimedOut))),
            &["steady-timeout"],
        ),
        (
            "SteadyStateKill, refused",
            Why::SteadyStateKill(kill(Some(Answer::Refused))),
            &["steady-hang"],
        ),
        (
            "SteadyStateKill, nothing told",
            Why::SteadyStateKill(kill(None)),
            &["steady-hang"],
        ),
        (
            "Unknown, unguarded",
            Why::Unknown(Undecided::Unguarded(kill(Some(Answer::Refused)))),
            &["unguarded-start"],
        ),
        (
            "HandlerDrift",
            Why::HandlerDrift {
                kill: kill(None),
                startup: Handler::Other,
                liveness: Handler::Other,
            },
            &["handler-drift"],
        ),
        (
            "ProbeNeverSucceeds",
            Why::ProbeNeverSucceeds {
                kill: kill(Some(Answer::Status(404))),
                because: NeverBecause::Answer,
            },
            &["wrong-probe"],
        ),
        (
            "OutOfMemory",
            Why::OutOfMemory {
                limit: quantity("1Gi"),
            },
            &["out-of-memory"],
        ),
        (
            "SyncTimeout",
            Why::SyncTimeout(OwnTimeout::Said(Quote::new("x"))),
            &["sync-timeout"],
        ),
        (
            "Unknown between a kill and an own timeout",
            Why::Unknown(Undecided::OwnTimeoutInWindow {
                seconds: 60,
                window: window(),
            }),
            &["sync-timeout"],
        ),
        (
            "LeaderLost",
            Why::LeaderLost {
                said: Quote::new("x"),
            },
            &["leader-lost"],
        ),
        (
            "StartupError",
            error(StartupErrorKind::Forbidden),
            &["startup-error"],
        ),
        ("NotStarted", said("ImagePullBackOff"), &["not-started"]),
        (
            "NotStarted, waits for its turn",
            said("PodInitializing"),
            &[],
        ),
        (
            "Unready",
            Why::Unready {
                since: at(0),
                starting: false,
                complaint: None,
            },
            &["unready"],
        ),
        (
            "Unready, starting",
            Why::Unready {
                since: at(0),
                starting: true,
                complaint: None,
            },
            &[],
        ),
        ("Healthy", Why::Healthy { since: Some(at(0)) }, &[]),
        ("Unknown", Why::Unknown(Undecided::NoRecord), &[]),
    ];
    for (name, why, expected) in cases {
        assert_eq!(ids(why, Measured::default(), |_| {}), expected, "{name}");
    }
}

#[test]
fn numbers_and_names_in_the_advice() {
    type Case = (&'static str, Why, fn(&mut ContainerView), &'static str);
    let startup_kill = || Why::StartupKill(kill(None));
    let cases: Vec<Case> = vec![
        (
            "twice the life",
            startup_kill(),
            |_| {},
            "periodSeconds 10, timeoutSeconds 10 and failureThreshold 13, which gives 114 s",
        ),
        (
            "a startup probe of its own gets a larger threshold",
            startup_kill(),
            |view| view.startup = Some(timings(10, 10, 1, 6)),
            "Set startupProbe.failureThreshold to 12, which gives 120 s",
        ),
        (
            "the flag of the catalogue",
            Why::SyncTimeout(OwnTimeout::Said(Quote::new("x"))),
            |view| view.image = "docker.io/cloudnativelabs/kube-router:v2.5.0".to_owned(),
            "--cache-sync-timeout",
        ),
        (
            "no flag is known",
            Why::SyncTimeout(OwnTimeout::Said(Quote::new("x"))),
            |_| {},
            "controller-runtime programs: CacheSyncTimeout",
        ),
        (
            "memory without a limit",
            Why::OutOfMemory { limit: None },
            |_| {},
            "memory request",
        ),
        (
            "memory with a limit",
            Why::OutOfMemory {
                limit: quantity("256Mi"),
            },
            |_| {},
            "now 256Mi",
        ),
    ];
    for (name, why, change, words) in cases {
        let said = say(why, Measured::default(), change);
        assert!(said[0].1.contains(words), "{name}: {said:?}");
    }
}

/// Each threshold from both sides, and each rule without its data.
#[test]
fn thresholds() {
    type Change = fn(&mut ContainerView);
    let none = Measured::default();
    let cpu = |used: &str| Measured {
        cpu_used: quantity(used),
        ..none
    };
    let memory = |used: &str| Measured {
        memory_used: quantity(used),
        ..none
    };
    let cluster = |count, most| Measured {
        count: Some(count),
        max_startup_seconds: Some(most),
        ..none
    };
    let latency = |now, usual| Measured {
        latency: Some(Latency {
            now: SignedDuration::from_millis(now),
            usual: SignedDuration::from_millis(usual),
        }),
        ..none
    };
    let cpu_100: Change = |view| view.cpu_limit = Quantity::parse("100m");
    let cpu_101: Change = |view| view.cpu_limit = Quantity::parse("101m");
    let cpu_1000: Change = |view| view.cpu_limit = Quantity::parse("1");
    let memory_1000: Change = |view| view.memory_limit = Quantity::parse("1000");
    let nothing: Change = |_| {};
    let cases: Vec<(&str, Measured, Change, bool)> = vec![
        ("cpu-limit-small", none, cpu_100, true),
        ("cpu-limit-small", none, cpu_101, false),
        ("cpu-limit-small", none, nothing, false),
        ("cpu-throttled", cpu("900m"), cpu_1000, true),
        ("cpu-throttled", cpu("899m"), cpu_1000, false),
        ("cpu-throttled", none, cpu_1000, false),
        ("cpu-throttled", cpu("900m"), nothing, false),
        ("memory-near-limit", memory("900"), memory_1000, true),
        ("memory-near-limit", memory("899"), memory_1000, false),
        ("memory-near-limit", none, memory_1000, false),
        ("memory-near-limit", memory("900"), nothing, false),
        ("cluster-large", cluster(10_000, 50), nothing, true),
        ("cluster-large", cluster(9_999, 50), nothing, false),
        ("cluster-large", cluster(10_000, 51), nothing, false),
        (
            "cluster-large",
            Measured {
                count: None,
                ..cluster(0, 50)
            },
            nothing,
            false,
        ),
        (
            "cluster-large",
            Measured {
                max_startup_seconds: None,
                ..cluster(10_000, 0)
            },
            nothing,
            false,
        ),
        ("api-server-slow", latency(1000, 200), nothing, true),
        ("api-server-slow", latency(1000, 201), nothing, false),
        ("api-server-slow", latency(999, 10), nothing, false),
        ("api-server-slow", none, nothing, false),
        (
            "upgrade",
            none,
            |view| view.image = "docker.io/bitnami/sealed-secrets-controller:0.38.2".to_owned(),
            true,
        ),
        (
            "upgrade",
            none,
            |view| view.image = "docker.io/bitnami/sealed-secrets-controller:0.39.0".to_owned(),
            false,
        ),
        (
            "upgrade",
            none,
            |view| view.image = "docker.io/bitnami/sealed-secrets-controller:latest".to_owned(),
            false,
        ),
        (
            "upgrade",
            none,
            |view| view.image = "docker.io/bitnami/other:0.1.0".to_owned(),
            false,
        ),
    ];
    for (index, (rule, measured, change, speaks)) in cases.into_iter().enumerate() {
        let found = ids(Why::StartupKill(kill(None)), measured, change);
        assert_eq!(
            found.contains(&rule),
            speaks,
            "case {index}, {rule}: {found:?}"
        );
    }
}

#[test]
fn load_is_no_matter_of_a_container_that_is_well() {
    let healthy = Why::Healthy { since: None };
    let small: fn(&mut ContainerView) = |view| view.cpu_limit = Quantity::parse("10m");
    assert!(ids(healthy, Measured::default(), small).is_empty());
    let memory = Why::OutOfMemory { limit: None };
    let measured = Measured {
        memory_used: quantity("1000"),
        ..Measured::default()
    };
    let full: fn(&mut ContainerView) = |view| view.memory_limit = Quantity::parse("1000");
    assert_eq!(
        ids(memory, measured, full),
        ["out-of-memory"],
        "it is not ahead but behind"
    );
}

#[test]
fn memory_is_a_matter_while_the_budget_grows() {
    let full: fn(&mut ContainerView) = |view| view.memory_limit = Quantity::parse("1000");
    let healthy = || Why::Healthy { since: None };
    let kill = || Why::StartupKill(kill(None));
    for (name, why, raises, speaks) in [
        ("a kill asks for more", kill(), None, true),
        ("it was raised before", healthy(), Some(1), true),
        ("it was never raised", healthy(), Some(0), false),
        ("nobody knows", healthy(), None, false),
    ] {
        let measured = Measured {
            memory_used: quantity("900"),
            raises,
            ..Measured::default()
        };
        let found = ids(why, measured, full);
        assert_eq!(found.contains(&"memory-near-limit"), speaks, "{name}");
    }
}

#[test]
fn what_was_asked_for_in_vain_is_not_measured() {
    let limited: fn(&mut ContainerView) = |view| view.cpu_limit = Quantity::parse("1");
    let free: fn(&mut ContainerView) = |_| {};
    let kill = || Why::StartupKill(kill(None));
    let error = Why::StartupError(StartupError {
        kind: StartupErrorKind::Flag,
        said: None,
    });
    let forbidden = Measured {
        unmeasured: Some(Unmeasured::Forbidden),
        ..Measured::default()
    };
    let said = |why, measured, change| {
        let said = say(why, measured, change).into_iter();
        let mut said = said.filter(|(rule, _)| *rule == "cpu-throttled");
        said.next().map(|(_, text)| text)
    };
    let words = "Whether its CPU limit of 1000m holds it back is not measured: get of pods.metrics.k8s.io is forbidden.";
    assert_eq!(said(kill(), forbidden, limited).as_deref(), Some(words));
    assert_eq!(said(kill(), forbidden, free), None, "no limit");
    assert_eq!(said(error, forbidden, limited), None, "not slow");
    assert_eq!(
        said(kill(), Measured::default(), limited),
        None,
        "not asked"
    );
}

#[test]
fn rules_are_named_once_and_cited() {
    let names: BTreeSet<_> = ADVICE_RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(names.len(), ADVICE_RULES.len());
    for rule in ADVICE_RULES {
        assert!(
            !rule.threshold.is_empty() && !rule.data.is_empty() && !rule.citation.is_empty(),
            "{}",
            rule.id
        );
    }
}
