//! The fields of a workload that are read, as JSON has them. Unknown ones are passed over.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use probepilot_api::ProbeTimings;
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
pub(super) struct Object {
    pub metadata: Meta,
    pub spec: Spec,
    #[serde(default)]
    pub status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
pub(super) struct Meta {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub resource_version: String,
    pub generation: i64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub owner_references: Vec<OwnerReference>,
    pub managed_fields: Vec<Value>,
}

#[derive(Deserialize)]
pub(super) struct OwnerReference {
    pub kind: String,
    pub name: String,
    #[serde(default)]
    pub controller: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    #[serde(default)]
    pub replicas: Option<i64>,
    #[serde(default)]
    pub paused: bool,
    #[serde(default)]
    pub progress_deadline_seconds: Option<i64>,
    #[serde(default)]
    pub strategy: RolloutStrategy,
    #[serde(default)]
    pub update_strategy: RolloutStrategy,
    #[serde(default)]
    pub ordinals: Ordinals,
    #[serde(default)]
    pub selector: LabelSelector,
    pub template: Template,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RolloutStrategy {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub rolling_update: RollingUpdate,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Ordinals {
    pub start: i64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RollingUpdate {
    pub max_surge: Option<IntOrString>,
    pub partition: i64,
}

#[derive(Deserialize)]
pub(super) struct Template {
    pub spec: PodSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(default)]
    pub containers: Vec<Container>,
    #[serde(default)]
    pub init_containers: Vec<Container>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub name: String,
    #[serde(default)]
    pub image: String,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub restart_policy: Option<String>,
    #[serde(default)]
    pub liveness_probe: Option<Probe>,
    #[serde(default)]
    pub startup_probe: Option<Probe>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Resources {
    pub limits: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Probe {
    #[serde(flatten)]
    pub timings: ProbeTimings,
    #[serde(default)]
    pub termination_grace_period_seconds: Option<i64>,
    /// Must be 1 for liveness and startup (K7), so it carries nothing.
    #[serde(default, rename = "successThreshold")]
    pub _success_threshold: Option<i64>,
    #[serde(flatten)]
    pub handler: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Status {
    pub observed_generation: i64,
    pub replicas: i64,
    pub updated_replicas: i64,
    pub update_revision: Option<String>,
    pub desired_number_scheduled: i64,
    pub updated_number_scheduled: i64,
    pub conditions: Vec<StatusCondition>,
}

#[derive(Deserialize)]
pub(super) struct StatusCondition {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub reason: String,
}
