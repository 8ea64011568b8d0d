//! Objects from a cluster. Only reads: the client's fence against writes stays closed.

use super::Args;
use super::offline::ailing;
use super::scene::{Objects, Scene};
use super::target::{TargetRef, workload_of};
use crate::cluster::{block_on, reach};
use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use probepilot_api::{ProbePolicy, TargetKind};
use probepilot_operator::deadline::within;
use probepilot_operator::usage;
use probepilot_policy::{Owner, PodView, Workload};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;

/// Longest time for one call, whatever its connection does.
const DEADLINE: Duration = Duration::from_secs(15);
/// Pods looked at of one workload.
const MOST_PODS: u32 = 200;
/// Events read of one pod: repeats share one, so this is plenty.
const MOST_EVENTS: u32 = 500;
/// Pods whose use of CPU and memory is read: a few tell what all do.
const MOST_MEASURED: usize = 10;
/// Longest time for reading one: an aggregated API may hang when what serves it is gone.
const MEASURING: Duration = Duration::from_secs(3);
/// Policies read of a namespace.
const MOST_POLICIES: u32 = 500;

/// Reads a workload or a pod with what belongs to it.
pub(super) fn look(args: &Args, target: &TargetRef) -> anyhow::Result<Scene> {
    block_on(read(args, target))
}

async fn read(args: &Args, target: &TargetRef) -> anyhow::Result<Scene> {
    let (file, context) = (args.kubeconfig.as_deref(), args.context.as_deref());
    let (client, namespace) = reach(file, context, args.namespace.as_deref()).await?;
    Cluster { client, namespace }.scene(target).await
}

