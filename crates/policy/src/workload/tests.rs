mod rollouts;

use probepilot_api::TargetKind;
use probepilot_kubelet::StartGuard;
use serde_json::{Value, json};

use super::{Strategy, Workload};
use crate::testing::timings;

/// A Deployment as a 1.36 API server returns it, with `fields` merged over `spec` and `status`.
fn deployment(spec: &Value, status: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "annotations": {"deployment.kubernetes.io/revision": "3", "meta.helm.sh/release-name": "lbc"},
            "creationTimestamp": "2026-09-13T10:00:00Z",
            "generation": 4,
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "name": "lbc",
            "namespace": "kube-system",
            "resourceVersion": "81233",
            "uid": "0c6f1c9e-0f3b-4b39-9c9a-6d1f2f3a4b5c",
        },
        "spec": {
            "progressDeadlineSeconds": 600,
            "replicas": 2,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "lbc"}},
            "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}, "type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": {"app": "lbc"}},
                "spec": {
                    "containers": [{
                        "image": "lbc:v2", "imagePullPolicy": "IfNotPresent", "name": "lbc",
                        "livenessProbe": {
                            "failureThreshold": 2, "initialDelaySeconds": 30, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 10,
                            "httpGet": {"path": "/healthz", "port": "health", "scheme": "HTTP", "httpHeaders": [{"name": "Host", "value": "x"}]},
                            "terminationGracePeriodSeconds": 7,
                            "futureHandler": {"depth": [1, {"two": null}]},
                        },
                        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 61779}},
                    }],
                    "initContainers": [
                        {"name": "migrate", "image": "m"},
                        {"name": "proxy", "image": "p", "restartPolicy": "Always"},
                    ],
                    "dnsPolicy": "ClusterFirst",
                },
            },
        },
        "status": {
            "availableReplicas": 2, "observedGeneration": 4, "readyReplicas": 2, "replicas": 2, "updatedReplicas": 2,
            "conditions": [
                {"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ],
        },
    });
    overlay(&mut object["spec"], spec);
    overlay(&mut object["status"], status);
    object
}

fn overlay(base: &mut Value, over: &Value) {
    for (key, value) in over.as_object().unwrap() {
        base[key] = value.clone();
    }
}

fn parse(kind: TargetKind, object: &Value) -> Workload {
    Workload::parse(kind, object).unwrap()
}

fn settled() -> Value {
    deployment(&json!({}), &json!({}))
}

#[test]
fn a_deployment_of_a_real_api_server() {
    let workload = parse(TargetKind::Deployment, &settled());
    assert_eq!(workload.display(), "deployment/lbc");
    assert_eq!(
        (
            workload.uid.len(),
            workload.resource_version.as_str(),
            workload.generation
        ),
        (36, "81233", 4)
    );
    assert_eq!(
        workload.selector.match_labels.as_ref().unwrap()["app"],
        "lbc"
    );
    assert_eq!(workload.sidecars, ["proxy"]);
    assert_eq!(workload.controller, None);
    assert!(!workload.ignored);
    assert_eq!(workload.records, []);
    assert_eq!(workload.strategy, Strategy::SurgesFirst);
    assert_eq!(workload.rollout.progress_deadline_seconds, Some(600));
    assert!(
        !workload.rollout.in_progress
            && !workload.rollout.paused
            && !workload.rollout.deadline_exceeded
    );
    let container = workload.container("lbc").unwrap();
    assert_eq!(
        container.guard(),
        StartGuard::Liveness(timings(30, 10, 10, 2))
    );
    assert_eq!(container.detection_seconds(), Some(30));
    assert_eq!(
        workload.container("proxy"),
        None,
        "init containers are no targets"
    );
}

#[test]
fn a_probes_unknown_fields_survive_as_they_are() {
    let workload = parse(TargetKind::Deployment, &settled());
    let probe = workload.container("lbc").unwrap().liveness.clone().unwrap();
    assert_eq!(probe.grace_seconds, Some(7));
    assert_eq!(
        Value::from(probe.handler),
        json!({
            "httpGet": {"path": "/healthz", "port": "health", "scheme": "HTTP", "httpHeaders": [{"name": "Host", "value": "x"}]},
            "futureHandler": {"depth": [1, {"two": null}]},
        })
    );
}

