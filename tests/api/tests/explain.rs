//! `probepilot explain` against a real cluster: containers that a real kubelet kills, asked online, from a file and through kubectl.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Api;
use kube::api::ListParams;
use probepilot_test_api::Scene;
use probepilot_test_api::program::program;
use probepilot_test_cluster::BUSYBOX;
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::{Value, json};

/// A container runs on until it is told to stop.
const RUNS_ON: &str = "trap 'exit 1' TERM; while :; do /bin/busybox sleep 0.2; done";
/// A web server that knows one path, on one port.
const SERVES: &str = "/bin/busybox mkdir -p /tmp/w; echo ok > /tmp/w/healthz; exec /bin/busybox httpd -f -p 8080 -h /tmp/w";

/// A Deployment of one container with these fields.
fn deployment(name: &str, script: &str, fields: &Value) -> Value {
    let mut container = json!({
        "name": "web", "image": BUSYBOX, "imagePullPolicy": "Never",
        "command": ["/bin/busybox", "sh", "-c", script], "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    for (field, value) in fields.as_object().unwrap() {
        container[field] = value.clone();
    }
    json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 2},
            },
        },
    })
}

/// Kills after some 22 s, so that for as long after a kill its event is the newest.
fn liveness(path: &str) -> Value {
    json!({"livenessProbe": {
        "httpGet": {"path": path, "port": 8080}, "initialDelaySeconds": 20, "periodSeconds": 1, "failureThreshold": 2,
    }})
}

/// Runs the command to its end; what it printed.
fn output(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Verdict and confidence of each pod's container, by the label of its Deployment.
fn verdicts(printed: &str) -> BTreeMap<String, (String, String)> {
    let entries: Vec<Value> = serde_json::from_str(printed).expect(printed);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    entries
        .iter()
        .map(|entry| {
            let pod = text(&entry["pod"]);
            let (name, _) = pod
                .rsplit_once('-')
                .and_then(|(rest, _)| rest.rsplit_once('-'))
                .unwrap();
            (
                name.to_owned(),
                (text(&entry["verdict"]), text(&entry["confidence"])),
            )
        })
        .collect()
}

/// Waits until each of these Deployments has a pod that restarted and whose kill an event tells of,
/// and the others are ready.
async fn settled(scene: &Scene, killed: &[&str], ready: &[&str], stuck: &[&str]) {
    let pods: Api<Pod> = scene.api();
    let events: Api<Event> = scene.api();
    let look = || async {
        let mut missing = Vec::new();
        let kills = events
            .list(&ListParams::default().fields("reason=Killing"))
            .await?;
        let pods = pods.list(&ListParams::default()).await?;
        for name in killed.iter().chain(ready).chain(stuck) {
            let status = pods.items.iter().find_map(|pod| {
                let app = pod.metadata.labels.as_ref()?.get("app")?;
                let status = pod.status.as_ref()?.container_statuses.as_ref()?.first()?;
                (app == name).then_some((pod, status))
            });
            let done = status.is_some_and(|(pod, status)| {
                let told = kills
                    .items
                    .iter()
                    .any(|event| event.involved_object.uid == pod.metadata.uid);
                let waits = status
                    .state
                    .as_ref()
                    .is_some_and(|state| state.waiting.is_some());
                if killed.contains(name) {
                    status.restart_count >= 1 && told
                } else if ready.contains(name) {
                    status.ready
                } else {
                    waits
                        && status.state.as_ref().is_some_and(|state| {
                            state.waiting.as_ref().unwrap().reason.as_deref()
                                == Some("CreateContainerConfigError")
                        })
                }
            });
            if !done {
                missing.push(*name);
            }
        }
        Ok::<_, kube::Error>(if missing.is_empty() {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{missing:?}"))
        })
    };
    wait::until("the containers to be killed", Duration::from_mins(2), look)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_kubelets_kills_are_explained_online_from_a_file_and_through_kubectl() {
    let scene = Scene::new("explain").await;
    let missing = json!({"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "missing", "key": "x"}}}]});
    let well = json!({"readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}});
    let cases = [
        (
            deployment("slow", RUNS_ON, &liveness("/healthz")),
            "StartupKill",
        ),
        (
            deployment("lost", SERVES, &liveness("/nowhere")),
            "ProbeNeverSucceeds",
        ),
        (deployment("config", RUNS_ON, &missing), "NotStarted"),
        (deployment("well", SERVES, &well), "Healthy"),
    ];
    let mut expected = BTreeMap::new();
    for (object, verdict) in cases {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        scene.create::<Deployment>(object).await;
        expected.insert(name, (verdict.to_owned(), "Proven".to_owned()));
    }
    settled(&scene, &["slow", "lost"], &["well"], &["config"]).await;

    let program = program().await;
    let kubeconfig = scene.cluster.kubeconfig();
    let explain = |target: &str| {
        let mut command = Command::new(&program);
        command
            .args([
                "explain",
                "-o",
                "json",
                "-n",
                scene.ns(),
                target,
                "--kubeconfig",
            ])
            .arg(kubeconfig);
        output(&mut command, "")
    };
    for (name, verdict) in &expected {
        let printed = explain(&format!("deployment/{name}"));
        let expected = BTreeMap::from([(name.clone(), verdict.clone())]);
        assert_eq!(verdicts(&printed), expected, "{printed}");
    }

    // One pod, by its name.
    let pods: Api<Pod> = scene.api();
    let slow = pods
        .list(&ListParams::default().labels("app=slow"))
        .await
        .unwrap();
    let name = slow.items[0].metadata.name.clone().unwrap();
    let found = verdicts(&explain(&format!("pod/{name}")));
    assert_eq!(found["slow"], expected["slow"]);

    // What kubectl prints, as a support bundle has it.
    let kubectl = scene.cluster.kubectl().unwrap();
    for form in ["json", "yaml"] {
        let seen = kubectl
            .run([
                "get",
                "pods,events,deployments",
                "-n",
                scene.ns(),
                "-o",
                form,
            ])
            .await
            .unwrap();
        let mut command = Command::new(&program);
        command.args(["explain", "-o", "json", "-f", "-"]);
        let printed = output(&mut command, &seen);
        assert_eq!(verdicts(&printed), expected, "{form}: {printed}");
    }

    // As a plugin: kubectl finds it by its name on the PATH.
    let folder = std::env::temp_dir().join(scene.ns());
    std::fs::create_dir(&folder).unwrap();
    let link = folder.join("kubectl-probepilot");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    let mut command = Command::new(kubectl.command().get_program());
    command
        .args(["probepilot", "explain", "-n", scene.ns(), "deployment/slow"])
        .env("PATH", &folder)
        .env("KUBECONFIG", kubeconfig);
    let text = output(&mut command, "");
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        text.starts_with("StartupKill (Proven): container web of pod slow-"),
        "{text}"
    );
    assert!(text.contains("startup-budget"), "{text}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let scene = Scene::new("explain-none").await;
    let ran = Command::new(program().await)
        .args([
            "explain",
            "-n",
            scene.ns(),
            "deployment/nobody",
            "--kubeconfig",
        ])
        .arg(scene.cluster.kubeconfig())
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let said = String::from_utf8(ran.stderr).unwrap();
    let expected = format!(
        "error: there is no deployment/nobody in namespace {}\n",
        scene.ns()
    );
    assert_eq!(said, expected);
    scene.end().await;
}
