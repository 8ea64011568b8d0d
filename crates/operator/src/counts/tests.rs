use serde_json::{Value, json};

use super::*;
use crate::testing::{MockServer, mock};

const INTERVAL: Duration = Duration::from_secs(30);
const PODS: &str = "GET /api/v1/pods?limit=1";

fn counts() -> (Counts, MockServer, Metrics) {
    let (client, server) = mock();
    let metrics = Metrics::default();
    (
        Counts::new(client, metrics.clone(), INTERVAL),
        server,
        metrics,
    )
}

fn pods(namespace: &str) -> CountSelector {
    CountSelector {
        namespace: namespace.to_owned(),
        ..CountSelector::default()
    }
}

async fn discover(server: &mut MockServer) {
    server.expect("GET /api/v1").await.answer(&json!({
        "kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["list"]},
            {"name": "nodes", "singularName": "node", "namespaced": false, "kind": "Node", "verbs": ["list"]},
        ]}));
}

fn list(value: i64) -> Value {
    json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "7", "continue": "x", "remainingItemCount": value - 1},
        "items": [{"metadata": {"name": "one"}}]})
}

fn last(handle: &CountHandle) -> Option<i64> {
    handle.latest().last.map(|sample| sample.value)
}

fn failure(handle: &CountHandle) -> Option<CountFailureKind> {
    handle.latest().failure.map(|failure| failure.kind)
}

#[tokio::test(start_paused = true)]
async fn a_count_asks_for_one_object_and_only_its_metadata() {
    let (counts, mut server, _) = counts();
    let mut handle = counts.register(&pods(""));
    assert_eq!(
        handle.latest().last,
        None,
        "nothing is known before the first read"
    );
    discover(&mut server).await;
    let call = server.expect(PODS).await;
    let accept = call.headers.get("accept").unwrap().to_str().unwrap();
    assert!(accept.starts_with("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"));
    call.answer(&list(10_000));
    handle.changed().await;
    assert_eq!(last(&handle), Some(10_000));
}

