//! Edits of pods, workloads and policies around the containers that are refused.

use serde_json::json;

use super::{
    ANNOTATIONS, CONTAINERS, DAEMON_SET, DEPLOYMENT, Forbidden, METADATA, OWN_POLICY, POD, POLICY,
    SPEC, STATEFUL_SET, TEMPLATE, WORKLOADS, bare, pod, remove,
};

pub const FORBIDDEN: &[Forbidden] = &[
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