/// One namespace of a cluster.
struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    async fn scene(&self, target: &TargetRef) -> anyhow::Result<Scene> {
        let mut objects = Objects::default();
        let mut notes = Vec::new();
        match target {
            TargetRef::Pod(name) => {
                let pod: Pod = self.get(name, target).await?;
                if let Some((kind, name)) = workload_of(&pod) {
                    // Only tells what the operator wrote; without it the pod speaks for itself.
                    let owner = TargetRef::Workload(kind, name.clone());
                    objects
                        .workloads
                        .extend(self.workload(kind, &name, &owner).await.ok());
                }
                objects.pods.push(pod);
            }
            TargetRef::Workload(kind, name) => {
                let workload = self.workload(*kind, name, target).await?;
                let (pods, more) = self.pods_of(&workload).await?;
                notes.extend(more.then(|| {
                    format!(
                        "{target} has more than {MOST_PODS} pods; the others were not looked at."
                    )
                }));
                objects.pods = pods;
                objects.workloads.push(workload);
            }
        }
        anyhow::ensure!(
            !objects.pods.is_empty(),
            "{target} in namespace {} has no pods; `kubectl describe` tells why it creates none",
            self.namespace
        );
        for pod in objects.pods.iter().filter(|pod| needs_events(pod)) {
            match self.events_of(pod).await {
                Ok(events) => objects.events.extend(events),
                Err(error) => notes.push(format!("The events could not be read: {error:#}.")),
            }
        }
        objects.policies = self.policies().await;
        self.read_usage(&mut objects).await;
        self.read_nodes(&mut objects).await;
        notes.sort();
        notes.dedup();
        Ok(Scene {
            now: Timestamp::now(),
            pods: objects.pods(),
            notes,
        })
    }

    async fn get<K>(&self, name: &str, target: &TargetRef) -> anyhow::Result<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = within(DEADLINE, "the API server", api.get_opt(name)).await?;
        found
            .with_context(|| format!("{target} in namespace {} cannot be read", self.namespace))?
            .with_context(|| format!("there is no {target} in namespace {}", self.namespace))
    }

    async fn workload(
        &self,
        kind: TargetKind,
        name: &str,
        target: &TargetRef,
    ) -> anyhow::Result<Workload> {
        match kind {
            TargetKind::Deployment => self.parse::<Deployment>(kind, name, target).await,
            TargetKind::StatefulSet => self.parse::<StatefulSet>(kind, name, target).await,
            TargetKind::DaemonSet => self.parse::<DaemonSet>(kind, name, target).await,
        }
    }

    async fn parse<K>(
        &self,
        kind: TargetKind,
        name: &str,
        target: &TargetRef,
    ) -> anyhow::Result<Workload>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
    {
        let object: K = self.get(name, target).await?;
        Ok(Workload::parse(kind, &serde_json::to_value(object)?)?)
    }

    /// The workload's pods, and whether there are more than were read.
    async fn pods_of(&self, workload: &Workload) -> anyhow::Result<(Vec<Pod>, bool)> {
        let selector = kube::core::Selector::try_from(workload.selector.clone())
            .context("its label selector cannot be used")?;
        let params = ListParams::default()
            .labels_from(&selector)
            .limit(MOST_PODS);
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = within(DEADLINE, "the API server", api.list(&params))
            .await?
            .context("its pods cannot be read")?;
        let owner = Owner {
            kind: workload.kind,
            name: &workload.name,
            uid: &workload.uid,
        };
        let more = list
            .metadata
            .continue_
            .is_some_and(|token| !token.is_empty());
        let pods = list
            .items
            .into_iter()
            .filter(|pod| owner.owns(pod))
            .collect();
        Ok((pods, more))
    }

    async fn events_of(&self, pod: &Pod) -> anyhow::Result<Vec<Event>> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let params = ListParams::default()
            .fields(&format!("involvedObject.uid={uid}"))
            .limit(MOST_EVENTS);
        let api: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(within(DEADLINE, "the API server", api.list(&params))
            .await??
            .items)
    }

    /// Policies tell counts and limits. Where there are none, or no right to see them, advice that
    /// needs them is not given.
    async fn policies(&self) -> Vec<ProbePolicy> {
        let api: Api<ProbePolicy> = Api::namespaced(self.client.clone(), &self.namespace);
        let params = ListParams::default().limit(MOST_POLICIES);
        let list = within(DEADLINE, "the API server", api.list(&params)).await;
        list.ok()
            .and_then(Result::ok)
            .map(|list| list.items)
            .unwrap_or_default()
    }

    /// What the containers of pods in trouble use. Where it is not measured for one pod it is not
    /// asked for the next: an API that does not answer is waited for once.
    async fn read_usage(&self, objects: &mut Objects) {
        let troubled = objects.pods.iter().filter(|pod| needs_events(pod));
        let names = troubled.filter_map(|pod| pod.metadata.name.clone());
        let names: Vec<_> = names.take(MOST_MEASURED).collect();
        for pod in names {
            match usage::read(&self.client, MEASURING, &self.namespace, &pod).await {
                Ok(found) => objects.usage.extend(
                    found
                        .into_iter()
                        .map(|(name, usage)| ((self.namespace.clone(), pod.clone(), name), usage)),
                ),
                Err(why) => {
                    objects.unmeasured = Some(why);
                    return;
                }
            }
        }
    }

    /// Conditions of the pods' nodes, as far as they may be seen.
    async fn read_nodes(&self, objects: &mut Objects) {
        let names: std::collections::BTreeSet<_> = objects
            .pods
            .iter()
            .filter(|pod| needs_events(pod))
            .filter_map(|pod| pod.spec.as_ref()?.node_name.clone())
            .collect();
        let api: Api<Node> = Api::all(self.client.clone());
        for name in names {
            let node = within(DEADLINE, "the API server", api.get_opt(&name)).await;
            let Some(node) = node.ok().and_then(Result::ok).flatten() else {
                return;
            };
            if let Some(sentence) = ailing(&node) {
                objects.nodes.insert(name, sentence);
            }
        }
    }
}

/// Pods that are well and never restarted have nothing to tell: the API server looks through all
/// events of the namespace for each pod.
fn needs_events(pod: &Pod) -> bool {
    let view = PodView::project(pod);
    let mut all = view
        .containers
        .values()
        .chain(view.init_containers.values());
    all.any(|container| container.restart_count > 0 || !container.ready)
}
