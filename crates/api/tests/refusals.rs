//! Rules of the schema, evaluated as the API server does: each bad policy with its sentence.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use probepilot_api::{ProbePolicy, ProbePolicySpec};
use serde_json::{Value, json};

/// The messages with which a spec is refused; none when it is accepted.
fn refusals(fields: &Value) -> Vec<String> {
    let mut spec =
        json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}});
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let spec: ProbePolicySpec = serde_json::from_value(spec).unwrap();
    match ProbePolicy::new("p", spec).validate_cel() {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
fn rule(rule: Value) -> Value {
    json!({"rules": [rule]})
}

fn step(at_least: i64) -> Value {
    json!({"atLeast": at_least, "startupSeconds": 60})
}

fn point(count: i64) -> Value {
    json!({"count": count, "startupSeconds": 60})
}

#[test]
fn good_policies() {
    let seed = json!({"steps": [
        {"atLeast": 0, "startupSeconds": 60},
        {"atLeast": 10000, "livenessProbe": {"initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}},
    ]});
    let cases = [
        ("no rules", json!({})),
        (
            "the seed",
            json!({"containerName": "aws-load-balancer-controller", "mode": "Enforce", "rules": [seed]}),
        ),
        (
            "a line",
            rule(json!({"linear": {"baseSeconds": 30, "secondsPerThousand": 6}})),
        ),
        (
            "a line without a base",
            rule(json!({"linear": {"baseSeconds": 0, "secondsPerThousand": 6}})),
        ),
        (
            "a curve",
            rule(
                json!({"interpolate": [{"count": 100, "startupSeconds": 20}, {"count": 1000, "startupSeconds": 961}]}),
            ),
        ),
        (
            "one timing",
            rule(json!({"steps": [{"atLeast": 0, "livenessProbe": {"failureThreshold": 6}}]})),
        ),
        (
            "equal limits",
            json!({"limits": {"minStartupSeconds": 60, "maxStartupSeconds": 60}}),
        ),
        (
            "another resource",
            rule(
                json!({"count": {"group": "networking.k8s.io", "resource": "ingresses", "namespace": "web"}, "steps": [step(0)]}),
            ),
        ),
        (
            "secrets of another group",
            rule(
                json!({"count": {"group": "example.com", "resource": "secrets"}, "steps": [step(0)]}),
            ),
        ),
    ];
    for (name, fields) in cases {
        assert_eq!(refusals(&fields), [""; 0], "{name}");
    }
}

#[test]
fn bad_policies() {
    let line = json!({"baseSeconds": 30, "secondsPerThousand": 6});
    let one_form = "give exactly one of steps, linear or interpolate";
    let cases = [
        ("no form", rule(json!({})), one_form),
        (
            "two forms",
            rule(json!({"steps": [step(0)], "linear": line})),
            one_form,
        ),
        (
            "three forms",
            rule(json!({"steps": [step(0)], "linear": line, "interpolate": [point(1), point(2)]})),
            one_form,
        ),
        (
            "falling steps",
            rule(json!({"steps": [step(5), step(1)]})),
            "steps must rise strictly",
        ),
        (
            "a step twice",
            rule(json!({"steps": [step(5), step(5)]})),
            "steps must rise strictly",
        ),
        (
            "falling points",
            rule(json!({"interpolate": [point(5), point(1)]})),
            "interpolate points must rise strictly",
        ),
        (
            "a point twice",
            rule(json!({"interpolate": [point(5), point(5)]})),
            "interpolate points must rise strictly",
        ),
        (
            "an empty step",
            rule(json!({"steps": [{"atLeast": 0}]})),
            "a step must set something",
        ),
        (
            "no timing",
            rule(json!({"steps": [{"atLeast": 0, "livenessProbe": {}}]})),
            "livenessProbe must set a timing",
        ),
        (
            "an empty line",
            rule(json!({"linear": {"baseSeconds": 0, "secondsPerThousand": 0}})),
            "linear must ask for something",
        ),
        (
            "limits the wrong way round",
            json!({"limits": {"minStartupSeconds": 61, "maxStartupSeconds": 60}}),
            "limits.minStartupSeconds must not exceed",
        ),
        (
            "secrets",
            rule(json!({"count": {"resource": "secrets"}, "steps": [step(0)]})),
            "secrets cannot be counted",
        ),
        (
            "a kind for a resource",
            rule(json!({"count": {"resource": "Pod"}, "steps": [step(0)]})),
            "resource must be the plural name in lower case",
        ),
        (
            "another API",
            json!({"targetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Deployment", "name": "x"}}),
            "targetRef.apiVersion must be apps/v1",
        ),
    ];
    for (name, fields, expected) in cases {
        let refused = refusals(&fields);
        let [message] = refused.as_slice() else {
            panic!("{name}: {refused:?}")
        };
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn a_policy_round_trips() {
    let text = "
targetRef: {apiVersion: apps/v1, kind: Deployment, name: aws-load-balancer-controller}
containerName: aws-load-balancer-controller
mode: Enforce
rules:
- count: {group: '', resource: pods, namespace: ''}
  steps:
  - {atLeast: 0, startupSeconds: 60}
  - atLeast: 10000
    livenessProbe: {initialDelaySeconds: 60, periodSeconds: 10, timeoutSeconds: 30, failureThreshold: 6}
- linear: {baseSeconds: 30, secondsPerThousand: 6}
- interpolate: [{count: 100, startupSeconds: 20}, {count: 1000, startupSeconds: 961}]
limits: {minStartupSeconds: 10, maxStartupSeconds: 1800}
apply: {probe: Liveness}
behavior:
  raise: {policy: OnKill, stabilizationWindowSeconds: 1, minIntervalSeconds: 2}
  lower: {policy: Enabled, tolerancePercent: 3, stabilizationWindowSeconds: 4}
";
    let spec: ProbePolicySpec = serde_saphyr::from_str(text).unwrap();
    let json = serde_json::to_value(&spec).unwrap();
    let given: Value = serde_saphyr::from_str(text).unwrap();
    assert_eq!(json["behavior"], given["behavior"]);
    assert_eq!(json["rules"][0], given["rules"][0]);
    assert_eq!(
        json["rules"][1]["count"],
        json!({"group": "", "resource": "pods", "namespace": ""})
    );
    let again: ProbePolicySpec = serde_json::from_value(json).unwrap();
    assert_eq!(again, spec);
}
