use std::sync::Mutex;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::WatchParams;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::failure::Failure;
use crate::pace::Weather;
use crate::testing::{MockServer, mock_with};

#[derive(Default)]
struct Log(Mutex<Vec<(Verb, Option<u16>)>>);

impl Observer for Log {
    fn ended(&self, verb: Verb, code: Option<StatusCode>) {
        let code = code.map(|code| code.as_u16());
        self.0.lock().unwrap().push((verb, code));
    }
}

struct Scene {
    maps: Api<ConfigMap>,
    server: MockServer,
    pace: Arc<Pace>,
    fence: Fence,
    log: Arc<Log>,
}

fn scene() -> Scene {
    let (pace, log) = (Arc::new(Pace::default()), Arc::new(Log::default()));
    let fence = Fence::default();
    let layer = ApiLayer {
        pace: Some(Arc::clone(&pace)),
        fence: Some(fence.clone()),
        ..ApiLayer::new(Arc::clone(&log) as Arc<dyn Observer>)
    };
    let (client, server) = mock_with(&layer);
    let maps = Api::default_namespaced(client);
    Scene {
        maps,
        server,
        pace,
        fence,
        log,
    }
}

fn get(maps: &Api<ConfigMap>) -> tokio::task::JoinHandle<Result<ConfigMap, kube::Error>> {
    let maps = maps.clone();
    tokio::spawn(async move { maps.get("x").await })
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_costs_the_deadline_and_no_pause() {
    let mut scene = scene();
    let start = Instant::now();
    let asked = get(&scene.maps);
    let _unanswered = scene.server.next().await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(Failure::of(&error), Failure::Deadline);
    assert_eq!(start.elapsed().as_secs(), REQUEST_DEADLINE.as_secs());
    assert_eq!(*scene.pace.weather().borrow(), Weather::Calm);
    assert_eq!(*scene.log.0.lock().unwrap(), [(Verb::Get, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_sent_once_and_holds_up_the_next_as_long_as_asked() {
    let mut scene = scene();
    let refused = get(&scene.maps);
    let call = scene.server.next().await;
    call.refuse_with(429, "TooManyRequests", &[("retry-after", "4")]);
    let error = refused.await.unwrap().unwrap_err();
    assert_eq!(Failure::of(&error), Failure::Refused);

    let start = Instant::now();
    let next = get(&scene.maps);
    let call = scene.server.next().await;
    let waited = start.elapsed().as_secs_f64();
    assert!((4.0..=5.1).contains(&waited), "waited {waited} s");
    call.answer(&json!({"metadata": {"name": "x"}}));
    assert!(next.await.unwrap().is_ok());
    assert_eq!(
        scene.server.waiting(),
        0,
        "nothing is retried behind the caller's back"
    );
    let log = scene.log.0.lock().unwrap().clone();
    assert_eq!(log, [(Verb::Get, Some(429)), (Verb::Get, Some(200))]);
}

#[tokio::test(start_paused = true)]
async fn the_wait_in_the_queue_counts_as_time_of_the_request() {
    let mut scene = scene();
    let refused = get(&scene.maps);
    let call = scene.server.next().await;
    call.refuse_with(503, "ServiceUnavailable", &[("retry-after", "15")]);
    assert!(refused.await.unwrap().is_err());

    let start = Instant::now();
    let error = get(&scene.maps).await.unwrap().unwrap_err();
    assert_eq!(Failure::of(&error), Failure::Refused);
    assert_eq!(start.elapsed().as_secs(), REQUEST_DEADLINE.as_secs());
    assert_eq!(scene.server.waiting(), 0, "it was never sent");
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_counts_as_a_storm() {
    let mut scene = scene();
    let asked = get(&scene.maps);
    scene.server.next().await.hang_up();
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(Failure::of(&error), Failure::Unreachable);
    assert!(matches!(*scene.pace.weather().borrow(), Weather::Storm(_)));
}

#[tokio::test(start_paused = true)]
async fn a_running_watch_has_no_deadline_but_its_start_has() {
    use futures::StreamExt;
    let mut scene = scene();
    let maps = scene.maps.clone();
    let watching = tokio::spawn(async move {
        let stream = maps.watch(&WatchParams::default(), "0").await?;
        let mut stream = std::pin::pin!(stream);
        stream.next().await.expect("an event")
    });
    let call = scene.server.next().await;
    let stream = call.watch();
    tokio::time::sleep(REQUEST_DEADLINE * 5).await;
    stream.event("ADDED", &json!({"metadata": {"name": "x"}}));
    assert!(watching.await.unwrap().is_ok());

    let maps = scene.maps.clone();
    let start = Instant::now();
    let starting =
        tokio::spawn(async move { maps.watch(&WatchParams::default(), "0").await.map(|_| ()) });
    let _unanswered = scene.server.next().await;
    let error = starting.await.unwrap().unwrap_err();
    assert_eq!(Failure::of(&error), Failure::Deadline);
    assert_eq!(start.elapsed().as_secs(), REQUEST_DEADLINE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_does_not_lead_reads_and_does_not_write() {
    let mut scene = scene();
    let map = ConfigMap::default();
    let params = kube::api::PostParams::default();
    let error = scene.maps.create(&params, &map).await.unwrap_err();
    assert_eq!(Failure::of(&error), Failure::Fenced);
    let reading = get(&scene.maps);
    let call = scene.server.next().await;
    call.answer(&json!({"metadata": {"name": "x"}}));
    assert!(reading.await.unwrap().is_ok());

    scene
        .fence
        .open_until(Instant::now() + Duration::from_secs(5));
    let maps = scene.maps.clone();
    let writing = tokio::spawn(async move {
        let params = kube::api::PostParams::default();
        maps.create(&params, &ConfigMap::default()).await
    });
    scene.server.next().await.answer(&json!({}));
    assert!(writing.await.unwrap().is_ok());
    tokio::time::advance(Duration::from_secs(5)).await;
    let error = scene.maps.create(&params, &map).await.unwrap_err();
    assert_eq!(
        Failure::of(&error),
        Failure::Fenced,
        "leadership ends by itself"
    );
    assert_eq!(scene.server.waiting(), 0);
}
