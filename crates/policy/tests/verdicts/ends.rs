//! Ends that no probe caused, and containers that have not ended.

use probepilot_policy::{Confidence, Verdict};

use crate::builder::{Case, REFUSED, check, container, lived};

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
        ("constant after a first run of another length", lived(36, 1, "Error").earlier_runs(&[20, 36, 37]), SyncTimeout, Inferred, "last 3 runs"),
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
