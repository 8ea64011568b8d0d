//! The workload that a policy names, out of the input.

use super::policy::PolicyFile;
use crate::manifest::{Inventory, Node, Source, get, line, objects, text_of, to_json};
use anyhow::{anyhow, bail};
use probepilot_policy::Workload;
use serde_json::Value;

/// The workload, and who owns its fields.
#[derive(Debug)]
pub(super) struct TargetFile {
    /// What the operator would see of it.
    pub(super) workload: Workload,
    /// Its managedFields; manifests seldom have them.
    pub(super) managed: Vec<Value>,
}

/// The workload that the policy's targetRef names; `None` where the files have no such workload.
pub(super) fn find(
    inventory: &Inventory,
    policy: &PolicyFile,
) -> anyhow::Result<Result<TargetFile, Missing>> {
    let target = &policy.policy.target;
    let mut found = Vec::new();
    for source in &inventory.sources {
        for node in objects(source)? {
            let same_kind = text_of(get(node, "kind"))
                .is_some_and(|kind| kind.to_lowercase() == target.kind.singular());
            if same_kind && meta(node, "name").as_deref() == Some(&target.name) {
                found.push((source, node));
            }
        }
    }
    // Charts and kustomizations often leave the namespace to whoever installs them.
    found.retain(
        |(_, node)| match (meta(node, "namespace"), &policy.namespace) {
            (Some(theirs), Some(ours)) => theirs == *ours,
            _ => true,
        },
    );
    match found.as_slice() {
        [] => Ok(Err(Missing {
            there: inventory
                .workloads
                .iter()
                .map(|workload| format!("{} in namespace {}", workload.label(), workload.namespace))
                .collect(),
        })),
        [(source, node)] => read(policy, source, node).map(Ok),
        [(first, one), (second, other), ..] => bail!(
            "two workloads are called {}: {}:{} and {}:{}; give only one of them",
            target.display(),
            first.name,
            line(one),
            second.name,
            line(other)
        ),
    }
}

/// No such workload; what there is instead.
#[derive(Debug)]
pub(super) struct Missing {
    /// Every workload of the files.
    pub(super) there: Vec<String>,
}

fn read(policy: &PolicyFile, source: &Source, node: &Node) -> anyhow::Result<TargetFile> {
    let mut object = to_json(node);
    let managed = match object.pointer_mut("/metadata/managedFields") {
        Some(Value::Array(entries)) => entries.clone(),
        _ => Vec::new(),
    };
    // The sentence has its cause in it.
    let mut workload = Workload::parse(policy.policy.target.kind, &object)
        .map_err(|error| anyhow!("{}:{}: {error}", source.name, line(node)))?;
    if workload.namespace.is_empty() {
        workload.namespace = policy
            .namespace
            .clone()
            .unwrap_or_else(|| "default".to_owned());
    }
    Ok(TargetFile { workload, managed })
}

fn meta(node: &Node, key: &str) -> Option<String> {
    get(node, "metadata").and_then(|metadata| text_of(get(metadata, key)))
}
