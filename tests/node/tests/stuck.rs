//! A StatefulSet whose rolling update is stuck behind the pod that its probe kills, on the real kubelet.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use probepilot_api::ProbePolicy;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{BUSYBOX, Cluster, TestNamespace};
use serde_json::json;

use crate::common::{from_json, install_crd, operator, reason};

/// Serves after about 25 s; its liveness probe guarantees 3 + 2*2 = 7 s.
fn slow_starter(namespace: &str) -> StatefulSet {
    let program = "/bin/busybox sleep 25; /bin/busybox mkdir -p /tmp/w; echo ok > /tmp/w/healthz; \
                   exec /bin/busybox httpd -f -p 8080 -h /tmp/w";
    from_json(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 1, "serviceName": "web", "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "web", "image": BUSYBOX, "imagePullPolicy": "Never",
                "command": ["/bin/busybox", "sh", "-c", program],
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080},
                    "initialDelaySeconds": 3, "periodSeconds": 2, "failureThreshold": 3},
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
            }]},
        }},
    }))
}

/// No rules: only a kill raises, to five times the killed life.
fn policy(namespace: &str) -> ProbePolicy {
    from_json(json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"},
            "mode": "Enforce", "crashLoop": {"raisePercent": 400},
        },
    }))
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| &status.container_statuses);
    statuses.flatten().map(|status| status.restart_count).sum()
}

fn is_ready(pod: &Pod) -> bool {
    let statuses = pod
        .status
        .iter()
        .flat_map(|status| &status.container_statuses);
    statuses.flatten().any(|status| status.ready)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_set_stuck_behind_its_killed_pod_is_rescued_by_one_write_and_one_deletion() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    install_crd(&client).await;
    let namespace = TestNamespace::create(&client, "stuck").await.unwrap();
    let name = namespace.name();
    let sets: Api<StatefulSet> = Api::namespaced(client.clone(), name);
    let policies: Api<ProbePolicy> = Api::namespaced(client.clone(), name);
    let pods: Api<Pod> = Api::namespaced(client.clone(), name);
    let params = PostParams::default();
    let operator = operator(&cluster, name).await;
    policies.create(&params, &policy(name)).await.unwrap();
    sets.create(&params, &slow_starter(name)).await.unwrap();

    let look = || async {
        let pod = pods.get_opt("web-0").await?;
        Ok::<_, kube::Error>(match pod {
            Some(pod) if is_ready(&pod) => Seen::Done(pod),
            other => Seen::NotYet(format!("{:?}", other.and_then(|pod| pod.status))),
        })
    };
    let ready = wait::until("web-0 to be ready", Duration::from_mins(3), look);
    let ready = ready.await.unwrap();
    assert_eq!(restarts(&ready), 0, "the pod is a new one");
    let settled = || async {
        let status = policies.get("web").await?.status.unwrap_or_default();
        let (raises, sync) = (status.raises, reason(&status, "InSync"));
        Ok::<_, kube::Error>(if sync == "Covered" {
            Seen::Done(status)
        } else {
            Seen::NotYet(format!("{raises:?} {sync}"))
        })
    };
    let status = wait::until("InSync Covered", Duration::from_mins(1), settled);
    let status = status.await.unwrap();
    let handover = status.memory.and_then(|memory| memory.handover);
    let replaced = handover
        .and_then(|handover| handover.replaced)
        .expect("a deletion");
    assert_ne!(Some(&replaced.uid), ready.metadata.uid.as_ref());
    assert!(replaced.told);
    let set = sets.get("web").await.unwrap();
    assert_eq!(set.metadata.generation, Some(2), "one write");
    operator.abort();
    namespace.delete().await.unwrap();
}
