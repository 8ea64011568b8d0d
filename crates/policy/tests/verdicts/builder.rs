//! A pod with one container, built step by step.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Pod};
use probepilot_policy::{Confidence, Diagnosis, PodView, Subject, Verdict, diagnose};
use serde_json::{Value, json};

/// Name of the container.
pub const NAME: &str = "manager";
/// What a probe gets where nobody listens.
pub const REFUSED: &str =
    "Get \"http://10.0.0.1:8081/healthz\": dial tcp 10.0.0.1:8081: connect: connection refused";
/// What a probe gets where the socket is open and silent.
pub const SILENT: &str = "Get \"http://10.0.0.1:8081/healthz\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
/// When its last run ended, in seconds.
const END: i64 = 1_800_000_000;

/// A moment relative to the end of the last run, as the API writes it.
fn at(seconds: i64) -> String {
    Timestamp::from_second(END + seconds).unwrap().to_string()
}

/// A pod and its events.
#[derive(Clone, Debug)]
pub struct Scene {
    container: Value,
    status: Value,
    pod_status: Value,
    events: Vec<Value>,
    length: i64,
    earlier_runs: Vec<SignedDuration>,
    ours: bool,
    deleting: bool,
}

fn http(path: &str, port: i64, [d, p, t, f]: [u32; 4]) -> Value {
    json!({
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "initialDelaySeconds": d, "periodSeconds": p, "timeoutSeconds": t, "failureThreshold": f,
    })
}

/// A container under the chart's liveness of 30/10/10/2 with a readiness probe, created and no more.
/// A kill during its start comes after 40 s at the earliest and ends it by 72 s.
pub fn container() -> Scene {
    Scene {
        container: json!({
            "name": NAME, "image": "example.com/manager:v1",
            "livenessProbe": http("/healthz", 8081, [30, 10, 10, 2]),
            "readinessProbe": http("/readyz", 8081, [10, 10, 10, 2]),
        }),
        status: json!({"name": NAME, "image": "", "imageID": "", "ready": false, "restartCount": 0}),
        pod_status: json!({}),
        events: Vec::new(),
        length: 0,
        earlier_runs: Vec::new(),
        ours: false,
        deleting: false,
    }
}

/// A container that ran so long, ended so, and waits in CrashLoopBackOff after one restart.
pub fn lived(length: i64, exit_code: i32, reason: &str) -> Scene {
    let mut scene = container();
    scene.length = length;
    scene.status["restartCount"] = json!(1);
    scene.status["lastState"] = json!({"terminated": {
        "exitCode": exit_code, "reason": reason, "startedAt": at(-length), "finishedAt": at(0),
    }});
    scene.waiting(
        "CrashLoopBackOff",
        "back-off 10s restarting failed container",
    )
}

impl Scene {
    pub fn liveness(mut self, timings: [u32; 4]) -> Self {
        self.container["livenessProbe"] = http("/healthz", 8081, timings);
        self
    }

    pub fn startup(mut self, timings: [u32; 4]) -> Self {
        self.container["startupProbe"] = http("/healthz", 8081, timings);
        self
    }

    pub fn startup_asks(mut self, path: &str) -> Self {
        self.container["startupProbe"]["httpGet"]["path"] = json!(path);
        self
    }

    pub fn without(mut self, probe: &str) -> Self {
        self.container.as_object_mut().unwrap().remove(probe);
        self
    }

    pub fn readiness_port(mut self, port: i64) -> Self {
        self.container["readinessProbe"]["httpGet"]["port"] = json!(port);
        self
    }

    pub fn image(mut self, image: &str) -> Self {
        self.container["image"] = json!(image);
        self
    }

    pub fn memory_limit(mut self, limit: &str) -> Self {
        self.container["resources"] = json!({"limits": {"memory": limit}});
        self
    }

    /// The startup probe was added by the operator.
    pub fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    pub fn said(mut self, words: &str) -> Self {
        self.status["lastState"]["terminated"]["message"] = json!(words);
        self
    }

    pub fn restarts(mut self, count: i32) -> Self {
        self.status["restartCount"] = json!(count);
        self
    }

    pub fn waiting(mut self, reason: &str, message: &str) -> Self {
        self.status["state"] = json!({"waiting": {"reason": reason, "message": message}});
        self
    }

    pub fn running(mut self, started: bool, ready: bool) -> Self {
        self.status["state"] = json!({"running": {"startedAt": at(0)}});
        self.status["started"] = json!(started);
        self.status["ready"] = json!(ready);
        self
    }

    /// It has ended and was not started again.
    pub fn over(mut self) -> Self {
        let last = self.status.as_object_mut().unwrap().remove("lastState");
        self.status["state"] = last.unwrap();
        self.status["restartCount"] = json!(0);
        self
    }

