//! The main job as a story: a controller that lists every pod of a large cluster is killed by its own
//! liveness probe, and a ProbePolicy ends that. The test and `cargo xtask demo` tell the same one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod, Probe};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use podcache::{IMAGE as PODCACHE_IMAGE, NAME as CONTROLLER, Podcache, manifest};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, Image, Kubectl, PodFleet, Progress, build_static};
use serde_json::{Value, json};

/// Namespace of the controller and its policy.
pub const NAMESPACE: &str = "load-balancer";
/// Namespace of the pods that make the cluster large.
pub const FLEET: &str = "fleet";
/// The operator's image in the local cluster, as `config/local` names it.
const OPERATOR_IMAGE: &str = "probepilot.test/probepilot:dev";
/// How long filling the cache should take at the full count: beyond the chart's last kill (60 s), within the policy's budget (110 s).
const START: Duration = Duration::from_secs(85);
/// Environment of each pod; real pods are about as large.
const ENV_BYTES: usize = 6_000;
const FAKE_NODES: usize = 200;

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

    /// Builds the operator's image and installs it from `config/`, as a user would.
    ///
    /// # Errors
    /// When it does not build, or is not ready in time.
    pub async fn install_operator(&self) -> Result<()> {
        self.progress
            .say("building the operator as a static binary");
        let program = build_static("probepilot")?;
        let content = std::fs::read(&program)
            .with_context(|| format!("cannot read {}", program.display()))?;
        let image = Image::new(OPERATOR_IMAGE)
            .file("/probepilot", content, 0o755)
            .entrypoint(["/probepilot"])
            .user("65532:65532");
        self.cluster.load_image(&image).await?;
        let config = config_dir().join("local");
        self.progress.say("kubectl apply -k config/local");
        // The CRD is not established yet when the first objects are applied; nothing of that kind is among them.
        self.kubectl
            .run(["apply", "-k", &config.display().to_string()])
            .await?;
        self.kubectl
            .run([
                "-n",
                "probepilot-system",
                "rollout",
                "status",
                "deployment/probepilot",
                "--timeout=100s",
            ])
            .await?;
        Ok(())
    }

    /// Makes the cluster large.
    ///
    /// # Errors
    /// When the pods cannot be created.
    pub async fn fill(&self, pods: usize) -> Result<()> {
        self.cluster.add_fake_nodes(FAKE_NODES).await?;
        self.progress
            .say(format!("creating {pods} pods on {FAKE_NODES} fake nodes"));
        self.cluster
            .create_pods(&PodFleet::new(FLEET, pods).env_bytes(ENV_BYTES))
            .await?;
        self.cluster
            .fleet_running(FLEET, Duration::from_mins(5))
            .await?;
        Ok(())
    }

    /// Makes the cluster small again.
    ///
    /// # Errors
    /// When the pods cannot be deleted.
    pub async fn empty(&self) -> Result<()> {
        self.progress.say("deleting the pods");
        self.cluster.delete_pods(FLEET).await?;
        Ok(())
    }

    /// Deploys the controller with the probes of its chart and a CPU limit at which filling its cache takes about 85 s with the pods there are
    /// now. Machines differ, so the limit is derived from the processor time of one listing on this one.
    ///
    /// # Errors
    /// When it cannot be built, measured or applied.
    pub async fn deploy_controller(&self) -> Result<()> {
        self.progress.say("building the controller");
        let podcache = Podcache::build()?;
        podcache.load(&self.cluster).await?;
        let cost = podcache.measure(&self.cluster).await?;
        let millicpu = cost.millicpu(START)?;
        self.progress.say(format!(
            "{PODCACHE_IMAGE} needs {:.2} s of processor time to list {} pods; with a CPU limit of {millicpu}m that is about {} s",
            cost.cpu_seconds,
            cost.pods,
            START.as_secs()
        ));
        let mut objects =
            vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})];
        objects.extend(manifest(NAMESPACE, 1, millicpu));
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}))
            .await
    }

    /// Applies the policy of design section 3 in `mode`; the windows are 0 so that nobody has to wait for them.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn apply_policy(&self, mode: &str) -> Result<()> {
        self.apply(&policy(mode)).await
    }

    async fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl
            .run_with_input(["apply", "-f", "-"], &object.to_string())
            .await?;
        Ok(())
    }

    /// Waits for the event with which the kubelet kills the controller, and gives its message.
    ///
    /// # Errors
    /// When none comes.
    pub async fn killed(&self) -> Result<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
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
        Ok(wait::until(
            "the liveness probe to kill the controller",
            Duration::from_mins(3),
            look,
        )
        .await?)
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
        let policies: Api<ProbePolicy> = Api::namespaced(self.client.clone(), NAMESPACE);
        let look = || async {
            let status = policies.get(CONTROLLER).await?.status.unwrap_or_default();
            Ok::<_, kube::Error>(if wanted(&status) {
                Seen::Done(status)
            } else {
                Seen::NotYet(format!("{status:?}"))
            })
        };
        Ok(wait::until(what, Duration::from_mins(3), look).await?)
    }

    /// Waits until the controller's only pod is ready, and gives its restarts.
    ///
    /// # Errors
    /// When it never is.
    pub async fn ready(&self) -> Result<i32> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let look = || async {
            let list = pods.list(&ListParams::default()).await?.items;
            let states: Vec<_> = list
                .iter()
                .map(|pod| {
                    let status = pod
                        .status
                        .as_ref()
                        .and_then(|status| status.container_statuses.as_ref()?.first());
                    let ready = status.is_some_and(|status| status.ready);
                    (
                        pod.name_any(),
                        ready,
                        status.map_or(0, |status| status.restart_count),
                    )
                })
                .collect();
            Ok::<_, kube::Error>(match states.as_slice() {
                [(_, true, restarts)] => Seen::Done(*restarts),
                _ => Seen::NotYet(format!("{states:?}")),
            })
        };
        Ok(wait::until("the controller to be ready", Duration::from_mins(5), look).await?)
    }

    /// Stays for a while and fails when the ready controller is restarted meanwhile.
    ///
    /// # Errors
    /// When it does not stay ready.
    pub async fn stays_ready(&self, during: Duration) -> Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let look = || async {
            let list = pods
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let statuses = list
                .items
                .iter()
                .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()?.first());
            let seen: Vec<_> = statuses
                .map(|status| (status.ready, status.restart_count))
                .collect();
            if seen == [(true, 0)] {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        };
        Ok(wait::holds("the controller to stay ready", during, look).await?)
    }

    /// The controller's Deployment now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn deployment(&self) -> Result<Deployment> {
        Ok(Api::namespaced(self.client.clone(), NAMESPACE)
            .get(CONTROLLER)
            .await?)
    }

    /// Its liveness and startup probes now.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn probes(&self) -> Result<(Option<Probe>, Option<Probe>)> {
        let pod = self
            .deployment()
            .await?
            .spec
            .and_then(|spec| spec.template.spec);
        let container = pod
            .and_then(|pod| pod.containers.into_iter().next())
            .context("the Deployment has no container")?;
        Ok((container.liveness_probe, container.startup_probe))
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
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), "probepilot-system");
        let look = || async {
            let mut answers = Vec::new();
            for pod in pods.list(&ListParams::default()).await?.items {
                let path = format!(
                    "/api/v1/namespaces/probepilot-system/pods/{}:8080/proxy/metrics",
                    pod.name_any()
                );
                match self.kubectl.run(["get", "--raw", &path]).await {
                    Ok(text) if metric(&text, "probepilot_leader") == Some(1.0) => {
                        return Ok(Seen::Done(text));
                    }
                    Ok(_) => answers.push(format!("{} stands by", pod.name_any())),
                    Err(error) => answers.push(error.to_string()),
                }
            }
            Ok::<_, kube::Error>(Seen::NotYet(format!("{answers:?}")))
        };
        Ok(wait::until(
            "a leading replica of the operator",
            Duration::from_secs(30),
            look,
        )
        .await?)
    }

    /// Removes what the story made: controller, pods, fake nodes and operator. The CustomResourceDefinition stays; other tests use it.
    ///
    /// # Errors
    /// When something cannot be removed; the rest is removed all the same.
    pub async fn clean_up(&self) -> Result<()> {
        self.progress
            .say("removing the controller, the pods and the operator");
        let operator = [
            "delete",
            "namespace",
            NAMESPACE,
            "probepilot-system",
            "--ignore-not-found",
            "--timeout=100s",
        ];
        let namespaces = self.kubectl.run(operator).await;
        let binding = format!("{CONTROLLER}-{NAMESPACE}");
        let roles = [
            "delete",
            "clusterrolebinding",
            &binding,
            "probepilot-operator",
            "probepilot-counter",
            "--ignore-not-found",
        ];
        let roles = self.kubectl.run(roles).await;
        let pods = self.cluster.delete_pods(FLEET).await;
        self.cluster.remove_fake_nodes().await?;
        namespaces?;
        roles?;
        pods?;
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

/// The policy of design section 3, with windows of 0 seconds.
#[must_use]
pub fn policy(mode: &str) -> Value {
    json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": CONTROLLER, "namespace": NAMESPACE},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": CONTROLLER},
            "containerName": CONTROLLER,
            "mode": mode,
            "rules": [{"count": {"group": "", "resource": "pods", "namespace": ""}, "steps": [
                {"atLeast": 0, "startupSeconds": 60},
                {"atLeast": 10000, "livenessProbe": {
                    "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}},
            ]}],
            "behavior": {"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}},
        },
    })
}
