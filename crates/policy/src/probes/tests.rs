use probepilot_api::{GuardProbe, ProbeTimings};
use probepilot_kubelet::Timings;
use serde_json::json;

use super::{Held, HeldField, Wish, budget, probes};
use crate::managed::{FieldOwner, Operation, ProbeField};
use crate::testing::timings;
use crate::timing::TimingField;
use crate::workload::{ContainerProbes, Probe};

fn probe(timings: Timings, path: &str) -> Probe {
    Probe {
        timings,
        handler: json!({"httpGet": {"path": path, "port": 61779}})
            .as_object()
            .unwrap()
            .clone(),
        grace_seconds: Some(7),
    }
}

fn owner(startup: Option<Timings>, liveness: Option<Timings>) -> ContainerProbes {
    ContainerProbes {
        name: "c".to_owned(),
        startup: startup.map(|timings| probe(timings, "/started")),
        liveness: liveness.map(|timings| probe(timings, "/healthz")),
    }
}

fn wish(seconds: u32, probe: GuardProbe) -> Wish {
    Wish {
        seconds,
        liveness: None,
        probe,
    }
}

fn seed(seconds: u32) -> Wish {
    Wish {
        liveness: Some(ProbeTimings {
            initial_delay_seconds: Some(60),
            period_seconds: Some(10),
            timeout_seconds: Some(30),
            failure_threshold: Some(6),
        }),
        ..wish(seconds, GuardProbe::Startup)
    }
}

fn held(fields: &[(ProbeField, TimingField)]) -> Held {
    Held {
        fields: fields
            .iter()
            .map(|&(probe, timing)| HeldField {
                probe,
                timing,
                manager: "argocd-controller".to_owned(),
                tool: crate::managed::Tool::ArgoCd,
            })
            .collect(),
    }
}

const CHART: (u32, u32, u32, u32) = (30, 10, 10, 2);

fn chart() -> Timings {
    timings(CHART.0, CHART.1, CHART.2, CHART.3)
}

/// What a case has, and what it must become: startup and liveness timings.
struct Case {
    name: &'static str,
    owner: ContainerProbes,
    wish: Wish,
    held: Held,
    expected: (Option<Timings>, Option<Timings>),
}

