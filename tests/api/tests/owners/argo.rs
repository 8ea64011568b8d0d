//! The health script for Argo CD, run with the Lua that Argo CD runs it with, on policies as the operator leaves them.

use std::fmt::Write as _;
use std::process::Stdio;

use k8s_openapi::api::core::v1::ConfigMap;
use probepilot_api::ProbePolicy;
use probepilot_test_api::stage::{Stage, chart_liveness, deployment, ready};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::tools;

/// The ConfigMap's key is group and kind.
const KEY: &str = "resource.customizations.health.probepilot.dev_ProbePolicy";

fn script() -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../config/argocd/argocd-cm.yaml"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let map: ConfigMap = serde_saphyr::from_str(&text).unwrap();
    map.data.unwrap().remove(KEY).unwrap()
}

/// A value as Lua writes it; null is left out, as Argo CD does.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        // JSON's escapes of control characters are decimal in Lua.
        Value::String(text) => {
            let mut quoted = String::from("\"");
            for byte in text.bytes() {
                match byte {
                    b'"' | b'\\' | 0..=31 => write!(quoted, "\\{byte:03}").unwrap(),
                    _ => quoted.push(char::from(byte)),
                }
            }
            quoted + "\""
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(lua).collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = fields
                .map(|(key, value)| format!("[{}]={}", lua(&json!(key)), lua(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

/// Health and message.
async fn health(object: &Value) -> (String, String) {
    let program = format!(
        "local obj = {}\nlocal function health()\n{}\nend\nlocal said = health()\nprint(said.status .. '\\n' .. said.message)\n",
        lua(object),
        script()
    );
    let file = tempfile::NamedTempFile::with_suffix(".lua").unwrap();
    std::fs::write(file.path(), program).unwrap();
    let mut glua = Command::new(&tools().await.glua)
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    glua.stdin.take().unwrap().shutdown().await.unwrap();
    let output = glua.wait_with_output().await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (status, message) = said.trim_end().split_once('\n').expect("two lines");
    (status.to_owned(), message.to_owned())
}

/// A policy whose conditions are these, looked at or not.
fn policy(observed: i64, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(kind, status)| json!({"type": kind, "status": status, "message": format!("{kind} is \"{status}\"")}))
        .collect();
    json!({"metadata": {"generation": 2}, "status": {"observedGeneration": observed, "conditions": conditions}})
}

#[tokio::test(flavor = "multi_thread")]
async fn each_condition_has_its_health() {
    let unseen = "the operator has not looked at this spec yet";
    let table = [
        (
            json!({"metadata": {"generation": 1}}),
            "Progressing",
            unseen,
        ),
        (
            json!({"metadata": {"generation": 1}, "status": {"observedGeneration": 1}}),
            "Progressing",
            unseen,
        ),
        (policy(1, &[("Ready", "True")]), "Progressing", unseen),
        (policy(2, &[("InSync", "True")]), "Progressing", unseen),
        (
            policy(2, &[("Ready", "Unknown")]),
            "Progressing",
            "Ready is \"Unknown\"",
        ),
        (
            policy(2, &[("Ready", "False"), ("InSync", "True")]),
            "Degraded",
            "Ready is \"False\"",
        ),
        (
            policy(2, &[("Ready", "True"), ("InSync", "True")]),
            "Healthy",
            "Ready is \"True\"",
        ),
        (
            policy(2, &[("Ready", "True"), ("InSync", "False")]),
            "Healthy",
            "InSync is \"False\"",
        ),
        (
            policy(
                2,
                &[
                    ("Ready", "True"),
                    ("InSync", "False"),
                    ("Exhausted", "True"),
                ],
            ),
            "Healthy",
            "Exhausted is \"True\"",
        ),
        (
            policy(2, &[("Ready", "True"), ("Contested", "True")]),
            "Healthy",
            "Contested is \"True\"",
        ),
        (
            policy(2, &[("Ready", "True"), ("CountFresh", "False")]),
            "Healthy",
            "CountFresh is \"False\"",
        ),
    ];
    for (object, status, message) in table {
        let expected = (status.to_owned(), message.to_owned());
        assert_eq!(health(&object).await, expected, "{object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_as_the_operator_leaves_them_are_understood() {
    let stage = Stage::new("owners-argo").await;
    for (name, liveness) in [("web", chart_liveness("/healthz")), ("bare", Value::Null)] {
        let containers = json!([{"name": "a", "image": "none", "livenessProbe": liveness}]);
        stage
            .scene
            .create::<k8s_openapi::api::apps::v1::Deployment>(deployment(name, containers))
            .await;
        stage
            .create_policy(stage.policy(name, name, json!({})))
            .await;
    }
    let operator = stage.start();
    stage.in_sync("web", "Covered").await;
    let refused = |status: &_| ready(status) == "False NoProbe";
    stage.status("bare", "NoProbe", refused).await;
    for (name, expected) in [("web", "Healthy"), ("bare", "Degraded")] {
        let policy = stage.scene.api::<ProbePolicy>().get(name).await.unwrap();
        let (status, message) = health(&serde_json::to_value(policy).unwrap()).await;
        assert_eq!(status, expected, "{message}");
    }
    operator.stop().await;
    stage.end().await;
}
