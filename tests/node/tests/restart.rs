//! The kubelet is restarted while containers start, and again when they are healthy: that alone raises nothing, and is taken for
//! no start and for no kill of a start (K15, K20).
//!
//! It is the kubelet of all pods of the cluster, so these Deployments are a test target of their own.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
// Of what the tests of kills share with this one, it needs only a part.
#![allow(dead_code)]

#[path = "kills/case.rs"]
mod case;
#[path = "common/mod.rs"]
mod common;
#[path = "kills/stage.rs"]
mod stage;

use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use probepilot_api::{ProbePolicyStatus, StartOutcome, StartRecord};
use probepilot_policy::Verdict;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, NODE, TestNamespace};
use serde_json::{Value, json};

use crate::case::{Case, End, liveness, slow};
use crate::common::{install_crd, operator};
use crate::stage::{Running, Stage};

/// How long a start takes, in seconds: longer than the kubelet is away and anything that it ends then.
const START: u32 = 70;
/// The kubelet stays away until the youngest container is so old: more than 10 s (K20), and later than liveness kills a start of
/// `killed-late`.
const AWAY: SignedDuration = SignedDuration::from_secs(30);
/// How long nothing must happen once the kubelet of healthy pods is back.
const QUIET: Duration = Duration::from_secs(25);

fn cases() -> [Case; 4] {
    let startup = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 2, "failureThreshold": 100});
    let left_alone = End::LeftAlone {
        verdict: Verdict::Unknown,
        restarts: 1,
    };
    let started = |name, container: Value| Case {
        container,
        says: "takes it for started",
        ..Case::new(name, slow(START, "exit 1"), left_alone)
    };
    let patient = |threshold: u32| {
        let mut probe = liveness("/healthz", 8080);
        probe["failureThreshold"] = json!(threshold);
        json!({"livenessProbe": probe})
    };
    [
        started("guarded", json!({"startupProbe": startup})),
        started(
            "guarded-and-unread",
            json!({"startupProbe": startup, "readinessProbe": null}),
        ),
        Case {
            container: patient(60),
            ..Case::new(
                "liveness-only",
                slow(START, "exit 1"),
                End::NothingEnded {
                    is: Verdict::Healthy,
                },
            )
        },
        // Would be killed from second 20 on, but is only after the kubelet is back: too late for a start by its length. The next
        // life is killed in time, and one raise gives it three times that.
        Case {
            container: patient(7),
            policy: json!({"crashLoop": {"raisePercent": 300}}),
            ..Case::new(
                "killed-late",
                slow(START, "exit 1"),
                End::Rescued { raises: 1 },
            )
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_kubelet_is_no_start_and_no_reason_to_raise() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    install_crd(&client).await;
    let namespace = TestNamespace::create(&client, "restart").await.unwrap();
    let operator = operator(&cluster, namespace.name()).await;
    let cases = cases();
    let set = cases
        .iter()
        .map(|case| Stage::set(&client, namespace.name(), case));
    let stages = join_all(set).await;
    let [guarded, unread, liveness_only, killed_late] = stages.as_slice() else {
        panic!("{}", stages.len());
    };

    join_all(stages.iter().map(begun)).await;
    cluster.stop_kubelet().await.unwrap();
    let youngest = join_all(stages.iter().map(begun)).await.into_iter().max();
    wait_until(youngest.unwrap() + AWAY).await;
    restart(&cluster, &client).await;

    for stage in [guarded, unread] {
        // It goes on to see it restart, and that nothing was written.
        stage.plays().await;
        advised(stage, "unguarded-start").await;
    }
    for stage in [guarded, unread, liveness_only] {
        let starts = healthy_once(stage).await;
        assert!(
            starts.seconds >= i64::from(START),
            "no start was shorter: {starts:?}"
        );
        stage.untouched(&stage.get().await).await;
    }
    assert_eq!(liveness_only.get().await.verdict, None);
    killed_late.plays().await;

    let before = join_all(stages.iter().map(Snapshot::of)).await;
    cluster.stop_kubelet().await.unwrap();
    wait_until(Timestamp::now() + SignedDuration::from_secs(12)).await;
    restart(&cluster, &client).await;
    let unchanged = || async {
        let after = join_all(stages.iter().map(Snapshot::of)).await;
        if after == before {
            Ok(())
        } else {
            Err(format!("{after:?} instead of {before:?}"))
        }
    };
    wait::holds("healthy containers to be left alone", QUIET, unchanged)
        .await
        .unwrap();
    operator.abort();
    namespace.delete().await.unwrap();
}

/// What must not change when the kubelet of healthy pods restarts.
#[derive(Debug, PartialEq)]
struct Snapshot {
    generation: i64,
    pods: Vec<Running>,
    status: ProbePolicyStatus,
}

impl Snapshot {
    async fn of(stage: &Stage<'_>) -> Self {
        let status = stage.get().await;
        // Counts and messages about them move by themselves.
        let status = ProbePolicyStatus {
            verdict: status.verdict,
            raises: status.raises,
            last_write: status.last_write,
            starts: status.starts,
            memory: status.memory,
            ..ProbePolicyStatus::default()
        };
        Self {
            generation: stage.generation().await,
            pods: stage.running().await,
            status,
        }
    }
}

/// When its only container began to run.
async fn begun(stage: &Stage<'_>) -> Timestamp {
    let look = || async {
        let pods = stage.listed().await;
        let began = pods.iter().find_map(|pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            let running = statuses.first()?.state.as_ref()?.running.as_ref()?;
            Some(running.started_at.as_ref()?.0)
        });
        began.ok_or_else(|| "no container runs".to_owned())
    };
    stage.until("its container to run", look).await
}

async fn wait_until(time: Timestamp) {
    let look = || async {
        let now = Timestamp::now();
        Ok::<_, Infallible>(if now >= time {
            Seen::Done(())
        } else {
            Seen::NotYet(now.to_string())
        })
    };
    wait::until("the time to come", Duration::from_mins(2), look)
        .await
        .unwrap();
}

/// Starts the kubelet and waits until it has said so itself: a node counts as Ready for a while without one.
async fn restart(cluster: &Cluster, client: &Client) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let before = Timestamp::now();
    cluster.start_kubelet().await.unwrap();
    let look = || async {
        let lease = leases.get_opt(NODE).await?;
        let renewed = lease.and_then(|lease| lease.spec?.renew_time);
        Ok::<_, kube::Error>(if renewed.as_ref().is_some_and(|time| time.0 > before) {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{renewed:?}"))
        })
    };
    wait::until("the kubelet to be back", Duration::from_mins(1), look)
        .await
        .unwrap();
}

async fn advised(stage: &Stage<'_>, rule: &str) {
    let look = || async {
        let advice = stage.get().await.advice;
        let given = advice.iter().any(|advice| advice.rule == rule);
        given.then_some(()).ok_or_else(|| format!("{advice:?}"))
    };
    stage.until("its advice", look).await;
}

/// The one start that counts as healthy, once it is recorded.
async fn healthy_once(stage: &Stage<'_>) -> StartRecord {
    let look = || async {
        let mut starts = stage.get().await.starts;
        starts.retain(|start| start.outcome == StartOutcome::Healthy);
        assert!(starts.len() < 2, "{starts:?}");
        starts.pop().ok_or_else(|| "no healthy start".to_owned())
    };
    stage.until("its start to be recorded", look).await
}
