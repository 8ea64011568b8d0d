//! SARIF against its schema, as OASIS published it and serde-sarif 0.8.0 ships it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use boon::{Compiler, Schemas};
use common::{probepilot, with_input};
use serde_json::{Value, json};

/// What is wrong with a log; nothing where it is valid.
fn errors(log: &Value) -> String {
    let text = include_str!("fixtures/sarif-schema-2.1.0.json");
    let schema: Value = serde_json::from_str(text).unwrap();
    let mut compiler = Compiler::new();
    compiler.enable_format_assertions();
    compiler.add_resource("sarif-2.1.0.json", schema).unwrap();
    let mut schemas = Schemas::new();
    let index = compiler.compile("sarif-2.1.0.json", &mut schemas).unwrap();
    schemas
        .validate(log, index)
        .err()
        .map_or_else(String::new, |error| format!("{error:#}"))
}

#[test]
fn every_log_is_valid() {
    let logs = [
        probepilot(&[
            "check",
            "-f",
            "mixed.yaml",
            "stated.yaml",
            "prometheus.yaml",
            "-o",
            "sarif",
        ])
        .json(1),
        probepilot(&["check", "-f", "helm-template.yaml", "-o", "sarif"]).json(1),
        with_input(
            &["check", "-f", "-", "-o", "sarif"],
            "{kind: Pod, apiVersion: v1, metadata: {name: a}, spec: {containers: [{name: a}]}}",
        )
        .json(0),
    ];
    for log in logs {
        assert_eq!(errors(&log), "");
    }
}

#[test]
fn what_the_schema_would_find() {
    let log = probepilot(&["check", "-f", "mixed.yaml", "-o", "sarif"]).json(1);
    for (name, pointer, value) in [
        ("a level", "/runs/0/results/0/level", json!("fatal")),
        (
            "a line",
            "/runs/0/results/0/locations/0/physicalLocation/region/startLine",
            json!(0),
        ),
        (
            "a field",
            "/runs/0/results/0/message",
            json!({"texts": "x"}),
        ),
        ("a version", "/version", json!("2.2.0")),
        (
            "a uri",
            "/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri",
            json!("<stdin>"),
        ),
    ] {
        let mut wrong = log.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert_ne!(errors(&wrong), "", "{name}");
    }
}
