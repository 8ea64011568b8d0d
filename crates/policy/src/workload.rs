//! The target, reduced to what a decision needs.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use probepilot_api::{
    BASELINE_ANNOTATION, IGNORE_ANNOTATION, KEPT_ANNOTATION, ProbePair, ProbeTimings, TargetKind,
};
use probepilot_kubelet::{StartGuard, Timings, guard};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::baseline::BaselineRecord;
use crate::managed::ManagedProbes;

mod digest;
mod program;
mod raw;
mod revision;
mod rollout;

pub use digest::TemplateSum;
pub use program::Program;
pub use revision::Revision;
pub use rollout::{Rollout, Strategy};

/// A Deployment, StatefulSet or DaemonSet.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Which of the three.
    pub kind: TargetKind,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID; guards a write against a workload that was deleted and created again (S10).
    pub uid: String,
    /// Guards a write against every change since this was read (S10).
    pub resource_version: String,
    /// metadata.generation.
    pub generation: i64,
    /// Whether the workload is annotated to be left alone.
    pub ignored: bool,
    /// What was written before, and over what, from the workload's annotation; one a container.
    pub records: Vec<BaselineRecord>,
    /// Which annotations are there.
    pub annotated: Annotated,
    /// What owns this workload and would revert a write, as `Kind/name`.
    pub controller: Option<String>,
    /// Label selector of the workload's pods.
    pub selector: LabelSelector,
    /// How far the rollout of the current template is.
    pub rollout: Rollout,
    /// What a rollout does to running pods.
    pub strategy: Strategy,
    /// Which template new pods get.
    pub revision: Revision,
    /// The template's regular containers.
    pub containers: Vec<ContainerProbes>,
    /// What each of these containers runs, in the same order.
    pub programs: Vec<Program>,
    /// Checksums of the template without what may be written to each of these containers, in the same
    /// order.
    pub sums: Vec<TemplateSum>,
    /// Names of the template's sidecars, that is init containers that keep running.
    pub sidecars: Vec<String>,
    /// Who owns which probe field.
    pub managers: ManagedProbes,
}

/// Which annotations a workload has: a JSON patch must know that before it removes or adds one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotated {
    /// Any at all.
    pub any: bool,
    /// What was written before.
    pub baseline: bool,
    /// The command that takes kept probes away.
    pub kept: bool,
}

/// The probes of a container that can end its life.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerProbes {
    /// Name of the container.
    pub name: String,
    /// The startup probe.
    pub startup: Option<Probe>,
    /// The liveness probe.
    pub liveness: Option<Probe>,
}

/// A probe: timings, and the rest as opaque JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Timings with the API server's defaults filled in.
    pub timings: Timings,
    /// The handler and anything a later Kubernetes adds to it, never looked into.
    pub handler: Map<String, Value>,
    /// terminationGracePeriodSeconds of the probe.
    pub grace_seconds: Option<i64>,
}

/// Why an object cannot be taken for a workload.
#[derive(Debug, thiserror::Error)]
#[error("this is not a readable {kind:?}: {source}")]
pub struct WorkloadError {
    kind: TargetKind,
    source: serde_json::Error,
}

impl Workload {
    /// Reduces an object as the API server or a manifest has it.
    ///
    /// # Errors
    /// When a field that is used has another type than Kubernetes gives it.
    pub fn parse(kind: TargetKind, object: &Value) -> Result<Self, WorkloadError> {
        let raw =
            raw::Object::deserialize(object).map_err(|source| WorkloadError { kind, source })?;
        let rollout = Rollout::new(kind, &raw);
        let strategy = Strategy::new(kind, &raw.spec);
        let revision = Revision::new(kind, &raw);
        let meta = raw.metadata;
        let pod = raw.spec.template.spec;
        let annotation = |key: &str| meta.annotations.get(key);
        Ok(Self {
            kind,
            ignored: annotation(IGNORE_ANNOTATION).is_some_and(|value| value != "false"),
            records: annotation(BASELINE_ANNOTATION)
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default(),
            annotated: Annotated {
                any: !meta.annotations.is_empty(),
                baseline: annotation(BASELINE_ANNOTATION).is_some(),
                kept: annotation(KEPT_ANNOTATION).is_some(),
            },
            controller: controller(&meta.owner_references, &meta.labels),
            managers: ManagedProbes::parse(&meta.managed_fields),
            namespace: meta.namespace,
            name: meta.name,
            uid: meta.uid,
            resource_version: meta.resource_version,
            generation: meta.generation,
            selector: raw.spec.selector,
            rollout,
            strategy,
            sums: TemplateSum::each(object.pointer("/spec/template"), &pod.containers),
            revision,
            programs: pod.containers.iter().map(Program::from).collect(),
            containers: pod
                .containers
                .into_iter()
                .map(ContainerProbes::from)
                .collect(),
            sidecars: pod
                .init_containers
                .into_iter()
                .filter(|container| container.restart_policy.as_deref() == Some("Always"))
                .map(|container| container.name)
                .collect(),
        })
    }

