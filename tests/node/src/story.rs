//! The main job as a story: a controller that lists every pod of a large cluster is killed by its own
//! liveness probe, and a ProbePolicy ends that. The test and `cargo xtask demo` tell the same one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use podcache::{IMAGE as PODCACHE_IMAGE, Podcache};
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, Image, Kubectl, PodFleet, Progress, build_static};
use serde_json::{Value, json};

use crate::controller::{Controller, Owner};

/// Namespace of the pods that are always there.
const TOWN: &str = "town";
/// Namespace of the pods that make the cluster large for a while.
const CROWD: &str = "crowd";
/// Namespace of the operator.
pub const SYSTEM: &str = "probepilot-system";
/// The operator's image in the local cluster, as `config/local` names it.
const OPERATOR_IMAGE: &str = "probepilot.test/probepilot:dev";
/// How long filling the cache should take at the full count: beyond the chart's last kill (60 s), within the policy's budget (110 s).
const START: Duration = Duration::from_secs(85);
/// Environment of each pod; real pods are about as large.
const ENV_BYTES: usize = 6_000;
const FAKE_NODES: usize = 200;
/// kwok reports about 40 pods a second on a busy machine of two processors.
const PER_POD: Duration = Duration::from_millis(25);

/// A cluster in which the story is told.
pub struct Story {
    cluster: Cluster,
    client: Client,
    kubectl: Kubectl,
    progress: Progress,
}

impl Story {
    /// Begins in a running cluster.
    ///
    /// # Errors
    /// When the cluster cannot be reached.
    pub async fn begin(cluster: Cluster, progress: Progress) -> Result<Self> {
        let client = cluster.client().await?;
        let kubectl = cluster.kubectl()?.within(Duration::from_mins(2));
        Ok(Self {
            cluster,
            client,
            kubectl,
            progress,
        })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// An administrator's client.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Builds the operator's image and installs it from `config/`, as a user would.
    ///
    /// # Errors
    /// When it does not build, or is not ready in time.
    pub async fn install_operator(&self) -> Result<()> {
        self.progress
            .say("building the operator as a static binary");
        // The build blocks for minutes on a fresh machine.
        let program = tokio::task::spawn_blocking(|| build_static("probepilot")).await??;
        let content = std::fs::read(&program)
            .with_context(|| format!("cannot read {}", program.display()))?;
        let image = Image::new(OPERATOR_IMAGE)
            .file("/probepilot", content, 0o755)
            .entrypoint(["/probepilot"])
            .user("65532:65532");
        self.cluster.load_image(&image).await?;
        // The CRD is not established yet when the first objects are applied; nothing of that kind is among them.
        self.change("apply", "local").await?;
        self.operator_ready().await
    }

    /// `kubectl apply -k` or `kubectl delete -k` of one kustomization of config/, as an administrator would.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn change(&self, verb: &str, kustomization: &str) -> Result<()> {
        self.progress
            .say(format!("$ kubectl {verb} -k config/{kustomization}"));
        let config = config_dir().join(kustomization);
        self.kubectl(&[verb, "-k", &config.display().to_string()])
            .await?;
        Ok(())
    }

    /// Lets the operator count that often.
    ///
    /// # Errors
    /// When it does not come back with the other flag.
    pub async fn count_every(&self, interval: Duration) -> Result<()> {
        let more = json!([{
            "op": "add",
            "path": "/spec/template/spec/containers/0/args/-",
            "value": format!("--count-interval={}s", interval.as_secs()),
        }]);
        let more = more.to_string();
        let patch = ["patch", "deployment/probepilot", "--type=json", "-p", &more];
        self.kubectl(&[&["-n", SYSTEM][..], &patch].concat())
            .await?;
        self.operator_ready().await
    }

    /// Starts one replica with these flags beside the shipped ones, in place of what runs.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn start_operator(&self, flags: &[&str]) -> Result<()> {
        self.stop_operator().await?;
        let shipped = ["run", "--listen=0.0.0.0:8080"];
        let args: Vec<_> = shipped.iter().chain(flags).collect();
        let patch = json!([
            {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": args},
            {"op": "replace", "path": "/spec/replicas", "value": 1},
        ]);
        let patch = patch.to_string();
        let patch = [
            "patch",
            "deployment/probepilot",
            "--type=json",
            "-p",
            &patch,
        ];
        self.kubectl(&[&["-n", SYSTEM][..], &patch].concat())
            .await?;
        self.operator_ready().await
    }