    pub fn deleting(mut self) -> Self {
        self.deleting = true;
        self
    }

    pub fn earlier_runs(mut self, seconds: &[i64]) -> Self {
        self.earlier_runs = seconds
            .iter()
            .map(|s| SignedDuration::from_secs(*s))
            .collect();
        self
    }

    /// ContainersReady turned to False so many seconds before the end.
    pub fn unready_before_end(mut self, seconds: i64) -> Self {
        self.pod_status["conditions"] = json!([{
            "type": "ContainersReady", "status": "False", "lastTransitionTime": at(-seconds),
        }]);
        self
    }

    pub fn pod_ended(mut self, reason: &str, message: &str) -> Self {
        self.pod_status["reason"] = json!(reason);
        self.pod_status["message"] = json!(message);
        self
    }

    pub fn unscheduled(mut self, message: &str) -> Self {
        self.pod_status["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        }]);
        self.status = Value::Null;
        self
    }

    pub fn no_status(mut self) -> Self {
        self.status = Value::Null;
        self
    }

    /// An event, first and last seen so many seconds before the end.
    pub fn event(mut self, reason: &str, message: &str, first: i64, last: i64) -> Self {
        let normal = ["Killing", "Pulled", "Created", "Started"].contains(&reason);
        self.events.push(json!({
            "metadata": {"name": format!("e{}", self.events.len()), "namespace": "team"},
            "type": if normal { "Normal" } else { "Warning" }, "reason": reason, "message": message,
            "involvedObject": {"kind": "Pod", "name": "p", "uid": "u", "fieldPath": format!("spec.containers{{{NAME}}}")},
            "source": {"component": "kubelet"},
            "firstTimestamp": at(-first), "lastTimestamp": at(-last), "count": if first == last { 1 } else { 5 },
        }));
        self
    }

    /// The Killing event of this probe, so many seconds before the end.
    pub fn killed_by(self, probe: &str, before_end: i64) -> Self {
        let message = format!("Container {NAME} failed {probe} probe, will be restarted");
        self.event("Killing", &message, before_end, before_end)
    }

    /// Failed attempts through the whole life.
    pub fn unhealthy(self, probe: &str, output: &str) -> Self {
        let length = self.length;
        let message = format!("{probe} probe failed: {output}");
        self.event("Unhealthy", &message, length, 1)
    }

    pub fn pod(&self) -> Pod {
        let mut pod = json!({
            "metadata": {"name": "p", "namespace": "team", "uid": "u"},
            "spec": {"containers": [self.container], "terminationGracePeriodSeconds": 10},
            "status": self.pod_status,
        });
        if !self.status.is_null() {
            pod["status"]["containerStatuses"] = json!([self.status]);
        }
        if self.deleting {
            pod["metadata"]["deletionTimestamp"] = json!(at(0));
        }
        serde_json::from_value(pod).unwrap()
    }

    pub fn view(&self) -> PodView {
        let mut pod = PodView::project(&self.pod());
        let events: Vec<Event> = self
            .events
            .iter()
            .map(|event| serde_json::from_value(event.clone()).unwrap())
            .collect();
        pod.hear(&events);
        let view = pod.containers.get_mut(NAME).unwrap();
        view.earlier_runs.clone_from(&self.earlier_runs);
        view.startup_is_ours = self.ours;
        pod
    }

    /// The diagnosis 100 s after the end, and its sentences.
    pub fn diagnose(&self) -> (Diagnosis, Vec<String>) {
        self.diagnose_after(100)
    }

    /// The same so many seconds after the end.
    pub fn diagnose_after(&self, seconds: i64) -> (Diagnosis, Vec<String>) {
        let pod = self.view();
        let subject = Subject {
            pod: &pod,
            name: NAME,
            view: &pod.containers[NAME],
        };
        let diagnosis = diagnose(subject, Timestamp::from_second(END + seconds).unwrap());
        let evidence = diagnosis.evidence(subject);
        (diagnosis, evidence)
    }

    pub fn verdict(&self) -> (Verdict, Confidence) {
        let (diagnosis, _) = self.diagnose();
        (diagnosis.verdict(), diagnosis.confidence)
    }
}

/// One line of a table: what is expected, and words that the evidence must hold.
pub type Case = (&'static str, Scene, Verdict, Confidence, &'static str);

/// Checks a table.
#[track_caller]
pub fn check(cases: &[Case]) {
    for (name, scene, verdict, confidence, words) in cases {
        let (diagnosis, evidence) = scene.diagnose();
        let found = (diagnosis.verdict(), diagnosis.confidence);
        assert_eq!(found, (*verdict, *confidence), "{name}: {evidence:#?}");
        let text = evidence.join("\n");
        assert!(
            text.contains(words),
            "{name}: no {words:?} in {evidence:#?}"
        );
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{name}");
    }
}