#[tokio::test(start_paused = true)]
async fn two_policies_share_one_poller_and_the_last_one_ends_it() {
    let (counts, mut server, metrics) = counts();
    let first = counts.register(&pods(""));
    let mut second = counts.register(&pods(""));
    let other = counts.register(&pods("team"));
    assert_eq!(counts.len(), 2);
    drop(other);
    assert_eq!(counts.len(), 1);
    discover(&mut server).await;
    server.expect(PODS).await.answer(&list(5));
    second.changed().await;
    assert_eq!(last(&first), Some(5));
    assert!(metrics.encode().unwrap().contains("probepilot_count{"));

    drop(first);
    let start = Instant::now();
    server.expect(PODS).await.answer(&list(6));
    let waited = start.elapsed().as_secs_f64();
    assert!((27.0..=33.1).contains(&waited), "{waited} s between reads");
    second.changed().await;
    drop(second);
    assert!(counts.is_empty());
    assert!(!metrics.encode().unwrap().contains("probepilot_count{"));
    tokio::time::sleep(INTERVAL * 3).await;
    assert_eq!(server.waiting(), 0, "nobody counts any more");
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_last_value_and_says_what_it_is() {
    let cases = [
        (403, "Forbidden", CountFailureKind::Forbidden),
        (503, "ServiceUnavailable", CountFailureKind::Unavailable),
        (429, "TooManyRequests", CountFailureKind::Unavailable),
        (500, "InternalError", CountFailureKind::Unavailable),
    ];
    for (code, reason, expected) in cases {
        let (counts, mut server, _) = counts();
        let mut handle = counts.register(&pods(""));
        discover(&mut server).await;
        server.expect(PODS).await.answer(&list(9));
        handle.changed().await;
        let read_at = handle.latest().last.map(|sample| sample.at);
        server.expect(PODS).await.refuse(code, reason);
        handle.changed().await;
        assert_eq!(last(&handle), Some(9), "{reason}");
        assert_eq!(
            handle.latest().last.map(|sample| sample.at),
            read_at,
            "{reason}"
        );
        assert_eq!(failure(&handle), Some(expected), "{reason}");
        server.expect(PODS).await.answer(&list(9));
        handle.changed().await;
        assert_eq!(failure(&handle), None, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_tried_again_soon() {
    let (counts, mut server, _) = counts();
    let _handle = counts.register(&pods(""));
    discover(&mut server).await;
    server.expect(PODS).await.refuse(503, "ServiceUnavailable");
    let start = Instant::now();
    server.expect(PODS).await.answer(&list(1));
    assert!(start.elapsed() <= RETRY.mul_f64(1.1));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_total_is_not_a_count() {
    let (counts, mut server, _) = counts();
    let mut handle = counts.register(&pods(""));
    discover(&mut server).await;
    let mut cut = list(9);
    cut["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("remainingItemCount");
    server.expect(PODS).await.answer(&cut);
    handle.changed().await;
    assert_eq!(last(&handle), None);
    assert_eq!(failure(&handle), Some(CountFailureKind::UnknownTotal));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_moved_is_looked_for_again() {
    let (counts, mut server, _) = counts();
    let mut handle = counts.register(&pods(""));
    discover(&mut server).await;
    server.expect(PODS).await.refuse(404, "NotFound");
    discover(&mut server).await;
    server.expect(PODS).await.answer(&list(3));
    handle.changed().await;
    assert_eq!(last(&handle), Some(3));
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_stays_404_does_not_exist() {
    let (counts, mut server, _) = counts();
    let mut handle = counts.register(&pods(""));
    for _ in 0..2 {
        discover(&mut server).await;
        server.expect(PODS).await.refuse(404, "NotFound");
    }
    handle.changed().await;
    assert_eq!(failure(&handle), Some(CountFailureKind::NoSuchResource));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_for_what_has_none_is_refused_with_advice() {
    let (counts, mut server, _) = counts();
    let selector = CountSelector {
        resource: "nodes".to_owned(),
        ..pods("team")
    };
    let mut handle = counts.register(&selector);
    discover(&mut server).await;
    handle.changed().await;
    let failure = handle.latest().failure.unwrap();
    assert_eq!(failure.kind, CountFailureKind::NoSuchResource);
    assert_eq!(
        failure.message,
        "nodes do not live in namespaces: remove namespace from the count"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fresh_read_is_one_request_for_all_who_ask_during_it() {
    let (counts, mut server, _) = counts();
    let mut handle = counts.register(&pods(""));
    discover(&mut server).await;
    server.expect(PODS).await.answer(&list(1));
    handle.changed().await;
    let fresh = |handle: &CountHandle| {
        let handle = handle.clone();
        tokio::spawn(async move { handle.read_fresh().await.last.map(|sample| sample.value) })
    };
    tokio::time::advance(Duration::from_millis(1)).await;
    let first = fresh(&handle);
    let call = server.expect(PODS).await;
    tokio::time::advance(Duration::from_millis(1)).await;
    let (second, third) = (fresh(&handle), fresh(&handle));
    tokio::task::yield_now().await;
    call.answer(&list(2));
    assert_eq!(first.await.unwrap(), Some(2));
    server.expect(PODS).await.answer(&list(4));
    assert_eq!(
        second.await.unwrap(),
        Some(4),
        "asked after the first read began"
    );
    assert_eq!(third.await.unwrap(), Some(4));
    assert_eq!(server.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_value_read_again_renews_its_time_and_wakes_nobody() {
    let (counts, mut server, _) = counts();
    let mut handle = counts.register(&pods(""));
    discover(&mut server).await;
    server.expect(PODS).await.answer(&list(1));
    handle.changed().await;
    let before = handle.latest().last.unwrap().at;
    server.expect(PODS).await.answer(&list(1));
    let silence = tokio::time::timeout(INTERVAL / 2, handle.changed()).await;
    assert!(silence.is_err());
    assert!(handle.latest().last.unwrap().at > before);
}

#[tokio::test(start_paused = true)]
async fn a_set_follows_the_policy_and_keeps_what_stays() {
    let (counts, mut server, _) = counts();
    let mut set = CountSet::new(counts.clone());
    set.set([&pods(""), &pods("")]);
    assert_eq!(counts.len(), 1);
    discover(&mut server).await;
    server.expect(PODS).await.answer(&list(8));
    set.changed().await;
    assert!(set.read());

    set.set([&pods("team"), &pods("")]);
    assert!(!set.read());
    let known: Vec<_> = set
        .latest()
        .into_iter()
        .map(|count| count.last.map(|sample| sample.value))
        .collect();
    assert_eq!(known, [None, Some(8)]);
    set.set([]);
    assert!(counts.is_empty());
}
