use serde_json::{Value, json};

use super::{ManagedProbes, Operation, ProbeField, Temper};

fn entry(manager: &str, operation: &str, containers: &Value) -> Value {
    json!({
        "manager": manager, "operation": operation, "apiVersion": "apps/v1", "time": "2026-09-13T10:00:00Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": containers, "f:restartPolicy": {}}}},
        },
    })
}

fn chart_container() -> Value {
    json!({"k:{\"name\":\"c\"}": {
        ".": {}, "f:image": {}, "f:name": {},
        "f:livenessProbe": {
            ".": {},
            "f:failureThreshold": {}, "f:initialDelaySeconds": {}, "f:periodSeconds": {}, "f:successThreshold": {}, "f:timeoutSeconds": {},
            "f:httpGet": {".": {}, "f:path": {}, "f:port": {}, "f:scheme": {}},
        },
        "f:readinessProbe": {".": {}, "f:periodSeconds": {}},
    }})
}

#[test]
fn real_entries() {
    let only_startup =
        json!({"k:{\"name\":\"c\"}": {"f:startupProbe": {"f:failureThreshold": {}}}});
    let mut status = entry("kube-controller-manager", "Update", &chart_container());
    status["subresource"] = json!("status");
    let managers = ManagedProbes::parse(&[
        entry("helm", "Update", &chart_container()),
        entry("probepilot", "Update", &only_startup),
        status,
        entry(
            "scaler",
            "Update",
            &json!({"k:{\"name\":\"c\"}": {"f:resources": {}}}),
        ),
    ]);
    let owners = managers.of("c");
    let names: Vec<_> = owners.iter().map(|owner| owner.manager.as_str()).collect();
    assert_eq!(
        names,
        ["helm", "probepilot"],
        "subresources and other fields own no probe"
    );
    assert!(owners[0].owns(ProbeField::Liveness, "initialDelaySeconds"));
    assert!(owners[0].owns(ProbeField::Liveness, "httpGet"));
    assert!(!owners[0].owns(ProbeField::Startup, "failureThreshold"));
    assert!(
        !owners[0].owns(ProbeField::Liveness, "."),
        "the marker of the map is no field"
    );
    assert!(owners[1].owns(ProbeField::Startup, "failureThreshold"));
    assert_eq!(managers.of("other"), []);
}

#[test]
fn entries_that_cannot_be_read_own_nothing() {
    let container = chart_container();
    let mut odd_operation = entry("helm", "Patch", &container);
    odd_operation["operation"] = json!("Merge");
    let cases = [
        ("not an object", json!("helm")),
        ("an operation of the future", odd_operation),
        (
            "no fields",
            json!({"manager": "helm", "operation": "Update"}),
        ),
        (
            "a key that is no k:",
            entry(
                "helm",
                "Update",
                &json!({"v:\"c\"": {"f:livenessProbe": {"f:periodSeconds": {}}}}),
            ),
        ),
        (
            "a key by another field",
            entry(
                "helm",
                "Update",
                &json!({"k:{\"containerPort\":80}": {"f:livenessProbe": {"f:periodSeconds": {}}}}),
            ),
        ),
        (
            "a key that is no JSON",
            entry(
                "helm",
                "Update",
                &json!({"k:{name}": {"f:livenessProbe": {"f:periodSeconds": {}}}}),
            ),
        ),
        (
            "containers of another shape",
            entry("helm", "Update", &json!([1, 2])),
        ),
        (
            "a container of another shape",
            entry("helm", "Update", &json!({"k:{\"name\":\"c\"}": 3})),
        ),
    ];
    for (name, value) in cases {
        assert_eq!(
            ManagedProbes::parse(&[value]),
            ManagedProbes::default(),
            "{name}"
        );
    }
    assert_eq!(
        ManagedProbes::parse(&[]),
        ManagedProbes::default(),
        "no managedFields"
    );
}

/// The table of facts on GitOps owners, section 1, row by row.
#[test]
fn how_each_manager_behaves() {
    let cases = [
        ("helm", "Update", Temper::Yields),
        ("helm", "Apply", Temper::Fights),
        ("helm-controller", "Apply", Temper::Fights),
        ("helm-controller", "Update", Temper::Fights),
        ("kustomize-controller", "Apply", Temper::Fights),
        ("argocd-controller", "Apply", Temper::Fights),
        ("argocd-controller", "Update", Temper::Fights),
        ("kubectl-client-side-apply", "Update", Temper::Yields),
        ("kubectl", "Apply", Temper::Fights),
        ("kubectl", "Update", Temper::Yields),
        ("kubectl-edit", "Update", Temper::Yields),
        ("kubectl-patch", "Update", Temper::Yields),
        ("kubectl-set", "Update", Temper::Yields),
        ("kubectl-create", "Update", Temper::Yields),
        ("probepilot", "Update", Temper::Ours),
        ("probepilot", "Apply", Temper::Ours),
        ("some-operator", "Update", Temper::Fights),
        ("", "Update", Temper::Fights),
    ];
    for (manager, operation, expected) in cases {
        let managers = ManagedProbes::parse(&[entry(manager, operation, &chart_container())]);
        let [owner] = managers.of("c") else {
            panic!("{manager} {operation} owns the probe")
        };
        assert_eq!(owner.temper(), expected, "{manager} {operation}");
        let applies = owner.operation == Operation::Apply;
        assert_eq!(applies, operation == "Apply", "{manager} {operation}");
    }
}
