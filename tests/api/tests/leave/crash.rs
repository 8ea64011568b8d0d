//! The real operator, killed before and after each of its calls while it lets a workload go. Whoever comes after
//! it comes to the same end.

use probepilot_test_api::process::{Process, kubeconfig};
use probepilot_test_api::program::program;
use probepilot_test_api::proxy::{Moment, Struck};
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, shown, web};
use serde_json::json;

use crate::seen::{LIVENESS, LONGER, assert_clean, delete, gone, kept, let_go, owners, rung};

/// A policy to be deleted, with everything written.
async fn prepare(stage: &Stage, on_delete: &str) -> Vec<String> {
    let manifest = web(chart_liveness("/healthz"));
    stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    let his = owners(&stage.get("web").await);
    stage.enforce(rung(stage, on_delete)).await;
    let operator = stage.start();
    stage.until_shown(shown("", LONGER, 2)).await;
    stage.edit_policy("web", json!({"rules": []})).await;
    stage.in_sync("web", "NothingAsked").await;
    operator.stop().await;
    delete(stage, "web").await;
    his
}

async fn struck_first(stage: &Stage, on_delete: &str, struck: Struck) -> bool {
    let over = async {
        gone(stage, "web").await;
        if on_delete == "Keep" {
            let_go(stage).await;
        }
    };
    let mut strike = struck.clone();
    tokio::select! {
        biased;
        _ = strike.wait_for(|struck| *struck) => true,
        () = over => *struck.borrow(),
    }
}

/// Strikes the n-th call. Whether there was one.
async fn strike(on_delete: &str, nth: usize, moment: Moment) -> bool {
    let case = format!("{on_delete}, killed {moment:?} call {nth}");
    let stage = Stage::new("leave-crash").await;
    let his = prepare(&stage, on_delete).await;
    let process = Process::default();
    let victim = process.clone();
    let struck = stage.proxy.strike(nth, moment, move || victim.kill());
    process.start(&stage).await;
    let hit = struck_first(&stage, on_delete, struck).await;
    if hit {
        process.start(&stage).await;
    }
    gone(&stage, "web").await;
    let after = let_go(&stage).await;
    if on_delete == "Keep" {
        assert_eq!(Shown::of(&after, "a"), shown("", LONGER, 3), "{case}");
        assert!(kept(&after).is_some(), "{case}");
    } else {
        assert_eq!(Shown::of(&after, "a"), shown("", LIVENESS, 4), "{case}");
        assert_eq!(owners(&after), his, "{case}");
        assert_clean(&after);
    }
    process.kill();
    std::fs::remove_file(kubeconfig(&stage)).expect("the kubeconfig");
    stage.end().await;
    hit
}

async fn strike_every_call(on_delete: &str, least: usize) {
    program().await;
    let every = |moment| async move {
        let mut nth = 1;
        while strike(on_delete, nth, moment).await {
            nth += 1;
            assert!(nth < 20, "{on_delete} has no end");
        }
        nth - 1
    };
    let (before, after) = tokio::join!(every(Moment::Before), every(Moment::After));
    println!("{on_delete}: {before} calls struck before, {after} after");
    assert!(
        before >= least && after >= least,
        "{before} and {after} calls"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_survives_every_kill() {
    // The values, the ownership, the finalizer.
    strike_every_call("Restore", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letting_go_survives_every_kill() {
    strike_every_call("Keep", 1).await;
}
