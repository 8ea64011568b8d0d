//! Every row of the catalogue's look-alikes, with the evidence that its thread quotes.

use probepilot_policy::{Confidence, Verdict};

use crate::builder::{Case, check, container, lived};

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn look_alikes() {
    use Confidence::{Inferred, None, Proven};
    use Verdict::{
        LeaderLost, OutOfMemory, ProbeNeverSucceeds, StartupError, StartupKill, SteadyStateKill,
        SyncTimeout, Unknown, Unready,
    };
    let listening = "HTTP server listening on :6001";
    let cases: Vec<Case> = vec![
        (
            "L1 ol-infrastructure#5326: OOMKilled after 1 s",
            lived(1, 137, "OOMKilled").memory_limit("256Mi").liveness([10, 10, 5, 2]),
            OutOfMemory,
            Proven,
            "its memory limit of 256Mi",
        ),
        (
            "L1 cluster-api-k8s#89: OOMKilled after 21 s",
            lived(21, 137, "OOMKilled"),
            OutOfMemory,
            Proven,
            "OOMKilled",
        ),
        (
            "L2 autoscaler#1800: 137 with reason Error and the old kubelet's event",
            lived(900, 137, "Error").liveness([0, 10, 1, 3]).event(
                "Killing",
                "Killing container with id docker://manager:Container failed liveness probe.. Container will be killed and recreated.",
                30,
                30,
            ),
            SteadyStateKill,
            Proven,
            "exit code 137, reason Error",
        ),
        (
            "L2 marin#6944: the kill after the OOM",
            lived(60, 137, "Error").restarts(4).killed_by("liveness", 10),
            StartupKill,
            Proven,
            "during this run",
        ),
        (
            "L3 LBC#4855: CacheSyncTimeout",
            lived(122, 1, "Error").said(
                "failed to wait for gateway.k8s.aws/alb caches to sync kind source: *v1.Service: timed out waiting for cache to be synced for Kind *v1.Service",
            ),
            SyncTimeout,
            Inferred,
            "No event says that a probe killed this run",
        ),
        (
            "L3 provider-keycloak#729: about 123 s and no words",
            lived(123, 1, "Error").restarts(6),
            SyncTimeout,
            Inferred,
            "controller-runtime",
        ),
        (
            "L3 upjet-github#290: the same without any probe",
            lived(120, 1, "Error").restarts(6).without("livenessProbe"),
            SyncTimeout,
            Inferred,
            "just after 120 s",
        ),
        (
            "L5 kruise#793: CRD missing, an old version",
            lived(1, 1, "Error").said(
                "if kind is a CRD, it should be installed before calling Start\nno matches for kind \"WorkloadSpread\" in version \"apps.kruise.io/v1alpha1\"",
            ),
            StartupError,
            Inferred,
            "a custom resource definition is missing",
        ),
        (
            "L5 kruise#793: CRD missing, a new version after 120 s",
            lived(121, 1, "Error").said(
                "no matches for kind \"WorkloadSpread\" in version \"apps.kruise.io/v1alpha1\"\nfailed to wait for caches to sync: timed out waiting for cache to be synced",
            ),
            StartupError,
            Inferred,
            "WorkloadSpread",
        ),
        (
            "L6 aws-app-mesh-controller#260: leader lost, the words of LBC's kill",
            lived(4000, 1, "Error").said(
                "failed to renew lease appmesh-system/appmesh-controller-leader-election: timed out waiting for the condition\nproblem running manager: leader election lost",
            ),
            LeaderLost,
            Inferred,
            "leader election lost",
        ),
        (
            "L6 the same words inside the kill window, without an event",
            lived(57, 1, "Error").said(
                "failed to renew lease kube-system/lock: timed out waiting for the condition\nproblem running manager: leader election lost",
            ),
            LeaderLost,
            Inferred,
            "No event says",
        ),
        (
            "L6 the same words, but with a Killing event: the kill ended the lease",
            lived(57, 1, "Error").said("leader election lost").killed_by("liveness", 2),
            StartupKill,
            Proven,
            "leader election lost",
        ),
        (
            "L6 cnpg#9659: context deadline exceeded",
            lived(4000, 1, "Error").said("failed to renew lease cnpg-system/db9c8771.cnpg.io: context deadline exceeded"),
            LeaderLost,
            Inferred,
            "failed to renew lease",
        ),
        (
            "L7 adcs-issuer#1: webhook certificate",
            lived(3, 1, "Error").said(
                "problem running manager: open /tmp/k8s-webhook-server/serving-certs/tls.crt: no such file or directory",
            ),
            StartupError,
            Inferred,
            "a certificate is missing",
        ),
        (
            "L7 kthena#1319: waits for the Secret, a real kill of a start",
            lived(57, 1, "Error").killed_by("liveness", 5),
            StartupKill,
            Proven,
            "the liveness probe failed",
        ),
        (
            "L9 sockudo#273: startup probe on a path that is not there",
            lived(150, 137, "Error")
                .startup([0, 5, 1, 30])
                .said("HTTP server listening")
                .unhealthy("Startup", "HTTP probe failed with statuscode: 404")
                .killed_by("startup", 3),
            ProbeNeverSucceeds,
            Proven,
            "statuscode: 404",
        ),
        (
            "L9 LBC#451: nobody listens where the probe asks, the program serves elsewhere",
            lived(57, 2, "Error")
                .said(listening)
                .unhealthy("Liveness", "Get \"http://10.0.0.1:8081/healthz\": dial tcp 10.0.0.1:8081: connect: connection refused")
                .killed_by("liveness", 2),
            ProbeNeverSucceeds,
            Proven,
            listening,
        ),
        (
            "L11 cert-manager#1516: bad flag",
            lived(0, 2, "Error").said("flag provided but not defined: -v"),
            StartupError,
            Inferred,
            "a flag or its configuration is wrong",
        ),
        (
            "L15 gatekeeper#2571: never ready, never killed",
            container()
                .running(true, false)
                .unhealthy("Readiness", "HTTP probe failed with statuscode: 500"),
            Unready,
            Proven,
            "statuscode: 500",
        ),
        (
            "L16 rook#9852: the command of the probe is wrong",
            lived(60, 137, "Error")
                .startup([10, 10, 1, 6])
                .unhealthy("Startup", "no valid command found; 10 closest matches:\nadmin_socket: invalid command")
                .killed_by("startup", 1),
            ProbeNeverSucceeds,
            Proven,
            "admin_socket: invalid command",
        ),
        // Positives that stand below the table.
        (
            "ASO#1178: Container manager failed liveness probe, will be restarted",
            lived(85, 1, "Error").liveness([60, 10, 1, 3]).killed_by("liveness", 1),
            StartupKill,
            Proven,
            "the liveness probe failed",
        ),
        (
            "LBC#4076: 59 s, its own words, exit 1",
            lived(59, 1, "Error")
                .image("public.ecr.aws/eks/aws-load-balancer-controller:v2.12.0")
                .said("problem wait for podInfo repo sync: timed out waiting for the condition")
                .killed_by("liveness", 1),
            StartupKill,
            Proven,
            "problem wait for podInfo repo sync",
        ),
        (
            "LBC#4076 with its events gone",
            lived(60, 1, "Error")
                .image("public.ecr.aws/eks/aws-load-balancer-controller:v2.12.0")
                .said("problem wait for podInfo repo sync: timed out waiting for the condition"),
            StartupKill,
            Inferred,
            "No event is left",
        ),
        (
            "loki#24396: SIGTERM, failed services, exit 1",
            lived(75, 1, "Error")
                .liveness([45, 10, 1, 3])
                .said("=== received SIGTERM ===\nfailed services")
                .killed_by("liveness", 3),
            StartupKill,
            Proven,
            "failed services",
        ),
        (
            "ingress-nginx#2171: Received SIGTERM ... Exiting with 1",
            lived(58, 1, "Error")
                .liveness([10, 10, 1, 5])
                .said("Received SIGTERM, shutting down\nExiting with 1")
                .killed_by("liveness", 6),
            StartupKill,
            Proven,
            "Exiting with 1",
        ),
        (
            "kube-agents#796: run 53 s, Completed",
            lived(53, 0, "Completed").liveness([30, 10, 1, 3]).killed_by("liveness", 3),
            StartupKill,
            Proven,
            "reason Completed",
        ),
        (
            "c8s#208: the cause was not confirmed",
            lived(300, 0, "Completed"),
            Unknown,
            None,
            "does not have the length",
        ),
    ];
    check(&cases);
}
