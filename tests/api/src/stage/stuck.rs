//! Pods that keep the probes that killed them because no rollout replaces them, under the real controllers of StatefulSets
//! and DaemonSets.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use super::{Killed, Stage, chart_liveness, until};

/// What their pods are made of: no node ever takes them, so that their status is the test's own.
fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "schedulingGates": [{"name": "probepilot.test/never"}],
            "terminationGracePeriodSeconds": 10,
            "containers": [{
                "name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz"),
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}},
            }],
        },
    })
}

/// The StatefulSet `web` of one pod with this updateStrategy.
#[must_use]
pub fn stateful(strategy: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1, "serviceName": "web", "updateStrategy": strategy,
            "selector": {"matchLabels": {"app": "web"}}, "template": template(),
        },
    })
}

/// The DaemonSet `web` with this updateStrategy, on nodes with this label.
#[must_use]
pub fn daemon(strategy: &Value, label: &str) -> Value {
    let mut template = template();
    template["spec"]["nodeSelector"] = json!({label: ""});
    template["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "web"},
        "spec": {
            "updateStrategy": strategy,
            "selector": {"matchLabels": {"app": "web"}}, "template": template,
        },
    })
}

/// A pod's UID.
#[must_use]
pub fn uid(pod: &Pod) -> String {
    pod.uid().expect("a UID")
}

/// Startup threshold of a pod's container; 0 without a startup probe.
#[must_use]
pub fn threshold(pod: &Pod) -> i32 {
    let spec = pod.spec.as_ref().expect("a spec");
    let probe = spec.containers[0].startup_probe.as_ref();
    probe.and_then(|probe| probe.failure_threshold).unwrap_or(0)
}

impl Stage {
    /// `kubectl apply` of an object in this namespace.
    pub async fn applied(&self, object: &Value) {
        let applied = self.kubectl(&["apply", "-f", "-"], object).await;
        applied.expect("applied");
    }

    /// A policy for `web` of this kind whose rule asks for no more than the chart's 40 s: only kills ask for more.
    #[must_use]
    pub fn only_kills(&self, kind: &str) -> Value {
        self.policy(
            "web",
            "web",
            json!({
                "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"},
                "rules": [{"count": {"resource": "configmaps", "namespace": self.scene.ns()},
                    "steps": [{"atLeast": 0, "startupSeconds": 40}]}],
            }),
        )
    }

    /// The pod of that name, once there is one with another UID than this.
    pub async fn pod_after(&self, name: &str, besides: &str) -> Pod {
        let look = || async {
            let pod = self.scene.api::<Pod>().get_opt(name).await?;
            Ok::<_, kube::Error>(match pod {
                Some(pod) if pod.uid().as_deref() != Some(besides) => Seen::Done(pod),
                other => Seen::NotYet(format!("{:?}", other.map(|pod| pod.uid()))),
            })
        };
        until(&format!("the pod {name}"), look).await
    }

    /// The pod runs, and is ready or not since.
    ///
    /// # Errors
    /// When the pod is gone.
    pub async fn runs(&self, pod: &Pod, ready: bool) -> Result<Pod, kube::Error> {
        let since = Timestamp::now() - SignedDuration::from_secs(1);
        let is = if ready { "True" } else { "False" };
        let condition =
            |kind: &str| json!({"type": kind, "status": is, "lastTransitionTime": since});
        let status = json!({"status": {
            "phase": "Running", "startTime": since,
            "conditions": [condition("ContainersReady"), condition("Ready")],
            "containerStatuses": [{"name": "a", "image": "none", "imageID": "x", "ready": ready, "started": ready,
                "restartCount": 0, "state": {"running": {"startedAt": since}}}],
        }});
        let api = self.scene.api::<Pod>();
        let (name, params) = (pod.name_any(), PatchParams::default());
        api.patch_status(&name, &params, &Patch::Merge(status))
            .await
    }

    /// The kubelet kills the pod's first life of 57 s; `was_ready`: long after it had been ready.
    pub async fn kill_first_life(&self, pod: &Pod, was_ready: bool) {
        let second = |ago: i64| {
            let now = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
            now - SignedDuration::from_secs(ago)
        };
        let (taken, started, finished) = (second(60), second(57), second(0));
        let turned = if was_ready { finished } else { taken };
        let killed = Killed {
            name: pod.name_any(),
            uid: uid(pod),
        };
        let event = self.killing(&killed, "liveness", finished);
        self.scene.create::<Event>(event).await;
        let status = json!({"status": {
            "phase": "Running", "startTime": taken,
            "conditions": [{"type": "ContainersReady", "status": "False", "lastTransitionTime": turned}],
            "containerStatuses": [{"name": "a", "image": "none", "imageID": "x", "ready": false, "started": true,
                "restartCount": 1, "state": {"running": {"startedAt": finished}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished}}}],
        }});
        let api = self.scene.api::<Pod>();
        api.patch_status(&killed.name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .expect("a status");
    }
}
