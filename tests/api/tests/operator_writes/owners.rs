//! Owners with client-side and with server-side apply go on as before.

use probepilot_test_api::stage::{Stage, chart_liveness, deployment, shown, sync_message, web};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_side_owner_is_taken_from_and_applies_again_without_a_fight() {
    let stage = Stage::new("writes-kubectl").await;
    let manifest = web(chart_liveness("/healthz"));
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    let ours = "60/10/30/6 /healthz:61779";
    let status = stage.until_shown(shown("", ours, 2)).await;
    assert_eq!(status.last_write.unwrap().generation, Some(2));
    let told = stage.told("ProbesRaised", 2).await;
    assert_eq!(
        told,
        [
            "Deployment: startup budget raised from 40 s to 110 s: the rules ask for 110 s at a count of 1",
            "ProbePolicy: startup budget raised from 40 s to 110 s: the rules ask for 110 s at a count of 1",
        ]
    );

    // The same manifest: his apply succeeds and puts his values back, ours come again, once.
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    stage.until_shown(shown("", ours, 4)).await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, shown("", ours, 4), "no flip-flop");

    // A manifest that changes something else does the same.
    let mut upgrade = manifest.clone();
    upgrade["spec"]["template"]["spec"]["containers"][0]["image"] = json!("newer");
    stage
        .kubectl(&["apply", "-f", "-"], &upgrade)
        .await
        .unwrap();
    stage.until_shown(shown("", ours, 6)).await;
    stage.quiet().await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_owners_keep_their_liveness_and_meet_no_conflict() {
    let stage = Stage::new("writes-ssa").await;
    let manifest = |name: &str, image: &str| {
        let containers =
            json!([{"name": "a", "image": image, "livenessProbe": chart_liveness("/healthz")}]);
        deployment(name, containers)
    };
    let words = ["apply", "--server-side", "-f", "-"];
    stage
        .kubectl(&words, &manifest("web", "one"))
        .await
        .unwrap();
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    let expected = |generation| {
        shown(
            "0/10/10/12 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            generation,
        )
    };
    stage.until_shown(expected(2)).await;

    // kubectl, then another Apply manager in its place, go on without force.
    stage
        .kubectl(&words, &manifest("web", "one"))
        .await
        .unwrap();
    stage
        .kubectl(&words, &manifest("web", "two"))
        .await
        .unwrap();
    stage.quiet().await;
    assert_eq!(stage.shown().await, expected(3), "nothing to write again");
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gitops_controller_goes_on_whatever_it_declares() {
    let stage = Stage::new("writes-flux").await;
    // It declares the handler and one timing; the others are the API server's defaults.
    let liveness =
        json!({"httpGet": {"path": "/healthz", "port": 61779}, "initialDelaySeconds": 30});
    let manifest = web(liveness);
    stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    stage.enforce(stage.rung()).await;
    let operator = stage.start();
    let liveness = "30/10/1/3 /healthz:61779";
    stage
        .until_shown(shown("0/10/1/12 /healthz:61779", liveness, 2))
        .await;
    let again = stage.apply("kustomize-controller", &manifest).await;
    assert_eq!(again.unwrap().metadata.generation, Some(2));

    // It drops its liveness probe. A timing of ours in it would make that a 422 for it (S4).
    let bare = deployment("web", json!([{"name": "a", "image": "none"}]));
    let dropped = stage.apply("kustomize-controller", &bare).await;
    assert_eq!(dropped.unwrap().metadata.generation, Some(3));
    stage.until_shown(shown("", "", 4)).await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_both_probes_are_declared_the_owner_is_told_what_to_write() {
    let stage = Stage::new("writes-both").await;
    let startup = json!({"httpGet": {"path": "/started", "port": 61779}, "periodSeconds": 10, "failureThreshold": 3});
    let manifest = |threshold: i32| {
        let mut startup = startup.clone();
        startup["failureThreshold"] = json!(threshold);
        deployment(
            "web",
            json!([{"name": "a", "image": "none", "livenessProbe": chart_liveness("/healthz"), "startupProbe": startup}]),
        )
    };
    stage
        .apply("kustomize-controller", &manifest(3))
        .await
        .unwrap();
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let status = stage.in_sync("web", "Yielded").await;
    assert_eq!(
        sync_message(&status),
        r#"needs a startup budget of 60 s and has 20 s, but kustomize-controller declares the startupProbe, which is left to it: set startupProbe: {failureThreshold: 7} there, or add to its Kustomization: spec: {patches: [{target: {kind: Deployment, name: web}, patch: '[{"op": "add", "path": "/spec/template/spec/containers/0/startupProbe/failureThreshold", "value": 7}]'}]}"#
    );
    assert_eq!(stage.told("Yielded", 1).await.len(), 1);
    stage.quiet().await;
    let kept = |threshold: i32, generation| {
        let startup = format!("0/10/1/{threshold} /started:61779");
        shown(&startup, "30/10/10/2 /healthz:61779", generation)
    };
    assert_eq!(stage.shown().await, kept(3, 1));

    // He does as he is told: the patches of the message, as kustomize applies them.
    let told = sync_message(&status);
    let (_, advice) = told.split_once("Kustomization: spec: ").unwrap();
    let patched = kustomize(&stage, &manifest(3), advice).await;
    stage.apply("kustomize-controller", &patched).await.unwrap();
    stage.in_sync("web", "Covered").await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, kept(7, 2));
    operator.stop().await;
    stage.end().await;
}

/// What `kubectl kustomize` makes of a manifest and the fields of a kustomization.
async fn kustomize(stage: &Stage, manifest: &Value, fields: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("web.json"), manifest.to_string()).unwrap();
    let mut kustomization: Value = serde_saphyr::from_str(fields).unwrap();
    kustomization["resources"] = json!(["web.json"]);
    let file = folder.path().join("kustomization.yaml");
    std::fs::write(file, kustomization.to_string()).unwrap();
    let kubectl = stage.scene.cluster.kubectl().unwrap();
    let path = folder.path().display().to_string();
    let built = kubectl.run(["kustomize", &path]).await.unwrap();
    serde_saphyr::from_str(&built).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn take_takes_from_an_applier_who_is_refused_until_he_gives_way() {
    let stage = Stage::new("writes-take").await;
    let manifest = web(chart_liveness("/healthz"));
    stage
        .apply("kustomize-controller", &manifest)
        .await
        .unwrap();
    let mut spec = stage.rung();
    spec["apply"] = json!({"onConflict": "Take"});
    stage.enforce(spec).await;
    let operator = stage.start();
    let ours = shown("", "60/10/30/6 /healthz:61779", 2);
    stage.until_shown(ours.clone()).await;
    let told = stage.told("TakenFrom", 1).await;
    assert_eq!(
        told,
        [
            "ProbePolicy: apply.onConflict Take takes livenessProbe.initialDelaySeconds from kustomize-controller, which will put its own value back or fail on a conflict unless it stops declaring it"
        ]
    );
    // As announced: without force he is refused, by name of the field's manager.
    let refused = stage.apply("kustomize-controller", &manifest).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains("\"probepilot\"") && refused.contains("initialDelaySeconds"),
        "{refused}"
    );

    // He stops declaring the timings, and goes on.
    let liveness = json!({"httpGet": {"path": "/healthz", "port": 61779}});
    let again = stage.apply("kustomize-controller", &web(liveness)).await;
    assert_eq!(again.unwrap().metadata.generation, Some(2));
    stage.quiet().await;
    assert_eq!(stage.shown().await, ours);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yield_leaves_a_client_side_owner_alone() {
    let stage = Stage::new("writes-yield").await;
    let manifest = web(chart_liveness("/healthz"));
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    let mut spec = stage.rung();
    spec["apply"] = json!({"onConflict": "Yield"});
    stage.enforce(spec).await;
    let operator = stage.start();
    let beside = shown("0/10/10/12 /healthz:61779", "30/10/10/2 /healthz:61779", 2);
    stage.until_shown(beside.clone()).await;
    // His apply changes nothing, so there is nothing to write again.
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    stage.quiet().await;
    assert_eq!(stage.shown().await, beside);
    operator.stop().await;
    stage.end().await;
}
