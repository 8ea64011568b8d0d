//! Kills that no budget cures, and lives between a kill and another end.

use probepilot_policy::{Confidence, Verdict};

use crate::builder::{Case, REFUSED, check, lived};

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn probes_that_never_succeed_and_lives_in_between() {
    use Confidence::{InferredTwice, None, Proven};
    use Verdict::{HandlerDrift, ProbeNeverSucceeds, StartupKill, SteadyStateKill, Unknown};
    let cases: Vec<Case> = vec![
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

/// Without readiness and startup probe a running container counts as ready. That it runs again says
/// nothing until it has outlived every kill of its start (72 s here).
#[test]
fn a_container_that_nobody_asks_is_not_well_because_it_runs() {
    let scene = lived(57, 1, "Error")
        .without("readinessProbe")
        .running(true, true);
    let verdict = |seconds| {
        let (diagnosis, _) = scene.diagnose_after(seconds);
        (diagnosis.verdict(), diagnosis.confidence)
    };
    assert_eq!(verdict(0), (Verdict::StartupKill, Confidence::Inferred));
    assert_eq!(verdict(72), (Verdict::StartupKill, Confidence::Inferred));
    assert_eq!(verdict(73), (Verdict::Unknown, Confidence::None));
}
