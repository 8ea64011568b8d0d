//! Positives, negatives and the cases between, in the strings of the field.

use probepilot_policy::{Confidence, Verdict};

use crate::builder::{Case, NAME, check, container, lived};

const REFUSED: &str =
    "Get \"http://10.0.0.1:8081/healthz\": dial tcp 10.0.0.1:8081: connect: connection refused";
const SILENT: &str = "Get \"http://10.0.0.1:8081/healthz\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)";

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn kills() {
    use Confidence::{Inferred, InferredTwice, None, Proven};
    use Verdict::{HandlerDrift, ProbeNeverSucceeds, StartupKill, SteadyStateKill, Unknown};
    let combined = format!(
        "(combined from similar events): Container {NAME} failed liveness probe, will be restarted"
    );
    let cases: Vec<Case> = vec![
        (
            "exit 0",
            lived(57, 0, "Completed").killed_by("liveness", 1),
            StartupKill,
            Proven,
            "exit code 0",
        ),
        (
            "exit 1",
            lived(57, 1, "Error").killed_by("liveness", 1),
            StartupKill,
            Proven,
            "exit code 1",
        ),
        (
            "exit 137 at the end of the grace period",
            lived(67, 137, "Error").killed_by("liveness", 10),
            StartupKill,
            Proven,
            "137",
        ),
        (
            "exit 143",
            lived(57, 143, "Error").killed_by("liveness", 1),
            StartupKill,
            Proven,
            "143",
        ),
        (
            "exit 2, as a Go panic has it",
            lived(57, 2, "Error").killed_by("liveness", 1),
            StartupKill,
            Proven,
            "exit code 2",
        ),
        (
            "combined",
            lived(57, 1, "Error").event("Killing", &combined, 1, 1),
            StartupKill,
            Proven,
            "during this run",
        ),
        (
            "repeated: one event, the last sighting in this life",
            lived(57, 1, "Error").restarts(5).event(
                "Killing",
                &format!("Container {NAME} failed liveness probe, will be restarted"),
                900,
                1,
            ),
            StartupKill,
            Proven,
            "during this run",
        ),
        (
            "will not be restarted: restartPolicy Never",
            lived(57, 1, "Error").event(
                "Killing",
                &format!("Container {NAME} failed liveness probe"),
                1,
                1,
            ),
            StartupKill,
            Proven,
            "killed",
        ),
        (
            "in the second after the end",
            lived(57, 1, "Error").killed_by("liveness", -1),
            StartupKill,
            Proven,
            "during this run",
        ),
        (
            "two seconds after the end: another life's",
            lived(57, 1, "Error").killed_by("liveness", -2),
            StartupKill,
            Inferred,
            "No event is left",
        ),
        (
            "a second before the beginning",
            lived(57, 1, "Error").killed_by("liveness", 58),
            StartupKill,
            Inferred,
            "No event is left",
        ),
        (
            "an event of another container",
            lived(57, 1, "Error").event(
                "Killing",
                "Container other failed liveness probe, will be restarted",
                1,
                1,
            ),
            StartupKill,
            Inferred,
            "No event is left",
        ),
        (
            "stopped for another reason",
            lived(57, 1, "Error").event("Killing", &format!("Stopping container {NAME}"), 1, 1),
            StartupKill,
            Inferred,
            "No event is left",
        ),
        (
            "a reason that nobody knows yet",
            lived(57, 1, "Error").event("ProbeFailureIgnored", "Liveness probe failed: x", 20, 10),
            StartupKill,
            Inferred,
            "No event is left",
        ),
        (
            "silent socket: it hangs",
            lived(65, 1, "Error")
                .unhealthy("Liveness", SILENT)
                .killed_by("liveness", 2),
            StartupKill,
            Proven,
            "context deadline exceeded",
        ),
        (
            "refused all along, nothing is said",
            lived(57, 1, "Error")
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "connection refused",
        ),
        (
            "refused, and it says at the end that it serves on this port",
            lived(57, 1, "Error")
                .said("HTTP server listening on :8081")
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "listening on :8081",
        ),
        (
            "refused, and it says that it serves, but neither where nor when",
            lived(57, 1, "Error")
                .said("server listening")
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "server listening",
        ),
        (
            "503 is an answer that waiting changes",
            lived(57, 1, "Error")
                .unhealthy("Liveness", "HTTP probe failed with statuscode: 503")
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "statuscode: 503",
        ),
        (
            "startup probe",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 12])
                .killed_by("startup", 2),
            StartupKill,
            Proven,
            "startup probe",
        ),
        (
            "startup probe, events gone, once",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 13])
                .earlier_runs(&[129]),
            StartupKill,
            Inferred,
            "a kill by the startup probe",
        ),
        (
            "an unwatched loop, no event left",
            lived(57, 1, "Error").restarts(40),
            StartupKill,
            InferredTwice,
            "40 times",
        ),
        (
            "an unwatched loop, an earlier event",
            lived(57, 1, "Error").restarts(7).killed_by("liveness", 900),
            StartupKill,
            Proven,
            "writes no more",
        ),
        (
            "an unwatched loop with the words that SIGTERM brings",
            lived(57, 1, "Error")
                .restarts(7)
                .killed_by("liveness", 900)
                .said("leader election lost"),
            StartupKill,
            Proven,
            "writes no more",
        ),
        (
            "killed once, running again",
            lived(57, 1, "Error")
                .killed_by("liveness", 1)
                .running(true, false),
            StartupKill,
            Proven,
            "not ready",
        ),
        (
            "killed once, healthy again",
            lived(57, 1, "Error")
                .killed_by("liveness", 1)
                .running(true, true),
            StartupKill,
            Proven,
            "and is ready",
        ),
        (
            "killed by the startup probe, starting again",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 12])
                .killed_by("startup", 2)
                .running(false, false),
            StartupKill,
            Proven,
            "still starting",
        ),
        (
            "long after the start",
            lived(90_000, 137, "Error").killed_by("liveness", 12),
            SteadyStateKill,
            Proven,
            "1500 min",
        ),
        (
            "liveness behind a startup probe",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 12])
                .killed_by("liveness", 2),
            SteadyStateKill,
            Proven,
            "the liveness probe failed",
        ),
        (
            "ready in that life, then killed",
            lived(60, 1, "Error")
                .unready_before_end(0)
                .killed_by("liveness", 1),
            SteadyStateKill,
            Proven,
            "It was ready in that run",
        ),
        (
            "the turn to unready is the previous life's",
            lived(60, 1, "Error")
                .unready_before_end(60)
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "fits",
        ),
        (
            "never ready at all: it turned long ago",
            lived(60, 1, "Error")
                .unready_before_end(5000)
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "fits",
        ),
        (
            "our startup probe asks an old path",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 12])
                .startup_asks("/old")
                .ours()
                .unhealthy("Startup", "HTTP probe failed with statuscode: 404")
                .killed_by("startup", 2),
            HandlerDrift,
            Proven,
            "http :8081/old, but liveness asks http :8081/healthz",
        ),
        (
            "the owner's startup probe asks another path on purpose",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 12])
                .startup_asks("/started")
                .killed_by("startup", 2),
            StartupKill,
            Proven,
            "http :8081/started",
        ),
        (
            "our startup probe asks the same",
            lived(125, 1, "Error")
                .startup([0, 10, 1, 12])
                .ours()
                .killed_by("startup", 2),
            StartupKill,
            Proven,
            "startup probe",
        ),
        (
            "401: the probe has no credentials",
            lived(57, 1, "Error")
                .unhealthy("Liveness", "HTTP probe failed with statuscode: 401")
                .killed_by("liveness", 1),
            ProbeNeverSucceeds,
            Proven,
            "wrong question",
        ),
        (
            "429: come again",
            lived(57, 1, "Error")
                .unhealthy("Liveness", "HTTP probe failed with statuscode: 429")
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "429",
        ),
        (
            "first refused, then 404",
            lived(57, 1, "Error")
                .event(
                    "Unhealthy",
                    &format!("Liveness probe failed: {REFUSED}"),
                    27,
                    17,
                )
                .event(
                    "Unhealthy",
                    "Liveness probe failed: HTTP probe failed with statuscode: 404",
                    7,
                    1,
                )
                .killed_by("liveness", 1),
            ProbeNeverSucceeds,
            Proven,
            "404",
        ),
        (
            "404 in an earlier life only",
            lived(57, 1, "Error")
                .event(
                    "Unhealthy",
                    "Liveness probe failed: HTTP probe failed with statuscode: 404",
                    900,
                    800,
                )
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "connection refused",
        ),
        (
            "404 of readiness does not count for liveness",
            lived(57, 1, "Error")
                .unhealthy("Readiness", "HTTP probe failed with statuscode: 404")
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "during this run",
        ),
        (
            "404 after a long health: the path was there",
            lived(9000, 1, "Error")
                .unhealthy("Liveness", "HTTP probe failed with statuscode: 404")
                .killed_by("liveness", 1),
            SteadyStateKill,
            Proven,
            "does not fit",
        ),
        (
            "readiness is answered on another port",
            lived(57, 1, "Error")
                .readiness_port(9090)
                .unready_before_end(0)
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            ProbeNeverSucceeds,
            Proven,
            "answered at http :9090/readyz",
        ),
        (
            "readiness was answered on the same port: the server died",
            lived(57, 1, "Error")
                .unready_before_end(0)
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            SteadyStateKill,
            Proven,
            "It was ready in that run",
        ),
        (
            "it served early and in vain, by its own clock",
            lived(57, 1, "Error")
                .said("2027-01-15T07:59:10Z server listening")
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 1),
            ProbeNeverSucceeds,
            Proven,
            "server listening",
        ),
        (
            "fits, but ready in that life and no event",
            lived(60, 1, "Error").unready_before_end(0),
            Unknown,
            None,
            "it was ready in that run",
        ),
        (
            "fits, but healthy now and no event",
            lived(57, 1, "Error").running(true, true),
            Unknown,
            None,
            "it is healthy now",
        ),
        (
            "fits a clock of controller-runtime too",
            lived(122, 1, "Error").liveness([90, 10, 10, 2]).restarts(5),
            Unknown,
            None,
            "timeout of its own after 120 s",
        ),
        (
            "fits the short clock too",
            lived(60, 1, "Error").restarts(5),
            Unknown,
            None,
            "timeout of its own after 60 s",
        ),
        (
            "fits a clock, but earlier runs had other lengths",
            lived(60, 1, "Error").restarts(5).earlier_runs(&[52, 56]),
            StartupKill,
            InferredTwice,
            "fits a kill",
        ),
        (
            "fits a clock that this controller does not have",
            lived(60, 1, "Error")
                .restarts(5)
                .image("eks/aws-load-balancer-controller:v2"),
            StartupKill,
            InferredTwice,
            "fits a kill",
        ),
        (
            "fits a clock, but an earlier event speaks",
            lived(60, 1, "Error").restarts(5).killed_by("liveness", 600),
            StartupKill,
            Proven,
            "writes no more",
        ),
    ];
    check(&cases);
}

