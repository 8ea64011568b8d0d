//! Edits of containers and their probes that are refused.

use serde_json::json;

use super::{
    CONTAINER, DEPLOYMENT, Forbidden, LIVENESS, OWNERS_STARTUP, STARTUP, WORKLOADS, bare, own,
    remove, web,
};

pub const FORBIDDEN: &[Forbidden] = &[
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
];
