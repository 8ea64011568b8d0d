//! One controller of the story: a Deployment of podcache in a namespace of its own, and the policy for it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod, Probe};
use kube::api::ListParams;
use kube::{Api, Client};
use podcache::{NAME as CONTROLLER, manifest};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_cluster::Kubectl;
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::{Value, json};

use crate::policy::StoryPolicy;

/// How the Deployment came into the cluster, and so who owns which of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// `kubectl apply`: fights for nothing.
    Kubectl,
    /// `kubectl apply --server-side` under this name: what it declares is its own.
    ServerSide(&'static str),
}

/// A controller in its namespace.
#[derive(Clone)]
pub struct Controller {
    namespace: String,
    owner: Owner,
    client: Client,
    kubectl: Kubectl,
}

impl Controller {
    /// Deploys podcache with the probes of the real controller's chart and this CPU limit.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn deploy(
        client: Client,
        kubectl: Kubectl,
        namespace: &str,
        owner: Owner,
        millicpu: u32,
    ) -> Result<Self> {
        let controller = Self {
            namespace: namespace.to_owned(),
            owner,
            client,
            kubectl,
        };
        controller
            .kubectl(&["create", "namespace", namespace])
            .await?;
        controller.apply_again(millicpu).await?;
        Ok(controller)
    }

    /// Applies the same manifest once more, as the owner does at the next sync.
    ///
    /// # Errors
    /// When the API server refuses it, as it does on a conflict of server-side owners.
    pub async fn apply_again(&self, millicpu: u32) -> Result<()> {
        let objects = manifest(&self.namespace, 1, millicpu);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let manager;
        let mut arguments = vec!["apply", "-f", "-"];
        if let Owner::ServerSide(name) = self.owner {
            manager = format!("--field-manager={name}");
            arguments.extend(["--server-side", manager.as_str()]);
        }
        self.kubectl
            .run_with_input(arguments, &list.to_string())
            .await?;
        Ok(())
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Applies a policy for it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn apply_policy(&self, policy: &StoryPolicy) -> Result<()> {
        let object: Value = policy.object(&self.namespace);
        self.kubectl
            .run_with_input(["apply", "-f", "-"], &object.to_string())
            .await?;
        Ok(())
    }

    /// Waits for the event with which the kubelet kills it, and gives its message.
    ///
    /// # Errors
    /// When none comes.
    pub async fn killed(&self) -> Result<String> {
        let events: Api<Event> = self.api();
        let params = ListParams::default().fields("reason=Killing");
        let look = || async {
            let list = events.list(&params).await?;
            let messages: Vec<_> = list
                .items
                .into_iter()
                .filter_map(|event| event.message)
                .collect();
            let kill = messages
                .iter()
                .find(|message| message.contains("failed liveness probe"));
            Ok::<_, kube::Error>(match kill {
                Some(kill) => Seen::Done(kill.clone()),
                None => Seen::NotYet(format!("{messages:?}")),
            })
        };
        let what = format!("the liveness probe to kill {self}");
        Ok(wait::until(what, Duration::from_mins(3), look).await?)
    }

    /// Waits until its pod was restarted so often.
    ///
    /// # Errors
    /// When it is not.
    pub async fn restarted(&self, times: i32) -> Result<()> {
        let look = || async {
            let restarts: Vec<_> = self
                .containers()
                .await?
                .iter()
                .map(|status| status.restart_count)
                .collect();
            Ok::<_, kube::Error>(if restarts.iter().any(|restarts| *restarts >= times) {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("restarts: {restarts:?}"))
            })
        };
        let what = format!("{self} to be restarted {times} times");
        Ok(wait::until(what, Duration::from_mins(6), look).await?)
    }

    /// Waits until the policy's status is as wanted.
    ///
    /// # Errors
    /// When it never is; the error shows the last one.
    pub async fn status(
        &self,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> Result<ProbePolicyStatus> {
        let policies: Api<ProbePolicy> = self.api();
        let look = || async {
            let status = policies.get(CONTROLLER).await?.status.unwrap_or_default();
            Ok::<_, kube::Error>(if wanted(&status) {
                Seen::Done(status)
            } else {
                Seen::NotYet(format!("{status:?}"))
            })
        };
        let what = format!("{what} ({self})");
        Ok(wait::until(what, Duration::from_mins(4), look).await?)
    }

    /// Waits until its only pod is ready, and gives that pod's restarts.
    ///
    /// # Errors
    /// When it never is.
    pub async fn ready(&self) -> Result<i32> {
        let look = || async {
            let containers = self.containers().await?;
            Ok::<_, kube::Error>(match containers.as_slice() {
                [only] if only.ready => Seen::Done(only.restart_count),
                _ => Seen::NotYet(brief(&containers)),
            })
        };
        let what = format!("{self} to be ready");
        Ok(wait::until(what, Duration::from_mins(5), look).await?)
    }

    /// Stays for a while and fails when the ready controller is restarted meanwhile.
    ///
    /// # Errors
    /// When it does not stay ready.
    pub async fn stays_ready(&self, during: Duration) -> Result<()> {
        let look = || async {
            let containers = self.containers().await.map_err(|error| error.to_string())?;
            match containers.as_slice() {
                [only] if only.ready && only.restart_count == 0 => Ok(()),
                _ => Err(brief(&containers)),
            }
        };
        Ok(wait::holds(format!("{self} to stay ready"), during, look).await?)
    }

    /// The Deployment's generation.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn generation(&self) -> Result<i64> {
        let generation = self.deployment().await?.metadata.generation;
        generation.context("the Deployment has no generation")
    }

    /// Its liveness and startup probes now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn probes(&self) -> Result<(Option<Probe>, Option<Probe>)> {
        let spec = self.deployment().await?.spec;
        let pod = spec.and_then(|spec| spec.template.spec);
        let container = pod
            .and_then(|pod| pod.containers.into_iter().next())
            .context("the Deployment has no container")?;
        Ok((container.liveness_probe, container.startup_probe))
    }

    /// Its only pod.
    ///
    /// # Errors
    /// When it has none or several.
    pub async fn pod(&self) -> Result<Pod> {
        let pods: Api<Pod> = self.api();
        let mut pods = pods.list(&ListParams::default()).await?.items;
        let pod = pods.pop().context("the controller has no pod")?;
        ensure!(pods.is_empty(), "the controller has several pods");
        Ok(pod)
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// When kubectl fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.kubectl.run(arguments).await?)
    }

    /// Removes the namespace and the binding outside it.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub async fn remove(&self) -> Result<()> {
        let binding = format!("{CONTROLLER}-{}", self.namespace);
        self.kubectl(&[
            "delete",
            "clusterrolebinding",
            &binding,
            "--ignore-not-found",
        ])
        .await?;
        let namespace = [
            "delete",
            "namespace",
            &self.namespace,
            "--ignore-not-found",
            "--timeout=100s",
        ];
        self.kubectl(&namespace).await?;
        Ok(())
    }

    async fn deployment(&self) -> Result<Deployment> {
        Ok(self.api().get(CONTROLLER).await?)
    }

    /// Its containers in all pods that are not being deleted.
    async fn containers(&self) -> kube::Result<Vec<ContainerStatus>> {
        let pods: Api<Pod> = self.api();
        let list = pods.list(&ListParams::default()).await?;
        let alive = list
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(alive
            .filter_map(|pod| pod.status?.container_statuses?.into_iter().next())
            .collect())
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

impl std::fmt::Display for Controller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the controller in {}", self.namespace)
    }
}

fn brief(containers: &[ContainerStatus]) -> String {
    let states: Vec<_> = containers
        .iter()
        .map(|status| {
            format!(
                "ready: {}, restarts: {}",
                status.ready, status.restart_count
            )
        })
        .collect();
    format!("{states:?}")
}
