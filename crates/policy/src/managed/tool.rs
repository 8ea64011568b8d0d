//! The tools behind field managers, and what the owner of a tool has to write so that a budget is
//! reached without a fight.

use probepilot_api::TargetKind;

use super::{FieldOwner, Operation};
use crate::timing::TimingField;
use crate::workload::{Probe, Workload};

/// A tool that writes workloads, recognised by field manager and operation (facts section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Helm 3 and 4, run by a person or a pipeline.
    Helm,
    /// Flux helm-controller.
    HelmController,
    /// Flux kustomize-controller.
    KustomizeController,
    /// Argo CD.
    ArgoCd,
    /// kubectl, client-side or server-side.
    Kubectl,
    /// Anything else.
    Other,
}

impl FieldOwner {
    /// The tool behind this manager.
    #[must_use]
    pub fn tool(&self) -> Tool {
        match self.manager.as_str() {
            "helm" => Tool::Helm,
            "helm-controller" => Tool::HelmController,
            "kustomize-controller" => Tool::KustomizeController,
            "argocd-controller" => Tool::ArgoCd,
            "before-first-apply" if self.operation == Operation::Update => Tool::Kubectl,
            name if name == "kubectl" || name.starts_with("kubectl-") => Tool::Kubectl,
            _ => Tool::Other,
        }
    }
}

/// One probe of one container, from what it is to what it should be.
pub(crate) struct Wanted<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// Name of the container.
    pub container: &'a str,
    /// `startupProbe` or `livenessProbe`.
    pub probe: &'a str,
    /// The probe now.
    pub from: &'a Probe,
    /// The probe as it should be.
    pub to: &'a Probe,
}

impl Wanted<'_> {
    /// What the owner of `tool` writes, as the end of a sentence.
    pub(crate) fn advice(&self, tool: Tool) -> String {
        let field = self.field();
        match tool {
            Tool::Helm => {
                format!("set {field} in the chart's values, or values that leave the probe out")
            }
            Tool::HelmController => format!(
                "set {field} in spec.values of the HelmRelease, or add to it: spec: {{postRenderers: [{{kustomize: {{patches: [{}]}}}}]}}",
                self.kustomize()
            ),
            Tool::KustomizeController => format!(
                "set {field} there, or add to its Kustomization: spec: {{patches: [{}]}}",
                self.kustomize()
            ),
            Tool::ArgoCd => format!(
                "set {field} there, or set apply.onConflict to Take and add to its Application: spec: {{ignoreDifferences: [{{group: apps, kind: {}, name: {}, jqPathExpressions: [{}]}}], syncPolicy: {{syncOptions: [RespectIgnoreDifferences=true]}}}}",
                kind(self.workload.kind),
                self.workload.name,
                self.jq_paths().join(", ")
            ),
            Tool::Kubectl => {
                format!("set {field} in the manifest that is applied, or stop declaring it")
            }
            Tool::Other => format!("set {field} there, or stop declaring it"),
        }
    }

    fn differing(&self) -> impl Iterator<Item = (TimingField, u32)> {
        let (from, to) = (self.from.timings, self.to.timings);
        let differing = TimingField::ALL
            .into_iter()
            .filter(move |timing| timing.get(from) != timing.get(to));
        differing.map(move |timing| (timing, timing.get(to)))
    }

    /// The timings as a manifest has them.
    fn field(&self) -> String {
        let leaves: Vec<_> = self
            .differing()
            .map(|(timing, value)| format!("{}: {value}", timing.key()))
            .collect();
        format!("{}: {{{}}}", self.probe, leaves.join(", "))
    }

    /// One item of `patches`, as kustomize and both Flux controllers read it. `add` replaces a value
    /// that is there (RFC 6902, section 4.1).
    fn kustomize(&self) -> String {
        let mut containers = self.workload.containers.iter();
        let index = containers
            .position(|container| container.name == self.container)
            .unwrap_or_default();
        let operations: Vec<_> = self
            .differing()
            .map(|(timing, value)| {
                format!(
                    "{{\"op\": \"add\", \"path\": \"/spec/template/spec/containers/{index}/{}/{}\", \"value\": {value}}}",
                    self.probe,
                    timing.key()
                )
            })
            .collect();
        format!(
            "{{target: {{kind: {}, name: {}}}, patch: '[{}]'}}",
            kind(self.workload.kind),
            self.workload.name,
            operations.join(", ")
        )
    }

    fn jq_paths(&self) -> Vec<String> {
        let container = self.container;
        self.differing()
            .map(|(timing, _)| {
                format!(
                    "'.spec.template.spec.containers[]|select(.name==\"{container}\")|.{}.{}'",
                    self.probe,
                    timing.key()
                )
            })
            .collect()
    }
}

fn kind(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Deployment => "Deployment",
        TargetKind::StatefulSet => "StatefulSet",
        TargetKind::DaemonSet => "DaemonSet",
    }
}
