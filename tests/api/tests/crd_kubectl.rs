//! What kubectl shows of ProbePolicies: explanations and columns.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use probepilot_api::ProbePolicy;
use probepilot_test_api::Scene;
use probepilot_test_api::crd::{install_own, spec_fields};
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::json;

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_explained() {
    let scene = Scene::new("crd-explain").await;
    install_own(&scene.admin).await;
    let kubectl = scene.cluster.kubectl().unwrap();
    let fields = spec_fields();

    // The overview names every field once.
    let look = || async {
        let explain = ["explain", "probepolicy.spec", "--recursive"];
        // The API server publishes what it serves some moments after it began to.
        Ok::<_, std::convert::Infallible>(match kubectl.run(explain).await {
            Ok(text) => Seen::Done(text),
            Err(error) => Seen::NotYet(error.to_string()),
        })
    };
    let overview = wait::until("kubectl explain", Duration::from_secs(30), look)
        .await
        .unwrap();
    let mut named: BTreeMap<String, i32> = BTreeMap::new();
    for (path, _) in &fields {
        if let Some((_, name)) = path
            .rsplit_once('.')
            .filter(|(_, name)| !name.ends_with("[]"))
        {
            *named.entry(name.to_owned()).or_default() += 1;
        }
    }
    for (name, times) in named {
        let mut lines = overview.lines().map(str::trim_start);
        let mut shown = 0;
        while let Some(line) = lines.find(|line| {
            line.strip_prefix(&name)
                .is_some_and(|rest| rest.starts_with('\t') || rest.starts_with(' '))
        }) {
            assert!(line.contains('<'), "{name} without its type: {line}");
            shown += 1;
        }
        assert_eq!(shown, times, "{name} in\n{overview}");
    }

    // Each object explains its fields, in the words of the types.
    let objects = fields
        .iter()
        .filter(|(_, schema)| schema.properties.is_some());
    for (path, schema) in objects {
        let resource = format!("probepolicy.{}", path.replace("[]", ""));
        let text = kubectl.run(["explain", &resource]).await.unwrap();
        assert!(
            !text.contains("<no description>") && !text.contains("<empty>"),
            "{resource}:\n{text}"
        );
        let shown = words(&text);
        for (name, field) in schema.properties.iter().flatten() {
            let description = words(field.description.as_deref().unwrap_or_default());
            assert!(
                !description.is_empty() && shown.contains(&description),
                "{resource} does not explain {name} as {description:?}:\n{text}"
            );
        }
    }
    scene.end().await;
}

/// Replaces what is below AGE by `<age>`, keeping the columns where they are.
fn without_age(table: &str) -> String {
    let at = table.find("AGE").expect("a column AGE");
    let lines = table.lines().enumerate().map(|(number, line)| {
        let age = line.get(at..).unwrap_or_default();
        let end = age.find(' ').unwrap_or(age.len());
        if number == 0 {
            line.trim_end().to_owned()
        } else {
            assert!(
                age[..end].ends_with('s') || age[..end].ends_with('m'),
                "{age} is no age in\n{table}"
            );
            let rest = age[end..].trim_start();
            format!("{}<age>  {rest}", &line[..at])
                .trim_end()
                .to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_tell_the_story_at_a_glance() {
    let scene = Scene::new("crd-columns").await;
    install_own(&scene.admin).await;
    let api = scene.api::<ProbePolicy>();
    let policy = |name: &str, mode: &str| {
        json!({
            "apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": name},
            "spec": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "mode": mode},
        })
    };
    let condition = |status: &str, reason: &str| {
        json!([
            {"type": "Ready", "status": "True", "reason": "Enforcing", "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"},
            {"type": "InSync", "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"},
        ])
    };
    let covered = json!({
        "target": "deployment/aws-load-balancer-controller", "container": "aws-load-balancer-controller",
        "startup": {"count": 10_012, "needSeconds": 110, "budgetSeconds": 110, "detectionSeconds": 190, "source": "Rule"},
        "conditions": condition("True", "Covered"),
    });
    let killed = json!({
        "target": "deployment/net-kourier-controller", "verdict": "StartupKill",
        "startup": {"count": 7500, "needSeconds": 720, "budgetSeconds": 50, "detectionSeconds": 61, "source": "Rule"},
        "conditions": condition("False", "ObserveOnly"),
    });
    for (name, mode, status) in [
        ("aws-load-balancer-controller", "Enforce", Some(covered)),
        ("net-kourier-controller", "Observe", Some(killed)),
        ("fresh", "Observe", None),
    ] {
        scene.create::<ProbePolicy>(policy(name, mode)).await;
        if let Some(status) = status {
            let body = Patch::Merge(json!({"status": status}));
            api.patch_status(name, &PatchParams::default(), &body)
                .await
                .unwrap();
        }
    }
    let kubectl = scene.cluster.kubectl().unwrap();
    let get = async |more: &[&str]| {
        let arguments = ["get", "pbp", "--namespace", scene.ns()];
        let table = kubectl.run(arguments.iter().chain(more)).await.unwrap();
        without_age(&table)
    };
    insta::assert_snapshot!("get_pbp", get(&[]).await);
    insta::assert_snapshot!("get_pbp_wide", get(&["--output", "wide"]).await);
    scene.end().await;
}
