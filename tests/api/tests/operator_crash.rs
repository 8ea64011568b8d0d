//! The real operator, killed by SIGKILL before and after each of its mutating calls.
//!
//! A run without an end would prove nothing, so the calls are not listed here: the n-th is struck for
//! n = 1, 2, ... until a run is over before its n-th call. After each strike a new process goes on, and
//! must come to the same end: the exact probes, one generation more, the write on record and announced.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::api::events::v1::Event as Told;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use probepilot_api::{BASELINE_ANNOTATION, ProbePolicyStatus};
use probepilot_test_api::process::{Process, kubeconfig};
use probepilot_test_api::program::program;
use probepilot_test_api::proxy::{Moment, Struck};
use probepilot_test_api::stage::{
    Shown, Stage, chart_liveness, reason, shown, stateful, threshold, uid, until, web,
};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

const LIVENESS: &str = "30/10/10/2 /healthz:61779";

/// What makes the operator write.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// The first rung, on a target that nothing has killed.
    Raise,
    /// A smaller rung, lower enabled without a window.
    Lower,
    /// A Killing event of a pod; nothing else would make it write.
    Kill,
    /// The owner's liveness probe asks another path.
    Handler,
    /// A Killing event of a pod that no rollout replaces: it is deleted after the write.
    Stuck,
}

/// The end that every run must come to.
struct End {
    probes: Shown,
    /// Budgets before and after, in seconds.
    budgets: (i64, i64),
    /// Reason of the event about it.
    told: &'static str,
    /// UID of the pod that is deleted, where one is.
    deleted: Option<String>,
}

/// Prepares what happens in `story` and says where it must end.
async fn prepare(stage: &Stage, story: Story) -> End {
    if let Story::Stuck = story {
        return prepare_stuck(stage).await;
    }
    let manifest = match story {
        Story::Kill => {
            let mut object = web(chart_liveness("/healthz"));
            object["spec"]["replicas"] = json!(1);
            object["spec"]["template"]["spec"]["schedulingGates"] =
                json!([{"name": "probepilot.test/never"}]);
            object
        }
        Story::Raise | Story::Lower | Story::Handler | Story::Stuck => {
            web(chart_liveness("/healthz"))
        }
    };
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    let first = |startup: &str, liveness: &str, generation| shown(startup, liveness, generation);
    match story {
        Story::Raise => {
            stage.enforce(json!({})).await;
            End {
                probes: first("0/10/10/7 /healthz:61779", LIVENESS, 2),
                budgets: (40, 60),
                told: "ProbesRaised",
                deleted: None,
            }
        }
        Story::Lower => {
            stage.enforce(rung(stage, 600)).await;
            settle(stage, 2).await;
            let mut fields = rung(stage, 60);
            fields["behavior"] = json!({"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0},
                "lower": {"policy": "Enabled", "stabilizationWindowSeconds": 0}});
            stage.edit_policy("web", fields).await;
            End {
                probes: first("0/10/10/7 /healthz:61779", LIVENESS, 3),
                budgets: (600, 60),
                told: "ProbesLowered",
                deleted: None,
            }
        }
        Story::Kill => {
            let raise = json!({"policy": "OnKill", "stabilizationWindowSeconds": 0, "minIntervalSeconds": 0});
            stage.enforce(json!({"behavior": {"raise": raise}})).await;
            kill_the_start(stage).await;
            End {
                probes: first("0/10/10/7 /healthz:61779", LIVENESS, 2),
                budgets: (40, 60),
                told: "ProbesRaised",
                deleted: None,
            }
        }
        Story::Handler => {
            stage.enforce(json!({})).await;
            settle(stage, 2).await;
            let path = json!({"httpGet": {"path": "/livez"}});
            stage
                .edit("web", json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "livenessProbe": path}]}}}}))
                .await;
            End {
                probes: first("0/10/10/7 /livez:61779", "30/10/10/2 /livez:61779", 4),
                budgets: (60, 60),
                told: "ProbeFollowed",
                deleted: None,
            }
        }
        Story::Stuck => unreachable!("prepared above"),
    }
}

