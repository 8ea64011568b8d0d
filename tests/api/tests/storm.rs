//! The whole operator while the API server refuses requests for a minute.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fmt::Display;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use probepilot_api::ProbePolicy;
use probepilot_operator::admission::AdmissionPace;
use probepilot_operator::context::PolicyOptions;
use probepilot_operator::{LeaseName, Options};
use probepilot_test_api::Scene;
use probepilot_test_api::proxy::{Mood, Proxy};
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::json;
use tokio::sync::oneshot;

/// Policies, each with a target of its own: two watches each.
const POLICIES: usize = 20;
const STORM: Duration = Duration::from_mins(1);
/// For this part of the storm the lease and status are spared.
const FIRST_PART: Duration = Duration::from_secs(35);
const RECOVERY: Duration = Duration::from_secs(30);

async fn install_crd(scene: &Scene) {
    let api: Api<CustomResourceDefinition> = Api::all(scene.admin.clone());
    let crd = probepilot_api::crd();
    let params = PatchParams::apply("probepilot-test").force();
    let name = crd.metadata.name.clone().unwrap();
    api.patch(&name, &params, &Patch::Apply(&crd))
        .await
        .unwrap();
}

async fn target_and_policy(scene: &Scene, index: usize) {
    let name = format!("web-{index:02}");
    let deployment = json!({"metadata": {"name": name}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{
            "name": "a", "image": "none", "livenessProbe": {
                "httpGet": {"path": "/healthz", "port": 61779}, "initialDelaySeconds": 30,
                "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2}}]}}}});
    scene.create::<Deployment>(deployment).await;
    let policy = json!({"apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": name, "namespace": scene.ns()},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "mode": if index == 0 { "Enforce" } else { "Observe" },
            "rules": [{"count": {"resource": "configmaps", "namespace": scene.ns()}, "steps": [
                {"atLeast": 0, "startupSeconds": 60}, {"atLeast": 50, "startupSeconds": 600}]}],
            "behavior": {"raise": {"policy": "Always", "stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}}}});
    let policy: ProbePolicy = serde_json::from_value(policy).unwrap();
    // The API may be served some moments after its definition was taken.
    let create = || async {
        let made = scene.api().create(&PostParams::default(), &policy).await;
        made.map(Seen::Done)
    };
    until("the ProbePolicy API", RECOVERY, create).await;
}

async fn until<T, E: Display, F: Future<Output = Result<Seen<T>, E>>>(
    what: &str,
    within: Duration,
    look: impl FnMut() -> F,
) -> T {
    let waited = wait::until(what, within, look).await;
    waited.unwrap_or_else(|error| panic!("{error}"))
}

fn condition(policy: &ProbePolicy, kind: &str) -> Option<(String, String)> {
    let conditions = &policy.status.as_ref()?.conditions;
    let found = conditions
        .iter()
        .find(|condition| condition.type_ == kind)?;
    Some((found.status.clone(), found.reason.clone()))
}

/// Waits until `CountFresh` has this status on so many of the policies; gives the reasons.
async fn fresh(scene: &Scene, policies: usize, status: &str, within: Duration) -> Vec<String> {
    let what = format!("CountFresh={status} on {policies} policies");
    until(&what, within, || async {
        let all = ListParams::default();
        let list = scene.api::<ProbePolicy>().list(&all).await?;
        let found: Vec<_> = list
            .iter()
            .filter_map(|policy| condition(policy, "CountFresh"))
            .collect();
        let reasons: Vec<_> = found
            .iter()
            .filter(|(is, _)| is == status)
            .map(|(_, reason)| reason.clone())
            .collect();
        Ok::<_, kube::Error>(if reasons.len() >= policies {
            Seen::Done(reasons)
        } else {
            Seen::NotYet(format!("{found:?}"))
        })
    })
    .await
}

/// Generation and startup budget of the enforced target.
async fn enforced(scene: &Scene) -> (i64, i32) {
    let deployment = scene.api::<Deployment>().get("web-00").await.unwrap();
    let generation = deployment.metadata.generation.unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let budget = pod.containers[0].startup_probe.as_ref().map_or(0, |probe| {
        let period = probe.period_seconds.unwrap_or(10);
        (probe.failure_threshold.unwrap_or(3) - 1) * period
    });
    (generation, budget)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_refusals_slows_the_operator_down_and_confuses_it_not() {
    let scene = Scene::new("storm").await;
    install_crd(&scene).await;
    for index in 0..POLICIES {
        target_and_policy(&scene, index).await;
    }
    let proxy = Proxy::start(scene.admin.clone()).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let options = Options {
        policies: PolicyOptions {
            namespace: Some(scene.ns().to_owned()),
            read_only: false,
            max_parallel_rollouts: 1,
            count_interval: Duration::from_secs(2),
            admission: AdmissionPace::default(),
        },
        listen: ([127, 0, 0, 1], 0).into(),
        lease: Some(LeaseName {
            namespace: None,
            name: "probepilot".to_owned(),
        }),
        instance: "storm".to_owned(),
    };
    let running = probepilot_operator::run(proxy.config(scene.ns()), options, async {
        let _ = stopped.await;
    });
    let running = tokio::spawn(running);
    fresh(&scene, POLICIES, "True", RECOVERY).await;
    let before = until("the first write", RECOVERY, || async {
        let (generation, budget) = enforced(&scene).await;
        Ok::<_, std::convert::Infallible>(if budget >= 60 {
            Seen::Done((generation, budget))
        } else {
            Seen::NotYet(format!("{budget} s"))
        })
    })
    .await;

    let began = Instant::now();
    proxy.feel(Mood::Overload);
    for index in 0..60 {
        let map = json!({"metadata": {"name": format!("map-{index}")}});
        scene.create::<ConfigMap>(map).await;
    }
    for reason in fresh(&scene, POLICIES / 2, "False", FIRST_PART).await {
        assert_eq!(reason, "CountUnavailable");
    }
    println!(
        "half of the policies tell of it after {:?}",
        began.elapsed()
    );
    tokio::time::sleep_until((began + FIRST_PART).into()).await;
    // Now the lease is lost too: nobody leads, and nothing is done.
    proxy.feel(Mood::Storm);
    tokio::time::sleep_until((began + STORM).into()).await;
    let requests = proxy.since(began);
    assert_eq!(
        enforced(&scene).await,
        before,
        "nothing is written on what is not known"
    );

    proxy.feel(Mood::Calm);
    let ended = Instant::now();
    let after = until("the write that was due", RECOVERY, || async {
        let (generation, budget) = enforced(&scene).await;
        Ok::<_, std::convert::Infallible>(if budget >= 600 {
            Seen::Done((generation, budget))
        } else {
            Seen::NotYet(format!("{budget} s"))
        })
    })
    .await;
    assert_eq!(after.0, before.0 + 1, "one write");
    let left = RECOVERY.saturating_sub(ended.elapsed());
    fresh(&scene, POLICIES, "True", left).await;
    println!(
        "{} requests in the storm, back after {:?}",
        requests.len(),
        ended.elapsed()
    );

    let most = usize::try_from(2 * STORM.as_secs()).unwrap();
    assert!(
        requests.len() <= most,
        "{} requests in the storm",
        requests.len()
    );
    // The first second is for what was on its way when the first refusal came.
    for second in 1..STORM.as_secs() - 5 {
        let window = Duration::from_secs(second)..Duration::from_secs(second + 5);
        let within: Vec<_> = requests
            .iter()
            .filter(|seen| window.contains(&(seen.at - began)))
            .map(|seen| seen.line.as_str())
            .collect();
        assert!(within.len() <= 10, "in {window:?}: {within:#?}");
    }
    stop.send(()).unwrap();
    let end = tokio::time::timeout(Duration::from_secs(15), running).await;
    end.expect("a shutdown in time").unwrap().unwrap();
    scene.end().await;
}
