//! What the operator does about restarts when a policy has no rules: a kill by a probe raises the budget, nothing else does.
//!
//! All Deployments go on side by side under one operator, each on the real kubelet.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod common;

use std::fmt::Debug;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, TestNamespace};
use serde_json::{Value, json};

use crate::common::{from_json, install_crd, operator, reason};

/// What comes of a Deployment.
#[derive(Clone, Copy, Debug)]
enum End {
    /// One write raises the budget, and the new pod is ready without a restart.
    Rescued,
    /// Every raise that is allowed was tried, and the budget stays.
    Exhausted,
    /// The verdict says what it is, and nothing is ever written.
    LeftAlone(&'static str),
    /// Nothing is ever written, and nothing has ended that could be judged.
    NeverJudged,
}

/// One Deployment and what comes of it.
struct Case {
    name: &'static str,
    program: String,
    /// Fields of the container besides the usual.
    container: Value,
    /// Fields of the policy's spec.
    policy: Value,
    end: End,
}

/// Serves after so many seconds; SIGTERM before that does `on_term`.
fn slow(seconds: u32, on_term: &str) -> String {
    format!("trap '{on_term}' TERM; /bin/busybox sleep {seconds} & wait $!; {SERVE}")
}

const SERVE: &str = "mkdir -p /tmp/w; echo ok > /tmp/w/healthz; trap - TERM; exec /bin/busybox httpd -f -p 8080 -h /tmp/w";

fn cases() -> Vec<Case> {
    let case = |name, program: String, end| Case {
        name,
        program,
        container: json!({}),
        policy: json!({}),
        end,
    };
    let http = |path: &str| json!({"httpGet": {"path": path, "port": 8080}, "initialDelaySeconds": 3, "periodSeconds": 2, "failureThreshold": 3});
    vec![
        case("exits-0", slow(11, "exit 0"), End::Rescued),
        case("exits-1", slow(11, "exit 1"), End::Rescued),
        case("exits-143", slow(11, "exit 143"), End::Rescued),
        // PID 1 of a container ignores a signal that it does not handle.
        case("exits-137", slow(11, ""), End::Rescued),
        Case {
            container: json!({"startupProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2, "failureThreshold": 5}}),
            ..case("has-a-startup-probe", slow(11, "exit 1"), End::Rescued)
        },
        Case {
            policy: json!({"limits": {"minStartupSeconds": 1, "maxStartupSeconds": 12}}),
            ..case("starts-too-slowly", slow(600, "exit 1"), End::Exhausted)
        },
        case("fails-by-itself", "/bin/busybox sleep 1; echo 'flag provided but not defined: -x' >&2; exit 2".to_owned(), End::LeftAlone("StartupError")),
        Case {
            container: json!({"resources": {"limits": {"memory": "24Mi"}}}),
            ..case("runs-out-of-memory", "/bin/busybox sleep 1; exec /bin/busybox tail /dev/zero".to_owned(), End::LeftAlone("OutOfMemory"))
        },
        Case {
            container: json!({"livenessProbe": http("/nowhere")}),
            ..case("asked-for-the-wrong-path", SERVE.to_owned(), End::LeftAlone("ProbeNeverSucceeds"))
        },
        case(
            "hangs-later",
            "mkdir -p /tmp/w; echo ok > /tmp/w/healthz; /bin/busybox httpd -f -p 8080 -h /tmp/w & /bin/busybox sleep 15; kill $!; trap 'exit 1' TERM; /bin/busybox sleep 600 & wait $!".to_owned(),
            End::LeftAlone("SteadyStateKill"),
        ),
        Case {
            container: json!({"readinessProbe": {"exec": {"command": ["/bin/busybox", "false"]}, "periodSeconds": 1}}),
            ..case("never-ready", SERVE.to_owned(), End::NeverJudged)
        },
        Case {
            container: json!({"image": "probepilot.test/not-there:1"}),
            ..case("without-its-image", SERVE.to_owned(), End::NeverJudged)
        },
        Case {
            container: json!({"envFrom": [{"configMapRef": {"name": "not-there"}}]}),
            ..case("without-its-config", SERVE.to_owned(), End::NeverJudged)
        },
    ]
}

impl Case {
    fn deployment(&self) -> Deployment {
        let labels = json!({"app": self.name});
        let http = json!({"path": "/healthz", "port": 8080});
        let mut container = json!({
            "name": "web", "image": "probepilot.test/busybox:1", "imagePullPolicy": "Never",
            "command": ["/bin/busybox", "sh", "-c", self.program],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "livenessProbe": {"httpGet": http, "initialDelaySeconds": 3, "periodSeconds": 2, "failureThreshold": 3},
            "readinessProbe": {"httpGet": http, "periodSeconds": 1},
        });
        overlay(&mut container, &self.container);
        from_json(json!({
            "metadata": {"name": self.name},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
            }},
        }))
    }

    fn policy(&self) -> ProbePolicy {
        let mut spec = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": self.name},
            "mode": "Enforce",
        });
        overlay(&mut spec, &self.policy);
        from_json(json!({
            "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
            "metadata": {"name": self.name}, "spec": spec,
        }))
    }
}

fn overlay(base: &mut Value, over: &Value) {
    for (key, value) in over.as_object().unwrap() {
        base[key] = value.clone();
    }
}

