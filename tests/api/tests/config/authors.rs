//! Whose workloads a policy may name.

use kube::Api;
use kube::api::{DynamicObject, PostParams};
use probepilot_test_api::Scene;
use probepilot_test_api::stage::{PATIENCE, within};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use crate::account::{account, rule};
use crate::edits::NAME;
use crate::guard::{Guard, dry_run, refusal, tried};
use crate::kinds::{KINDS, objects_of};

fn policy(namespace: &str, kind: &str, target: &str) -> Value {
    json!({
        "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": kind, "name": target}, "mode": "Enforce"},
    })
}

async fn created(api: &Api<DynamicObject>, policy: Value) -> Result<(), String> {
    let policy: DynamicObject = serde_json::from_value(policy).unwrap();
    match api.create(&dry_run(), &policy).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(answer)) => {
            assert_eq!(answer.code, 403, "{answer:?}");
            Err(refusal(&answer))
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_author_may_name_only_what_he_may_patch() {
    let scene = Scene::new("authors").await;
    let guard = Guard::install(&scene).await;
    let patch_mine = json!({
        "apiGroups": ["apps"], "resources": ["deployments", "statefulsets", "daemonsets"],
        "resourceNames": ["mine"], "verbs": ["patch"],
    });
    let rules = [
        rule("probepilot.dev", &["probepolicies"], "*"),
        // Reading and scaling are not patching.
        rule(
            "apps",
            &["deployments", "statefulsets", "daemonsets"],
            "get",
        ),
        rule("apps", &["deployments/scale"], "patch"),
        patch_mine,
    ];
    let tenant = account(&scene, "tenant", &rules).await;
    let api = objects_of(&tenant, scene.ns(), "ProbePolicy");
    let theirs = |kind| {
        format!(
            "you may not patch {}s/theirs in namespace {}, so no policy of yours may name it; ask for the right to patch it",
            str::to_lowercase(kind),
            scene.ns()
        )
    };
    within(PATIENCE, "the policy holds", async || {
        let answer = created(&api, policy(scene.ns(), KINDS[0], "theirs")).await;
        Ok::<_, String>(match answer {
            Err(_) => Seen::Done(()),
            Ok(()) => Seen::NotYet("naming another's workload passes".to_owned()),
        })
    })
    .await;
    for kind in KINDS {
        let mine = created(&api, policy(scene.ns(), kind, "mine")).await;
        assert_eq!(mine, Ok(()), "{kind}");
        let others = created(&api, policy(scene.ns(), kind, "theirs")).await;
        assert_eq!(others, Err(theirs(kind)));
        let admins = objects_of(&scene.admin, scene.ns(), "ProbePolicy");
        let by_admin = created(&admins, policy(scene.ns(), kind, "theirs")).await;
        assert_eq!(by_admin, Ok(()), "{kind}");
    }

    // What an administrator made: the tenant may label it and point it at his own, but not change what it does.
    let admins = objects_of(&scene.admin, scene.ns(), "ProbePolicy");
    let made: DynamicObject =
        serde_json::from_value(policy(scene.ns(), "Deployment", "theirs")).unwrap();
    admins.create(&PostParams::default(), &made).await.unwrap();
    let tries = |edit| tried(&tenant, scene.ns(), "ProbePolicy", edit);
    let labelled = tries(|policy| policy["metadata"]["labels"] = json!({"team": "a"})).await;
    assert_eq!(labelled, Ok(()));
    let own = tries(|policy| policy["spec"]["targetRef"]["name"] = json!("mine")).await;
    assert_eq!(own, Ok(()));
    let longer =
        tries(|policy| policy["spec"]["limits"] = json!({"maxStartupSeconds": 3600})).await;
    assert_eq!(longer, Err(theirs("Deployment")));
    guard.remove().await;
    scene.end().await;
}