fn case(
    name: &'static str,
    owner: ContainerProbes,
    wish: Wish,
    expected: (Option<Timings>, Option<Timings>),
) -> Case {
    Case {
        name,
        owner,
        wish,
        held: Held::default(),
        expected,
    }
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table, a row for each rule of design section 6"
)]
fn need_to_probes() {
    use GuardProbe::{Liveness, Startup};
    let all_of = |probe| TimingField::ALL.map(|timing| (probe, timing));
    let cases = [
        case(
            "enough already: nothing changes",
            owner(None, Some(chart())),
            wish(40, Startup),
            (None, Some(chart())),
        ),
        case(
            "one second more: a startup probe with ceil(need/period)+1 attempts",
            owner(None, Some(chart())),
            wish(41, Startup),
            (Some(timings(0, 10, 10, 6)), Some(chart())),
        ),
        case(
            "a whole number of periods is not rounded up",
            owner(None, Some(chart())),
            wish(60, Startup),
            (Some(timings(0, 10, 10, 7)), Some(chart())),
        ),
        case(
            "a period above 10 s is not copied: it would delay Ready",
            owner(None, Some(timings(0, 60, 5, 1))),
            wish(100, Startup),
            (Some(timings(0, 10, 5, 11)), Some(timings(0, 60, 5, 1))),
        ),
        case(
            "a period below 10 s is copied",
            owner(None, Some(timings(0, 3, 2, 1))),
            wish(100, Startup),
            (Some(timings(0, 3, 2, 35)), Some(timings(0, 3, 2, 1))),
        ),
        case(
            "Liveness: the delay takes what the threshold leaves",
            owner(None, Some(chart())),
            wish(110, Liveness),
            (None, Some(timings(100, 10, 10, 2))),
        ),
        case(
            "Liveness without a delay of the owner",
            owner(None, Some(timings(0, 10, 1, 3))),
            wish(95, Liveness),
            (None, Some(timings(75, 10, 1, 3))),
        ),
        case(
            "the owner's startup probe gets a larger threshold and keeps the rest",
            owner(Some(timings(5, 7, 3, 3)), Some(chart())),
            wish(110, Startup),
            (Some(timings(5, 7, 3, 16)), Some(chart())),
        ),
        case(
            "the owner's startup probe takes the budget under Liveness as well",
            owner(Some(timings(0, 10, 1, 3)), Some(chart())),
            wish(110, Liveness),
            (Some(timings(0, 10, 1, 12)), Some(chart())),
        ),
        case(
            "a startup probe without liveness",
            owner(Some(timings(0, 10, 1, 3)), None),
            wish(110, Startup),
            (Some(timings(0, 10, 1, 12)), None),
        ),
        case(
            "a rung's timings are written as they are",
            owner(None, Some(chart())),
            seed(110),
            (None, Some(timings(60, 10, 30, 6))),
        ),
        case(
            "what a rung's timings do not reach goes to a startup probe that is like them",
            owner(None, Some(chart())),
            seed(200),
            (Some(timings(0, 10, 30, 21)), Some(timings(60, 10, 30, 6))),
        ),
        case(
            "or into the delay",
            owner(None, Some(chart())),
            Wish {
                probe: Liveness,
                ..seed(200)
            },
            (None, Some(timings(150, 10, 30, 6))),
        ),
        case(
            "with an owner's startup probe a rung's timings guard nothing: the rest goes to it",
            owner(Some(timings(0, 10, 1, 3)), Some(chart())),
            seed(110),
            (Some(timings(0, 10, 1, 12)), Some(timings(60, 10, 30, 6))),
        ),
        case(
            "a rung's timing below the owner's keeps the owner's",
            owner(None, Some(timings(90, 20, 40, 2))),
            seed(190),
            (None, Some(timings(90, 20, 40, 6))),
        ),
        case(
            "a rung's timings say nothing where the owner's budget is enough",
            owner(None, Some(timings(200, 10, 10, 2))),
            seed(110),
            (None, Some(timings(200, 10, 10, 2))),
        ),
        case(
            "no probe at all: nothing is added",
            owner(None, None),
            seed(110),
            (None, None),
        ),
        Case {
            held: held(&all_of(ProbeField::Liveness)),
            ..case(
                "liveness is held: the whole need goes to a startup probe",
                owner(None, Some(chart())),
                seed(110),
                (Some(timings(0, 10, 10, 12)), Some(chart())),
            )
        },
        Case {
            held: held(&[(ProbeField::Liveness, TimingField::FailureThreshold)]),
            ..case(
                "one timing is held: the others are written and the rest goes to a startup probe",
                owner(None, Some(chart())),
                seed(110),
                (Some(timings(0, 10, 30, 12)), Some(timings(60, 10, 30, 2))),
            )
        },
        Case {
            held: held(&[(ProbeField::Liveness, TimingField::InitialDelay)]),
            ..case(
                "the delay is held: Liveness falls back to a startup probe",
                owner(None, Some(chart())),
                wish(110, Liveness),
                (Some(timings(0, 10, 10, 12)), Some(chart())),
            )
        },
        Case {
            held: held(&[(ProbeField::Liveness, TimingField::Timeout)]),
            ..case(
                "another timing is held: Liveness may still write the delay",
                owner(None, Some(chart())),
                wish(110, Liveness),
                (None, Some(timings(100, 10, 10, 2))),
            )
        },
        Case {
            held: held(&all_of(ProbeField::Startup)),
            ..case(
                "the startup probe is held: it stays too small",
                owner(Some(timings(0, 10, 1, 3)), Some(chart())),
                wish(110, Startup),
                (Some(timings(0, 10, 1, 3)), Some(chart())),
            )
        },
    ];
    for case in cases {
        let wanted = probes(&case.owner, case.wish, &case.held);
        let found = (
            wanted.startup.as_ref().map(|probe| probe.timings),
            wanted.liveness.as_ref().map(|probe| probe.timings),
        );
        assert_eq!(found, case.expected, "{}", case.name);
        let liveness =
            |probes: &ContainerProbes| probes.liveness.clone().map(|probe| probe.handler);
        assert_eq!(
            liveness(&wanted),
            liveness(&case.owner),
            "{}: handler",
            case.name
        );
        let reached = budget(&wanted) >= case.wish.seconds;
        assert_eq!(
            reached,
            !case.name.contains("too small"),
            "{}: budget",
            case.name
        );
    }
}

