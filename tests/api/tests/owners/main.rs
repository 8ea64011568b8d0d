//! Real owners of workloads and policies, each at its own work: Helm 3, Helm 4 and Flux, and Argo CD's Lua.
//!
//! Of workloads the generation and the rollouts count: each has a cause, and none is a fight. Of policies it counts what the
//! tools take for healthy.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod argo;
mod beside_flux;
mod feed;
mod flux;
mod health;
mod helm;

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_test_api::stage::{Stage, until};
use probepilot_test_cluster::wait::Seen;
use probepilot_test_cluster::{OwnerTools, Progress};
use tokio::sync::OnceCell;

/// Liveness as the chart and the manifests declare it.
const DECLARED: &str = "30/10/10/2 /healthz:61779";
/// Liveness as [`Stage::rung`] wants it.
const WANTED: &str = "60/10/30/6 /healthz:61779";

/// The owners, built once for all tests of this process.
async fn tools() -> &'static OwnerTools {
    static BUILT: OnceCell<OwnerTools> = OnceCell::const_new();
    let build = || async {
        let built = tokio::task::spawn_blocking(|| OwnerTools::build(&Progress::stderr())).await;
        built.unwrap().unwrap()
    };
    BUILT.get_or_init(build).await
}

/// How often the template of `web` changed: the revision that the Deployment controller gave it last.
async fn rollouts(stage: &Stage) -> u32 {
    let look = || async {
        let web = stage.scene.api::<Deployment>().get("web").await?;
        let observed = web.status.and_then(|status| status.observed_generation);
        let annotations = web.metadata.annotations.unwrap_or_default();
        let revision = annotations
            .get("deployment.kubernetes.io/revision")
            .cloned();
        Ok::<_, kube::Error>(match revision {
            Some(revision) if observed == web.metadata.generation => Seen::Done(revision),
            other => Seen::NotYet(format!("{other:?}")),
        })
    };
    let revision = until("the Deployment controller's revision", look).await;
    revision.parse().unwrap()
}