/// A case in its namespace.
struct Stage<'a> {
    case: &'a Case,
    deployments: Api<Deployment>,
    policies: Api<ProbePolicy>,
    pods: Api<Pod>,
}

impl<'a> Stage<'a> {
    async fn set(client: &Client, namespace: &str, case: &'a Case) -> Self {
        let stage = Self {
            case,
            deployments: Api::namespaced(client.clone(), namespace),
            policies: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
        };
        // An owner that does not fight: whatever he declares may be taken from him.
        let create = PostParams {
            field_manager: Some("kubectl-client-side-apply".to_owned()),
            ..PostParams::default()
        };
        stage
            .policies
            .create(&create, &case.policy())
            .await
            .unwrap();
        stage
            .deployments
            .create(&create, &case.deployment())
            .await
            .unwrap();
        stage
    }

    async fn plays(&self) {
        match self.case.end {
            End::Rescued => {
                let raised = self
                    .status("a raise", |status| status.raises.is_some())
                    .await;
                assert_eq!(
                    raised.verdict.as_deref(),
                    Some("StartupKill"),
                    "{}",
                    self.case.name
                );
                self.pod("ready", |ready, restarts| ready && restarts == 0)
                    .await;
                let status = self.get().await;
                assert_eq!(reason(&status, "InSync"), "Covered", "{}", self.case.name);
                assert_eq!(self.generation().await, 2, "{}: one write", self.case.name);
            }
            End::Exhausted => {
                let seen = self
                    .status("exhaustion", |status| {
                        reason(status, "Exhausted") == "MaxStartup"
                    })
                    .await;
                assert_eq!(seen.startup.unwrap().budget_seconds, Some(12));
                self.pod("restarted again", |_, restarts| restarts >= 3)
                    .await;
                assert_eq!(self.generation().await, 2, "one write, and then no more");
            }
            End::LeftAlone(verdict) => {
                self.status(verdict, |status| status.verdict.as_deref() == Some(verdict))
                    .await;
                self.pod("restarted", |_, restarts| restarts >= 3).await;
                let seen = self.get().await;
                assert_eq!(seen.verdict.as_deref(), Some(verdict), "{}", self.case.name);
                self.untouched(&seen).await;
            }
            End::NeverJudged => {
                self.status("a look at it", |status| {
                    reason(status, "TargetFound") == "Found"
                })
                .await;
                let look = || async {
                    let seen = self.get().await;
                    if seen.verdict.is_none() && seen.raises.is_none() {
                        Ok(())
                    } else {
                        Err(format!("{seen:?}"))
                    }
                };
                let what = format!("{} to be left alone", self.case.name);
                wait::holds(what, Duration::from_secs(40), look)
                    .await
                    .unwrap();
                self.untouched(&self.get().await).await;
            }
        }
    }

    async fn untouched(&self, status: &ProbePolicyStatus) {
        assert_eq!(
            self.generation().await,
            1,
            "{}: nothing is written",
            self.case.name
        );
        assert_eq!(
            (status.raises, &status.last_write),
            (None, &None),
            "{}",
            self.case.name
        );
    }

    async fn get(&self) -> ProbePolicyStatus {
        let policy = self.policies.get(self.case.name).await.unwrap();
        policy.status.unwrap_or_default()
    }

    async fn generation(&self) -> i64 {
        let deployment = self.deployments.get(self.case.name).await.unwrap();
        deployment.metadata.generation.unwrap()
    }

    async fn status(
        &self,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        self.until(what, || async {
            let status = self.get().await;
            if wanted(&status) {
                Ok(status)
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await
    }

    /// Waits until a pod that is not being deleted is as wanted: ready, and restarted so often.
    async fn pod(&self, what: &str, wanted: impl Fn(bool, i32) -> bool) {
        let mine = ListParams::default().labels(&format!("app={}", self.case.name));
        self.until(what, || async {
            let pods = self.pods.list(&mine).await.unwrap();
            let statuses: Vec<_> = pods
                .iter()
                .filter(|pod| pod.metadata.deletion_timestamp.is_none())
                .filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()?.first())
                .map(|status| (status.ready, status.restart_count))
                .collect();
            if statuses
                .iter()
                .any(|(ready, restarts)| wanted(*ready, *restarts))
            {
                Ok(())
            } else {
                Err(format!("{statuses:?}"))
            }
        })
        .await;
    }

    async fn until<T: Debug, F: Future<Output = Result<T, String>>>(
        &self,
        what: &str,
        look: impl Fn() -> F,
    ) -> T {
        let look = || async {
            Ok::<_, std::convert::Infallible>(match look().await {
                Ok(seen) => Seen::Done(seen),
                Err(instead) => Seen::NotYet(instead),
            })
        };
        let what = format!("{}: {what}", self.case.name);
        let every = Duration::from_millis(500);
        wait::until_every(every, what, Duration::from_mins(4), look)
            .await
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_startup_kill_raises_the_budget() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    install_crd(&client).await;
    let namespace = TestNamespace::create(&client, "kills").await.unwrap();
    let operator = operator(&cluster, namespace.name()).await;
    let cases = cases();
    let stages = cases
        .iter()
        .map(|case| Stage::set(&client, namespace.name(), case));
    let stages = join_all(stages).await;
    join_all(stages.iter().map(Stage::plays)).await;
    operator.abort();
    namespace.delete().await.unwrap();
}
