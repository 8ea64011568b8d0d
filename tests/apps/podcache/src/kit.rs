//! Building, measuring and deploying podcache.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use probepilot_test_cluster::{Cluster, Image, build_static};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;

/// The image that [`Podcache::load`] puts into the node.
pub const IMAGE: &str = "probepilot.test/podcache:1";

/// Name of the Deployment, its container and its service account: those of the controller that podcache stands for.
pub const NAME: &str = "aws-load-balancer-controller";

/// The longest one measurement may take.
const MEASURE: Duration = Duration::from_mins(2);

/// Below this the kernel knows no CPU limit: a quota of 1 ms in each 100 ms.
const SMALLEST_MILLICPU: u32 = 10;

/// The built program.
#[derive(Debug, Clone)]
pub struct Podcache {
    program: PathBuf,
}

/// What it costs to fill the cache at the number of pods there is now.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Pods listed.
    pub pods: u64,
    /// Processor time of the whole process. Unit: seconds.
    pub cpu_seconds: f64,
    /// JSON decoded. Unit: bytes.
    pub bytes: u64,
}

impl Podcache {
    /// Builds the program for an image without a C library.
    pub fn build() -> anyhow::Result<Self> {
        Ok(Self {
            program: build_static("podcache")?,
        })
    }

    /// Puts the image into the cluster's node.
    pub async fn load(&self, cluster: &Cluster) -> anyhow::Result<()> {
        let content = std::fs::read(&self.program)
            .with_context(|| format!("cannot read {}", self.program.display()))?;
        let image = Image::new(IMAGE)
            .file("/podcache", content, 0o755)
            .entrypoint(["/podcache"])
            .user("65532:65532");
        cluster.load_image(&image).await?;
        Ok(())
    }

    /// Fills the cache once on the host, without a CPU limit, and reads the processor time it took. Unlike elapsed time that hardly depends on
    /// what else the machine does.
    pub async fn measure(&self, cluster: &Cluster) -> anyhow::Result<Cost> {
        let mut command = Command::new(&self.program);
        command
            .arg("--measure")
            .env("KUBECONFIG", cluster.kubeconfig())
            .kill_on_drop(true);
        let output = tokio::time::timeout(MEASURE, command.output())
            .await
            .with_context(|| format!("podcache --measure took over {} s", MEASURE.as_secs()))??;
        if !output.status.success() {
            bail!(
                "podcache --measure failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        serde_json::from_slice(&output.stdout)
            .context("podcache --measure printed something else than its line")
    }
}

impl Cost {
    /// The CPU limit, in thousandths of a core, at which filling the cache takes about `start`.
    ///
    /// # Errors
    /// When not even the smallest limit that the kernel knows is that slow: then the pods must be larger or more.
    pub fn millicpu(&self, start: Duration) -> anyhow::Result<u32> {
        let millis = (self.cpu_seconds * 1000.0 / start.as_secs_f64()).round();
        if millis < f64::from(SMALLEST_MILLICPU) {
            bail!(
                "listing {} pods ({} MB) takes {:.2} s of processor time here, too little for a start of {} s: make the pods larger",
                self.pods,
                self.bytes / 1_000_000,
                self.cpu_seconds,
                start.as_secs()
            );
        }
        // A limit beyond u32 would be millions of cores.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(millis as u32)
    }
}

/// The objects that run podcache as the chart of aws-load-balancer-controller runs it (helm/aws-load-balancer-controller/values.yaml at 225f4456:
/// probes, grace period 10 s), with a service account that may list pods.
#[must_use]
pub fn manifest(namespace: &str, replicas: u32, millicpu: u32) -> Vec<Value> {
    let labels = json!({"app.kubernetes.io/name": NAME});
    let cpu = format!("{millicpu}m");
    vec![
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace},
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("{NAME}-{namespace}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": NAME,
                        "terminationGracePeriodSeconds": 10,
                        "containers": [{
                            "name": NAME,
                            "image": IMAGE,
                            "imagePullPolicy": "Never",
                            "ports": [{"name": "health", "containerPort": 61779}],
                            "resources": {"limits": {"cpu": cpu}},
                            "livenessProbe": {
                                "httpGet": {"path": "/healthz", "port": 61779, "scheme": "HTTP"},
                                "initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2,
                            },
                            "readinessProbe": {
                                "httpGet": {"path": "/readyz", "port": 61779, "scheme": "HTTP"},
                                "initialDelaySeconds": 10, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2, "successThreshold": 1,
                            },
                        }],
                    },
                },
            },
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_follows_from_the_cost() {
        let cost = Cost {
            pods: 10_000,
            cpu_seconds: 1.8,
            bytes: 130_000_000,
        };
        assert_eq!(cost.millicpu(Duration::from_secs(90)).unwrap(), 20);
        let too_small = cost.millicpu(Duration::from_mins(15)).unwrap_err();
        assert!(
            too_small.to_string().contains("make the pods larger"),
            "{too_small}"
        );
    }
}