/// A StatefulSet whose only pod was killed and is replaced by nobody else.
async fn prepare_stuck(stage: &Stage) -> End {
    stage.applied(&stateful(&json!({"type": "OnDelete"}))).await;
    let pod = stage.pod_after("web-0", "").await;
    stage.create_policy(stage.only_kills("StatefulSet")).await;
    stage.kill_first_life(&pod, false).await;
    End {
        probes: shown("0/10/10/13 /healthz:61779", LIVENESS, 2),
        budgets: (40, 120),
        told: "ProbesRaised",
        deleted: Some(uid(&pod)),
    }
}

fn rung(stage: &Stage, seconds: i32) -> Value {
    let count = json!({"resource": "configmaps", "namespace": stage.scene.ns()});
    json!({"rules": [{"count": count, "steps": [{"atLeast": 0, "startupSeconds": seconds}]}]})
}

/// One write by an operator that nobody disturbs.
async fn settle(stage: &Stage, generation: i64) {
    let operator = stage.start();
    stage.written("web", generation).await;
    operator.stop().await;
}

/// The only pod was killed by its liveness probe 57 s after its start, and waits in back-off.
async fn kill_the_start(stage: &Stage) {
    let look = || async {
        let pods = stage
            .scene
            .api::<Pod>()
            .list(&ListParams::default())
            .await?
            .items;
        Ok::<_, kube::Error>(match pods.into_iter().next() {
            Some(pod) => Seen::Done(pod),
            None => Seen::NotYet("no pod".to_owned()),
        })
    };
    let pod: Pod = until("the pod", look).await;
    let finished = Timestamp::from_second(Timestamp::now().as_second() - 5).unwrap();
    let started = finished - SignedDuration::from_secs(57);
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{
        "name": "a", "image": "none", "imageID": "x", "ready": false, "started": false, "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": finished}}}]}});
    let api = stage.scene.api::<Pod>();
    api.patch_status(
        &pod.name_any(),
        &PatchParams::default(),
        &Patch::Merge(status),
    )
    .await
    .unwrap();
    let event = json!({"metadata": {"name": "web.killing", "namespace": stage.scene.ns()},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "namespace": stage.scene.ns(),
            "uid": pod.metadata.uid, "fieldPath": "spec.containers{a}"},
        "reason": "Killing", "message": "Container a failed liveness probe, will be restarted", "type": "Normal",
        "source": {"component": "kubelet", "host": "node"},
        "firstTimestamp": finished, "lastTimestamp": finished, "count": 1});
    stage.scene.create::<Event>(event).await;
}

/// Whether the policy says that the write is done and nothing is open.
fn is_over(status: &ProbePolicyStatus, end: &End) -> bool {
    let memory = status.memory.as_ref();
    let write = status.last_write.as_ref();
    let handover = memory.and_then(|memory| memory.handover.as_ref());
    let replaced = handover.and_then(|handover| handover.replaced.as_ref());
    let deleted = replaced.map(|replaced| &replaced.uid) == end.deleted.as_ref();
    deleted
        && write.and_then(|write| write.generation) == Some(end.probes.generation)
        && memory.is_none_or(|memory| memory.intent.is_none())
        && reason(status, "InSync") == "Covered"
}

/// Waits for the end or for the strike, whichever comes first. Whether it was the strike.
async fn struck_first(stage: &Stage, end: &End, struck: Struck) -> bool {
    let over = async {
        stage
            .status("web", "the end", |status| is_over(status, end))
            .await;
        // A last call may follow what ended it.
        stage.two_counts().await;
    };
    let mut strike = struck.clone();
    tokio::select! {
        biased;
        _ = strike.wait_for(|struck| *struck) => true,
        () = over => *struck.borrow(),
    }
}

