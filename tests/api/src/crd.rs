//! ProbePolicies as the API server sees them: installing the definition, walking its schema, reading a refusal.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::{Value, json};

/// Applies a definition and waits until the API server has accepted it and serves its objects as written.
pub async fn install(client: &Client, crd: &CustomResourceDefinition) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let params = PatchParams::apply("probepilot-tests").force();
    crds.patch(&crd.name_any(), &params, &Patch::Apply(crd))
        .await
        .expect("the CRD to be accepted");
    let established = || async {
        let now = crds.get(&crd.name_any()).await?;
        let conditions = now.status.and_then(|status| status.conditions);
        let holds = |kind: &str| {
            let mut all = conditions.iter().flatten();
            all.any(|condition| condition.type_ == kind && condition.status == "True")
        };
        Ok::<_, kube::Error>(if holds("NamesAccepted") && holds("Established") {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{conditions:?}"))
        })
    };
    wait::until(
        "the CRD to be established",
        Duration::from_secs(30),
        established,
    )
    .await
    .unwrap_or_else(|error| panic!("{error}"));
}

/// Installs the project's own definition. It stays in the shared cluster: other tests use it at the same time.
pub async fn install_own(client: &Client) {
    install(client, &probepilot_api::crd()).await;
}

/// The schema of `spec` as generated.
#[must_use]
pub fn spec_schema() -> JSONSchemaProps {
    let crd = probepilot_api::crd();
    let version = crd.spec.versions.into_iter().next().expect("a version");
    let root = version.schema.and_then(|schema| schema.open_api_v3_schema);
    let mut fields = root
        .and_then(|root| root.properties)
        .expect("fields at the root");
    fields.remove("spec").expect("a spec")
}

/// Every schema at and below `spec`, with its path: `spec.rules[].steps[].atLeast`.
#[must_use]
pub fn spec_fields() -> Vec<(String, JSONSchemaProps)> {
    let mut found = Vec::new();
    walk("spec".to_owned(), spec_schema(), &mut found);
    found
}

fn walk(path: String, schema: JSONSchemaProps, found: &mut Vec<(String, JSONSchemaProps)>) {
    for (name, field) in schema.properties.iter().flatten() {
        walk(format!("{path}.{name}"), field.clone(), found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = schema.items.clone() {
        walk(format!("{path}[]"), *item, found);
    }
    found.push((path, schema));
}

/// A policy that sets every field of the spec, in all three rule forms.
#[must_use]
pub fn full_policy() -> Value {
    json!({
        "apiVersion": "probepilot.dev/v1alpha1",
        "kind": "ProbePolicy",
        "metadata": {"name": "full"},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "aws-load-balancer-controller"},
            "containerName": "aws-load-balancer-controller",
            "mode": "Enforce",
            "rules": [
                {
                    "count": {"group": "", "resource": "pods", "namespace": "kube-system"},
                    "steps": [
                        {"atLeast": 10, "startupSeconds": 60, "livenessProbe": {"initialDelaySeconds": 30}},
                        {"atLeast": 10000, "startupSeconds": 110, "livenessProbe": {
                            "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}},
                    ],
                },
                {
                    "count": {"group": "networking.k8s.io", "resource": "ingresses", "namespace": ""},
                    "linear": {"baseSeconds": 30, "secondsPerThousand": 6},
                },
                {
                    "count": {"group": "", "resource": "services", "namespace": ""},
                    "interpolate": [{"count": 100, "startupSeconds": 20}, {"count": 1000, "startupSeconds": 961}],
                },
            ],
            "learning": {"headroomPercent": 30},
            "crashLoop": {"enabled": false, "raisePercent": 50, "maxRaises": 2},
            "limits": {"minStartupSeconds": 1, "maxStartupSeconds": 86400},
            "apply": {"probe": "Liveness", "onConflict": "Auto", "delivery": "Template", "onDelete": "Keep"},
            "behavior": {
                "raise": {"policy": "Always", "stabilizationWindowSeconds": 60, "minIntervalSeconds": 120},
                "lower": {"policy": "Enabled", "tolerancePercent": 20, "stabilizationWindowSeconds": 3600},
            },
        },
    })
}

/// What a policy was refused for: field and sentence of each cause.
///
/// The API server adds a cause without a field when it left out CEL rules because bounds were already broken; that one is left out here.
#[must_use]
pub fn causes(error: &kube::Error) -> Vec<(String, String)> {
    let kube::Error::Api(status) = error else {
        panic!("no answer of the API server: {error}")
    };
    assert_eq!(status.code, 422, "refused for another reason: {status:?}");
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .map(|cause| (cause.field.clone(), cause.message.clone()))
        .filter(|(field, _)| field != "<nil>")
        .collect()
}
