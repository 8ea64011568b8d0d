//! Deployments in which only some of the pods are killed.

use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tempfile::TempDir;

use crate::case::{CONTAINER, Case, End, SERVE, SLOW, slow};
use crate::stage::{OWNER, Running, Stage};

const RESCUED: End = End::Rescued { raises: 1 };

/// A rollout whose new version is slow: that one is rescued, and the pods of the old one serve until it is ready.
pub async fn only_the_new_version_is_slow(client: &Client, namespace: &str) {
    let case = Case::new("new-version", SERVE.to_owned(), RESCUED);
    let stage = Stage::set(client, namespace, &case).await;
    let old = stage
        .until("the old version", || async {
            let mut pods = stage.running().await;
            pods.pop_if(|pod| pod.ready)
                .map(|pod| pod.uid)
                .ok_or_else(|| format!("{pods:?}"))
        })
        .await;
    let serves = || async {
        let pods = stage.running().await;
        let new_is_ready = pods.iter().any(|pod| pod.uid != old && pod.ready);
        let old = pods.iter().find(|pod| pod.uid == old);
        let whole = old.is_some_and(Running::never_failed);
        assert!(whole || new_is_ready, "the old version serves: {pods:?}");
        pods
    };

    let container =
        json!({"name": CONTAINER, "command": ["/bin/busybox", "sh", "-c", slow(SLOW, "exit 1")]});
    let update = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    let by_the_owner = PatchParams {
        field_manager: Some(OWNER.to_owned()),
        ..PatchParams::default()
    };
    stage
        .deployments
        .patch(case.name, &by_the_owner, &Patch::Strategic(&update))
        .await
        .unwrap();
    stage
        .until("a kill of the new version only", || async {
            let pods = serves().await;
            let killed = pods.iter().any(|pod| pod.uid != old && pod.restarts > 0);
            if killed {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            }
        })
        .await;
    stage.raised(1).await;
    stage
        .until("the rescued version", || async {
            let pods = serves().await;
            let rescued = pods.iter().any(|pod| pod.uid != old && pod.never_failed());
            if rescued {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            }
        })
        .await;
    // Created, updated by its owner, raised.
    stage.rolled_out(3).await;
}

/// Two replicas of which the first one is slow in every version, as the leader of a pair is: one raise, and not a second one.
pub async fn one_replica_of_two_is_slow(client: &Client, namespace: &str) {
    // The node is this machine, so the pods can agree in a folder of it.
    let shared = TempDir::new().unwrap();
    let program = format!(
        "mkdir /shared/$VERSION 2> /dev/null && hostname > /shared/$VERSION/first; \
         if [ \"$(cat /shared/$VERSION/first)\" = \"$(hostname)\" ]; then {}; fi; {SERVE}",
        slow(SLOW, "exit 1")
    );
    let case = Case {
        replicas: 2,
        container: json!({
            "env": [{"name": "VERSION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['pod-template-hash']"}}}],
            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        }),
        pod: json!({"volumes": [{"name": "shared", "hostPath": {"path": shared.path()}}]}),
        ..Case::new("one-is-slow", program, RESCUED)
    };
    let stage = Stage::set(client, namespace, &case).await;
    let before = stage
        .until("one killed and one ready", || async {
            let pods = stage.running().await;
            let killed = pods.iter().any(|pod| pod.restarts > 0);
            if killed {
                Ok(pods)
            } else {
                Err(format!("{pods:?}"))
            }
        })
        .await;
    let whole = before.iter().filter(|pod| pod.never_failed()).count();
    assert_eq!(whole, 1, "the other one was never slow: {before:?}");
    let raised = stage.raised(1).await;
    stage.rolled_out(2).await;
    stage.only_a_budget_was_written(&raised).await;
    let floor = |status: probepilot_api::ProbePolicyStatus| status.memory.unwrap().floor;
    assert_eq!(
        floor(stage.get().await),
        floor(raised),
        "one kill, one raise"
    );
}
