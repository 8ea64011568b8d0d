//! The policy, from files or from a cluster.

use super::Args;
use crate::cluster::{block_on, reach};
use crate::manifest::{get, objects, read_sources, text_of, to_json};
use anyhow::{Context as _, bail};
use kube::{Api, ResourceExt as _};
use probepilot_api::ProbePolicy;
use probepilot_operator::deadline::within;
use std::path::PathBuf;
use std::time::Duration;

/// Longest time for the one call, whatever its connection does.
const DEADLINE: Duration = Duration::from_secs(15);

/// The policy of that name.
pub(super) fn from_cluster(args: &Args, name: &str) -> anyhow::Result<ProbePolicy> {
    block_on(read(args, name))
}

async fn read(args: &Args, name: &str) -> anyhow::Result<ProbePolicy> {
    let (file, context) = (args.kubeconfig.as_deref(), args.context.as_deref());
    let (client, namespace) = reach(file, context, args.namespace.as_deref()).await?;
    let policies: Api<ProbePolicy> = Api::namespaced(client, &namespace);
    let found = within(DEADLINE, "the API server", policies.get_opt(name)).await?;
    found
        .with_context(|| format!("the ProbePolicies of namespace {namespace} cannot be read"))?
        .with_context(|| {
            format!("there is no ProbePolicy {name} in namespace {namespace}; `kubectl get pbp -A` lists them")
        })
}

/// The only policy of the files with that namespace and name, as far as they are given.
pub(super) fn from_files(
    files: &[PathBuf],
    namespace: Option<&str>,
    name: Option<&str>,
) -> anyhow::Result<ProbePolicy> {
    let mut found = Vec::new();
    for source in &read_sources(files)? {
        for node in objects(source)? {
            if text_of(get(node, "kind")).as_deref() == Some("ProbePolicy") {
                let policy = serde_json::from_value::<ProbePolicy>(to_json(node));
                found.push(policy.with_context(|| {
                    format!("{}: a ProbePolicy cannot be read; give what `kubectl get pbp -o yaml` prints", source.name)
                })?);
            }
        }
    }
    let called = |policy: &ProbePolicy| {
        name.is_none_or(|name| policy.name_any() == name)
            && namespace.is_none_or(|namespace| policy.namespace().as_deref() == Some(namespace))
    };
    let names: Vec<String> = found.iter().map(label).collect();
    found.retain(called);
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] if names.is_empty() => {
            bail!("no ProbePolicy in the files: give what `kubectl get pbp NAME -o yaml` prints")
        }
        [] => bail!(
            "no such ProbePolicy in the files; there are: {}",
            names.join(", ")
        ),
        _ => bail!("several policies: name one of {}", names.join(", ")),
    }
}

/// `NAMESPACE/NAME`, or the name alone.
pub(super) fn label(policy: &ProbePolicy) -> String {
    let name = policy.name_any();
    policy
        .namespace()
        .map_or_else(|| name.clone(), |namespace| format!("{namespace}/{name}"))
}
