//! Policies that were stored when the API had fewer fields.
//!
//! The definition is installed under a group of its own for each test, so that it can be older than the one that other tests use at the time.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use probepilot_api::{ProbePolicySpec, ProbePolicyStatus};
use probepilot_policy::Policy;
use probepilot_test_api::Scene;
use probepilot_test_api::crd::install;
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::json;

/// The project's definition under another group.
fn definition(group: &str) -> CustomResourceDefinition {
    let mut crd = probepilot_api::crd();
    crd.metadata.name = Some(format!("{}.{group}", crd.spec.names.plural));
    group.clone_into(&mut crd.spec.group);
    // Short names are global.
    crd.spec.names.short_names = None;
    crd
}

/// Takes fields away: `spec.rules[].count`.
fn older(mut crd: CustomResourceDefinition, without: &[&str]) -> CustomResourceDefinition {
    let root = schema(&mut crd);
    for path in without {
        let (parent, field) = path.rsplit_once('.').unwrap();
        let parent = parent.split('.').fold(&mut *root, child);
        parent
            .properties
            .as_mut()
            .and_then(|fields| fields.remove(field))
            .expect(path);
    }
    crd
}

fn schema(crd: &mut CustomResourceDefinition) -> &mut JSONSchemaProps {
    let schema = crd.spec.versions[0].schema.as_mut();
    schema
        .and_then(|schema| schema.open_api_v3_schema.as_mut())
        .expect("a schema")
}

fn child<'a>(schema: &'a mut JSONSchemaProps, name: &str) -> &'a mut JSONSchemaProps {
    let field = schema
        .properties
        .as_mut()
        .and_then(|fields| fields.get_mut(name.trim_end_matches("[]")))
        .expect(name);
    if !name.ends_with("[]") {
        return field;
    }
    match &mut field.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => item,
        other => panic!("{name} is no list: {other:?}"),
    }
}

fn policies(scene: &Scene, group: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(group, "v1alpha1", "ProbePolicy");
    let resource = ApiResource::from_gvk_with_plural(&kind, "probepolicies");
    Api::namespaced_with(scene.admin.clone(), scene.ns(), &resource)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_an_older_schema_works_when_fields_are_added() {
    let scene = Scene::new("crd-upgrade").await;
    let group = format!("{}.test", scene.ns());
    let without = [
        // A whole block with defaults, a scalar with a default, an optional one, a form, and what the operator remembers.
        "spec.behavior",
        "spec.mode",
        "spec.containerName",
        "spec.rules[].interpolate",
        "spec.rules[].count",
        "status.memory",
        "status.lastWrite",
    ];
    let full = definition(&group);
    let mut small = older(full.clone(), &without);
    // The rule about the three forms names one that the older schema does not have.
    let root = schema(&mut small);
    ["spec", "rules[]"]
        .into_iter()
        .fold(root, child)
        .x_kubernetes_validations = None;
    install(&scene.admin, &small).await;
    let api = policies(&scene, &group);
    let old = json!({
        "apiVersion": format!("{group}/v1alpha1"), "kind": "ProbePolicy", "metadata": {"name": "old"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 60}]}],
        },
    });
    let object = serde_json::from_value(old).unwrap();
    let stored = api.create(&PostParams::default(), &object).await.unwrap();
    assert_eq!(
        stored.data["spec"].get("mode"),
        None,
        "the older schema does not know mode"
    );
    let status = json!({"status": {"target": "deployment/web", "startup": {"count": 7, "needSeconds": 60, "budgetSeconds": 60}}});
    api.patch_status("old", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();

    install(&scene.admin, &full).await;
    // The API server takes a moment to read objects by the new schema.
    let upgraded = wait::until(
        "the default of a new field",
        Duration::from_secs(30),
        || async {
            let policy = api.get("old").await?;
            Ok::<_, kube::Error>(if policy.data["spec"]["mode"] == "Observe" {
                Seen::Done(policy)
            } else {
                Seen::NotYet(policy.data["spec"].to_string())
            })
        },
    )
    .await
    .unwrap();

    // The types and the operator's own parser read it, with the defaults of today.
    let spec: ProbePolicySpec = serde_json::from_value(upgraded.data["spec"].clone()).unwrap();
    let fresh: ProbePolicySpec = serde_json::from_value(json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 60}]}],
    }))
    .unwrap();
    assert_eq!(spec, fresh);
    assert!(Policy::try_from(&spec).is_ok());
    let status: ProbePolicyStatus =
        serde_json::from_value(upgraded.data["status"].clone()).unwrap();
    assert_eq!(status.startup.unwrap().count, Some(7));
    assert_eq!(status.memory, None);

    // It can be written: by its owner, with a field that is new, and by the operator.
    let change =
        json!({"spec": {"containerName": "web", "behavior": {"lower": {"policy": "Enabled"}}}});
    let changed = api
        .patch("old", &PatchParams::default(), &Patch::Merge(&change))
        .await
        .unwrap();
    assert_eq!(
        changed.data["spec"]["behavior"]["lower"]["tolerancePercent"],
        30
    );
    let memory = json!({"status": {"memory": {"loweredAt": "2026-01-02T03:04:05Z"}}});
    let remembered = api
        .patch_status("old", &PatchParams::default(), &Patch::Merge(&memory))
        .await
        .unwrap();
    assert_eq!(
        remembered.data["status"]["memory"]["loweredAt"],
        "2026-01-02T03:04:05Z"
    );
    assert_eq!(remembered.data["status"]["startup"]["count"], 7);

    let crds: Api<CustomResourceDefinition> = Api::all(scene.admin.clone());
    crds.delete(&full.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    scene.end().await;
}
