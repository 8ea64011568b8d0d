//! Starts that the operator sees on a real API server: recorded, recommended from, and with `learning` asked for.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::process::Command;

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use probepilot_api::{BudgetSource, ProbePolicyStatus, StartOutcome};
use probepilot_test_api::program::program;
use probepilot_test_api::stage::{Killed, Stage, chart_liveness, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

/// The only pod of `web`, with a readiness probe so that its start can be seen.
async fn pod(stage: &Stage) -> Killed {
    let readiness = json!({"readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}}});
    stage.gated(chart_liveness("/healthz"), &readiness).await
}

/// Counts configmaps, and asks for no more than the chart's 40 s.
fn fields(stage: &Stage, more: &Value) -> Value {
    let mut fields = json!({"rules": [{"count": {"resource": "configmaps", "namespace": stage.scene.ns()},
        "steps": [{"atLeast": 0, "startupSeconds": 40}]}]});
    for (key, value) in more.as_object().unwrap() {
        fields[key] = value.clone();
    }
    fields
}

fn recommended(status: &ProbePolicyStatus) -> Option<i64> {
    status.startup.as_ref()?.recommended_seconds
}

/// `probepilot recommend` of policy `web`.
async fn recommend(stage: &Stage, output: &str) -> String {
    let kubeconfig = stage.scene.cluster.kubeconfig();
    let ran = Command::new(program().await)
        .args([
            "recommend",
            "web",
            "--namespace",
            stage.scene.ns(),
            "--output",
            output,
        ])
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{error}");
    String::from_utf8(ran.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_recorded_once_and_recommended_from() {
    let stage = Stage::new("starts").await;
    let pod = pod(&stage).await;
    let observe = fields(&stage, &json!({"mode": "Observe"}));
    stage.enforce(observe).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.started(&pod, 31).await;
    let one = |status: &ProbePolicyStatus| status.starts.len() == 1;
    let status = stage.status("web", "a start", one).await;
    let start = &status.starts[0];
    assert_eq!((start.seconds, start.outcome), (31, StartOutcome::Healthy));
    assert_eq!(Some(start.count), status.counts[0].value);
    assert!(
        start.key.ends_with("-nolimit") && !start.own_write,
        "{start:?}"
    );
    let seconds = recommended(&status).expect("a recommendation");
    assert!(seconds > 31, "{seconds}");

    // Neither more looks nor a restart record it again, and nothing is written to the target without learning.
    stage.quiet().await;
    operator.stop().await;
    let operator = stage.start();
    stage.quiet().await;
    let again = stage.status("web", "the start", one).await;
    assert_eq!(again.starts, status.starts);
    assert_eq!(stage.shown().await.generation, 1);

    // What is printed from it can be committed.
    let policy = recommend(&stage, "yaml").await;
    assert!(
        policy.contains("Healthy") && policy.contains("interpolate"),
        "{policy}"
    );
    let kubectl = stage.scene.cluster.kubectl().unwrap();
    let apply = [
        "--namespace",
        stage.scene.ns(),
        "apply",
        "--dry-run=server",
        "-f",
        "-",
    ];
    let applied = kubectl.run_with_input(apply, &policy).await;
    applied.unwrap_or_else(|error| panic!("{error}\n{policy}"));
    let printed: Value = serde_json::from_str(&recommend(&stage, "json").await).unwrap();
    assert_eq!(printed["recommendedSeconds"], seconds, "{printed}");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_learning_a_grown_count_is_answered_before_anything_is_killed() {
    let stage = Stage::new("learns").await;
    let pod = pod(&stage).await;
    let learning = fields(&stage, &json!({"learning": {}}));
    stage.enforce(learning).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.started(&pod, 39).await;
    let one = |status: &ProbePolicyStatus| status.starts.len() == 1;
    stage.status("web", "a start", one).await;
    stage.quiet().await;
    assert_eq!(stage.shown().await.generation, 1, "39 s are covered by 40");

    stage.grow().await;
    let status = stage.written("web", 2).await;
    let startup = status.startup.as_ref().unwrap();
    assert_eq!(startup.source, Some(BudgetSource::Learned));
    assert!(startup.budget_seconds > Some(39 * 10), "{startup:?}");
    assert!(status.raises.unwrap_or(0) == 0, "nothing was killed");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_image_starts_over_and_says_so() {
    let stage = Stage::new("anew").await;
    let pod = pod(&stage).await;
    let observe = fields(&stage, &json!({"mode": "Observe"}));
    stage.enforce(observe).await;
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    stage.started(&pod, 31).await;
    let known = |status: &ProbePolicyStatus| recommended(status).is_some();
    stage.status("web", "a recommendation", known).await;
    let image =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "other"}]}}}});
    stage.edit("web", image).await;
    let none = |status: &ProbePolicyStatus| recommended(status).is_none();
    let status = stage.status("web", "no recommendation", none).await;
    assert_eq!(status.starts.len(), 1, "the old image may come back");
    let look = || async {
        let events = stage
            .scene
            .api::<Event>()
            .list(&ListParams::default())
            .await?;
        let told = events
            .items
            .iter()
            .filter(|event| event.reason.as_deref() == Some("LearningStartsOver"))
            .count();
        Ok::<_, kube::Error>(if told > 0 {
            Seen::Done(told)
        } else {
            Seen::NotYet("no such event".to_owned())
        })
    };
    assert_eq!(until("the event LearningStartsOver", look).await, 1);
    operator.stop().await;
    stage.end().await;
}
