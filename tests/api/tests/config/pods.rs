//! The operator's account may ask what a pod would look like, and make none.

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client};
use probepilot_test_api::Scene;
use probepilot_test_api::stage::{PATIENCE, within};
use probepilot_test_cluster::wait::Seen;
use serde_json::json;

use crate::account::{account, rule};
use crate::guard::{Guard, dry_run, refusal};

/// What the API server answers to a new pod that no node can take.
async fn created(client: &Client, namespace: &str, params: &PostParams) -> Result<(), String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"generateName": "asked-"},
        "spec": {
            "schedulingGates": [{"name": "probepilot.test/never"}],
            "automountServiceAccountToken": false,
            "containers": [{"name": "a", "image": "none"}],
        },
    }))
    .unwrap();
    match pods.create(params, &pod).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) => Err(refusal(&answer)),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_account_asks_for_pods_and_makes_none() {
    let scene = Scene::new("guard-pods").await;
    let guard = Guard::install(&scene).await;
    let rights = [rule("", &["pods"], "create")];
    let operator = account(&scene, "probepilot", &rights).await;
    let other = account(&scene, "somebody", &rights).await;
    let really = PostParams::default();

    within(PATIENCE, "the policy holds", async || {
        let answer = created(&operator, scene.ns(), &really).await;
        Ok::<_, String>(match answer {
            Err(said) if said == "probepilot creates no pods" => Seen::Done(()),
            other => Seen::NotYet(format!("{other:?}")),
        })
    })
    .await;
    assert_eq!(created(&operator, scene.ns(), &dry_run()).await, Ok(()));
    assert_eq!(created(&other, scene.ns(), &really).await, Ok(()));
    guard.remove().await;
    scene.end().await;
}
