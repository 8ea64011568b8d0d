//! What the operator's account may and may not change: tables of edits.

mod containers;
mod elsewhere;

use serde_json::{Value, json};

/// A change of an object.
pub type Edit = fn(&mut Value);

/// The name of all objects that are edited.
pub const NAME: &str = "web";

const WORKLOADS: &[&str] = &["Deployment", "StatefulSet", "DaemonSet"];
const DEPLOYMENT: &[&str] = &["Deployment"];
const STATEFUL_SET: &[&str] = &["StatefulSet"];
const DAEMON_SET: &[&str] = &["DaemonSet"];
const POLICY: &[&str] = &["ProbePolicy"];

const METADATA: &str = "probepilot changes no labels, owners and finalizers";
const ANNOTATIONS: &str = "probepilot changes no annotations but its own";
const SPEC: &str = "probepilot changes nothing of a workload's spec but the template";
const TEMPLATE: &str = "probepilot changes no labels and annotations of pods";
const POD: &str = "probepilot changes nothing of a pod but its containers";
const CONTAINERS: &str = "probepilot adds, removes, renames and moves no container";
const CONTAINER: &str = "probepilot changes nothing of a container but its liveness and startup probe, and removes no liveness probe";
const LIVENESS: &str =
    "probepilot changes nothing of a liveness probe but its timings, and adds none";
const STARTUP: &str = "a startup probe of probepilot asks what the liveness probe asks";
const OWNERS_STARTUP: &str = "probepilot removes no startup probe of an owner's";
const OWN_POLICY: &str = "probepilot changes nothing of a policy but its own finalizer";

fn pod(object: &mut Value) -> &mut Value {
    &mut object["spec"]["template"]["spec"]
}

/// A liveness probe without a startup probe.
fn web(object: &mut Value) -> &mut Value {
    &mut pod(object)["containers"][0]
}

/// An owner's startup probe that asks something of its own.
fn own(object: &mut Value) -> &mut Value {
    &mut pod(object)["containers"][1]
}

/// A startup probe of the operator's whose liveness probe has changed since.
fn drifted(object: &mut Value) -> &mut Value {
    &mut pod(object)["containers"][2]
}

/// No probes.
fn bare(object: &mut Value) -> &mut Value {
    &mut pod(object)["containers"][3]
}

fn remove(object: &mut Value, key: &str) {
    let removed = object.as_object_mut().unwrap().remove(key);
    assert!(removed.is_some(), "{key} is there");
}

/// Name, kinds, edit and the answer's sentence.
pub type Forbidden = (&'static str, &'static [&'static str], Edit, &'static str);

/// What is refused.
pub fn forbidden() -> impl Iterator<Item = &'static Forbidden> {
    containers::FORBIDDEN.iter().chain(elsewhere::FORBIDDEN)
}

/// Name, kinds and edit.
pub const ALLOWED: &[(&str, &[&str], Edit)] = &[
    ("nothing", WORKLOADS, |_| ()),
    ("liveness timings", WORKLOADS, |o| {
        let liveness = &mut web(o)["livenessProbe"];
        liveness["initialDelaySeconds"] = json!(60);
        liveness["periodSeconds"] = json!(11);
        liveness["timeoutSeconds"] = json!(30);
        liveness["failureThreshold"] = json!(6);
    }),
    (
        "a startup probe that asks what liveness asks",
        WORKLOADS,
        |o| {
            web(o)["startupProbe"] = web(o)["livenessProbe"].clone();
            web(o)["startupProbe"]["initialDelaySeconds"] = json!(0);
            web(o)["startupProbe"]["failureThreshold"] = json!(60);
        },
    ),
    ("timings of an owner's startup probe", WORKLOADS, |o| {
        own(o)["startupProbe"]["failureThreshold"] = json!(60);
    }),
    ("our startup probe follows liveness", WORKLOADS, |o| {
        let liveness = drifted(o)["livenessProbe"].clone();
        drifted(o)["startupProbe"] = liveness;
    }),
    (
        "our startup probe goes, although liveness has changed",
        WORKLOADS,
        |o| remove(drifted(o), "startupProbe"),
    ),
    ("our annotation", WORKLOADS, |o| {
        o["metadata"]["annotations"]["probepilot.dev/baseline"] = json!("[]");
    }),
    ("our annotation goes", WORKLOADS, |o| {
        remove(&mut o["metadata"]["annotations"], "probepilot.dev/baseline");
    }),
    ("the command that takes kept probes away", WORKLOADS, |o| {
        o["metadata"]["annotations"]["probepilot.dev/kept"] = json!("kubectl ...");
    }),
    ("our finalizer", POLICY, |o| {
        o["metadata"]["finalizers"] = json!(["probepilot.dev/restore"]);
    }),
];

/// A workload of each kind and a policy.
pub fn objects(namespace: &str) -> Vec<(&'static str, Value)> {
    let mut objects: Vec<_> = WORKLOADS
        .iter()
        .map(|kind| (*kind, workload(namespace, kind)))
        .collect();
    let policy = json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    });
    objects.push(("ProbePolicy", policy));
    objects
}

fn workload(namespace: &str, kind: &str) -> Value {
    let http = |path| json!({"httpGet": {"path": path, "port": 8080, "httpHeaders": [{"name": "Host", "value": "web"}]}, "initialDelaySeconds": 30, "failureThreshold": 2});
    let record = r#"[{"container":"drifted","baseline":{"livenessProbe":{}},"written":{"startupProbe":{},"livenessProbe":{}}}]"#;
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind,
        "metadata": {
            "name": NAME, "namespace": namespace,
            "annotations": {"example.com/owner": "us", "probepilot.dev/baseline": record},
        },
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                // No node has this label, so no pod starts.
                "spec": {"nodeSelector": {"example.com/none": "true"}, "volumes": [{"name": "data", "emptyDir": {}}], "containers": [
                    {
                        "name": "web", "image": "example.com/web:1", "env": [{"name": "A", "value": "a"}],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "resources": {"limits": {"cpu": "1"}},
                        "livenessProbe": http("/healthz"), "readinessProbe": http("/readyz"),
                    },
                    {
                        "name": "own", "image": "example.com/own:1", "livenessProbe": http("/healthz"),
                        "startupProbe": {"exec": {"command": ["true"]}, "failureThreshold": 3},
                    },
                    {"name": "drifted", "image": "example.com/drifted:1", "livenessProbe": http("/new"), "startupProbe": http("/old")},
                    {"name": "bare", "image": "example.com/bare:1"},
                ]},
            },
        },
    });
    match kind {
        "DaemonSet" => {}
        "StatefulSet" => {
            workload["spec"]["replicas"] = json!(0);
            workload["spec"]["serviceName"] = json!("web");
        }
        _ => workload["spec"]["replicas"] = json!(0),
    }
    workload
}
