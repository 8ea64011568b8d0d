//! The Deployments, by what becomes of them.

use probepilot_policy::Verdict;
use serde_json::json;

use crate::case::{Case, End, SERVE, SLOW, liveness, slow};

const RESCUED: End = End::Rescued { raises: 1 };

/// All of them.
pub fn all() -> Vec<Case> {
    let groups = [
        killed_while_starting(),
        ended_themselves(),
        asked_in_vain(),
        never_ended(),
    ];
    groups.into_iter().flatten().collect()
}

fn killed_while_starting() -> Vec<Case> {
    vec![
        Case::new("exits-0", slow(SLOW, "exit 0"), RESCUED),
        Case::new("exits-1", slow(SLOW, "exit 1"), RESCUED),
        Case::new("exits-143", slow(SLOW, "exit 143"), RESCUED),
        // PID 1 of a container ignores a signal that it does not handle.
        Case::new("exits-137", slow(SLOW, ""), RESCUED),
        Case {
            container: json!({"startupProbe": {
                "httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2, "failureThreshold": 7,
            }}),
            ..Case::new("has-a-startup-probe", slow(SLOW, "exit 1"), RESCUED)
        },
        // The first raise gives 24 s, or up to 36 s after a kill that came 4 s late; the second at least 48 s.
        Case::new(
            "needs-two-raises",
            slow(44, "exit 1"),
            End::Rescued { raises: 2 },
        ),
        Case {
            replicas: 2,
            ..Case::new("both-replicas-are-slow", slow(SLOW, "exit 1"), RESCUED)
        },
        Case {
            policy: json!({"limits": {"minStartupSeconds": 1, "maxStartupSeconds": 20}}),
            ..Case::new(
                "starts-too-slowly",
                slow(600, "exit 1"),
                End::Exhausted { budget_seconds: 20 },
            )
        },
    ]
}

fn ended_themselves() -> Vec<Case> {
    let left_alone = |verdict, restarts| End::LeftAlone { verdict, restarts };
    vec![
        Case {
            says: "flag provided but not defined",
            ..Case::new(
                "fails-by-itself",
                "/bin/busybox sleep 1; echo 'flag provided but not defined: -x' >&2; exit 2"
                    .to_owned(),
                left_alone(Verdict::StartupError, 3),
            )
        },
        Case {
            container: json!({"resources": {"limits": {"memory": "24Mi"}}}),
            says: "memory limit of 24Mi",
            ..Case::new(
                "runs-out-of-memory",
                "/bin/busybox sleep 1; exec /bin/busybox tail /dev/zero".to_owned(),
                left_alone(Verdict::OutOfMemory, 3),
            )
        },
        // Long before a probe can kill it. One run says nothing of a clock, three of one length do.
        Case {
            container: json!({"livenessProbe": {
                "httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 60,
            }}),
            ..Case::new(
                "gives-up-before-a-kill",
                "/bin/busybox sleep 16; exit 1".to_owned(),
                left_alone(Verdict::SyncTimeout, 3),
            )
        },
        // controller-runtime's 120 s, at which liveness could kill as well (from 100 s on): it is asked and answers, but no event can tell that.
        Case {
            container: json!({
                "livenessProbe": {"exec": {"command": ["/bin/busybox", "true"]}, "periodSeconds": 50, "failureThreshold": 3},
                "readinessProbe": {"exec": {"command": ["/bin/busybox", "false"]}},
            }),
            says: "a timeout of its own after 120 s alike",
            ..Case::new(
                "gives-up-when-a-kill-is-due",
                "/bin/busybox sleep 121; exit 1".to_owned(),
                left_alone(Verdict::Unknown, 1),
            )
        },
    ]
}

fn asked_in_vain() -> Vec<Case> {
    let says_where = "echo 'listening on :8080'; mkdir -p /tmp/w; echo ok > /tmp/w/healthz; exec /bin/busybox httpd -f -p 8080 -h /tmp/w";
    let never = End::LeftAlone {
        verdict: Verdict::ProbeNeverSucceeds,
        restarts: 3,
    };
    vec![
        Case {
            container: json!({"livenessProbe": liveness("/nowhere", 8080)}),
            says: "404",
            ..Case::new("asked-for-the-wrong-path", SERVE.to_owned(), never)
        },
        Case {
            container: json!({
                "livenessProbe": liveness("/healthz", 9090),
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": 9090}, "periodSeconds": 3},
            }),
            says: "listening on :8080",
            ..Case::new("asked-on-the-wrong-port", says_where.to_owned(), never)
        },
        Case {
            container: json!({"livenessProbe": liveness("/healthz", 9090)}),
            says: "readiness",
            ..Case::new("ready-on-another-port", SERVE.to_owned(), never)
        },
        // Serves for 30 s and hangs; a kill during the start would have come by second 19.
        Case::new(
            "hangs-later",
            "mkdir -p /tmp/w; echo ok > /tmp/w/healthz; /bin/busybox httpd -f -p 8080 -h /tmp/w & web=$!; trap 'exit 1' TERM; \
             /bin/busybox sleep 30 & wait $!; kill -STOP $web; /bin/busybox sleep 600 & wait $!"
                .to_owned(),
            End::LeftAlone {
                verdict: Verdict::SteadyStateKill,
                restarts: 2,
            },
        ),
    ]
}

fn never_ended() -> Vec<Case> {
    let is = |is| End::NothingEnded { is };
    vec![
        Case {
            container: json!({"readinessProbe": {"exec": {"command": ["/bin/busybox", "false"]}, "periodSeconds": 3}}),
            ..Case::new("never-ready", SERVE.to_owned(), is(Verdict::Unready))
        },
        Case {
            container: json!({"image": "probepilot.test/not-there:1"}),
            says: "ErrImageNeverPull",
            ..Case::new(
                "without-its-image",
                SERVE.to_owned(),
                is(Verdict::NotStarted),
            )
        },
        Case {
            container: json!({"envFrom": [{"configMapRef": {"name": "not-there"}}]}),
            says: "configmap",
            ..Case::new(
                "without-its-config",
                SERVE.to_owned(),
                is(Verdict::NotStarted),
            )
        },
    ]
}
