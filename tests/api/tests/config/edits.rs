//! What the operator's account may and may not change: tables of edits.

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
pub const FORBIDDEN: &[(&str, &[&str], Edit, &str)] = &[
    (
        "image",
        WORKLOADS,
        |o| web(o)["image"] = json!("other:1"),
        CONTAINER,
    ),
    (
        "command",
        WORKLOADS,
        |o| web(o)["command"] = json!(["sh"]),
        CONTAINER,
    ),
    (
        "args",
        WORKLOADS,
        |o| web(o)["args"] = json!(["--debug"]),
        CONTAINER,
    ),
    (
        "working directory",
        DEPLOYMENT,
        |o| web(o)["workingDir"] = json!("/tmp"),
        CONTAINER,
    ),
    (
        "a variable",
        WORKLOADS,
        |o| web(o)["env"][0]["value"] = json!("other"),
        CONTAINER,
    ),
    (
        "variables of a secret",
        DEPLOYMENT,
        |o| web(o)["envFrom"] = json!([{"secretRef": {"name": "s"}}]),
        CONTAINER,
    ),
    (
        "resources",
        WORKLOADS,
        |o| web(o)["resources"]["limits"]["cpu"] = json!("4"),
        CONTAINER,
    ),
    (
        "a mount",
        DEPLOYMENT,
        |o| web(o)["volumeMounts"] = json!([{"name": "data", "mountPath": "/x"}]),
        CONTAINER,
    ),
    (
        "privileged",
        WORKLOADS,
        |o| web(o)["securityContext"] = json!({"privileged": true}),
        CONTAINER,
    ),
    (
        "a hook",
        DEPLOYMENT,
        |o| web(o)["lifecycle"] = json!({"preStop": {"exec": {"command": ["sh"]}}}),
        CONTAINER,
    ),
    (
        "a port",
        DEPLOYMENT,
        |o| web(o)["ports"][0]["hostPort"] = json!(8080),
        CONTAINER,
    ),
    (
        "no ports",
        DEPLOYMENT,
        |o| remove(web(o), "ports"),
        CONTAINER,
    ),
    (
        "pull policy",
        DEPLOYMENT,
        |o| web(o)["imagePullPolicy"] = json!("Always"),
        CONTAINER,
    ),
    (
        "a terminal",
        DEPLOYMENT,
        |o| web(o)["tty"] = json!(true),
        CONTAINER,
    ),
    (
        "the image of a container without probes",
        DEPLOYMENT,
        |o| bare(o)["image"] = json!("other:1"),
        CONTAINER,
    ),
    (
        "readiness timing",
        WORKLOADS,
        |o| web(o)["readinessProbe"]["periodSeconds"] = json!(99),
        CONTAINER,
    ),
    (
        "no readiness probe",
        WORKLOADS,
        |o| remove(web(o), "readinessProbe"),
        CONTAINER,
    ),
    (
        "a readiness probe",
        DEPLOYMENT,
        |o| own(o)["readinessProbe"] = own(o)["livenessProbe"].clone(),
        CONTAINER,
    ),
    (
        "no liveness probe",
        WORKLOADS,
        |o| remove(web(o), "livenessProbe"),
        CONTAINER,
    ),
    (
        "liveness path",
        WORKLOADS,
        |o| web(o)["livenessProbe"]["httpGet"]["path"] = json!("/x"),
        LIVENESS,
    ),
    (
        "liveness port",
        DEPLOYMENT,
        |o| web(o)["livenessProbe"]["httpGet"]["port"] = json!(9),
        LIVENESS,
    ),
    (
        "liveness scheme",
        DEPLOYMENT,
        |o| web(o)["livenessProbe"]["httpGet"]["scheme"] = json!("HTTPS"),
        LIVENESS,
    ),
    (
        "liveness headers",
        DEPLOYMENT,
        |o| {
            web(o)["livenessProbe"]["httpGet"]["httpHeaders"] =
                json!([{"name": "a", "value": "b"}]);
        },
        LIVENESS,
    ),
    (
        "a host for liveness to ask",
        DEPLOYMENT,
        |o| web(o)["livenessProbe"]["httpGet"]["host"] = json!("10.0.0.1"),
        LIVENESS,
    ),
    (
        "liveness by another kind",
        WORKLOADS,
        |o| {
            remove(&mut web(o)["livenessProbe"], "httpGet");
            web(o)["livenessProbe"]["exec"] = json!({"command": ["sh"]});
        },
        LIVENESS,
    ),
    (
        "liveness grace",
        DEPLOYMENT,
        |o| web(o)["livenessProbe"]["terminationGracePeriodSeconds"] = json!(1),
        LIVENESS,
    ),
    (
        "a liveness probe",
        WORKLOADS,
        |o| bare(o)["livenessProbe"] = json!({"tcpSocket": {"port": 1}}),
        LIVENESS,
    ),
    (
        "a startup probe without liveness",
        DEPLOYMENT,
        |o| bare(o)["startupProbe"] = json!({"tcpSocket": {"port": 1}}),
        STARTUP,
    ),
    (
        "a startup probe that runs something",
        WORKLOADS,
        |o| web(o)["startupProbe"] = json!({"exec": {"command": ["sh"]}}),
        STARTUP,
    ),
    (
        "a startup probe of another path",
        WORKLOADS,
        |o| {
            web(o)["startupProbe"] = web(o)["livenessProbe"].clone();
            web(o)["startupProbe"]["httpGet"]["path"] = json!("/x");
        },
        STARTUP,
    ),
    (
        "a startup probe with another grace",
        DEPLOYMENT,
        |o| {
            web(o)["startupProbe"] = web(o)["livenessProbe"].clone();
            web(o)["startupProbe"]["terminationGracePeriodSeconds"] = json!(1);
        },
        STARTUP,
    ),
    (
        "the handler of an owner's startup probe",
        WORKLOADS,
        |o| own(o)["startupProbe"]["exec"]["command"] = json!(["sh"]),
        STARTUP,
    ),
    (
        "no startup probe of an owner's",
        WORKLOADS,
        |o| remove(own(o), "startupProbe"),
        OWNERS_STARTUP,
    ),
    (
        "another container",
        WORKLOADS,
        |o| {
            let mut container = bare(o).clone();
            container["name"] = json!("new");
            pod(o)["containers"].as_array_mut().unwrap().push(container);
        },
        CONTAINERS,
    ),
    (
        "one container less",
        WORKLOADS,
        |o| drop(pod(o)["containers"].as_array_mut().unwrap().pop()),
        CONTAINERS,
    ),
    (
        "another name",
        DEPLOYMENT,
        |o| bare(o)["name"] = json!("other"),
        CONTAINERS,
    ),
    (
        "another order",
        DEPLOYMENT,
        |o| pod(o)["containers"].as_array_mut().unwrap().reverse(),
        CONTAINERS,
    ),
    (
        "an init container",
        WORKLOADS,
        |o| pod(o)["initContainers"] = json!([{"name": "init", "image": "other:1"}]),
        POD,
    ),
    (
        "a volume",
        WORKLOADS,
        |o| pod(o)["volumes"][0] = json!({"name": "data", "hostPath": {"path": "/"}}),
        POD,
    ),
    (
        "the host's network",
        WORKLOADS,
        |o| pod(o)["hostNetwork"] = json!(true),
        POD,
    ),
    (
        "the host's processes",
        DEPLOYMENT,
        |o| pod(o)["hostPID"] = json!(true),
        POD,
    ),
    (
        "an account",
        WORKLOADS,
        |o| pod(o)["serviceAccountName"] = json!("admin"),
        POD,
    ),
    (
        "grace of the pod",
        DEPLOYMENT,
        |o| pod(o)["terminationGracePeriodSeconds"] = json!(1),
        POD,
    ),
    (
        "a node",
        DEPLOYMENT,
        |o| pod(o)["nodeName"] = json!("a"),
        POD,
    ),
    (
        "a node selector",
        DEPLOYMENT,
        |o| pod(o)["nodeSelector"] = json!({"a": "b"}),
        POD,
    ),
    (
        "a toleration",
        DEPLOYMENT,
        |o| pod(o)["tolerations"] = json!([{"operator": "Exists"}]),
        POD,
    ),
    (
        "a priority",
        DEPLOYMENT,
        |o| pod(o)["priorityClassName"] = json!("system-node-critical"),
        POD,
    ),
    (
        "a pull secret",
        DEPLOYMENT,
        |o| pod(o)["imagePullSecrets"] = json!([{"name": "s"}]),
        POD,
    ),
    (
        "the pod's security",
        DEPLOYMENT,
        |o| pod(o)["securityContext"] = json!({"runAsUser": 0}),
        POD,
    ),
    (
        "a label of pods",
        WORKLOADS,
        |o| o["spec"]["template"]["metadata"]["labels"]["a"] = json!("b"),
        TEMPLATE,
    ),
    (
        "an annotation of pods",
        WORKLOADS,
        |o| o["spec"]["template"]["metadata"]["annotations"] = json!({"a": "b"}),
        TEMPLATE,
    ),
    (
        "replicas",
        &["Deployment", "StatefulSet"],
        |o| o["spec"]["replicas"] = json!(3),
        SPEC,
    ),
    (
        "paused",
        DEPLOYMENT,
        |o| o["spec"]["paused"] = json!(true),
        SPEC,
    ),
    (
        "strategy",
        DEPLOYMENT,
        |o| o["spec"]["strategy"] = json!({"type": "Recreate"}),
        SPEC,
    ),
    (
        "progress deadline",
        DEPLOYMENT,
        |o| o["spec"]["progressDeadlineSeconds"] = json!(900),
        SPEC,
    ),
    (
        "history",
        WORKLOADS,
        |o| o["spec"]["revisionHistoryLimit"] = json!(0),
        SPEC,
    ),
    (
        "partition",
        STATEFUL_SET,
        |o| o["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = json!(1),
        SPEC,
    ),
    (
        "update strategy",
        DAEMON_SET,
        |o| o["spec"]["updateStrategy"] = json!({"type": "OnDelete"}),
        SPEC,
    ),
    (
        "a label",
        WORKLOADS,
        |o| o["metadata"]["labels"] = json!({"a": "b"}),
        METADATA,
    ),
    (
        "a finalizer",
        WORKLOADS,
        |o| o["metadata"]["finalizers"] = json!(["example.com/a"]),
        METADATA,
    ),
    (
        "an owner",
        WORKLOADS,
        |o| {
            o["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]);
        },
        METADATA,
    ),
    (
        "an annotation",
        WORKLOADS,
        |o| o["metadata"]["annotations"]["a"] = json!("b"),
        ANNOTATIONS,
    ),
    (
        "an annotation less",
        WORKLOADS,
        |o| remove(&mut o["metadata"]["annotations"], "example.com/owner"),
        ANNOTATIONS,
    ),
    (
        "the brake",
        WORKLOADS,
        |o| o["metadata"]["annotations"]["probepilot.dev/ignore"] = json!("false"),
        ANNOTATIONS,
    ),
    (
        "a policy's mode",
        POLICY,
        |o| o["spec"]["mode"] = json!("Enforce"),
        OWN_POLICY,
    ),
    (
        "a policy's target",
        POLICY,
        |o| o["spec"]["targetRef"]["name"] = json!("other"),
        OWN_POLICY,
    ),
    (
        "a policy's label",
        POLICY,
        |o| o["metadata"]["labels"] = json!({"a": "b"}),
        OWN_POLICY,
    ),
    (
        "a policy's annotation",
        POLICY,
        |o| o["metadata"]["annotations"] = json!({"probepilot.dev/retry": "now"}),
        OWN_POLICY,
    ),
    (
        "a policy's other finalizer",
        POLICY,
        |o| o["metadata"]["finalizers"] = json!(["example.com/a"]),
        OWN_POLICY,
    ),
];

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
