//! Delivery Admission on the real API server, with the real controllers and config/admission as it is shipped.
//!
//! The policy and its binding are there once for the whole cluster, so this is one test: first what they do, side
//! by side, and then what becomes of pods without them.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod canary;
mod given;
mod kills;
mod shipped;

use probepilot_test_api::stage::Stage;

use crate::shipped::{install, remove};

#[tokio::test(flavor = "multi_thread")]
async fn new_pods_get_what_is_desired_and_nothing_keeps_pods_from_being_created() {
    let stage = Stage::new("admission").await;
    install(&stage).await;
    tokio::join!(
        given::by_the_table(),
        kills::of_each_kind(),
        kills::with_an_owner_of_a_startup_probe(),
    );
    canary::tells_what_is_wrong(&stage).await;
    remove(&stage).await;
    stage.end().await;
}