async fn check(stage: &Stage, end: &End, case: &str) {
    let status = stage
        .status("web", case, |status| is_over(status, end))
        .await;
    stage.quiet().await;
    let kind = if end.deleted.is_some() {
        "StatefulSet"
    } else {
        "Deployment"
    };
    let workload = workload(stage, kind).await;
    assert_eq!(Shown::of(&workload, "a"), end.probes, "{case}");
    let write = status.last_write.clone().unwrap();
    assert_eq!(
        (write.from_seconds, write.to_seconds),
        end.budgets,
        "{case}: {write:?}"
    );
    let annotation = &workload["metadata"]["annotations"][BASELINE_ANNOTATION];
    let records: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
    let liveness = json!({"initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2});
    assert_eq!(
        records[0]["baseline"],
        json!({"livenessProbe": liveness}),
        "{case}: the owner's own"
    );
    assert_eq!(
        records[0]["written"]["startupProbe"]["failureThreshold"],
        1 + end.budgets.1 / 10,
        "{case}"
    );
    assert_eq!(records.as_array().unwrap().len(), 1, "{case}");
    let lowered = status.memory.and_then(|memory| memory.lowered_at);
    assert_eq!(
        lowered.is_some(),
        end.told == "ProbesLowered",
        "{case}: at most one lower a day"
    );
    // Told at least once, on policy and target, and of one write only.
    let mut told = stage.told(end.told, 2).await;
    told.dedup();
    let expected = [
        format!("{kind}: {}", write.reason),
        format!("ProbePolicy: {}", write.reason),
    ];
    // No process tells of a write that was not done, so none tells of one twice.
    let events = stage
        .scene
        .api::<Told>()
        .list(&ListParams::default())
        .await
        .unwrap();
    for event in events {
        let again = event.reason.as_deref() == Some(end.told) && event.series.is_some();
        assert!(!again, "{case}: told again: {event:?}");
    }
    let story_so_far = told.iter().filter(|note| expected.contains(note)).count();
    assert_eq!(story_so_far, 2, "{case}: {told:#?}");
    if let Some(deleted) = &end.deleted {
        check_successor(stage, deleted, case).await;
    }
}

/// The target as it is.
async fn workload(stage: &Stage, kind: &str) -> Value {
    let json = match kind {
        "StatefulSet" => {
            serde_json::to_value(stage.scene.api::<StatefulSet>().get("web").await.unwrap())
        }
        _ => serde_json::to_value::<Deployment>(stage.get("web").await),
    };
    json.unwrap()
}

/// The killed pod was deleted, told of on policy and target, and no other pod was.
async fn check_successor(stage: &Stage, deleted: &str, case: &str) {
    let pod = stage.pod_after("web-0", deleted).await;
    assert_eq!(threshold(&pod), 13, "{case}");
    let created = stage.scene.api::<Event>();
    let by_its_controller = ListParams::default().fields("reason=SuccessfulCreate");
    let created = created.list(&by_its_controller).await.unwrap().items;
    let counts = created.iter().map(|event| event.count.unwrap_or(1));
    let pods: i32 = counts.sum();
    assert_eq!(pods, 2, "{case}: pods that the StatefulSet made");
    let mut told = stage.told("PodReplaced", 2).await;
    told.dedup();
    assert_eq!(told.len(), 2, "{case}: {told:#?}");
}

/// Strikes the n-th call. Whether there was one.
async fn strike(story: Story, nth: usize, moment: Moment) -> bool {
    let case = format!("{story:?}, killed {moment:?} call {nth}");
    let stage = Stage::new("crash").await;
    let end = prepare(&stage, story).await;
    let process = Process::default();
    let victim = process.clone();
    let struck = stage.proxy.strike(nth, moment, move || victim.kill());
    process.start(&stage).await;
    let hit = struck_first(&stage, &end, struck).await;
    if hit {
        process.start(&stage).await;
    }
    check(&stage, &end, &case).await;
    process.kill();
    fs::remove_file(kubeconfig(&stage)).expect("the kubeconfig");
    stage.end().await;
    hit
}

async fn strike_every_call(story: Story) {
    program().await;
    let every = |moment| async move {
        let mut nth = 1;
        while strike(story, nth, moment).await {
            nth += 1;
            assert!(nth < 30, "{story:?} has no end");
        }
        nth - 1
    };
    let (before, after) = tokio::join!(every(Moment::Before), every(Moment::After));
    println!("{story:?}: {before} calls struck before, {after} after");
    // The intent, the write itself and what came of it, at the least.
    assert!(before >= 3 && after >= 3, "{before} and {after} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proactive_write_survives_every_kill() {
    strike_every_call(Story::Raise).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lower_survives_every_kill() {
    strike_every_call(Story::Lower).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_because_of_a_kill_survives_every_kill() {
    strike_every_call(Story::Kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_the_handler_alone_survives_every_kill() {
    strike_every_call(Story::Handler).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_a_stuck_pod_survives_every_kill() {
    strike_every_call(Story::Stuck).await;
}