#[test]
fn timings_that_a_manifest_leaves_out_are_the_apis_defaults() {
    let object = json!({"metadata": {"name": "x"}, "spec": {"template": {"spec": {"containers": [
        {"name": "a", "startupProbe": {"exec": {"command": ["true"]}}},
        {"name": "b"},
    ]}}}});
    let workload = parse(TargetKind::StatefulSet, &object);
    let probed = workload.container("a").unwrap();
    assert_eq!(
        probed.startup.as_ref().unwrap().timings,
        timings(0, 10, 1, 3)
    );
    assert_eq!(workload.container("b").unwrap().guard(), StartGuard::None);
}

#[test]
fn absurd_timings_are_clamped_into_the_apis_range() {
    let probe = json!({"tcpSocket": {"port": 1}, "initialDelaySeconds": -5, "periodSeconds": 0, "timeoutSeconds": i32::MIN, "failureThreshold": i32::MAX});
    let object = json!({"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "", "livenessProbe": probe}]}}}});
    let workload = parse(TargetKind::DaemonSet, &object);
    let liveness = workload.container("").unwrap().liveness.clone().unwrap();
    assert_eq!(liveness.timings, timings(0, 1, 1, i32::MAX.unsigned_abs()));
}

#[test]
fn what_reverts_a_write_is_found() {
    let owner = |controller: Value| json!([{"apiVersion": "v1", "kind": "Prometheus", "name": "k8s", "uid": "1", "controller": controller}]);
    let cases = [
        (
            "a controller",
            json!({"ownerReferences": owner(json!(true))}),
            Some("Prometheus/k8s"),
        ),
        (
            "an owner that is no controller",
            json!({"ownerReferences": owner(json!(false))}),
            None,
        ),
        (
            "OLM",
            json!({"labels": {"olm.owner": "operator.v1", "olm.owner.kind": "ClusterServiceVersion"}}),
            Some("ClusterServiceVersion/operator.v1"),
        ),
        ("nobody", json!({"labels": {"app": "x"}}), None),
    ];
    for (name, metadata, expected) in cases {
        let mut object = settled();
        overlay(&mut object["metadata"], &metadata);
        let workload = parse(TargetKind::Deployment, &object);
        assert_eq!(workload.controller.as_deref(), expected, "{name}");
    }
}

#[test]
fn annotations() {
    let record = json!({"container": "lbc", "baseline": {}, "written": {"startupProbe": {"periodSeconds": 10}}});
    let cases = [
        ("none", json!({}), false, 0),
        ("ignored", json!({"probepilot.dev/ignore": "true"}), true, 0),
        (
            "ignored without a value",
            json!({"probepilot.dev/ignore": ""}),
            true,
            0,
        ),
        (
            "not ignored",
            json!({"probepilot.dev/ignore": "false"}),
            false,
            0,
        ),
        (
            "a record",
            json!({"probepilot.dev/baseline": json!([record]).to_string()}),
            false,
            1,
        ),
        (
            "records of two containers",
            json!({"probepilot.dev/baseline": json!([record, record]).to_string()}),
            false,
            2,
        ),
        (
            "a malformed record",
            json!({"probepilot.dev/baseline": "[{\"container\": 5}]"}),
            false,
            0,
        ),
        ("no JSON", json!({"probepilot.dev/baseline": "{"}), false, 0),
    ];
    for (name, annotations, ignored, records) in cases {
        let mut object = settled();
        object["metadata"]["annotations"] = annotations;
        let workload = parse(TargetKind::Deployment, &object);
        assert_eq!(
            (workload.ignored, workload.records.len()),
            (ignored, records),
            "{name}"
        );
    }
}

#[test]
fn objects_of_another_shape_are_refused() {
    let cases = [
        ("no spec", json!({"metadata": {}})),
        ("no template", json!({"metadata": {}, "spec": {}})),
        (
            "timings as text",
            json!({"metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "c", "livenessProbe": {"periodSeconds": "10"}}]}}}}),
        ),
        ("a list", json!([])),
    ];
    for (name, object) in cases {
        let error = Workload::parse(TargetKind::Deployment, &object).expect_err(name);
        assert!(
            error
                .to_string()
                .starts_with("this is not a readable Deployment"),
            "{error}"
        );
    }
}
