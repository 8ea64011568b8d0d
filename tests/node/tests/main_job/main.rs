//! The case that the product was made for, with the operator installed from `config/` and the real kubelet.
//!
//! One operator and one large cluster serve all variants; each has a controller in a namespace of its own, and they go on side by side.

// Whatever fails here fails the test, and the panic says what and where.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod admitted;
mod roles;
mod seen;
mod variants;

use futures::FutureExt;
use probepilot_test_cluster::{Cluster, Progress};
use probepilot_test_node::story::Story;

use crate::roles::AuditMark;

/// Pods that are there from the beginning to the end.
const SMALL: usize = 200;
/// Pods that come and go.
const CROWD: usize = 9_800;

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_killed_at_10_000_pods_starts_once_the_policy_is_enforced() {
    let cluster = Cluster::shared().await.unwrap();
    let story = Story::begin(cluster, Progress::stderr()).await.unwrap();
    // The operator works on the whole cluster, so it must go whatever comes of the test.
    let told = std::panic::AssertUnwindSafe(Box::pin(tell(&story)))
        .catch_unwind()
        .await;
    let cleaned = story.clean_up().await;
    for namespace in variants::NAMESPACES {
        variants::remove(&story, namespace).await;
    }
    told.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    cleaned.unwrap();
}

async fn tell(story: &Story) {
    let mark = AuditMark::now(story.cluster());
    story.install_operator().await.unwrap();
    story.change("apply", "admission").await.unwrap();
    let podcache = story.load_controller().await.unwrap();
    story.settle(SMALL).await.unwrap();
    let grown = variants::small(story).await;

    story.crowd(CROWD).await.unwrap();
    let millicpu = story.slow_enough(&podcache).await.unwrap();
    let (killed, admitted, ..) = tokio::join!(
        variants::killed(story, millicpu),
        admitted::killed(story, millicpu),
        variants::long_looping(story, millicpu),
        variants::server_side(story, "server-side", "kubectl", millicpu),
        variants::server_side(story, "flux", "kustomize-controller", millicpu),
        variants::without_rules(story, millicpu),
        variants::grown(&grown),
        roles::use_the_rest(story),
    );
    admitted::rescued_without_a_right_to_write(story, &admitted).await;

    story.disperse().await.unwrap();
    variants::small_again(&killed).await;
    roles::are_least(story, mark).await;
}
