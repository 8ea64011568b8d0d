//! The shipped roles grant what the operator uses, and nothing else.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use kube::Api;
use probepilot_api::ProbePolicy;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, TestNamespace};
use probepilot_test_node::rights::{Used, granted, used};
use probepilot_test_node::story::{SYSTEM, Story, config_dir};
use serde_json::{Value, json};

/// A place in the API server's audit log.
pub struct AuditMark {
    log: PathBuf,
    at: u64,
}

impl AuditMark {
    /// Where the log ends now.
    pub fn now(cluster: &Cluster) -> Self {
        let log = cluster.audit_log();
        let at = fs::metadata(&log).map_or(0, |log| log.len());
        Self { log, at }
    }

    /// What the operator's service account asked for since.
    pub fn used(&self) -> Used {
        let mut file = fs::File::open(&self.log).unwrap();
        file.seek(SeekFrom::Start(self.at)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let account = format!("system:serviceaccount:{SYSTEM}:probepilot");
        used(&text, &account).unwrap()
    }
}

/// What the controllers of the story do not ask of the operator: other kinds of targets, and an event that is told twice.
pub async fn use_the_rest(story: &Story) {
    let namespace = TestNamespace::create(story.client(), "roles")
        .await
        .unwrap();
    for kind in ["StatefulSet", "DaemonSet", "Deployment"] {
        story.apply(&policy(namespace.name(), kind)).await.unwrap();
    }
    for kind in ["StatefulSet", "DaemonSet"] {
        story
            .apply(&workload(namespace.name(), kind))
            .await
            .unwrap();
        until(story, namespace.name(), kind, written).await;
    }
    // A pod that its probe kills, under OnDelete: nobody but the operator replaces it.
    story.apply(&stuck_policy(namespace.name())).await.unwrap();
    story.apply(&stuck(namespace.name())).await.unwrap();
    until(story, namespace.name(), "stuck", replaced).await;
    for _ in 0..2 {
        until(story, namespace.name(), "Deployment", missing).await;
        story
            .apply(&workload(namespace.name(), "Deployment"))
            .await
            .unwrap();
        until(story, namespace.name(), "Deployment", written).await;
        let delete = ["delete", "deployment", "web", "-n", namespace.name()];
        story.kubectl(&delete).await.unwrap();
    }
    until(story, namespace.name(), "Deployment", missing).await;
    namespace.delete().await.unwrap();
}

/// Holds the roles against the audit log, once no replica runs any more and all of its requests have ended.
pub async fn are_least(story: &Story, mark: AuditMark) {
    story.stop_operator().await.unwrap();
    let used = mark.used();
    assert_eq!(
        used.denied,
        Vec::<String>::new(),
        "rights that are missing in config/rbac"
    );
    let objects = shipped(story, &["default", "admission"]).await;
    let granted = granted(&objects).unwrap();
    assert!(!granted.is_empty(), "config/default has roles");
    let unused: Vec<_> = granted
        .difference(&used.allowed)
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        unused,
        Vec::<String>::new(),
        "rights in config/rbac that nothing used"
    );
}

/// The objects of these kustomizations of config/.
pub async fn shipped(story: &Story, kustomizations: &[&str]) -> Vec<Value> {
    let mut objects = Vec::new();
    for name in kustomizations {
        let kubectl = story.cluster().kubectl().unwrap();
        let more = kubectl.kustomize(&config_dir().join(name)).await;
        objects.extend(more.unwrap());
    }
    objects
}

/// The Deployment's policy has a finalizer, which goes with it as its target is missing in the end.
fn policy(namespace: &str, kind: &str) -> Value {
    let on_delete = if kind == "Deployment" {
        "Restore"
    } else {
        "Keep"
    };
    json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": kind.to_lowercase(), "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": "web"},
            "mode": "Enforce",
            "apply": {"onDelete": on_delete},
            "rules": [{"count": {"namespace": namespace}, "steps": [{"atLeast": 0, "startupSeconds": 60}]}],
            "behavior": {"raise": {"policy": "Always", "stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}},
        },
    })
}

/// A workload without pods that has a liveness probe.
fn workload(namespace: &str, kind: &str) -> Value {
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "nodeSelector": {"nowhere": "true"},
                    "containers": [{
                        "name": "web", "image": "probepilot.test/none:1",
                        "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
                    }],
                },
            },
        },
    });
    if kind != "DaemonSet" {
        workload["spec"]["replicas"] = json!(0);
    }
    if kind == "StatefulSet" {
        workload["spec"]["serviceName"] = json!("web");
    }
    workload
}

/// No rules: only a kill raises.
fn stuck_policy(namespace: &str) -> Value {
    json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": "stuck", "namespace": namespace},
        "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "stuck"},
            "mode": "Enforce",
        },
    })
}

/// One replica that starts more slowly than its liveness probe allows.
fn stuck(namespace: &str) -> Value {
    let start =
        "trap 'exit 1' TERM; /bin/busybox sleep 30 & wait $!; /bin/busybox sleep 3600 & wait $!";
    let asked = json!({"exec": {"command": ["/bin/busybox", "false"]}});
    let mut liveness = asked.clone();
    liveness["initialDelaySeconds"] = json!(3);
    liveness["periodSeconds"] = json!(2);
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "stuck", "namespace": namespace},
        "spec": {
            "replicas": 1, "serviceName": "stuck", "updateStrategy": {"type": "OnDelete"},
            "selector": {"matchLabels": {"app": "stuck"}},
            "template": {
                "metadata": {"labels": {"app": "stuck"}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "web", "image": "probepilot.test/busybox:1", "imagePullPolicy": "Never",
                        "command": ["/bin/busybox", "sh", "-c", start],
                        "livenessProbe": liveness, "readinessProbe": asked,
                    }],
                },
            },
        },
    })
}

fn replaced(policy: &ProbePolicy) -> bool {
    let memory = policy
        .status
        .as_ref()
        .and_then(|status| status.memory.as_ref());
    let handover = memory.and_then(|memory| memory.handover.as_ref());
    let replaced = handover.and_then(|handover| handover.replaced.as_ref());
    replaced.is_some_and(|replaced| replaced.told)
}

fn written(policy: &ProbePolicy) -> bool {
    let status = policy.status.as_ref();
    let budget = status.and_then(|status| status.startup.as_ref()?.budget_seconds);
    budget == Some(60)
}

fn missing(policy: &ProbePolicy) -> bool {
    let conditions = policy.status.iter().flat_map(|status| &status.conditions);
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "TargetFound" && condition.status == "False")
}

async fn until(story: &Story, namespace: &str, kind: &str, wanted: impl Fn(&ProbePolicy) -> bool) {
    let policies: Api<ProbePolicy> = Api::namespaced(story.client().clone(), namespace);
    let name = kind.to_lowercase();
    let look = || async {
        let policy = policies.get(&name).await?;
        Ok::<_, kube::Error>(if wanted(&policy) {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{:?}", policy.status))
        })
    };
    let what = format!("the policy for the {kind}");
    wait::until(what, Duration::from_mins(4), look)
        .await
        .unwrap();
}
