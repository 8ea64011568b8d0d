use probepilot_api::{ProbePair, ProbeTimings};
use serde_json::json;

use super::{desired, given};
use crate::PodView;
use crate::testing::{timings, workload};
use crate::workload::{ContainerProbes, Probe, Workload};
use probepilot_api::TargetKind;

fn container(probes: &serde_json::Value) -> ContainerProbes {
    let object = workload(TargetKind::Deployment, ("helm", "Update"), probes);
    Workload::parse(TargetKind::Deployment, &object)
        .unwrap()
        .containers[0]
        .clone()
}

fn chart() -> ContainerProbes {
    let mut liveness = crate::testing::chart_liveness();
    liveness["terminationGracePeriodSeconds"] = json!(5);
    container(&json!({"livenessProbe": liveness}))
}

#[test]
fn what_new_pods_get_is_what_was_wanted() {
    let template = chart();
    let liveness = template.liveness.clone().unwrap();
    let probe = |d, p, t, f| {
        Some(Probe {
            timings: timings(d, p, t, f),
            ..liveness.clone()
        })
    };
    let cases = [
        (
            "a startup probe",
            probe(0, 10, 10, 12),
            liveness.timings,
            "s0.10.10.12",
        ),
        (
            "a rung",
            probe(0, 10, 30, 12),
            timings(60, 10, 30, 6),
            "s0.10.30.12_l60.-.30.6",
        ),
        ("a delay", None, timings(100, 10, 10, 2), "l100.-.-.-"),
        ("nothing", None, liveness.timings, ""),
    ];
    for (name, startup, live, revision) in cases {
        let wanted = ContainerProbes {
            startup,
            liveness: Some(Probe {
                timings: live,
                ..liveness.clone()
            }),
            ..template.clone()
        };
        let pair = desired(&template, &wanted);
        assert_eq!(pair.revision(), revision, "{name}");
        assert_eq!(given(&template, &pair), wanted, "{name}");
    }
}

#[test]
fn nothing_is_given_over_a_startup_probe_or_without_a_liveness_probe() {
    let pair = ProbePair {
        startup_probe: Some(ProbeTimings::from(timings(0, 10, 10, 12))),
        liveness_probe: Some(ProbeTimings::from(timings(60, 10, 30, 6))),
    };
    let liveness = crate::testing::chart_liveness();
    let own = json!({"livenessProbe": liveness, "startupProbe": liveness});
    for probes in [own, json!({"startupProbe": liveness}), json!({})] {
        let template = container(&probes);
        assert_eq!(given(&template, &pair), template);
    }
}

#[test]
fn an_owner_who_lengthened_a_timing_keeps_it() {
    let pair = ProbePair {
        startup_probe: None,
        liveness_probe: Some(ProbeTimings {
            initial_delay_seconds: Some(20),
            failure_threshold: Some(9),
            ..ProbeTimings::default()
        }),
    };
    let given = given(&chart(), &pair).liveness.unwrap();
    assert_eq!(given.timings, timings(30, 10, 10, 9));
}

#[test]
fn a_pod_tells_what_each_policy_gave_it() {
    let pod = PodView {
        admitted: Some("web-a:s0.10.1.7,web:l60.-.-.-".to_owned()),
        ..PodView::default()
    };
    let given = ["web", "web-a", "we", "other"].map(|policy| pod.admitted_by(policy));
    assert_eq!(given, [Some("l60.-.-.-"), Some("s0.10.1.7"), None, None]);
}