    /// When the container of the operator's only replica began to run.
    ///
    /// # Errors
    /// When there is no replica, or it does not run.
    pub async fn operator_started(&self) -> Result<Timestamp> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), SYSTEM);
        let list = pods.list(&ListParams::default()).await?;
        let statuses = list
            .into_iter()
            .filter_map(|pod| pod.status?.container_statuses);
        let started = statuses
            .flatten()
            .find_map(|status| status.state?.running?.started_at);
        Ok(started.context("no replica of the operator runs")?.0)
    }

    async fn operator_ready(&self) -> Result<()> {
        let rollout = [
            "rollout",
            "status",
            "deployment/probepilot",
            "--timeout=100s",
        ];
        self.kubectl(&[&["-n", SYSTEM][..], &rollout].concat())
            .await?;
        Ok(())
    }

    /// Applies an object, or a List of them, as its owner would.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl
            .run_with_input(["apply", "-f", "-"], &object.to_string())
            .await?;
        Ok(())
    }

    /// Stops all replicas of the operator and waits until their pods are gone, so that every request of theirs has ended.
    ///
    /// # Errors
    /// When they do not stop.
    pub async fn stop_operator(&self) -> Result<()> {
        let scale = ["scale", "deployment/probepilot", "--replicas=0"];
        self.kubectl(&[&["-n", SYSTEM][..], &scale].concat())
            .await?;
        let gone = ["wait", "pods", "--all", "--for=delete", "--timeout=100s"];
        self.kubectl(&[&["-n", SYSTEM][..], &gone].concat()).await?;
        Ok(())
    }

    /// Makes pods that stay until the end.
    ///
    /// # Errors
    /// When the pods cannot be created.
    pub async fn settle(&self, pods: usize) -> Result<()> {
        self.cluster.add_fake_nodes(FAKE_NODES).await?;
        self.create(TOWN, pods).await
    }

    /// Makes the cluster large.
    ///
    /// # Errors
    /// When the pods cannot be created.
    pub async fn crowd(&self, pods: usize) -> Result<()> {
        self.create(CROWD, pods).await
    }

    /// Makes the cluster small again.
    ///
    /// # Errors
    /// When the pods cannot be deleted.
    pub async fn disperse(&self) -> Result<()> {
        self.progress.say("deleting the pods");
        self.cluster.delete_pods(CROWD).await?;
        Ok(())
    }

    async fn create(&self, namespace: &str, pods: usize) -> Result<()> {
        self.progress
            .say(format!("creating {pods} pods on {FAKE_NODES} fake nodes"));
        self.cluster
            .create_pods(&PodFleet::new(namespace, pods).env_bytes(ENV_BYTES))
            .await?;
        self.cluster
            .fleet_running(
                namespace,
                Duration::from_mins(5) + PER_POD * u32::try_from(pods)?,
            )
            .await?;
        Ok(())
    }

    /// Builds the controller and puts its image into the node.
    ///
    /// # Errors
    /// When it does not build.
    pub async fn load_controller(&self) -> Result<Podcache> {
        self.progress.say("building the controller");
        let podcache = tokio::task::spawn_blocking(Podcache::build).await??;
        podcache.load(&self.cluster).await?;
        Ok(podcache)
    }

    /// The CPU limit, in thousandths of a core, at which filling the controller's cache takes about 85 s with the pods there are now.
    /// Machines differ, so it is derived from the processor time of one listing on this one.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn slow_enough(&self, podcache: &Podcache) -> Result<u32> {
        let cost = podcache.measure(&self.cluster).await?;
        let millicpu = cost.millicpu(START)?;
        self.progress.say(format!(
            "{PODCACHE_IMAGE} needs {:.2} s of processor time to list {} pods; with a CPU limit of {millicpu}m that is about {} s",
            cost.cpu_seconds,
            cost.pods,
            START.as_secs()
        ));
        Ok(millicpu)
    }

    /// Deploys the controller in a namespace of its own.
    ///
    /// # Errors
    /// When it cannot be applied.
    pub async fn deploy(&self, namespace: &str, owner: Owner, millicpu: u32) -> Result<Controller> {
        let (client, kubectl) = (self.client.clone(), self.kubectl.clone());
        Controller::deploy(client, kubectl, namespace, owner, millicpu).await
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// When kubectl fails.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        Ok(self.kubectl.run(arguments).await?)
    }

    /// The leading operator's metrics, as OpenMetrics text.
    ///
    /// # Errors
    /// When no replica leads within half a minute, or none answers.
    pub async fn metrics(&self) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), SYSTEM);
        let look = || async {
            let mut answers = Vec::new();
            for pod in pods.list(&ListParams::default()).await?.items {
                let path = format!(
                    "/api/v1/namespaces/{SYSTEM}/pods/{}:8080/proxy/metrics",
                    pod.name_any()
                );
                match self.kubectl(&["get", "--raw", &path]).await {
                    Ok(text) if metric(&text, "probepilot_leader") == Some(1.0) => {
                        return Ok(Seen::Done(text));
                    }
                    Ok(_) => answers.push(format!("{} stands by", pod.name_any())),
                    Err(error) => answers.push(error.to_string()),
                }
            }
            Ok::<_, kube::Error>(Seen::NotYet(format!("{answers:?}")))
        };
        let what = "a leading replica of the operator";
        Ok(wait::until(what, Duration::from_secs(30), look).await?)
    }

    /// Removes what the story made: pods, fake nodes and operator. The CustomResourceDefinition stays; other tests use it.
    ///
    /// # Errors
    /// When something cannot be removed; the rest is removed all the same.
    pub async fn clean_up(&self) -> Result<()> {
        self.progress.say("removing the pods and the operator");
        let operator = [
            "delete",
            "namespace",
            SYSTEM,
            "--ignore-not-found",
            "--timeout=100s",
        ];
        let namespace = self.kubectl(&operator).await;
        let kinds = "clusterrole,clusterrolebinding,\
            validatingadmissionpolicy,validatingadmissionpolicybinding,\
            mutatingadmissionpolicy,mutatingadmissionpolicybinding";
        let roles = ["delete", kinds, "-l", "app.kubernetes.io/name=probepilot"];
        let roles = self.kubectl(&roles).await;
        let crowd = self.cluster.delete_pods(CROWD).await;
        let town = self.cluster.delete_pods(TOWN).await;
        self.cluster.remove_fake_nodes().await?;
        namespace?;
        roles?;
        crowd?;
        town?;
        Ok(())
    }
}

/// The folder with the kustomizations.
#[must_use]
pub fn config_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// One metric's value in OpenMetrics text.
#[must_use]
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ')?.1.parse().ok()
}
