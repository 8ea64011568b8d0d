use k8s_openapi::api::core::v1::Event;
use serde_json::{Value, json};

use super::Told;
use crate::evidence::{Answer, ProbeKind};
use crate::pod::FailedProbe;

fn event(reason: &str, path: &str, message: &str) -> Value {
    json!({
        "metadata": {"name": "x", "namespace": "team"}, "reason": reason, "message": message, "type": "Warning",
        "involvedObject": {"kind": "Pod", "uid": "p", "fieldPath": path},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:05:00Z", "count": 6,
    })
}

fn told(event: Value) -> Option<Told> {
    Told::parse(&serde_json::from_value::<Event>(event).unwrap())
}

const A: &str = "spec.containers{a}";

#[test]
fn kills() {
    use FailedProbe::{Liveness, Startup};
    let cases = [
        (
            "liveness",
            A,
            "Container a failed liveness probe, will be restarted",
            Some(Liveness),
        ),
        (
            "startup",
            A,
            "Container a failed startup probe, will be restarted",
            Some(Startup),
        ),
        (
            "no restart",
            A,
            "Container a failed liveness probe",
            Some(Liveness),
        ),
        (
            "combined",
            A,
            "(combined from similar events): Container a failed startup probe, will be restarted",
            Some(Startup),
        ),
        (
            "of an old kubelet",
            A,
            "Killing container with id docker://a:Container failed liveness probe.. Container will be killed and recreated.",
            Some(Liveness),
        ),
        (
            "sidecar",
            "spec.initContainers{a}",
            "Init container a failed liveness probe",
            Some(Liveness),
        ),
        ("other name", A, "Container ab failed liveness probe", None),
        (
            "a name that ends alike",
            A,
            "Container ba failed liveness probe",
            None,
        ),
        ("stopped", A, "Stopping container a", None),
        (
            "changed",
            A,
            "Container a definition changed, will be restarted",
            None,
        ),
        ("no path", "", "Container a failed liveness probe", None),
        ("no message", A, "", None),
    ];
    for (name, path, message, expected) in cases {
        let probe = match told(event("Killing", path, message)) {
            Some(Told::Kill(container, kill)) => {
                assert_eq!((container.as_str(), kill.count), ("a", 6), "{name}");
                Some(kill.probe)
            }
            Some(other) => panic!("{name}: {other:?}"),
            None => None,
        };
        assert_eq!(probe, expected, "{name}");
    }
}

#[test]
fn complaints() {
    let cases = [
        (
            "Liveness probe failed: HTTP probe failed with statuscode: 404",
            Some((ProbeKind::Liveness, Answer::Status(404))),
        ),
        (
            "(combined from similar events): Startup probe failed: dial tcp: connect: connection refused",
            Some((ProbeKind::Startup, Answer::Refused)),
        ),
        (
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            Some((ProbeKind::Readiness, Answer::Status(503))),
        ),
        (
            "Liveness probe errored and resulted in unknown state: rpc error",
            None,
        ),
        ("Liveness probe warning: moved", None),
    ];
    for (message, expected) in cases {
        let found = told(event("Unhealthy", A, message)).map(|told| match told {
            Told::Complaint(_, complaint) => (complaint.probe, complaint.answer),
            other => panic!("{other:?}"),
        });
        assert_eq!(found, expected, "{message}");
    }
}

#[test]
fn reasons_that_nobody_knows_are_passed_over() {
    let known = told(event("FailedMount", "", "secret \"x\" not found"));
    assert!(matches!(known, Some(Told::Trouble(_))), "{known:?}");
    let mut normal = event("ProbeFailureIgnored", A, "Liveness probe failed: x");
    normal["type"] = json!("Normal");
    assert_eq!(told(normal), None);
    assert_eq!(
        told(event("BackOff", A, "Back-off restarting failed container")),
        None
    );
    let mut timeless = event("Killing", A, "Container a failed liveness probe");
    for field in ["firstTimestamp", "lastTimestamp"] {
        timeless[field] = Value::Null;
    }
    assert_eq!(
        told(timeless),
        None,
        "an event without a time proves nothing"
    );
}

#[test]
fn times_come_from_a_series_too() {
    let mut series = event("Killing", A, "Container a failed liveness probe");
    for field in ["firstTimestamp", "lastTimestamp", "count"] {
        series[field] = Value::Null;
    }
    series["eventTime"] = json!("2026-01-01T00:00:00.000000Z");
    series["series"] = json!({"count": 3, "lastObservedTime": "2026-01-01T00:09:00.000000Z"});
    let Some(Told::Kill(_, kill)) = told(series) else {
        panic!("a kill");
    };
    assert_eq!(kill.count, 3);
    assert_eq!(kill.last_at.to_string(), "2026-01-01T00:09:00Z");
}
