//! Ten replicas of which only the one that holds the lease starts slowly: nine that are healthy at once end no series of raises.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::cell::OnceCell;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_api::stage::{Killed, Stage, shown, uid, until, web};
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::{Value, json};

const REPLICAS: i32 = 10;
const LIVENESS: &str = "3/1/1/2 /healthz:61779";

/// Guarantees a start 4 s.
fn liveness() -> Value {
    json!({"httpGet": {"path": "/healthz", "port": 61779}, "initialDelaySeconds": 3, "periodSeconds": 1, "failureThreshold": 2})
}

async fn pods(stage: &Stage) -> Vec<Pod> {
    let pods = stage.scene.api::<Pod>();
    let pods = pods.list(&ListParams::default()).await.unwrap();
    let alive = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
    pods.into_iter().filter(alive).collect()
}

fn revision(pod: &Pod) -> String {
    pod.labels()["pod-template-hash"].clone()
}

/// A rollout up to its end, in which whoever is the first of the new revision gets the lease and is still starting; all others are
/// healthy at once. Gives the holder and the revision.
async fn rollout(stage: &Stage, besides: &[String]) -> (Killed, String) {
    let lease = OnceCell::new();
    let look = || async {
        let pods = pods(stage).await;
        let new = pods.iter().filter(|pod| !besides.contains(&revision(pod)));
        let (mine, others): (Vec<_>, Vec<_>) =
            new.partition(|pod| uid(pod) == *lease.get_or_init(|| uid(pod)));
        let [holder] = mine[..] else {
            return Ok(Seen::NotYet("no pod of a new revision".to_owned()));
        };
        let idle = |pod: &&&Pod| {
            pod.status
                .as_ref()
                .is_none_or(|status| status.container_statuses.is_none())
        };
        for pod in others.iter().filter(idle) {
            stage.runs(pod, true).await?;
        }
        if idle(&&holder) {
            stage.runs(holder, false).await?;
        }
        let status = stage.get("web").await.status.unwrap_or_default();
        let numbers = [status.replicas, status.updated_replicas].map(Option::unwrap_or_default);
        let healthy = status.ready_replicas.unwrap_or_default();
        Ok::<_, kube::Error>(if numbers == [REPLICAS; 2] && healthy == REPLICAS - 1 {
            let killed = Killed {
                name: holder.name_any(),
                uid: uid(holder),
            };
            Seen::Done((killed, revision(holder)))
        } else {
            Seen::NotYet(format!("{numbers:?}, {healthy} ready"))
        })
    };
    until("all but the holder to be ready", look).await
}

fn raises(status: &ProbePolicyStatus) -> Option<i64> {
    status.raises
}

#[tokio::test(flavor = "multi_thread")]
async fn fast_standbys_end_no_series_of_raises() {
    let stage = Stage::new("leader").await;
    let mut object = web(liveness());
    object["spec"]["replicas"] = json!(REPLICAS);
    let pod = &mut object["spec"]["template"]["spec"];
    pod["schedulingGates"] = json!([{"name": "probepilot.test/never"}]);
    pod["containers"][0]["readinessProbe"] = json!({"httpGet": {"path": "/readyz", "port": 80}});
    stage.applied(&object).await;
    let (holder, first) = rollout(&stage, &[]).await;
    stage
        .enforce(json!({"rules": [], "limits": {"minStartupSeconds": 1}}))
        .await;
    let operator = stage.start();
    stage.in_sync("web", "NothingAsked").await;

    // The holder's start takes longer than 4 s: 10 s from a life of 5 s.
    let killed = stage.killed(&holder, 5).await;
    stage
        .until_shown(shown("0/1/1/11 /healthz:61779", LIVENESS, 2))
        .await;
    let (holder, second) = rollout(&stage, std::slice::from_ref(&first)).await;
    // Nine of the new template are healthy, and no start was killed for twice the need: the one whose predecessor was killed
    // still starts, so nothing ends.
    let quiet = killed + SignedDuration::from_secs(2 * 10 + 5);
    let left = quiet
        .duration_since(Timestamp::now())
        .max(SignedDuration::from_secs(5));
    let goes_on = || async {
        let status = stage
            .scene
            .api::<probepilot_api::ProbePolicy>()
            .get("web")
            .await;
        let status = status
            .map_err(|error| error.to_string())?
            .status
            .unwrap_or_default();
        if raises(&status) == Some(1) {
            Ok(())
        } else {
            Err(format!("{status:?}"))
        }
    };
    let left = Duration::try_from(left).unwrap();
    wait::holds("the series", left, goes_on).await.unwrap();

    // So the next kill is its second: 22 s from a life of 11 s.
    let killed = stage.killed_by("startup", &holder, 11).await;
    let status = stage
        .until_shown(shown("0/1/1/23 /healthz:61779", LIVENESS, 3))
        .await;
    assert_eq!(raises(&status), Some(2), "one series");
    let (holder, _) = rollout(&stage, &[first, second]).await;
    assert_eq!(
        stage.told_so_far("RaisesEnded").await.unwrap(),
        [] as [String; 0]
    );

    // Healthy at last; then it ends when no start was killed for twice the need.
    let slow = stage.pod_after(&holder.name, "").await;
    stage.runs(&slow, true).await.unwrap();
    let over = |status: &ProbePolicyStatus| raises(status).is_none();
    let patience = Duration::from_secs(90);
    let status = stage
        .status_within(patience, "web", "the end of the series", over)
        .await;
    let quiet = Timestamp::now().duration_since(killed);
    assert!(quiet >= SignedDuration::from_secs(44), "{quiet:?}");
    let floor = status.memory.unwrap().floor.unwrap();
    assert_eq!(floor.seconds, 22, "what was needed is remembered");
    stage.told("RaisesEnded", 1).await;
    operator.stop().await;
    stage.end().await;
}
