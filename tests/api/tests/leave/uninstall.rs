//! `probepilot uninstall`, with the operator down and with it running.

use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use probepilot_api::ProbePolicy;
use probepilot_test_api::program::program;
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, deployment, shown};
use serde_json::{Value, json};

use crate::seen::{LIVENESS, STARTUP, assert_clean, is_ours, kept};

/// Exit code and JSON of a run in the stage's namespace.
async fn uninstall(stage: &Stage, flags: &[&str]) -> (i32, Value) {
    let (code, text) = printed(stage, &[flags, &["-o", "json"]].concat()).await;
    (code, serde_json::from_str(&text).expect(&text))
}

async fn printed(stage: &Stage, flags: &[&str]) -> (i32, String) {
    let output = Command::new(program().await)
        .args(["uninstall", "-n", stage.scene.ns(), "--kubeconfig"])
        .arg(stage.scene.cluster.kubeconfig())
        .args(flags)
        .env_clear()
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "nothing on standard error");
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

/// A Deployment with a policy of the same name that has written a startup probe.
async fn written(stage: &Stage, name: &str, on_delete: &str) {
    let containers =
        json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz")}]);
    stage
        .scene
        .create::<Deployment>(deployment(name, containers))
        .await;
    let fields = json!({"apply": {"onDelete": on_delete}});
    stage.create_policy(stage.policy(name, name, fields)).await;
}

async fn look(stage: &Stage, name: &str) -> (Deployment, Shown) {
    let now = stage.get(name).await;
    let shown = Shown::of(&now, "a");
    (now, shown)
}

async fn policies(stage: &Stage) -> Vec<String> {
    let all = stage
        .scene
        .api::<ProbePolicy>()
        .list(&ListParams::default())
        .await
        .unwrap();
    all.items
        .into_iter()
        .filter_map(|one| one.metadata.name)
        .collect()
}

/// Name, or target, and result of each line.
fn results(report: &Value) -> Vec<String> {
    let of = |list: &str, key: &str| -> Vec<String> {
        let lines = report[list].as_array().unwrap().iter();
        lines
            .map(|line| {
                format!(
                    "{} {}",
                    line[key].as_str().unwrap(),
                    line["result"].as_str().unwrap()
                )
            })
            .collect()
    };
    [of("policies", "name"), of("workloads", "target")].concat()
}

