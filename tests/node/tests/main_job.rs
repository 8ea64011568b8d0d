//! The case that the product was made for, with the operator installed from `config/` and the real kubelet.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::time::Duration;

use futures::FutureExt;
use k8s_openapi::api::core::v1::Probe;
use podcache::NAME as CONTROLLER;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_cluster::{Cluster, Progress};
use probepilot_test_node::story::{NAMESPACE, Story};
use serde_json::Value;

/// How the real controller ends when it is killed while it lists: message, error and exit code.
const LAST_WORDS: [&str; 3] = [
    "problem wait for podInfo repo sync",
    "timed out waiting for the condition",
    "1",
];

/// The same of the controller's last life.
async fn last_words(story: &Story) -> [String; 3] {
    let target = format!("deployment/{CONTROLLER}");
    let log = story
        .kubectl(&["logs", "--previous", "-n", NAMESPACE, &target])
        .await
        .unwrap();
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let path = "jsonpath={.items[0].status.containerStatuses[0].lastState.terminated.exitCode}";
    let code = story
        .kubectl(&["get", "pods", "-n", NAMESPACE, "-o", path])
        .await
        .unwrap();
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    [text("msg"), text("error"), code]
}

fn reason(status: &ProbePolicyStatus, kind: &str) -> String {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind);
    found
        .map(|condition| condition.reason.clone())
        .unwrap_or_default()
}

fn timings(probe: &Probe) -> [Option<i32>; 4] {
    [
        probe.initial_delay_seconds,
        probe.period_seconds,
        probe.timeout_seconds,
        probe.failure_threshold,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_at_10_000_pods_starts_once_the_policy_is_enforced() {
    let cluster = Cluster::shared().await.unwrap();
    let story = Story::begin(cluster, Progress::stderr()).await.unwrap();
    // The operator works on the whole cluster, so it must go whatever comes of the test.
    let told = std::panic::AssertUnwindSafe(tell(&story))
        .catch_unwind()
        .await;
    story.clean_up().await.unwrap();
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

async fn tell(story: &Story) {
    story.install_operator().await.unwrap();
    story.fill(10_000).await.unwrap();
    story.deploy_controller().await.unwrap();
    let (before, none) = story.probes().await.unwrap();
    let before = before.unwrap();
    assert_eq!(
        (timings(&before), none),
        ([Some(30), Some(10), Some(10), Some(2)], None)
    );

    // Observe: the controller goes on being killed; the status shows why and what would be done.
    story.apply_policy("Observe").await.unwrap();
    story.killed().await.unwrap();
    let seen = story
        .status("the kill to be recognised", |status| {
            status.verdict.as_deref() == Some("StartupKill")
        })
        .await
        .unwrap();
    assert_eq!(last_words(story).await, LAST_WORDS);
    assert_eq!(reason(&seen, "InSync"), "ObserveOnly");
    let startup = seen.startup.unwrap();
    assert_eq!(
        (startup.need_seconds, startup.budget_seconds),
        (Some(110), Some(40))
    );
    assert!(startup.count.unwrap() >= 10_000);
    assert_eq!(
        seen.desired
            .unwrap()
            .liveness_probe
            .unwrap()
            .failure_threshold,
        Some(6)
    );
    assert_eq!(
        story.deployment().await.unwrap().metadata.generation,
        Some(1),
        "Observe writes nothing"
    );

    // Enforce: exactly the rung's timings, the owner's handler, one rollout, and no restart.
    story.apply_policy("Enforce").await.unwrap();
    let covered = story
        .status("the budget to cover the need", |status| {
            reason(status, "InSync") == "Covered"
        })
        .await
        .unwrap();
    assert_eq!(
        story.ready().await.unwrap(),
        0,
        "the new pod starts without a restart"
    );
    story.stays_ready(Duration::from_secs(20)).await.unwrap();
    let (after, startup) = story.probes().await.unwrap();
    let after = after.unwrap();
    assert_eq!(
        (timings(&after), startup),
        ([Some(60), Some(10), Some(30), Some(6)], None)
    );
    assert_eq!(
        after.http_get, before.http_get,
        "handler, path and port are the owner's"
    );
    assert_eq!(
        story.deployment().await.unwrap().metadata.generation,
        Some(2),
        "one write"
    );
    assert_eq!(
        covered
            .baseline
            .unwrap()
            .liveness_probe
            .unwrap()
            .initial_delay_seconds,
        Some(30)
    );
    let table = story
        .kubectl(&["get", "pbp", "-n", "load-balancer"])
        .await
        .unwrap();
    assert!(
        table.contains("Enforce") && table.contains("110") && table.contains("True"),
        "{table}"
    );

    // Back to a small cluster: less is needed, and as lower is Disabled nothing changes.
    story.empty().await.unwrap();
    story
        .status("the smaller need", |status| {
            let startup = status.startup.as_ref();
            startup.and_then(|startup| startup.need_seconds) == Some(60)
        })
        .await
        .unwrap();
    assert_eq!(
        story.deployment().await.unwrap().metadata.generation,
        Some(2)
    );
}