    /// The container of that name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&ContainerProbes> {
        self.containers
            .iter()
            .find(|container| container.name == name)
    }

    /// What was written to the container of that name.
    #[must_use]
    pub fn record(&self, container: &str) -> Option<&BaselineRecord> {
        let mut records = self.records.iter();
        records.find(|record| record.container == container)
    }

    /// What the container of that name runs.
    #[must_use]
    pub fn program(&self, container: &str) -> Option<&Program> {
        let mut containers = self.containers.iter().zip(&self.programs);
        containers
            .find(|(found, _)| found.name == container)
            .map(|(_, program)| program)
    }

    /// Checksum of the template without what may be written to that container.
    #[must_use]
    pub fn sum(&self, container: &str) -> TemplateSum {
        let mut sums = self.containers.iter().zip(&self.sums);
        let found = sums.find(|(found, _)| found.name == container);
        found.map(|(_, sum)| *sum).unwrap_or_default()
    }

    /// The workload as kubectl addresses it.
    #[must_use]
    pub fn display(&self) -> String {
        format!("{}/{}", self.kind.singular(), self.name)
    }
}

/// A workload made by another controller or by OLM gets its template from there.
fn controller(owners: &[raw::OwnerReference], labels: &BTreeMap<String, String>) -> Option<String> {
    let owner = owners.iter().find(|owner| owner.controller);
    owner
        .map(|owner| format!("{}/{}", owner.kind, owner.name))
        .or_else(|| {
            labels
                .get("olm.owner")
                .map(|name| format!("ClusterServiceVersion/{name}"))
        })
}

impl ContainerProbes {
    /// The probe that guards the start.
    #[must_use]
    pub fn guard(&self) -> StartGuard {
        guard(
            self.startup.as_ref().map(|probe| probe.timings),
            self.liveness.as_ref().map(|probe| probe.timings),
        )
    }

    /// Worst-case seconds from a hang of the healthy container to its kill; `None` without liveness.
    #[must_use]
    pub fn detection_seconds(&self) -> Option<u32> {
        self.liveness
            .as_ref()
            .map(|probe| probe.timings.detection_seconds())
    }

    /// Whether both probes ask the same; true where one of them is missing.
    #[must_use]
    pub fn handlers_agree(&self) -> bool {
        let handlers = (self.startup.as_ref()).zip(self.liveness.as_ref());
        handlers.is_none_or(|(startup, liveness)| startup.handler == liveness.handler)
    }

    /// The timings alone.
    #[must_use]
    pub fn timings(&self) -> ProbePair {
        let timings = |probe: &Option<Probe>| {
            probe
                .as_ref()
                .map(|probe| ProbeTimings::from(probe.timings))
        };
        ProbePair {
            startup_probe: timings(&self.startup),
            liveness_probe: timings(&self.liveness),
        }
    }
}

impl From<raw::Container> for ContainerProbes {
    fn from(raw: raw::Container) -> Self {
        Self {
            name: raw.name,
            startup: raw.startup_probe.map(Probe::from),
            liveness: raw.liveness_probe.map(Probe::from),
        }
    }
}

impl From<raw::Probe> for Probe {
    fn from(raw: raw::Probe) -> Self {
        Self {
            timings: Timings::from(raw.timings),
            handler: raw.handler,
            grace_seconds: raw.termination_grace_period_seconds,
        }
    }
}

#[cfg(test)]
mod tests;
