//! What the operator does about restarts when a policy has no rules: a kill by a probe raises the budget, nothing else does.
//!
//! All Deployments go on side by side under one operator, each on the real kubelet. Their times lie so far apart that a
//! machine which is some seconds late changes no verdict.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod admission;
mod case;
mod cases;
#[path = "../common/mod.rs"]
mod common;
mod stage;
mod stories;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::join_all;
use probepilot_test_cluster::{Cluster, TestNamespace};

use crate::common::{install_crd, operator};
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn only_a_startup_kill_raises_the_budget() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    install_crd(&client).await;
    let namespace = TestNamespace::create(&client, "kills").await.unwrap();
    let operator = operator(&cluster, namespace.name()).await;
    let cases = cases::all();
    let played = cases.iter().map(|case| {
        let (client, namespace) = (client.clone(), namespace.name());
        async move {
            let stage = Stage::set(&client, namespace, case).await;
            stage.plays().await;
        }
    });
    let (client, name) = (&client, namespace.name());
    let told = [
        stories::only_the_new_version_is_slow(client, name).boxed(),
        stories::one_replica_of_two_is_slow(client, name).boxed(),
        admission::a_killed_pod_is_deleted_and_the_new_one_starts(&cluster, client).boxed(),
    ];
    let all = played.map(FutureExt::boxed).chain(told);
    // All go on to their end, so that one failure hides no other: each panic has said what and where.
    let ended = join_all(all.map(|one| AssertUnwindSafe(one).catch_unwind())).await;
    let failed = ended.iter().filter(|end| end.is_err()).count();
    assert_eq!(failed, 0, "of {} Deployments", ended.len());
    operator.abort();
    namespace.delete().await.unwrap();
}
