//! Pods whose lives a test tells as the kubelet would: the event first, the status after it.

use std::net::SocketAddr;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Stage, until, web};

/// The only pod of `web`; no node ever takes it, so its status is the test's own.
pub struct Killed {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Stage {
    /// Creates Deployment `web` with one pod, as `kubectl apply` would, and waits for the pod. `container`
    /// is merged into container `a`.
    pub async fn gated(&self, liveness: Value, container: &Value) -> Killed {
        let mut object = web(liveness);
        let spec = &mut object["spec"];
        spec["replicas"] = json!(1);
        let pod = &mut spec["template"]["spec"];
        pod["schedulingGates"] = json!([{"name": "probepilot.test/never"}]);
        for (key, value) in container.as_object().into_iter().flatten() {
            pod["containers"][0][key] = value.clone();
        }
        let applied = self.kubectl(&["apply", "-f", "-"], &object).await;
        applied.expect("applied");
        self.pod_besides(&[]).await
    }

    /// Waits until there is exactly one pod besides these. A rolling update keeps the old pod until the
    /// new one is ready.
    pub async fn pod_besides(&self, others: &[&Killed]) -> Killed {
        let uid = |pod: &Pod| pod.uid().unwrap_or_default();
        let look = || async {
            let pods = self.scene.api::<Pod>().list(&ListParams::default()).await?;
            let mut pods: Vec<_> = pods
                .into_iter()
                .filter(|pod| !others.iter().any(|other| other.uid == uid(pod)))
                .collect();
            Ok::<_, kube::Error>(match (pods.len(), pods.pop()) {
                (1, Some(pod)) => Seen::Done(Killed {
                    name: pod.name_any(),
                    uid: uid(&pod),
                }),
                (several, _) => Seen::NotYet(format!("{several} pods")),
            })
        };
        until("one pod", look).await
    }

    /// The pod's life of so many seconds has just ended with `terminated` on top, and the next begun.
    /// Gives when it ended.
    pub async fn ended(&self, pod: &Killed, lived: i64, terminated: Value) -> Timestamp {
        let finished = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
        let started = finished - SignedDuration::from_secs(lived);
        let mut life =
            json!({"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished});
        for (key, value) in terminated.as_object().into_iter().flatten() {
            life[key] = value.clone();
        }
        self.container_status(
            pod,
            json!({"ready": false, "started": false, "restartCount": 1,
            "state": {"running": {"startedAt": finished}}, "lastState": {"terminated": life}}),
            json!([]),
        )
        .await;
        finished
    }

    /// The kubelet says that it kills container `a` because of its liveness probe, and then that its
    /// life of so many seconds has ended. Gives when.
    pub async fn killed(&self, pod: &Killed, lived: i64) -> Timestamp {
        self.killed_by("liveness", pod, lived).await
    }

    /// The same because of its `probe`, liveness or startup.
    pub async fn killed_by(&self, probe: &str, pod: &Killed, lived: i64) -> Timestamp {
        let now = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
        self.scene
            .create::<Event>(self.killing(pod, probe, now))
            .await;
        self.ended(pod, lived, json!({})).await
    }

    /// The kubelet's event that it kills container `a` because of its `probe`.
    pub(super) fn killing(&self, pod: &Killed, probe: &str, at: Timestamp) -> Value {
        json!({"metadata": {"name": format!("{}.{}", pod.name, at.as_second())},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "namespace": self.scene.ns(),
                "uid": pod.uid, "fieldPath": "spec.containers{a}"},
            "reason": "Killing", "message": format!("Container a failed {probe} probe, will be restarted"), "type": "Normal",
            "source": {"component": "kubelet", "host": "node"}, "firstTimestamp": at, "lastTimestamp": at, "count": 1})
    }

    /// Container `a` is healthy.
    pub async fn healthy(&self, pod: &Killed) {
        let since = Timestamp::now() - SignedDuration::from_mins(10);
        self.container_status(
            pod,
            json!({"ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": since}}}),
            json!([]),
        )
        .await;
    }

    /// Status of container `a`, and conditions of the pod.
    pub(super) async fn container_status(&self, pod: &Killed, fields: Value, conditions: Value) {
        let mut container = json!({"name": "a", "image": "none", "imageID": "x"});
        for (key, value) in fields.as_object().into_iter().flatten() {
            container[key] = value.clone();
        }
        let status = json!({"status": {"phase": "Running", "containerStatuses": [container],
            "conditions": conditions}});
        let api = self.scene.api::<Pod>();
        let params = PatchParams::default();
        api.patch_status(&pod.name, &params, &Patch::Merge(status))
            .await
            .expect("a status");
    }
}

/// An HTTP GET without anything between; the whole answer.
///
/// # Errors
/// When nobody answers.
pub async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
