//! Counts of a real API server.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use probepilot_api::CountSelector;
use probepilot_operator::client::connect;
use probepilot_operator::counts::{CountHandle, Counts};
use probepilot_operator::metrics::Metrics;
use probepilot_policy::{Count, CountFailureKind};
use probepilot_test_api::{Scene, config};
use serde_json::json;

fn selector(group: &str, resource: &str, namespace: &str) -> CountSelector {
    CountSelector {
        group: group.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
    }
}

fn counts(scene: &Scene) -> Counts {
    let interval = Duration::from_secs(1);
    Counts::new(scene.clients.api.clone(), scene.metrics.clone(), interval)
}

async fn config_maps(scene: &Scene, from: usize, to: usize) {
    for index in from..to {
        let padding = "x".repeat(2000);
        let map =
            json!({"metadata": {"name": format!("map-{index}")}, "data": {"padding": padding}});
        scene.create::<ConfigMap>(map).await;
    }
}

async fn value(handle: &CountHandle) -> Option<i64> {
    let count = handle.read_fresh().await;
    assert_eq!(count.failure, None);
    count.last.map(|sample| sample.value)
}

/// Bytes of the last answer to the count of this namespace's configmaps.
fn bytes(scene: &Scene) -> i64 {
    let text = scene.metrics.encode().unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("probepilot_count_poll_bytes{") && line.contains(scene.ns()));
    line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_object_is_sent_and_all_are_counted() {
    let scene = Scene::new("counts").await;
    let counts = counts(&scene);
    // Kubernetes itself puts one into each namespace, but only some time after its creation.
    let handle = counts.register(&selector("", "configmaps", scene.ns()));
    config_maps(&scene, 0, 3).await;
    let few = value(&handle).await.unwrap();
    assert!((3..=4).contains(&few), "{few}");
    let bytes_of_few = bytes(&scene);
    config_maps(&scene, 3, 60).await;
    let many = value(&handle).await.unwrap();
    assert!((60..=61).contains(&many), "{many}");
    let growth = (bytes(&scene) - bytes_of_few).abs();
    assert!(growth < 600, "57 objects more cost {growth} bytes more");
    assert!(
        bytes(&scene) < 3000,
        "{} bytes for one count",
        bytes(&scene)
    );
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_wakes_who_waits_for_it() {
    let scene = Scene::new("counts").await;
    let counts = counts(&scene);
    let mut handle = counts.register(&selector("", "configmaps", scene.ns()));
    handle.read_fresh().await;
    config_maps(&scene, 0, 5).await;
    let change = async {
        while handle.latest().last.is_none_or(|sample| sample.value < 5) {
            handle.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), change)
        .await
        .expect("the poller sees it by itself");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_versions_and_scopes_are_found() {
    let scene = Scene::new("counts").await;
    let counts = counts(&scene);
    for (group, resource, at_least) in [
        ("", "namespaces", 4),
        ("", "pods", 0),
        ("apps", "deployments", 0),
        ("rbac.authorization.k8s.io", "clusterroles", 10),
        ("apiregistration.k8s.io", "apiservices", 10),
    ] {
        let handle = counts.register(&selector(group, resource, ""));
        let value = value(&handle).await.unwrap();
        assert!(value >= at_least, "{value} {resource}");
    }
    let nowhere = counts.register(&selector("", "pods", "no-such-namespace"));
    assert_eq!(value(&nowhere).await, Some(0));
    scene.end().await;
}

async fn failure(counts: &Counts, selector: &CountSelector) -> (CountFailureKind, String) {
    let Count { last, failure, .. } = counts.register(selector).read_fresh().await;
    assert_eq!(last, None, "an unknown is never a number");
    let failure = failure.unwrap();
    (failure.kind, failure.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_not_allowed_says_what_to_do() {
    let scene = Scene::new("counts").await;
    let all = counts(&scene);
    for (group, resource) in [
        ("", "unicorns"),
        ("apps", "unicorns"),
        ("unicorns.example", "unicorns"),
        ("", "bindings"),
    ] {
        let (kind, message) = failure(&all, &selector(group, resource, "")).await;
        assert_eq!(kind, CountFailureKind::NoSuchResource);
        assert!(message.contains("kubectl api-resources"), "{message}");
    }

    let mut nobody = config(&scene.cluster).await;
    nobody.auth_info.impersonate = Some(format!("system:serviceaccount:{}:nobody", scene.ns()));
    nobody.auth_info.impersonate_groups = Some(vec!["system:authenticated".to_owned()]);
    let clients = connect(nobody, Arc::new(())).unwrap();
    let interval = Duration::from_mins(1);
    let powerless = Counts::new(clients.api, Metrics::default(), interval);
    let ingresses = selector("networking.k8s.io", "ingresses", "");
    let (kind, message) = failure(&powerless, &ingresses).await;
    assert_eq!(kind, CountFailureKind::Forbidden);
    let rule = r#"{apiGroups: ["networking.k8s.io"], resources: ["ingresses"], verbs: ["list"]}"#;
    assert!(message.contains(rule), "{message}");
    scene.end().await;
}