#[test]
fn other_ends_and_states() {
    use Confidence::{Inferred, None, Proven};
    use Verdict::{
        Healthy, LeaderLost, NotStarted, OutOfMemory, StartupError, SyncTimeout, Unknown, Unready,
    };
    let cases: Vec<Case> = vec![
        ("memory, though a probe failed too", lived(57, 137, "OOMKilled").killed_by("liveness", 1), OutOfMemory, Proven, "no memory limit"),
        ("memory while it loads", lived(30, 137, "OOMKilled").memory_limit("256Mi"), OutOfMemory, Proven, "256Mi"),
        ("137 and no reason why", lived(5000, 137, "Error"), Unknown, None, "does not have the length"),
        ("143 before any kill: somebody stopped it", lived(10, 143, "Error"), Unknown, None, "not with an error"),
        ("ends well at once", lived(3, 0, "Completed"), Unknown, None, "not with an error"),
        ("node restarted", lived(57, 255, "Unknown"), Unknown, None, "lost with its node"),
        ("node came back without it", lived(57, 137, "ContainerStatusUnknown"), Unknown, None, "lost with its node"),
        (
            "evicted",
            lived(57, 137, "Error").pod_ended("Evicted", "The node was low on resource: memory."),
            Unknown,
            None,
            "low on resource: memory",
        ),
        ("deleted with its pod", lived(57, 0, "Completed").over().deleting(), Unknown, None, "which ends its containers"),
        ("restarted, and nothing is left of it", container().restarts(3).running(true, false), Unknown, None, "not recorded"),
        ("an own clock of 36 s, constant", lived(36, 1, "Error").earlier_runs(&[36, 37, 36]), SyncTimeout, Inferred, "last 4 runs"),
        ("two runs are no pattern", lived(37, 1, "Error").earlier_runs(&[36]), StartupError, Inferred, "No probe can kill it before"),
        ("runs of different lengths", lived(36, 1, "Error").earlier_runs(&[20, 5, 31]), StartupError, Inferred, "left no words"),
        ("constant, but at once: no timeout", lived(2, 1, "Error").earlier_runs(&[2, 2, 2]), StartupError, Inferred, "left no words"),
        ("a clock, but it ended well", lived(122, 0, "Completed").restarts(5), Unknown, None, "does not have the length"),
        ("a clock, once", lived(122, 1, "Error"), Unknown, None, "does not have the length"),
        ("cert-manager#6134", lived(125, 1, "Error").said("Timeout: failed waiting for *v1.Secret Informer to sync"), SyncTimeout, Inferred, "*v1.Secret Informer"),
        ("linkerd2#8245", lived(61, 1, "Error").liveness([90, 10, 1, 3]).image("cr.l5d.io/linkerd/controller:stable").said("failed to sync caches"), SyncTimeout, Inferred, "failed to sync caches"),
        ("linkerd2, silent", lived(61, 1, "Error").liveness([90, 10, 1, 3]).image("cr.l5d.io/linkerd/controller:stable").restarts(4), SyncTimeout, Inferred, "linkerd/controller"),
        ("leader lost in a long run", lived(90_000, 1, "Error").said("leaderelection lost"), LeaderLost, Inferred, "leaderelection lost"),
        (
            "a right is missing",
            lived(2, 1, "Error").said("pods is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"pods\" in API group \"\" at the cluster scope"),
            StartupError,
            Inferred,
            "a right is missing",
        ),
        ("the port is taken", lived(1, 1, "Error").said("listen tcp :8080: bind: address already in use"), StartupError, Inferred, "its port is taken"),
        ("a bad certificate", lived(1, 1, "Error").said("tls: failed to verify certificate: x509: certificate has expired"), StartupError, Inferred, "x509"),
        ("words of a start in a run that was long", lived(90_000, 1, "Error").said("x509: certificate has expired"), Unknown, None, "x509"),
        ("no probes at all, an error at once", lived(1, 1, "Error").without("livenessProbe").said("cannot reach database"), StartupError, Inferred, "cannot reach database"),
        ("no probes at all, an error after a while", lived(400, 1, "Error").without("livenessProbe"), Unknown, None, "neither a liveness nor a startup probe"),
        (
            "words that try to write on the terminal",
            lived(1, 1, "Error").said("\u{1b}]0;pwned\u{7}flag provided but not defined: -x\u{202e}"),
            StartupError,
            Inferred,
            "\\u{1b}]0;pwned\\u{7}",
        ),
        ("the runtime cannot start it", lived(0, 128, "StartError").said("exec: \"/nope\": stat /nope: no such file or directory"), NotStarted, Proven, "/nope"),
        ("pulling", container().waiting("ErrImagePull", "not found"), NotStarted, Proven, "ErrImagePull: not found"),
        ("bad image name", container().waiting("InvalidImageName", "couldn't parse image"), NotStarted, Proven, "parse image"),
        (
            "still creating, and an event says why",
            container().waiting("ContainerCreating", "").event("FailedMount", "MountVolume.SetUp failed for volume \"certs\" : secret \"x\" not found", 60, 1),
            NotStarted,
            Proven,
            "secret \"x\" not found",
        ),
        ("image gone after a restart", lived(57, 1, "Error").killed_by("liveness", 1).waiting("ImagePullBackOff", "Back-off pulling image"), NotStarted, Proven, "Back-off pulling image"),
        ("no node takes it", container().unscheduled("0/3 nodes are available"), NotStarted, Proven, "0/3 nodes"),
        ("nothing known yet", container().no_status(), Unknown, None, "does not tell anything yet"),
        ("starting", container().startup([0, 10, 1, 60]).running(false, false).unhealthy("Startup", REFUSED), Unready, Proven, "startup probe has not succeeded"),
        ("ready", container().running(true, true), Healthy, Proven, "is ready"),
        ("healthy by now, and nothing tells of the end",
            lived(57, 1, "Error").running(true, true), Unknown, None, "healthy now"),
    ];
    check(&cases);
}
