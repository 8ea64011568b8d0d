//! Our startup probe goes with the owner's liveness probe.

use probepilot_test_api::stage::{Operator, Stage, chart_liveness, reason, shown, web};
use serde_json::{Value, json};

/// A Deployment of a client-side owner to which an operator has written a startup probe.
async fn begun(prefix: &str) -> (Stage, Operator) {
    let stage = Stage::new(prefix).await;
    let manifest = web(chart_liveness("/healthz"));
    let apply = ["apply", "-f", "-"];
    stage.kubectl(&apply, &manifest).await.unwrap();
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let startup = "0/10/10/7 /healthz:61779";
    let written = shown(startup, "30/10/10/2 /healthz:61779", 2);
    stage.until_shown(written).await;
    (stage, operator)
}

fn liveness(probe: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "livenessProbe": probe}]}}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_the_handler_is_followed_at_once() {
    let (stage, operator) = begun("writes-handler").await;

    let cases = [
        (
            "path",
            json!({"httpGet": {"path": "/livez"}}),
            "/livez:61779",
        ),
        (
            "port",
            json!({"httpGet": {"port": "health"}}),
            "/livez:\"health\"",
        ),
        (
            "kind",
            json!({"httpGet": null, "exec": {"command": ["true"]}}),
            r#"exec {"command":["true"]}"#,
        ),
        (
            "kind back",
            json!({"exec": null, "tcpSocket": {"port": 7}}),
            r#"tcpSocket {"port":7}"#,
        ),
    ];
    for (index, (name, change, handler)) in cases.into_iter().enumerate() {
        stage.edit("web", liveness(&change)).await;
        let generation = 4 + 2 * i64::try_from(index).unwrap();
        let (startup, ours) = (
            format!("0/10/10/7 {handler}"),
            format!("30/10/10/2 {handler}"),
        );
        let expected = shown(&startup, &ours, generation);
        stage.until_shown(expected.clone()).await;
        stage.quiet().await;
        assert_eq!(stage.shown().await, expected, "{name}: one write");
    }
    let followed = stage.told("ProbeFollowed", 2).await;
    assert_eq!(
        followed,
        [
            "Deployment: startup probe made to match the owner's liveness probe",
            "ProbePolicy: startup probe made to match the owner's liveness probe",
        ]
    );

    // He does without liveness; nothing of ours is left.
    stage.edit("web", liveness(&Value::Null)).await;
    stage.until_shown(shown("", "", 12)).await;
    let status = stage
        .status("web", "Ready NoProbe", |status| {
            reason(status, "Ready") == "NoProbe"
        })
        .await;
    assert_eq!(
        status.last_write.unwrap().to_seconds,
        0,
        "no budget is left to speak of"
    );
    let annotations = stage
        .get("web")
        .await
        .metadata
        .annotations
        .unwrap_or_default();
    assert!(
        !annotations.contains_key("probepilot.dev/baseline"),
        "{annotations:?}"
    );

    // And comes back with one.
    stage
        .edit("web", liveness(&chart_liveness("/healthz")))
        .await;
    stage
        .until_shown(shown(
            "0/10/10/7 /healthz:61779",
            "30/10/10/2 /healthz:61779",
            14,
        ))
        .await;
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_handler_and_a_larger_need_are_one_write() {
    let (stage, operator) = begun("writes-handler-raise").await;
    operator.stop().await;

    // Both happen while the operator is away, so that it sees them together.
    stage.grow().await;
    stage
        .edit("web", liveness(&json!({"httpGet": {"path": "/livez"}})))
        .await;
    let operator = stage.start();
    stage
        .until_shown(shown(
            "0/10/10/61 /livez:61779",
            "30/10/10/2 /livez:61779",
            4,
        ))
        .await;
    stage.quiet().await;
    assert_eq!(stage.shown().await.generation, 4);
    operator.stop().await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_ships_his_own_startup_probe() {
    let (stage, operator) = begun("writes-own-startup").await;
    let manifest = web(chart_liveness("/healthz"));

    // Too small: it keeps its handler and its period, and gets the budget.
    let mut his = manifest.clone();
    his["spec"]["template"]["spec"]["containers"][0]["startupProbe"] = json!({
        "httpGet": {"path": "/started", "port": 61779, "scheme": "HTTP"}, "initialDelaySeconds": 0,
        "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 3});
    stage.kubectl(&["apply", "-f", "-"], &his).await.unwrap();
    let status = stage
        .until_shown(shown(
            "0/5/2/13 /started:61779",
            "30/10/10/2 /healthz:61779",
            4,
        ))
        .await;
    let baseline = status.baseline.unwrap().startup_probe.unwrap();
    assert_eq!(
        baseline.failure_threshold,
        Some(3),
        "his own is the baseline"
    );

    // Large enough: it is left alone.
    his["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["failureThreshold"] =
        json!(100);
    stage.kubectl(&["apply", "-f", "-"], &his).await.unwrap();
    let large = shown("0/5/2/100 /started:61779", "30/10/10/2 /healthz:61779", 5);
    stage.until_probes(large.clone()).await;
    let his = |status: &probepilot_api::ProbePolicyStatus| {
        let startup = status.baseline.and_then(|baseline| baseline.startup_probe);
        startup.is_some_and(|startup| startup.failure_threshold == Some(100))
    };
    stage
        .status("web", "the owner's threshold in baseline", his)
        .await;
    stage.quiet().await;
    assert_eq!(stage.shown().await, large);
    operator.stop().await;
    stage.end().await;
}

/// The API server refuses two handlers in one probe, whoever wrote the first (S5), and the operator never
/// hears of such a try. So an owner of a startup probe of another kind has to take ours away first.
#[tokio::test(flavor = "multi_thread")]
async fn an_owners_startup_probe_of_another_kind_needs_ours_out_of_the_way() {
    let stage = Stage::new("writes-own-kind").await;
    let manifest = web(chart_liveness("/healthz"));
    stage
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    stage.enforce(json!({})).await;
    let operator = stage.start();
    let liveness = "30/10/10/2 /healthz:61779";
    stage
        .until_shown(shown("0/10/10/7 /healthz:61779", liveness, 2))
        .await;

    let mut his = manifest.clone();
    his["spec"]["template"]["spec"]["containers"][0]["startupProbe"] =
        json!({"tcpSocket": {"port": 7}, "periodSeconds": 5, "failureThreshold": 3});
    let refused = stage
        .kubectl(&["apply", "-f", "-"], &his)
        .await
        .unwrap_err();
    assert!(
        refused.contains("may not specify more than 1 handler type"),
        "{refused}"
    );

    stage.edit_policy("web", json!({"mode": "Observe"})).await;
    let observing =
        |status: &probepilot_api::ProbePolicyStatus| reason(status, "Ready") == "Observing";
    stage.status("web", "Observing", observing).await;
    stage.told("ProbesKept", 2).await;
    let away = json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "startupProbe": null}]}}}});
    stage.edit("web", away).await;
    // The record goes with it.
    stage.told("ProbesReturned", 2).await;
    stage.kubectl(&["apply", "-f", "-"], &his).await.unwrap();
    stage.edit_policy("web", json!({"mode": "Enforce"})).await;
    stage
        .until_shown(shown(r#"0/5/1/13 tcpSocket {"port":7}"#, liveness, 7))
        .await;
    operator.stop().await;
    stage.end().await;
}
