//! What new pods get, and which pods get nothing: a table of pods, each as a server-side dry run makes it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use probepilot_api::{ADMITTED_ANNOTATION, ProbePair, ProbePolicy, ProbeTimings};
use probepilot_test_api::stage::{Stage, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

/// What the policies desire.
fn desired() -> ProbePair {
    ProbePair {
        startup_probe: Some(ProbeTimings {
            initial_delay_seconds: Some(0),
            period_seconds: Some(7),
            timeout_seconds: Some(4),
            failure_threshold: Some(13),
        }),
        liveness_probe: None,
    }
}

/// A rung's: longer in two timings, shorter in one than what pods have.
fn rung() -> ProbePair {
    ProbePair {
        startup_probe: None,
        liveness_probe: Some(ProbeTimings {
            initial_delay_seconds: Some(60),
            period_seconds: Some(2),
            timeout_seconds: None,
            failure_threshold: Some(6),
        }),
    }
}

/// `kind/name` of a policy's target, and what is different of its spec and status.
struct Made<'a> {
    name: &'a str,
    kind: &'a str,
    target: String,
    container: &'a str,
    spec: Value,
    status: Value,
}

impl<'a> Made<'a> {
    fn new(name: &'a str, kind: &'a str) -> Self {
        Self {
            name,
            kind,
            target: name.to_owned(),
            container: "a",
            spec: json!({}),
            status: json!({"desired": desired()}),
        }
    }

