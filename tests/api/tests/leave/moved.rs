//! A policy that writes elsewhere from now on, or nowhere, lets go what it wrote before, as onDelete Keep does.

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_test_api::stage::{
    Operator as Running, Shown, Stage, chart_liveness, deployment, shown, until,
};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use crate::seen::{LIVENESS, STARTUP, is_ours, kept, owners};

fn probed(name: &str) -> Value {
    json!({"name": name, "image": "none", "livenessProbe": chart_liveness("/healthz")})
}

/// A Deployment whose containers `a` and `b` have liveness probes.
async fn create(stage: &Stage, name: &str) {
    let object = deployment(name, json!([probed("a"), probed("b")]));
    stage.scene.create::<Deployment>(object).await;
}

/// Waits until nothing of container `a` of `web` is ours although its probes stay.
async fn let_go(stage: &Stage) -> Deployment {
    let look = || async {
        let web = stage.get("web").await;
        let done = !is_ours(&web) && kept(&web).is_some();
        Ok::<_, std::convert::Infallible>(if done {
            Seen::Done(web)
        } else {
            Seen::NotYet(format!("{:?}", owners(&web)))
        })
    };
    let web = until("container a is let go", look).await;
    let probes = Shown::of(&web, "a");
    assert_eq!(probes, shown(STARTUP, LIVENESS, probes.generation));
    web
}

/// `web` with its container `a` written, by a policy that says what it means.
async fn written(prefix: &str) -> Stage {
    let stage = Stage::new(prefix).await;
    create(&stage, "web").await;
    stage.enforce(json!({"containerName": "a"})).await;
    stage
}

/// Whether an operator runs when the policy changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Runs,
    Restarts,
}

/// Lets an operator write, changes the policy, and gives the operator that runs then.
async fn changed(stage: &Stage, operator: Operator, fields: Value) -> Running {
    let running = stage.start();
    stage.until_shown(shown(STARTUP, LIVENESS, 2)).await;
    if operator == Operator::Runs {
        stage.edit_policy("web", fields).await;
        return running;
    }
    running.stop().await;
    stage.edit_policy("web", fields).await;
    stage.start()
}

async fn to_another_target(operator: Operator) {
    let stage = written("moved-target").await;
    create(&stage, "other").await;
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"});
    let operator = changed(&stage, operator, json!({"targetRef": other})).await;
    let_go(&stage).await;
    stage.written("web", 2).await;
    let other = stage.get("other").await;
    assert_eq!(Shown::of(&other, "a"), shown(STARTUP, LIVENESS, 2));
    assert!(is_ours(&other));
    let told = stage.told("ProbesKept", 1).await;
    assert_eq!(told.len(), 1, "on the workload: {told:?}");
    operator.stop().await;
    stage.end().await;
}

async fn to_another_container(operator: Operator) {
    let stage = written("moved-container").await;
    let operator = changed(&stage, operator, json!({"containerName": "b"})).await;
    let_go(&stage).await;
    stage.in_sync("web", "Covered").await;
    let probes = Shown::of(&stage.get("web").await, "b");
    assert_eq!(probes, shown(STARTUP, LIVENESS, probes.generation));
    operator.stop().await;
    stage.end().await;
}

/// And back again: what was kept is still known for what it is.
async fn to_delivery_admission(operator: Operator) {
    let stage = written("moved-admission").await;
    let by = |delivery: &str| json!({"apply": {"delivery": delivery}});
    let operator = changed(&stage, operator, by("Admission")).await;
    let web = let_go(&stage).await;
    stage.edit_policy("web", by("Template")).await;
    let status = stage.in_sync("web", "Covered").await;
    assert_eq!(status.baseline.unwrap().startup_probe, None);
    let template = |deployment: &Deployment| deployment.spec.clone().unwrap().template;
    let now = stage.get("web").await;
    assert_eq!(template(&now), template(&web), "no pod is replaced");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_target_is_let_go() {
    tokio::join!(
        to_another_target(Operator::Runs),
        to_another_target(Operator::Restarts)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_former_container_is_let_go() {
    tokio::join!(
        to_another_container(Operator::Runs),
        to_another_container(Operator::Restarts)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_template_is_let_go_when_new_pods_get_the_probes_instead() {
    tokio::join!(
        to_delivery_admission(Operator::Runs),
        to_delivery_admission(Operator::Restarts)
    );
}
