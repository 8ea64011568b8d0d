//! Good policies on a real API server: they come back as they were sent, with defaults, and with nulls taken for what they mean.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use kube::Api;
use kube::api::{DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use probepilot_api::{ProbePolicy, ProbePolicySpec};
use probepilot_test_api::Scene;
use probepilot_test_api::crd::{causes, full_policy, install_own};
use serde_json::{Value, json};

fn policy(name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": name}, "spec": spec})
}

fn target() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"})
}

/// Policies without their schema, so that nothing is lost or added on the way.
fn raw(scene: &Scene) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("probepilot.dev", "v1alpha1", "ProbePolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "probepolicies");
    Api::namespaced_with(scene.admin.clone(), scene.ns(), &resource)
}

/// Whether every value of `small` is in `large`; lists have to be of one length.
fn contains(large: &Value, small: &Value) -> bool {
    match (large, small) {
        (Value::Object(large), Value::Object(small)) => small
            .iter()
            .all(|(key, value)| large.get(key).is_some_and(|there| contains(there, value))),
        (Value::Array(large), Value::Array(small)) => {
            large.len() == small.len()
                && large
                    .iter()
                    .zip(small)
                    .all(|(large, small)| contains(large, small))
        }
        (large, small) => large == small,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn good_policies_round_trip() {
    let scene = Scene::new("crd-good").await;
    install_own(&scene.admin).await;
    let rule = |rule: Value| json!({"targetRef": target(), "rules": [rule]});
    let cases = [
        ("full", full_policy()["spec"].clone()),
        ("no-rules", json!({"targetRef": target()})),
        (
            "seed",
            json!({
                "targetRef": target(), "containerName": "web", "mode": "Enforce",
                "rules": [{"count": {"group": "", "resource": "pods", "namespace": ""}, "steps": [
                    {"atLeast": 0, "startupSeconds": 60},
                    {"atLeast": 10000, "livenessProbe": {
                        "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}},
                ]}],
            }),
        ),
        (
            "line-without-base",
            rule(json!({"linear": {"baseSeconds": 0, "secondsPerThousand": 6}})),
        ),
        (
            "one-timing",
            rule(json!({"steps": [{"atLeast": 0, "livenessProbe": {"failureThreshold": 6}}]})),
        ),
        (
            "secrets-of-another-group",
            rule(json!({
                "count": {"group": "example.com", "resource": "secrets"},
                "steps": [{"atLeast": 0, "startupSeconds": 60}],
            })),
        ),
        (
            "other-kinds",
            json!({"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent"}, "apply": {"probe": "Liveness"}}),
        ),
    ];
    for (name, spec) in cases {
        let sent: ProbePolicySpec = serde_json::from_value(spec.clone()).unwrap();
        let object = serde_json::from_value(policy(name, &spec)).unwrap();
        if let Err(error) = raw(&scene).create(&PostParams::default(), &object).await {
            panic!("{name}: {:?}", causes(&error));
        }
        let stored = raw(&scene).get(name).await.unwrap();
        assert!(
            contains(&stored.data["spec"], &spec),
            "{name}: {spec}\nbecame {}",
            stored.data["spec"]
        );
        let typed = scene.api::<ProbePolicy>().get(name).await.unwrap();
        assert_eq!(
            typed.spec, sent,
            "{name}: the types and the schema default alike"
        );
        // What the types write is accepted and changes nothing: an update through them is safe.
        let again = scene
            .api::<ProbePolicy>()
            .replace(name, &PostParams::default(), &typed)
            .await
            .unwrap();
        assert_eq!(
            again.metadata.generation,
            Some(1),
            "{name}: the types drop or add something"
        );
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_of_rules_means_none() {
    let scene = Scene::new("crd-empty").await;
    install_own(&scene.admin).await;
    let create = async |name: &str, spec: Value| {
        let made = scene.create::<ProbePolicy>(policy(name, &spec)).await;
        made.spec
    };
    let empty = create("empty", json!({"targetRef": target(), "rules": []})).await;
    let none = create("none", json!({"targetRef": target()})).await;
    assert_eq!(empty, none);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_gets_its_default() {
    let scene = Scene::new("crd-defaults").await;
    install_own(&scene.admin).await;
    let spec = json!({"targetRef": target(), "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 60}]}]});
    let stored = scene.create::<ProbePolicy>(policy("sparse", &spec)).await;
    let stored = raw(&scene)
        .get(stored.metadata.name.as_deref().unwrap())
        .await
        .unwrap();
    assert_eq!(
        stored.data["spec"],
        json!({
            "targetRef": target(),
            "mode": "Observe",
            "rules": [{
                "count": {"group": "", "resource": "pods", "namespace": ""},
                "steps": [{"atLeast": 0, "startupSeconds": 60}],
            }],
            "crashLoop": {"enabled": true, "raisePercent": 100, "maxRaises": 4},
            "limits": {"minStartupSeconds": 10, "maxStartupSeconds": 1800},
            "apply": {"probe": "Startup", "onConflict": "Auto", "delivery": "Template", "onDelete": "Keep"},
            "behavior": {
                "raise": {"policy": "Safe", "stabilizationWindowSeconds": 300, "minIntervalSeconds": 300},
                "lower": {"policy": "Disabled", "tolerancePercent": 30, "stabilizationWindowSeconds": 86400},
            },
        })
    );
    scene.end().await;
}

/// Every field of a value, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let at = format!("{at}/{name}");
                pointers(field, &at, found);
                found.push(at);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// What a dry run of the policy gives: the spec, or the causes of its refusal.
async fn outcome(api: &Api<DynamicObject>, policy: &Value) -> Result<Value, Vec<(String, String)>> {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(policy.clone()).unwrap();
    let made = api.create(&params, &object).await;
    made.map(|object| object.data["spec"].clone())
        .map_err(|error| causes(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explicit_null_is_as_good_as_nothing() {
    let scene = Scene::new("crd-null").await;
    install_own(&scene.admin).await;
    let api = raw(&scene);
    let mut fields = Vec::new();
    pointers(&full_policy()["spec"], "/spec", &mut fields);
    assert!(fields.len() > 40, "{fields:?}");
    let mut accepted = 0;
    for pointer in fields {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut absent = full_policy();
        let object = absent.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        object.remove(name);
        let mut null = full_policy();
        *null.pointer_mut(&pointer).unwrap() = Value::Null;
        let (absent, null) = (outcome(&api, &absent).await, outcome(&api, &null).await);
        accepted += usize::from(absent.is_ok());
        // A required field is refused either way, in words of their own.
        let same = absent == null || (absent.is_err() && null.is_err());
        assert!(same, "{pointer}: absent gives {absent:?}, null {null:?}");
    }
    assert!(accepted > 25, "only {accepted} fields may be left out");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_a_map_by_type() {
    let scene = Scene::new("crd-conditions").await;
    install_own(&scene.admin).await;
    scene
        .create::<ProbePolicy>(policy("shared", &json!({"targetRef": target()})))
        .await;
    let apply = async |manager: &str, kind: &str, status: &str| {
        let condition = json!({
            "type": kind, "status": status, "reason": "Found", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        });
        let body = json!({
            "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "status": {"conditions": [condition]},
        });
        raw(&scene)
            .patch_status("shared", &PatchParams::apply(manager), &Patch::Apply(body))
            .await
            .expect("applied")
    };
    apply("one", "Ready", "True").await;
    apply("two", "InSync", "False").await;
    let stored = apply("two", "InSync", "True").await;
    let conditions = stored.data["status"]["conditions"].as_array().unwrap();
    let seen: Vec<_> = conditions
        .iter()
        .map(|condition| {
            (
                condition["type"].as_str().unwrap(),
                condition["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("Ready", "True"), ("InSync", "True")],
        "each manager owns its own condition, and an update replaces one in place"
    );
    scene.end().await;
}