    async fn create(self, stage: &Stage) {
        let mut fields = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": self.kind, "name": self.target},
            "apply": {"delivery": "Admission"}, "rules": [],
        });
        merge(&mut fields, &self.spec);
        let policy = stage.policy(self.name, &self.target, fields);
        stage.create_policy(policy).await;
        let target = format!("{}/{}", self.kind.to_lowercase(), self.target);
        let mut status = json!({"target": target, "container": self.container});
        merge(&mut status, &self.status);
        let api = stage.scene.api::<ProbePolicy>();
        let patch = Patch::Merge(json!({"status": status}));
        api.patch_status(self.name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

fn merge(base: &mut Value, over: &Value) {
    for (key, value) in over.as_object().unwrap() {
        base[key] = value.clone();
    }
}

fn liveness(handler: &Value) -> Value {
    let mut probe = json!({"initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 10,
        "failureThreshold": 2, "successThreshold": 1, "terminationGracePeriodSeconds": 5});
    merge(&mut probe, handler);
    probe
}

fn http() -> Value {
    json!({"httpGet": {"path": "/healthz", "port": 80, "scheme": "HTTP"}})
}

/// A pod of that workload, with these probes in container `a`.
fn pod((kind, name): (&str, &str), probes: &Value) -> Value {
    let mut container = json!({"name": "a", "image": "none"});
    merge(&mut container, probes);
    json!({
        "metadata": {"generateName": "pod-", "labels": {"pod-template-hash": "5f6d8c9b7"}, "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "1", "controller": true}]},
        "spec": {"containers": [{"name": "side", "image": "none", "livenessProbe": liveness(&http())}, container]},
    })
}

async fn dry_run(stage: &Stage, pod: &Value) -> Value {
    let params = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
    let made = stage.scene.api::<Pod>().create(&params, &pod).await;
    serde_json::to_value(made.unwrap()).unwrap()
}

/// Probes of container `a`, and what the pod says of them.
fn of(made: &Value) -> (Value, Value, Value) {
    let container = &made["spec"]["containers"][1];
    let said = &made["metadata"]["annotations"][ADMITTED_ANNOTATION];
    (
        container["startupProbe"].clone(),
        container["livenessProbe"].clone(),
        said.clone(),
    )
}

/// The startup probe that belongs to a liveness probe.
fn startup(liveness: &Value) -> Value {
    let mut probe = liveness.clone();
    // The API server leaves a delay of 0 out.
    probe.as_object_mut().unwrap().remove("initialDelaySeconds");
    merge(
        &mut probe,
        &json!({"periodSeconds": 7, "timeoutSeconds": 4, "failureThreshold": 13}),
    );
    probe
}

pub async fn by_the_table() {
    let stage = Stage::new("given").await;
    let long = "d".repeat(253);
    policies(&stage, &long).await;
    // The policies made last are the ones seen last.
    let probes = json!({"livenessProbe": liveness(&http())});
    let last = pod(("DaemonSet", "last"), &probes);
    until("the policies to be seen", || async {
        let (startup, ..) = of(&dry_run(&stage, &last).await);
        Ok::<_, std::convert::Infallible>(if startup.is_null() {
            Seen::NotYet("no startup probe".to_owned())
        } else {
            Seen::Done(())
        })
    })
    .await;
    every_handler(&stage).await;
    every_owner(&stage, &long).await;
    nobody_else(&stage).await;
    beside_what_is_there(&stage).await;
    stage.end().await;
}

async fn policies(stage: &Stage, long: &str) {
    let ds = |name| Made::new(name, "DaemonSet");
    let made = vec![
        Made::new("web", "Deployment"),
        Made {
            target: long.to_owned(),
            ..Made::new("long", "Deployment")
        },
        Made::new("db", "StatefulSet"),
        ds("agent"),
        Made {
            status: json!({"desired": rung()}),
            ..ds("rung")
        },
        Made {
            target: "both".to_owned(),
            ..ds("both-a")
        },
        Made {
            target: "both".to_owned(),
            container: "side",
            ..ds("both-side")
        },
        Made {
            spec: json!({"mode": "Observe"}),
            ..ds("observe")
        },
        Made {
            spec: json!({"apply": {"delivery": "Template"}}),
            ..ds("template")
        },
        Made {
            status: json!({"desired": {}}),
            ..ds("nothing")
        },
        Made {
            status: json!({}),
            ..ds("undecided")
        },
        Made {
            status: json!({"desired": desired(), "target": "daemonset/another"}),
            ..ds("retargeted")
        },
        Made {
            spec: json!({"containerName": "side"}),
            ..ds("renamed")
        },
        ds("last"),
    ];
    for one in made {
        one.create(stage).await;
    }
}

async fn every_handler(stage: &Stage) {
    let handlers = [
        json!({"httpGet": {"path": "/healthz", "port": "health", "scheme": "HTTPS", "host": "127.0.0.1",
            "httpHeaders": [{"name": "Host", "value": "a"}, {"name": "X", "value": "b"}]}}),
        json!({"exec": {"command": ["sh", "-c", "true"]}}),
        json!({"grpc": {"port": 9000, "service": "health"}}),
        json!({"tcpSocket": {"port": 80, "host": "localhost"}}),
    ];
    for handler in handlers {
        let own = liveness(&handler);
        let made = dry_run(
            stage,
            &pod(("DaemonSet", "agent"), &json!({"livenessProbe": own})),
        )
        .await;
        let said = json!(format!("agent:{}", desired().revision()));
        assert_eq!(of(&made), (startup(&own), own, said), "{handler}");
        let side = &made["spec"]["containers"][0];
        assert_eq!(side.get("startupProbe"), None, "the other container");
    }
}

async fn every_owner(stage: &Stage, long: &str) {
    let cut = format!("{}-5f6d8c9b7", &long[..243]);
    let owners = [
        ("web", "ReplicaSet", "web-5f6d8c9b7"),
        ("long", "ReplicaSet", cut.as_str()),
        ("db", "StatefulSet", "db"),
        ("agent", "DaemonSet", "agent"),
    ];
    let own = liveness(&http());
    for (policy, kind, name) in owners {
        let made = dry_run(stage, &pod((kind, name), &json!({"livenessProbe": own}))).await;
        let said = json!(format!("{policy}:{}", desired().revision()));
        assert_eq!(
            of(&made),
            (startup(&own), own.clone(), said),
            "{kind} {name}"
        );
    }
}

async fn nobody_else(stage: &Stage) {
    let own = liveness(&http());
    let probes = json!({"livenessProbe": own});
    let agent = || pod(("DaemonSet", "agent"), &probes);
    let web = || pod(("ReplicaSet", "web-5f6d8c9b7"), &probes);
    let with = |mut pod: Value, pointer: &str, value: Value| {
        *pod.pointer_mut(pointer).unwrap() = value;
        pod
    };
    let owner = "/metadata/ownerReferences/0";
    let mut both = own.clone();
    both["failureThreshold"] = json!(3);
    let guarded = json!({"livenessProbe": own, "startupProbe": both});
    let mut others = vec![
        (
            "no owner",
            with(agent(), "/metadata/ownerReferences", json!([])),
        ),
        ("another name", pod(("DaemonSet", "agent2"), &probes)),
        ("another kind", pod(("StatefulSet", "agent"), &probes)),
        (
            "another API",
            with(
                agent(),
                &format!("{owner}/apiVersion"),
                json!("example.com/v1"),
            ),
        ),
        (
            "not its controller",
            with(agent(), &format!("{owner}/controller"), json!(false)),
        ),
        (
            "another hash",
            with(web(), "/metadata/labels", json!({"pod-template-hash": "x"})),
        ),
        ("no hash", with(web(), "/metadata/labels", json!({}))),
        (
            "a ReplicaSet of its own",
            pod(("ReplicaSet", "web"), &probes),
        ),
        (
            "another container",
            with(agent(), "/spec/containers/1/name", json!("b")),
        ),
        ("no liveness probe", pod(("DaemonSet", "agent"), &json!({}))),
        (
            "an owner's startup probe",
            pod(("DaemonSet", "agent"), &guarded),
        ),
        (
            "another startup probe beside a rung",
            pod(("DaemonSet", "rung"), &guarded),
        ),
    ];
    for policy in [
        "observe",
        "template",
        "nothing",
        "undecided",
        "retargeted",
        "renamed",
    ] {
        others.push((policy, pod(("DaemonSet", policy), &probes)));
    }
    for (name, pod) in others {
        let made = dry_run(stage, &pod).await;
        let container = &pod["spec"]["containers"][1];
        let before = (
            container["startupProbe"].clone(),
            container["livenessProbe"].clone(),
        );
        assert_eq!(of(&made), (before.0, before.1, Value::Null), "{name}");
    }
}

async fn beside_what_is_there(stage: &Stage) {
    let own = liveness(&http());
    let made = dry_run(
        stage,
        &pod(("DaemonSet", "rung"), &json!({"livenessProbe": own})),
    )
    .await;
    let mut longer = own.clone();
    merge(
        &mut longer,
        &json!({"initialDelaySeconds": 60, "failureThreshold": 6}),
    );
    let said = json!("rung:l60.2.-.6");
    assert_eq!(
        of(&made),
        (Value::Null, longer, said),
        "never shorter than the owner"
    );

    let mut two = pod(("DaemonSet", "both"), &json!({"livenessProbe": own}));
    two["metadata"]["annotations"] = json!({"mine": "kept"});
    let made = dry_run(stage, &two).await;
    let annotations = made["metadata"]["annotations"].as_object().unwrap();
    let mut said: Vec<_> = annotations[ADMITTED_ANNOTATION]
        .as_str()
        .unwrap()
        .split(',')
        .collect();
    said.sort_unstable();
    let revision = desired().revision();
    let each = ["both-a", "both-side"].map(|policy| format!("{policy}:{revision}"));
    assert_eq!(
        (said, &annotations["mine"]),
        (each.iter().map(String::as_str).collect(), &json!("kept"))
    );
    for container in made["spec"]["containers"].as_array().unwrap() {
        assert_eq!(
            container["startupProbe"],
            startup(&container["livenessProbe"])
        );
    }
}
