//! Objects of a real cluster (kubelet 1.36.3, containerd), as `kubectl get -o json` printed them;
//! unrelated fields are left out.

use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use probepilot_policy::{Confidence, PodView, Subject, Verdict, diagnose};
use serde_json::Value;

use Confidence::{Inferred, Proven};
use Verdict::{
    Healthy, LeaderLost, NotStarted, OutOfMemory, ProbeNeverSucceeds, StartupError, StartupKill,
    SteadyStateKill, SyncTimeout, Unready,
};

/// The verdict on a container of a fixture and its evidence.
fn look(file: &str, container: &str) -> (Verdict, Confidence, Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/verdicts")
        .join(format!("{file}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let list: Value = serde_json::from_str(&text).unwrap();
    let mut pods = Vec::new();
    let mut events = Vec::new();
    for item in list["items"].as_array().unwrap() {
        match item["kind"].as_str().unwrap() {
            "Pod" => pods.push(serde_json::from_value::<Pod>(item.clone()).unwrap()),
            "Event" => events.push(serde_json::from_value::<Event>(item.clone()).unwrap()),
            other => panic!("{file}: {other}"),
        }
    }
    let [pod] = pods.as_slice() else {
        panic!("{file}: one pod")
    };
    let mut view = PodView::project(pod);
    view.hear(&events);
    let subject = Subject {
        pod: &view,
        name: container,
        view: view.view(container).unwrap(),
    };
    let now: Timestamp = "2026-11-24T13:00:00Z".parse().unwrap();
    let diagnosis = diagnose(subject, now);
    let evidence = diagnosis.evidence(subject);
    (diagnosis.verdict(), diagnosis.confidence, evidence)
}

/// File, container, verdict, confidence, and words of the evidence.
type Row = (
    &'static str,
    &'static str,
    Verdict,
    Confidence,
    &'static str,
);

const ROWS: &[Row] = &[
    // First lives, each with its own Killing event.
    (
        "first-kill-exit-0",
        "web",
        StartupKill,
        Proven,
        "exit code 0, reason Completed",
    ),
    (
        "first-kill-exit-1",
        "web",
        StartupKill,
        Proven,
        "timed out waiting for the condition",
    ),
    (
        "first-kill-exit-137",
        "web",
        StartupKill,
        Proven,
        "exit code 137, reason Error",
    ),
    (
        "first-kill-exit-143",
        "web",
        StartupKill,
        Proven,
        "exit code 143, reason Error",
    ),
    (
        "first-kill-startup",
        "web",
        StartupKill,
        Proven,
        "the startup probe failed",
    ),
    (
        "killed-then-well",
        "web",
        StartupKill,
        Proven,
        "Now it runs again",
    ),
    // Seventh lives: after six kills the kubelet's event is not written any more.
    (
        "kill-exit-0",
        "web",
        StartupKill,
        Proven,
        "it writes no more",
    ),
    (
        "kill-exit-1",
        "web",
        StartupKill,
        Proven,
        "it writes no more",
    ),
    (
        "kill-exit-137",
        "web",
        StartupKill,
        Proven,
        "it writes no more",
    ),
    (
        "kill-exit-143",
        "web",
        StartupKill,
        Proven,
        "it writes no more",
    ),
    (
        "kill-startup",
        "web",
        StartupKill,
        Proven,
        "it writes no more",
    ),
    (
        "kill-readiness-too",
        "web",
        StartupKill,
        Proven,
        "connection refused",
    ),
    (
        "exec-timeout",
        "web",
        StartupKill,
        Proven,
        "timed out after 1s",
    ),
    (
        "sidecar-killed",
        "proxy",
        StartupKill,
        Proven,
        "it writes no more",
    ),
    (
        "hang-after-ready",
        "web",
        SteadyStateKill,
        Proven,
        "does not fit",
    ),
    (
        "handler-drift",
        "web",
        ProbeNeverSucceeds,
        Proven,
        "statuscode: 404",
    ),
    (
        "not-found-404",
        "web",
        ProbeNeverSucceeds,
        Proven,
        "statuscode: 404",
    ),
    (
        "wrong-port",
        "web",
        ProbeNeverSucceeds,
        Proven,
        "HTTP server listening on :8080",
    ),
    (
        "wrong-port-ready",
        "web",
        ProbeNeverSucceeds,
        Proven,
        "readiness probe was answered at http :8080/healthz",
    ),
    (
        "tls-to-http",
        "web",
        ProbeNeverSucceeds,
        Proven,
        "server gave HTTP response to HTTPS client",
    ),
    (
        "exec-broken",
        "web",
        ProbeNeverSucceeds,
        Proven,
        "no valid command found",
    ),
    (
        "out-of-memory",
        "web",
        OutOfMemory,
        Proven,
        "memory limit of 16Mi",
    ),
    (
        "own-timeout-60",
        "web",
        SyncTimeout,
        Inferred,
        "failed to sync caches",
    ),
    (
        "own-timeout-silent",
        "web",
        SyncTimeout,
        Inferred,
        "just after 120 s",
    ),
    (
        "leader-lost",
        "web",
        LeaderLost,
        Inferred,
        "leader election lost",
    ),
    (
        "exit-1",
        "web",
        StartupError,
        Inferred,
        "flag provided but not defined: -v",
    ),
    (
        "exit-1-silent",
        "web",
        StartupError,
        Inferred,
        "No probe can kill it before",
    ),
    (
        "init-fails",
        "migrate",
        StartupError,
        Inferred,
        "cannot reach database",
    ),
    ("init-fails", "web", NotStarted, Proven, "PodInitializing"),
    (
        "image-missing",
        "web",
        NotStarted,
        Proven,
        "ImagePullBackOff",
    ),
    (
        "image-never",
        "web",
        NotStarted,
        Proven,
        "ErrImageNeverPull",
    ),
    (
        "config-error",
        "web",
        NotStarted,
        Proven,
        "configmap \"missing\" not found",
    ),
    (
        "secret-missing",
        "web",
        NotStarted,
        Proven,
        "secret \"missing-cert\" not found",
    ),
    ("start-error", "web", NotStarted, Proven, "/nope"),
    (
        "unschedulable",
        "web",
        NotStarted,
        Proven,
        "0/1 nodes are available",
    ),
    ("never-ready", "web", Unready, Proven, "connection refused"),
    (
        "still-starting",
        "web",
        Unready,
        Proven,
        "its startup probe has not succeeded yet",
    ),
    ("healthy", "web", Healthy, Proven, "is ready"),
    ("init-done", "web", Healthy, Proven, "is ready"),
    (
        "init-done",
        "migrate",
        Healthy,
        Proven,
        "ended successfully",
    ),
    ("sidecar-killed", "web", Healthy, Proven, "is ready"),
];

#[test]
fn a_real_kubelet_s_containers() {
    for &(file, container, verdict, confidence, words) in ROWS {
        let found = look(file, container);
        assert_eq!(
            (found.0, found.1),
            (verdict, confidence),
            "{file}/{container}: {:#?}",
            found.2
        );
        let text = found.2.join("\n");
        assert!(
            text.contains(words),
            "{file}/{container}: no {words:?} in {:#?}",
            found.2
        );
    }
}

#[test]
fn every_captured_object_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verdicts");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".json");
        assert!(ROWS.iter().any(|row| row.0 == name), "{name}");
    }
}
