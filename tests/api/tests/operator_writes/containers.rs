//! Containers that cannot be told, are not there, or have no probe; and the fix of each.

use k8s_openapi::api::apps::v1::Deployment;
use probepilot_test_api::stage::{Shown, Stage, chart_liveness, deployment, ready, reason, shown};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_as_written_is_said_and_works_once_it_is_fixed() {
    let stage = Stage::new("writes-container").await;
    let probed = |name: &str| json!({"name": name, "image": "none", "livenessProbe": chart_liveness("/healthz")});
    let bare = |name: &str| json!({"name": name, "image": "none"});
    let targets = [
        ("two", json!([probed("a"), probed("b")])),
        ("one", json!([probed("a"), bare("b")])),
        ("none", json!([bare("a"), bare("b")])),
    ];
    for (name, containers) in targets {
        stage
            .scene
            .create::<Deployment>(deployment(name, containers))
            .await;
    }
    let cases = [
        (
            "ambiguous",
            "two",
            json!({}),
            "False AmbiguousContainer",
            "Found",
        ),
        (
            "missing",
            "one",
            json!({"containerName": "c"}),
            "True Enforcing",
            "ContainerNotFound",
        ),
        ("bare", "none", json!({}), "False NoProbe", "Found"),
        (
            "named",
            "none",
            json!({"containerName": "b"}),
            "False NoProbe",
            "Found",
        ),
    ];
    for (name, target, fields, ..) in cases.clone() {
        stage
            .create_policy(stage.policy(name, target, fields))
            .await;
    }
    let operator = stage.start();
    for (name, _, _, is, found) in cases {
        let status = stage
            .status(name, is, |status| {
                ready(status) == is && reason(status, "TargetFound") == found
            })
            .await;
        let told = if is.starts_with("False") {
            is.trim_start_matches("False ")
        } else {
            found
        };
        let notes = stage
            .told(told, if told == "NoProbe" { 2 } else { 1 })
            .await;
        let message = status
            .conditions
            .iter()
            .find(|condition| condition.reason == told);
        let note = format!("ProbePolicy: {}", message.unwrap().message);
        assert!(notes.contains(&note), "{name}: {note} in {notes:?}");
    }
    stage.quiet().await;

    // Named, corrected, and given a probe.
    stage
        .edit_policy("ambiguous", json!({"containerName": "b"}))
        .await;
    stage.in_sync("ambiguous", "Covered").await;
    let two = stage.get("two").await;
    let ours = ("0/10/10/7 /healthz:61779", "30/10/10/2 /healthz:61779");
    assert_eq!(Shown::of(&two, "a"), shown("", ours.1, 2));
    assert_eq!(Shown::of(&two, "b"), shown(ours.0, ours.1, 2));

    stage
        .edit_policy("missing", json!({"containerName": "a"}))
        .await;
    let status = stage.in_sync("missing", "Covered").await;
    assert_eq!(reason(&status, "TargetFound"), "Found");
    assert_eq!(
        Shown::of(&stage.get("one").await, "a"),
        shown(ours.0, ours.1, 2)
    );

    // Both policies of `none` now mean container b; the older one scales it.
    let probe = json!({"spec": {"template": {"spec": {"containers": [{"name": "b", "livenessProbe": chart_liveness("/healthz")}]}}}});
    stage.edit("none", probe).await;
    stage.written("bare", 3).await;
    let duplicate = |status: &probepilot_api::ProbePolicyStatus| ready(status) == "False Duplicate";
    stage.status("named", "Duplicate", duplicate).await;
    stage.quiet().await;
    assert_eq!(
        Shown::of(&stage.get("none").await, "b"),
        shown(ours.0, ours.1, 3)
    );
    operator.stop().await;
    stage.end().await;
}
