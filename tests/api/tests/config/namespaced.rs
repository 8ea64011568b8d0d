//! The install for one namespace: the operator works with the rights that config/namespaced binds there, behind config/guard.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use probepilot_api::ProbePolicy;
use probepilot_test_api::Scene;
use probepilot_test_api::proxy::Proxy;
use probepilot_test_api::stage::{Stage, chart_liveness, shown, web};
use serde_json::{Value, json};

use crate::account::token;
use crate::guard::Guard;
use crate::{build, kinds_of};

/// The namespace that the kustomization names.
const TEAM: &str = "my-team";

#[tokio::test(flavor = "multi_thread")]
async fn rights_end_at_the_namespace() {
    let scene = Scene::new("namespaced").await;
    let objects = build(&scene.cluster, "namespaced").await;
    let kinds = kinds_of(&objects);
    assert!(!kinds.contains(&"ClusterRoleBinding"), "{kinds:?}");
    assert!(!kinds.contains(&"Namespace"), "{kinds:?}");
    let mut bound = 0;
    for object in &objects {
        let namespace = object["metadata"]["namespace"].as_str();
        let of_the_cluster = [
            "CustomResourceDefinition",
            "ClusterRole",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ];
        let kind = object["kind"].as_str().unwrap();
        if of_the_cluster.contains(&kind) {
            assert_eq!(namespace, None, "{kind}");
            continue;
        }
        assert_eq!(namespace, Some(TEAM), "{kind}");
        if kind == "RoleBinding" {
            assert_eq!(object["subjects"][0]["namespace"], TEAM);
            bound += 1;
        }
        if kind == "Deployment" {
            let args = &object["spec"]["template"]["spec"]["containers"][0]["args"];
            let args = args.as_array().unwrap();
            assert!(args.contains(&json!("--namespace=$(POD_NAMESPACE)")));
        }
    }
    assert_eq!(bound, 4);
    scene.end().await;
}

/// Applies an object of the kustomization for the test's namespace.
async fn apply(scene: &Scene, object: &Value) {
    let mut object = object.clone();
    if object["metadata"]["namespace"] == TEAM {
        object["metadata"]["namespace"] = json!(scene.ns());
    }
    if let Some(subject) = object.pointer_mut("/subjects/0") {
        subject["namespace"] = json!(scene.ns());
    }
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let params = PatchParams::apply("test-installer").force();
    let patch = Patch::Apply(&object);
    let applied = match object["kind"].as_str().unwrap() {
        "ServiceAccount" => scene
            .api::<ServiceAccount>()
            .patch(&name, &params, &patch)
            .await
            .map(drop),
        "Role" => scene
            .api::<Role>()
            .patch(&name, &params, &patch)
            .await
            .map(drop),
        "RoleBinding" => scene
            .api::<RoleBinding>()
            .patch(&name, &params, &patch)
            .await
            .map(drop),
        "ClusterRole" => {
            let api: Api<ClusterRole> = Api::all(scene.admin.clone());
            api.patch(&name, &params, &patch).await.map(drop)
        }
        _ => Ok(()),
    };
    applied.unwrap();
}

/// The rights and the guard let the operator put the owner's probes back, finalizer included, and let go.
async fn leaves_in_both_ways(stage: &Stage) {
    let policies = stage.scene.api::<ProbePolicy>();
    let anyway = json!({"metadata": {"annotations": {"probepilot.dev/restore-anyway": "true"}}});
    policies
        .patch("web", &PatchParams::default(), &Patch::Merge(anyway))
        .await
        .unwrap();
    stage.delete_policy("web").await;
    let liveness = "30/10/10/2 /healthz:61779";
    assert_eq!(stage.shown().await, shown("", liveness, 4));

    stage.enforce(json!({})).await;
    let startup = "0/10/10/7 /healthz:61779";
    stage.until_shown(shown(startup, liveness, 5)).await;
    stage.delete_policy("web").await;
    stage.told("ProbesKept", 1).await;
    assert_eq!(stage.shown().await, shown(startup, liveness, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_rights_are_enough_and_a_missing_one_is_named() {
    let scene = Scene::new("namespaced").await;
    let guard = Guard::install(&scene).await;
    for object in build(&scene.cluster, "namespaced").await {
        apply(&scene, &object).await;
    }
    let operator = token(&scene, "probepilot").await;
    let proxy = Proxy::start(operator).await;
    let stage = Stage { scene, proxy };
    stage
        .scene
        .create::<Deployment>(web(chart_liveness("/healthz")))
        .await;
    let restore = json!({"apply": {"onDelete": "Restore"}});
    stage.enforce(restore).await;
    let operator = stage.start();

    // The rule counts configmaps, which nobody let the operator list.
    let missing = stage
        .status("web", "the missing right", |status| {
            let mut conditions = status.conditions.iter();
            let fresh = conditions.find(|condition| condition.type_ == "CountFresh");
            fresh.is_some_and(|fresh| fresh.status == "False" && fresh.message.contains("verbs"))
        })
        .await;
    let mut conditions = missing.conditions.iter();
    let fresh = conditions
        .find(|condition| condition.type_ == "CountFresh")
        .unwrap();
    let rule = r#"apiGroups: [""], resources: ["configmaps"], verbs: ["list"]"#;
    assert!(fresh.message.contains(rule), "{}", fresh.message);

    let added: ClusterRole = serde_json::from_value(json!({
        "metadata": {
            "name": format!("configmaps-{}", stage.scene.ns()),
            "labels": {"probepilot.dev/aggregate-to-counter": "true"},
        },
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}],
    }))
    .unwrap();
    let roles: Api<ClusterRole> = Api::all(stage.scene.admin.clone());
    roles.create(&PostParams::default(), &added).await.unwrap();
    stage
        .until_shown(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            2,
        ))
        .await;
    stage.told("ProbesRaised", 2).await;
    leaves_in_both_ways(&stage).await;
    operator.stop().await;
    let name = added.metadata.name.as_deref().unwrap();
    roles.delete(name, &DeleteParams::default()).await.unwrap();
    guard.remove().await;
    stage.end().await;
}