#[test]
fn a_new_startup_probe_copies_livenesss_handler_and_grace() {
    let wanted = probes(
        &owner(None, Some(chart())),
        wish(60, GuardProbe::Startup),
        &Held::default(),
    );
    let (startup, liveness) = (wanted.startup.unwrap(), wanted.liveness.unwrap());
    assert_eq!(startup.handler, liveness.handler);
    assert_eq!(startup.grace_seconds, Some(7));
}

#[test]
fn an_owners_startup_probe_keeps_its_own_handler() {
    let owner = owner(Some(timings(0, 10, 1, 3)), Some(chart()));
    let wanted = probes(&owner, wish(110, GuardProbe::Startup), &Held::default());
    assert_eq!(
        wanted.startup.unwrap().handler,
        owner.startup.unwrap().handler
    );
}

#[test]
fn what_fighting_managers_declare_is_held() {
    let manager = |name: &str, operation, fields: [&str; 2]| FieldOwner {
        manager: name.to_owned(),
        operation,
        entry: 0,
        liveness: fields.map(str::to_owned).into(),
        startup: ["failureThreshold".to_owned()].into(),
    };
    let owners = [
        manager("helm", Operation::Update, ["periodSeconds", "httpGet"]),
        manager(
            "kustomize-controller",
            Operation::Apply,
            ["initialDelaySeconds", "httpGet"],
        ),
        manager(
            "probepilot",
            Operation::Update,
            ["timeoutSeconds", "httpGet"],
        ),
    ];
    let held = Held::by(
        &owners,
        probepilot_api::OnConflict::Auto,
        &ContainerProbes::default(),
    );
    let cases = [
        (
            ProbeField::Liveness,
            TimingField::InitialDelay,
            Some("kustomize-controller"),
        ),
        (
            ProbeField::Liveness,
            TimingField::Period,
            Some("kustomize-controller"),
        ),
        (
            ProbeField::Startup,
            TimingField::FailureThreshold,
            Some("kustomize-controller"),
        ),
        (ProbeField::Startup, TimingField::Period, None),
    ];
    for (probe, timing, expected) in cases {
        let holder = held.holder(probe, timing).map(|held| held.manager.as_str());
        assert_eq!(holder, expected, "{probe:?} {timing:?}");
    }
}

#[test]
fn absurd_timings_saturate() {
    let huge = timings(u32::MAX, u32::MAX, u32::MAX, u32::MAX);
    let zero = timings(0, 0, 0, 0);
    for (startup, liveness) in [
        (None, Some(huge)),
        (Some(huge), None),
        (None, Some(zero)),
        (Some(zero), Some(zero)),
    ] {
        for probe in [GuardProbe::Startup, GuardProbe::Liveness] {
            let wanted = probes(
                &owner(startup, liveness),
                wish(u32::MAX, probe),
                &Held::default(),
            );
            assert!(wanted.liveness.is_none_or(
                |probe| probe.timings.period_seconds == liveness.unwrap().period_seconds
            ));
        }
    }
    let wanted = probes(
        &owner(None, Some(timings(0, 1, 1, 1))),
        wish(u32::MAX, GuardProbe::Startup),
        &Held::default(),
    );
    let threshold = wanted.startup.unwrap().timings.failure_threshold;
    assert_eq!(i32::try_from(threshold), Ok(i32::MAX), "fields are int32");
}
