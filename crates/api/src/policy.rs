//! The root of the API: what a policy names and in which mode it works.

// Printer columns repeat `type_` by nature; an allow on the struct does not reach the derive's input.
#![allow(clippy::duplicated_attributes)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Apply, Behavior, CrashLoop, Learning, Limits, ProbePolicyStatus, ScalingRule};

/// What a ProbePolicy asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "probepilot.dev",
    version = "v1alpha1",
    kind = "ProbePolicy",
    plural = "probepolicies",
    singular = "probepolicy",
    shortname = "pbp",
    namespaced,
    cel,
    status = "ProbePolicyStatus",
    derive = "PartialEq",
    doc = "ProbePolicy scales the probe timings of one container with what it counts, and only when a probe would end its start.",
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Count", type_ = "integer", json_path = ".status.startup.count"),
    printcolumn(
        name = "Need",
        type_ = "integer",
        json_path = ".status.startup.needSeconds"
    ),
    printcolumn(
        name = "Budget",
        type_ = "integer",
        json_path = ".status.startup.budgetSeconds"
    ),
    printcolumn(
        name = "In-Sync",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='InSync')].status"
    ),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Detection",
        type_ = "integer",
        json_path = ".status.startup.detectionSeconds",
        priority = 1
    ),
    printcolumn(
        name = "Raises",
        type_ = "integer",
        json_path = ".status.raises",
        priority = 1
    ),
    printcolumn(
        name = "Delivery",
        type_ = "string",
        json_path = ".spec.apply.delivery",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='InSync')].reason",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ProbePolicySpec {
    /// The workload whose probes this policy keeps right. It must be in the policy's own namespace.
    pub target_ref: TargetRef,

    /// The container whose probes are scaled. Default: the only container of the target with a liveness or startup probe; with several, name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub container_name: Option<String>,

    /// Observe measures and recommends and writes nothing; Enforce writes. Default: Observe.
    #[serde(default)]
    pub mode: Mode,

    /// How the startup budget grows with a count. The rule that asks for the largest budget wins. Default: no rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub rules: Vec<ScalingRule>,

    /// Lets the starts that were seen ask for a budget, as a rule does. Default: unset; starts are recorded and a budget is recommended, but not applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning: Option<Learning>,

    /// What kills by a probe may do to the budget. Default: each raises it to twice the killed life, at most 4 times in a row.
    #[serde(default)]
    pub crash_loop: CrashLoop,

    /// The range into which the budgets that rules and kills ask for are clipped; the owner's own values are never clipped. Default: 10 to 1800 seconds.
    #[serde(default)]
    pub limits: Limits,

    /// How a budget is given to the target. Default: as a startupProbe.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self.delivery != 'Admission' || self.onConflict == 'Auto'")
        .message("apply.onConflict is about timings that are declared in the workload, which delivery Admission never writes: leave onConflict out, or set delivery to Template"))]
    #[x_kube(validation = Rule::new("self.delivery != 'Admission' || self.onDelete == 'Keep'")
        .message("apply.onDelete Restore puts back what was written to the workload, and delivery Admission writes nothing to it: leave onDelete out (without the policy new pods have the owner's probes), or set delivery to Template"))]
    pub apply: Apply,

    /// When the operator may write. Default: raise safely, never lower.
    #[serde(default)]
    pub behavior: Behavior,
}

/// The workload a policy names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetRef {
    /// API version of the target. Only apps/v1 is supported. No default.
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self == 'apps/v1'").message("targetRef.apiVersion must be apps/v1: Deployments, StatefulSets and DaemonSets live there"))]
    pub api_version: String,

    /// Kind of the target: Deployment, StatefulSet or DaemonSet. No default.
    pub kind: TargetKind,

    /// Name of the target in the policy's namespace. No default.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Kinds of workload that carry a pod template the operator can rewrite.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum TargetKind {
    /// apps/v1 Deployment.
    Deployment,
    /// apps/v1 StatefulSet.
    StatefulSet,
    /// apps/v1 DaemonSet.
    DaemonSet,
}

impl TargetKind {
    /// The lower-case singular name, as kubectl writes it: `deployment`.
    #[must_use]
    pub fn singular(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
        }
    }
}

impl TargetRef {
    /// The target as kubectl addresses it: `deployment/NAME`. It fills `status.target`.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.kind.singular(), self.name)
    }
}

/// Whether the operator writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// Measure and recommend; write nothing to the target.
    #[default]
    Observe,
    /// Rewrite the target's probes when their budget does not cover the need.
    Enforce,
}
