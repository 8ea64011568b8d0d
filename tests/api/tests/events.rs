//! Events of a real API server: read, and written.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Event as OldEvent, Pod};
use k8s_openapi::api::events::v1::Event;
use kube::Resource;
use kube::api::{DeleteParams, ListParams};
use probepilot_operator::events::{Notice, NoticeType, PodEvents, Publisher};
use probepilot_policy::{FailedProbe, PodView};
use probepilot_test_api::Scene;
use serde_json::json;

/// An event as the kubelet of 1.36 writes it.
async fn kubelet_says(scene: &Scene, index: u32, uid: &str, container: &str, message: &str) {
    let event = json!({
        "metadata": {"name": format!("web.{index:04}"), "namespace": scene.ns()},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": scene.ns(),
            "uid": uid, "fieldPath": format!("spec.containers{{{container}}}")},
        "reason": "Killing", "message": message, "type": "Normal",
        "source": {"component": "kubelet", "host": "node"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": format!("2026-01-01T00:{:02}:00Z", index % 60), "count": 2,
    });
    scene.create::<OldEvent>(event).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_events_of_one_pod_are_found_over_several_pages() {
    let scene = Scene::new("events").await;
    for index in 0..120 {
        kubelet_says(&scene, index, "p1", "a", "Stopping container a").await;
    }
    let liveness = "Container a failed liveness probe, will be restarted";
    let startup =
        "(combined from similar events): Container b failed startup probe, will be restarted";
    kubelet_says(&scene, 200, "p1", "a", liveness).await;
    kubelet_says(&scene, 201, "p1", "b", startup).await;
    kubelet_says(&scene, 202, "another", "a", liveness).await;

    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "uid": "p1"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]},
    }))
    .unwrap();
    let mut pod = PodView::project(&pod);
    let events = PodEvents::new(scene.clients.api.clone());
    events.read_into(scene.ns(), &mut pod).await.unwrap();
    let kills = |name: &str| pod.containers[name].kills.clone().unwrap();
    let [kill] = kills("a").try_into().unwrap();
    assert_eq!((kill.probe, kill.count), (FailedProbe::Liveness, 2));
    assert_eq!(kill.last_at.to_string(), "2026-01-01T00:20:00Z");
    assert_eq!(kills("b")[0].probe, FailedProbe::Startup);
    assert!(kills("c").is_empty());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_published_told_again_and_told_anew() {
    let scene = Scene::new("events").await;
    let map: ConfigMap = scene.create(json!({"metadata": {"name": "about"}})).await;
    let publisher = Publisher::start(
        scene.clients.api.clone(),
        scene.metrics.clone(),
        "replica-0",
    );
    let notice = |note: &str| Notice {
        regarding: map.object_ref(&()),
        related: None,
        type_: NoticeType::Warning,
        reason: "BudgetRaised".to_owned(),
        action: "Reconcile".to_owned(),
        note: note.to_owned(),
    };
    let told = || async {
        publisher.flush(Duration::from_secs(10)).await;
        let list = scene.api::<Event>().list(&ListParams::default()).await;
        let mut events: Vec<_> = list
            .unwrap()
            .items
            .into_iter()
            .filter(|event| {
                event.reporting_controller.as_deref() == Some("probepilot.dev/operator")
            })
            .map(|event| {
                let count = event.series.map_or(1, |series| series.count);
                (event.note.unwrap(), count)
            })
            .collect();
        events.sort();
        events
    };
    let long = "ü".repeat(2000);
    for note in ["from 60 s", "from 60 s", "from 60 s", "from 90 s", &long] {
        publisher.publish(notice(note));
    }
    let expected = [
        ("from 60 s".to_owned(), 3),
        ("from 90 s".to_owned(), 1),
        ("ü".repeat(512), 1),
    ];
    assert_eq!(told().await, expected);

    // As if it had expired.
    let all = (DeleteParams::default(), ListParams::default());
    scene
        .api::<Event>()
        .delete_collection(&all.0, &all.1)
        .await
        .unwrap();
    publisher.publish(notice("from 60 s"));
    assert_eq!(told().await, [("from 60 s".to_owned(), 1)]);
    let dropped = scene.metrics.encode().unwrap();
    assert!(dropped.contains("probepilot_events_dropped_total 0"));
    scene.end().await;
}
