//! What an owner does to his workload, at each moment before and after our write.
//!
//! Four owners, seven acts, four moments, each in a namespace of its own: his apply succeeds wherever the API server
//! allows it. Where it does not (S4, S5, a conflict), the InSync condition said so before, and the way out that it
//! names is gone here. Either way everybody comes to rest: the probes are those of the table, his next apply is
//! accepted, and nobody writes any more.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod acts;
mod owners;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::{FutureExt, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use probepilot_api::{KEPT_ANNOTATION, ProbePolicy};
use probepilot_test_api::proxy::Held;
use probepilot_test_api::stage::{
    Shown, Stage, patches_workload, reason, sync_message, until, writes_status,
};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use crate::acts::{ACTS, Act};
use crate::owners::Owner;

/// Cases of one owner that are played at a time.
const AT_A_TIME: usize = 3;

/// When the owner acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// No operator runs yet.
    Before,
    /// The intent is in status; the patch is on its way and arrives after him.
    Intended,
    /// The patch is done; its result is not in status yet.
    Patched,
    /// Everything is said and done.
    Settled,
}

const MOMENTS: [Moment; 4] = [
    Moment::Before,
    Moment::Intended,
    Moment::Patched,
    Moment::Settled,
];

impl Moment {
    /// Whether our fields are there when he acts.
    fn written(self) -> bool {
        matches!(self, Self::Patched | Self::Settled)
    }

    /// Holds the request before which the moment is.
    fn hold(self, stage: &Stage) -> Option<Held> {
        match self {
            Self::Intended => Some(stage.proxy.hold(patches_workload)),
            Self::Patched => {
                let patched = AtomicBool::new(false);
                let after = move |line: &str| {
                    patched.fetch_or(patches_workload(line), Ordering::Relaxed);
                    patched.load(Ordering::Relaxed) && writes_status(line)
                };
                Some(stage.proxy.hold(after))
            }
            Self::Before | Self::Settled => None,
        }
    }
}

/// One case, from an empty namespace to rest.
async fn play(owner: Owner, act: Act, moment: Moment) {
    let stage = Stage::new("moments").await;
    let first = act.first();
    owner.apply(&stage, &first).await.unwrap();
    stage.enforce(owner.fields(&stage)).await;

    let mut held = moment.hold(&stage);
    let started = (moment != Moment::Before).then(|| stage.start());
    if let Some(held) = &mut held {
        held.arrived().await;
    }
    if moment == Moment::Settled {
        stage.written("web", 2).await;
    }
    let after = act.manifest();
    let done = owner.act(&stage, act, &after).await;
    if let Some(held) = held {
        held.release();
    }
    let operator = started.unwrap_or_else(|| stage.start());
    match owner.refused(act, moment.written()) {
        None => done.unwrap(),
        Some(why) => {
            let refused = done.unwrap_err();
            assert!(refused.contains(why), "{refused}");
            go_the_way_out(&stage, owner, act, &after).await;
        }
    }

    let end = owner.end(act);
    settled(&stage, &end).await;
    let from = Instant::now();
    stage.two_counts().await;
    assert_eq!(stage.patches_since(from), 0, "writes at rest");
    owner.try_apply(&stage, &after).await.unwrap();
    operator.stop().await;
    stage.end().await;
}

/// What the condition said before the owner was refused: the operator never hears of his try.
async fn go_the_way_out(stage: &Stage, owner: Owner, act: Act, manifest: &Value) {
    let said = stage.in_sync("web", "Covered").await;
    let said = sync_message(&said);
    let (_, way) = said.split_once("the API server refuses ").expect(&said);
    let (_, steps) = way.split_once(": ").expect(&said);
    assert!(steps.starts_with("set spec.mode to Observe"), "{said}");
    stage.edit_policy("web", json!({"mode": "Observe"})).await;
    stage.told("ProbesKept", 2).await;
    if steps.contains("run the command of the annotation probepilot.dev/kept") {
        let annotations = stage.get("web").await.metadata.annotations.unwrap();
        stage.run(&annotations[KEPT_ANNOTATION]).await;
    }
    owner.act(stage, act, manifest).await.unwrap();
    stage.edit_policy("web", json!({"mode": "Enforce"})).await;
}

/// Where a case comes to rest.
struct End {
    /// The target's only container.
    container: &'static str,
    startup: String,
    liveness: &'static str,
    /// Reason of InSync; of Ready where no container can be scaled.
    reason: &'static str,
}

async fn settled(stage: &Stage, end: &End) {
    let look = || async {
        let web = stage.get("web").await;
        let status = stage.scene.api::<ProbePolicy>().get("web").await?.status;
        let status = status.unwrap_or_default();
        let memory = status.memory.as_ref();
        let intent = memory.and_then(|memory| memory.intent.as_ref());
        let says = [reason(&status, "InSync"), reason(&status, "Ready")];
        let said = says.iter().any(|reason| reason == end.reason) && intent.is_none();
        Ok::<_, kube::Error>(if said && shows(&web, end) {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{:?}\n{status:?}", web.spec))
        })
    };
    let what = format!("{} and {}: {}", end.startup, end.liveness, end.reason);
    until(&what, look).await;
}

fn shows(web: &Deployment, end: &End) -> bool {
    let pod = web
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    let containers = pod.map_or(&[][..], |pod| &pod.containers);
    let names: Vec<_> = containers.iter().map(|one| one.name.as_str()).collect();
    names == [end.container] && {
        let probes = Shown::of(web, end.container);
        probes.startup == end.startup && probes.liveness == end.liveness
    }
}

/// Every case of one owner; all of those that fail are named.
async fn play_all(owner: Owner) {
    let cases = ACTS
        .into_iter()
        .flat_map(|act| MOMENTS.map(|moment| (act, moment)));
    let played = futures::stream::iter(cases)
        .map(|(act, moment)| async move {
            let case = format!("{owner:?} {act:?} {moment:?}");
            println!("{case}");
            let play = Box::pin(play(owner, act, moment));
            (case, AssertUnwindSafe(play).catch_unwind().await.is_ok())
        })
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<_>>()
        .await;
    let failed: Vec<_> = played
        .iter()
        .filter(|(_, well)| !well)
        .map(|(case, _)| case)
        .collect();
    assert_eq!(played.len(), ACTS.len() * MOMENTS.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_side_owner_beside_a_startup_probe() {
    play_all(Owner::Client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_side_owner_beside_a_startup_probe() {
    play_all(Owner::Server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_side_owner_whose_liveness_was_taken() {
    play_all(Owner::ClientTaken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_side_owner_whose_liveness_was_taken() {
    play_all(Owner::ServerTaken).await;
}
