//! Helm installs, upgrades and rolls back beside a policy.

use std::path::{Path, PathBuf};
use std::time::Duration;

use probepilot_test_api::stage::{Stage, reason, shown};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::{DECLARED, WANTED, rollouts, tools};

/// How long Helm may take for one release.
const RELEASED: Duration = Duration::from_secs(90);

/// Helm, with its release `web` of the chart beside this file in the test's namespace.
struct Helm<'a> {
    program: PathBuf,
    stage: &'a Stage,
    /// Where it keeps what is its own.
    home: TempDir,
}

impl<'a> Helm<'a> {
    fn new(program: &Path, stage: &'a Stage) -> Self {
        let home = TempDir::new().unwrap();
        Self {
            program: program.to_owned(),
            stage,
            home,
        }
    }

    async fn run(&self, words: &[&str]) -> Result<(), String> {
        let mut helm = Command::new(&self.program);
        helm.kill_on_drop(true)
            .args(words)
            .args(["--namespace", self.stage.scene.ns(), "--kubeconfig"])
            .arg(self.stage.scene.cluster.kubeconfig())
            .env("NO_PROXY", "*");
        for place in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(place, self.home.path());
        }
        let output = timeout(RELEASED, helm.output()).await;
        let output = output.expect("helm ends in time").unwrap();
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn install(&self) {
        self.run(&["install", "web", CHART]).await.unwrap();
    }

    /// A release of the chart whose template differs from others in its environment.
    async fn upgrade(&self, release: &str, flags: &[&str]) -> Result<(), String> {
        let value = format!("release={release}");
        let mut words = vec!["upgrade", "web", CHART, "--set-string", &value];
        words.extend(flags);
        self.run(&words).await
    }

    async fn rollback(&self, to: &str) {
        self.run(&["rollback", "web", to]).await.unwrap();
    }
}

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/owners/chart");

/// What neither Helm declares can be added beside it: every later generation is a release of Helm's.
async fn a_startup_probe_stays(program: &Path, prefix: &str) {
    let stage = Stage::new(prefix).await;
    let helm = Helm::new(program, &stage);
    helm.install().await;
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let given = |generation| shown("0/10/10/7 /healthz:61779", DECLARED, generation);
    stage.until_shown(given(2)).await;

    helm.upgrade("2", &[]).await.unwrap();
    stage.quiet().await;
    assert_eq!(stage.shown().await, given(3), "Helm's upgrade");
    helm.upgrade("2", &[]).await.unwrap();
    stage.quiet().await;
    assert_eq!(stage.shown().await, given(3), "nothing to change");
    helm.rollback("1").await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, given(4), "Helm's rollback");
    assert_eq!(rollouts(&stage).await, 4);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_keeps_a_startup_probe_through_upgrade_and_rollback() {
    a_startup_probe_stays(&tools().await.helm3, "owners-helm3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_4_keeps_a_startup_probe_through_upgrade_and_rollback() {
    a_startup_probe_stays(&tools().await.helm4, "owners-helm4").await;
}

/// Helm 3 compares its manifest with what is there, so it puts its timings back with each release; they are written once more.
#[tokio::test(flavor = "multi_thread")]
async fn helm_3_is_taken_from_and_each_release_costs_one_more_rollout() {
    let stage = Stage::new("owners-helm3-taken").await;
    let helm = Helm::new(&tools().await.helm3, &stage);
    helm.install().await;
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    stage.until_shown(shown("", WANTED, 2)).await;

    helm.upgrade("2", &[]).await.unwrap();
    stage.until_shown(shown("", WANTED, 4)).await;
    // A rollback brings back a template that was there before the policy, and stands like any rollback.
    helm.rollback("1").await;
    stage.in_sync("web", "RolledBack").await;
    assert_eq!(stage.shown().await, shown("", DECLARED, 5));
    helm.upgrade("3", &[]).await.unwrap();
    stage.until_shown(shown("", WANTED, 7)).await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, shown("", WANTED, 7), "no flip-flop");
    assert_eq!(rollouts(&stage).await, 7);
    operator.stop().await;
    stage.end().await;
}

/// Helm 4 applies on the server and fails where somebody else owns a field of its own, so nothing of it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn helm_4_is_left_what_it_declares_and_meets_no_conflict() {
    let stage = Stage::new("owners-helm4-left").await;
    let helm = Helm::new(&tools().await.helm4, &stage);
    helm.install().await;
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    let given = |generation| shown("0/10/10/12 /healthz:61779", DECLARED, generation);
    stage.until_shown(given(2)).await;

    helm.upgrade("2", &[]).await.unwrap();
    helm.rollback("1").await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, given(4));
    assert_eq!(rollouts(&stage).await, 4);
    operator.stop().await;
    stage.end().await;
}

/// With Take Helm 4's next upgrade fails. An Event says so at the write, and the way out is Helm's own flag or Auto.
#[tokio::test(flavor = "multi_thread")]
async fn helm_4_fails_under_take_as_was_said_before() {
    let stage = Stage::new("owners-helm4-take").await;
    let helm = Helm::new(&tools().await.helm4, &stage);
    helm.install().await;
    let mut fields = stage.rung();
    fields["apply"] = json!({"onConflict": "Take"});
    stage.enforce(fields).await;
    let operator = stage.start();
    stage.until_shown(shown("", WANTED, 2)).await;
    let told = stage.told("TakenFrom", 1).await;
    assert!(
        told[0].contains("from helm, which will put its own value back or fail on a conflict"),
        "{told:?}"
    );

    let failed = helm.upgrade("2", &[]).await.unwrap_err();
    assert!(failed.contains("conflicts with \"probepilot\""), "{failed}");
    assert_eq!(stage.shown().await, shown("", WANTED, 2));

    // Forced once it is an upgrade, after which the timings are written again.
    helm.upgrade("3", &["--force-conflicts"]).await.unwrap();
    stage.until_shown(shown("", WANTED, 4)).await;
    stage.quiet().await;
    let status = stage.in_sync("web", "Covered").await;
    assert_eq!(reason(&status, "Contested"), "NotContested");
    operator.stop().await;
    stage.end().await;
}