/// One policy of each kind and a workload whose policy is gone, and no operator.
async fn all_written(stage: &Stage) {
    for (name, on_delete) in [
        ("keeps", "Keep"),
        ("needs", "Restore"),
        ("orphan", "Keep"),
        ("restores", "Restore"),
    ] {
        written(stage, name, on_delete).await;
    }
    let operator = stage.start();
    for name in ["keeps", "needs", "orphan", "restores"] {
        stage.in_sync(name, "Covered").await;
    }
    stage.edit_policy("restores", json!({"rules": []})).await;
    stage.in_sync("restores", "NothingAsked").await;
    operator.stop().await;
    stage.delete_policy("orphan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_operator_down_everything_is_handed_back() {
    let stage = Stage::new("leave-uninstall").await;
    all_written(&stage).await;

    // A dry run changes nothing.
    let (code, report) = uninstall(&stage, &["--dry-run"]).await;
    let expected = [
        "keeps Kept",
        "needs Refused",
        "restores Returned",
        "deployment/orphan Kept",
    ];
    assert_eq!(
        (code, results(&report)),
        (1, expected.map(str::to_owned).to_vec())
    );
    assert_eq!(
        report["policies"][0]["message"],
        "leaves the probes of deployment/keeps as they are, with a startup budget of 60 s, and gives up their fields"
    );
    assert_eq!(
        report["policies"][1]["message"],
        "60 s were needed when the policy looked last, and the owner's own probes give 40 s: the next start would be killed; use --keep, or --restore-anyway"
    );
    assert_eq!(
        report["policies"][2]["message"],
        "puts the owner's probes of deployment/restores back, which rolls its pods: a startup budget of 40 s, after 60 s"
    );
    assert_eq!(report["next"], json!([]));
    assert_eq!(policies(&stage).await, ["keeps", "needs", "restores"]);
    for name in ["keeps", "needs", "orphan", "restores"] {
        assert_eq!(
            look(&stage, name).await.1,
            shown(STARTUP, LIVENESS, 2),
            "{name}"
        );
    }

    // What would be killed again stays, and is said.
    let (code, report) = uninstall(&stage, &[]).await;
    let expected = [
        "keeps Kept",
        "needs Refused",
        "restores Returned",
        "deployment/orphan Kept",
    ];
    assert_eq!(
        (code, results(&report)),
        (1, expected.map(str::to_owned).to_vec())
    );
    assert_eq!(
        report["summary"],
        json!({"kept": 2, "refused": 1, "returned": 1})
    );
    assert_eq!(policies(&stage).await, ["needs"]);
    for name in ["keeps", "orphan"] {
        let (now, probes) = look(&stage, name).await;
        assert_eq!(probes, shown(STARTUP, LIVENESS, 3), "{name}");
        assert!(!is_ours(&now) && kept(&now).is_some(), "{name}");
    }
    let (now, probes) = look(&stage, "restores").await;
    assert_eq!(probes, shown("", LIVENESS, 4));
    assert_clean(&now);
    assert_eq!(look(&stage, "needs").await.1, shown(STARTUP, LIVENESS, 2));

    // It goes on from there; the finalizer holds nobody.
    let (code, text) = printed(&stage, &["--restore-anyway"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("1 policy, 0 workloads without a policy: 1 returned"),
        "{text}"
    );
    assert!(
        !text.contains("kubectl delete"),
        "one namespace is not all: {text}"
    );
    assert!(policies(&stage).await.is_empty());
    assert_clean(&look(&stage, "needs").await.0);

    // What was kept can still be put back.
    let (code, report) = uninstall(&stage, &["--restore"]).await;
    let expected = ["deployment/keeps Returned", "deployment/orphan Returned"];
    assert_eq!(
        (code, results(&report)),
        (0, expected.map(str::to_owned).to_vec())
    );
    for name in ["keeps", "orphan"] {
        let (now, probes) = look(&stage, name).await;
        assert_eq!(
            (probes.startup.as_str(), probes.liveness.as_str()),
            ("", LIVENESS),
            "{name}"
        );
        assert_clean(&now);
    }
    let (code, report) = uninstall(&stage, &["--restore"]).await;
    assert_eq!((code, results(&report)), (0, Vec::new()), "nothing is left");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_operator_is_no_hindrance() {
    let stage = Stage::new("leave-uninstall-up").await;
    for (name, on_delete) in [
        ("keeps", "Keep"),
        ("kept-anyway", "Restore"),
        ("untouched", "Keep"),
    ] {
        written(&stage, name, on_delete).await;
    }
    let ignore = json!({"metadata": {"annotations": {"probepilot.dev/ignore": "true"}}});
    let operator = stage.start();
    for name in ["keeps", "kept-anyway", "untouched"] {
        stage.in_sync(name, "Covered").await;
    }
    stage.edit("untouched", ignore).await;
    let (code, report) = uninstall(&stage, &["--keep"]).await;
    assert_eq!(code, 0, "{report}");
    assert!(policies(&stage).await.is_empty(), "{report}");
    let untouched = report["policies"][2]["message"].as_str().unwrap();
    assert_eq!(
        untouched,
        "deployment/untouched is annotated probepilot.dev/ignore and stays as it is"
    );
    for name in ["keeps", "kept-anyway"] {
        let (now, probes) = look(&stage, name).await;
        assert_eq!(probes, shown(STARTUP, LIVENESS, 3), "{name}");
        assert!(!is_ours(&now) && kept(&now).is_some(), "{name}");
    }
    operator.stop().await;
    let (now, probes) = look(&stage, "untouched").await;
    assert_eq!(probes.startup, STARTUP);
    assert!(is_ours(&now), "an annotated workload is left alone");
    stage.end().await;
}
