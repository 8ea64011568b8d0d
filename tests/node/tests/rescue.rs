//! A start that its own liveness probe kills, on the real kubelet, and the operator that ends it.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, TestNamespace};
use serde_json::json;

use crate::common::{from_json, install_crd, operator, reason};

/// Serves after about 25 s; its liveness probe guarantees 3 + 2*2 = 7 s.
fn slow_starter(namespace: &str) -> Deployment {
    let program = "/bin/busybox sleep 25; mkdir -p /tmp/w; echo ok > /tmp/w/healthz; \
                   exec /bin/busybox httpd -f -p 8080 -h /tmp/w";
    from_json(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "web", "image": "probepilot.test/busybox:1", "imagePullPolicy": "Never",
                "command": ["/bin/busybox", "sh", "-c", program],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080},
                    "initialDelaySeconds": 3, "periodSeconds": 2, "failureThreshold": 3},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
            }]},
        }},
    }))
}

fn policy(namespace: &str, mode: &str) -> ProbePolicy {
    from_json(json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "mode": mode,
            "rules": [{"count": {"namespace": namespace}, "steps": [{"atLeast": 0, "startupSeconds": 60}]}],
        },
    }))
}

struct Scene {
    deployments: Api<Deployment>,
    policies: Api<ProbePolicy>,
    pods: Api<Pod>,
    namespace: TestNamespace,
}

impl Scene {
    async fn new(client: &Client) -> Self {
        let namespace = TestNamespace::create(client, "rescue").await.unwrap();
        let name = namespace.name();
        Self {
            deployments: Api::namespaced(client.clone(), name),
            policies: Api::namespaced(client.clone(), name),
            pods: Api::namespaced(client.clone(), name),
            namespace,
        }
    }

    /// Waits until the policy's status satisfies `wanted`.
    async fn status(
        &self,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        let look = || async {
            let status = self.policies.get("web").await?.status.unwrap_or_default();
            Ok::<_, kube::Error>(if wanted(&status) {
                Seen::Done(status)
            } else {
                Seen::NotYet(format!("{status:?}"))
            })
        };
        wait::until(what, Duration::from_mins(2), look)
            .await
            .unwrap()
    }

    async fn deployment(&self) -> Deployment {
        self.deployments.get("web").await.unwrap()
    }

    /// Waits until the only pod left is ready, and says how often its container was restarted.
    async fn restarts_of_the_ready_pod(&self) -> i32 {
        let look = || async {
            let pods = self.pods.list(&ListParams::default()).await?.items;
            let statuses: Vec<_> = pods
                .iter()
                .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()?.first())
                .collect();
            Ok::<_, kube::Error>(match statuses.as_slice() {
                [only] if only.ready && pods.len() == 1 => Seen::Done(only.restart_count),
                others => Seen::NotYet(format!("{others:?}")),
            })
        };
        wait::until("one ready pod", Duration::from_secs(150), look)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_looping_deployment_is_rescued_once_the_mode_is_enforce() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    install_crd(&client).await;
    let scene = Scene::new(&client).await;
    let namespace = scene.namespace.name().to_owned();
    scene
        .deployments
        .create(&PostParams::default(), &slow_starter(&namespace))
        .await
        .unwrap();
    scene
        .policies
        .create(&PostParams::default(), &policy(&namespace, "Observe"))
        .await
        .unwrap();
    let operator = operator(&cluster, &namespace).await;

    // Observe: the kill is recognised and the remedy shown, and nothing is written.
    let seen = scene
        .status("a recognised kill", |status| {
            status.verdict.as_deref() == Some("StartupKill")
        })
        .await;
    assert_eq!(reason(&seen, "InSync"), "ObserveOnly");
    let startup = seen.startup.clone().unwrap();
    assert_eq!(
        (startup.need_seconds, startup.budget_seconds),
        (Some(60), Some(7))
    );
    assert_eq!(
        seen.desired
            .unwrap()
            .startup_probe
            .unwrap()
            .failure_threshold,
        Some(31)
    );
    assert_eq!(scene.deployment().await.metadata.generation, Some(1));

    // Enforce: one write at once, although the looping Deployment never finished its rollout.
    let enforce = json!({"spec": {"mode": "Enforce"}});
    scene
        .policies
        .patch("web", &PatchParams::default(), &Patch::Merge(&enforce))
        .await
        .unwrap();
    let covered = scene
        .status("the budget to cover the need", |status| {
            reason(status, "InSync") == "Covered"
        })
        .await;
    let write = covered.last_write.clone().expect("the write is on record");
    assert_eq!((write.from_seconds, write.to_seconds), (7, 60));
    assert_eq!(scene.restarts_of_the_ready_pod().await, 0);

    let deployment = scene.deployment().await;
    assert_eq!(
        deployment.metadata.generation,
        Some(2),
        "one write, one rollout"
    );
    let container = &deployment.spec.unwrap().template.spec.unwrap().containers[0];
    let (startup, liveness) = (
        container.startup_probe.clone().unwrap(),
        container.liveness_probe.clone().unwrap(),
    );
    assert_eq!(
        startup.http_get, liveness.http_get,
        "liveness's own handler"
    );
    assert_eq!(
        (startup.period_seconds, startup.failure_threshold),
        (Some(2), Some(31))
    );
    assert_eq!(
        (liveness.initial_delay_seconds, liveness.failure_threshold),
        (Some(3), Some(3)),
        "the owner's stay"
    );
    let baseline = covered.baseline.unwrap();
    assert_eq!(
        (
            baseline.startup_probe,
            baseline.liveness_probe.unwrap().period_seconds
        ),
        (None, Some(2))
    );

    operator.abort();
    scene.namespace.delete().await.unwrap();
}
