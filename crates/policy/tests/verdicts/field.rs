//! Kills by a probe: proven, inferred, of a start or after it.

use probepilot_policy::{Confidence, Verdict};

use crate::builder::{Case, NAME, REFUSED, SILENT, check, lived};

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn kills() {
    use Confidence::{Inferred, InferredTwice, None, Proven};
    use Verdict::{StartupKill, SteadyStateKill, Unknown};
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
            lived(1250, 1, "Error")
                .startup([0, 10, 1, 12])
                .killed_by("liveness", 2),
            SteadyStateKill,
            Proven,
            "the liveness probe failed",
        ),
        (
            "the kubelet restarted, so liveness counted anew: never ready, killed late",
            lived(90, 1, "Error")
                .unready_before_end(500)
                .killed_by("liveness", 2),
            Unknown,
            None,
            "begins the count of failures anew",
        ),
        (
            "killed as late, but it was ready",
            lived(90, 1, "Error")
                .unready_before_end(10)
                .killed_by("liveness", 2),
            SteadyStateKill,
            Proven,
            "was ready in that run",
        ),
        (
            "a standby that is never ready hangs after an hour",
            lived(3600, 1, "Error")
                .unready_before_end(5000)
                .killed_by("liveness", 2),
            SteadyStateKill,
            Proven,
            "does not fit",
        ),
        (
            "kubernetes#142305: the kubelet restarted during the start and took it for started",
            lived(65, 1, "Error")
                .startup([0, 10, 1, 12])
                .unhealthy("Liveness", REFUSED)
                .killed_by("liveness", 2),
            Unknown,
            None,
            "takes it for started",
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
    ];
    check(&cases);
}
