use serde_json::{Value, json};

use super::*;
use crate::testing::{MockServer, WatchStream, mock};

const WORKLOADS: &str = "GET /apis/apps/v1/namespaces/team/deployments?";
const PODS: &str = "GET /api/v1/namespaces/team/pods?";

fn object(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "uid": name, "namespace": "team", "resourceVersion": "2", "labels": {"app": app}}})
}

/// Answers a list that must begin so and contain this, and starts the watch after it.
async fn serve(
    server: &mut MockServer,
    path: &str,
    part: &str,
    items: &[Value],
) -> (String, WatchStream) {
    let call = server.next().await;
    let line = call.line();
    assert!(line.starts_with(path) && line.contains(part), "{line}");
    call.answer(&json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "9"}, "items": items}));
    let watch = server.next().await;
    assert!(watch.line().contains("watch=true"), "{}", watch.line());
    (line, watch.watch())
}

/// What a feed tells next, as `apply web-1`.
async fn told<K: Resource>(feed: &mut Feed<K>) -> String {
    let event = tokio::time::timeout(Duration::from_mins(1), feed.next()).await;
    let (what, object) = match event.expect("an event").expect("a feed goes on") {
        Ok(Event::Init) => return "init".to_owned(),
        Ok(Event::InitDone) => return "done".to_owned(),
        Ok(Event::InitApply(object)) => ("there", object),
        Ok(Event::Apply(object)) => ("apply", object),
        Ok(Event::Delete(object)) => ("delete", object),
        Err(problem) => return format!("{:?}", problem.failure),
    };
    format!("{what} {}", object.meta().name.as_deref().unwrap())
}

async fn all<K: Resource>(feed: &mut Feed<K>, expected: &[&str]) {
    for expected in expected {
        assert_eq!(told(feed).await, *expected);
    }
}

fn workloads(feeds: &Feeds, numbers: std::ops::Range<usize>) -> Vec<Feed<DynamicObject>> {
    let workload =
        |number| feeds.workload("team", TargetKind::Deployment, &format!("web-{number}"));
    numbers.map(workload).collect()
}

fn pods(feeds: &Feeds, labels: &[(&'static str, &'static str)]) -> Feed<Pod> {
    feeds.pods("team", labels.iter().copied().collect())
}

#[tokio::test(start_paused = true)]
async fn a_few_have_a_watch_each_that_sees_nothing_else() {
    let (client, mut server) = mock();
    let feeds = Feeds::new(client);
    let _few = workloads(&feeds, 0..SHARED_FROM - 1);
    let mut lines = Vec::new();
    for _ in 0..SHARED_FROM - 1 {
        lines.push(server.next().await.line());
    }
    lines.sort();
    for (number, line) in lines.iter().enumerate() {
        let by_name = format!("fieldSelector=metadata.name%3Dweb-{number}&");
        assert!(line.contains(&by_name), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_share_one_and_each_is_told_its_own() {
    let (client, mut server) = mock();
    let feeds = Feeds::new(client);
    let mut many = workloads(&feeds, 0..SHARED_FROM);
    let there = [
        object("web-0", ""),
        object("other", ""),
        object("web-2", ""),
    ];
    let (line, watch) = serve(&mut server, WORKLOADS, "limit=50", &there).await;
    assert!(!line.contains("Selector"), "{line}");
    all(&mut many[0], &["init", "there web-0", "done"]).await;
    all(&mut many[1], &["init", "done"]).await;
    all(&mut many[2], &["init", "there web-2", "done"]).await;

    watch.event("MODIFIED", &object("other", ""));
    watch.event("DELETED", &object("web-0", ""));
    watch.event("ADDED", &object("web-1", ""));
    all(&mut many[0], &["delete web-0"]).await;
    all(&mut many[1], &["apply web-1"]).await;
    assert_eq!(
        many[2].next().now_or_never().map(|event| event.is_some()),
        None
    );
    assert_eq!(server.waiting(), 0, "one watch");
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_has_a_watch_of_his_own() {
    let (client, mut server) = mock();
    let feeds = Feeds::new(client);
    let _many = workloads(&feeds, 0..SHARED_FROM);
    let _watch = serve(&mut server, WORKLOADS, "", &[]).await;
    let mut late = workloads(&feeds, 7..8);
    let alone = "fieldSelector=metadata.name%3Dweb-7&";
    let _watch = serve(&mut server, WORKLOADS, alone, &[object("web-7", "")]).await;
    all(&mut late[0], &["init", "there web-7", "done"]).await;
    assert_eq!(server.waiting(), 0, "nothing is listed again");
}

#[tokio::test(start_paused = true)]
async fn pods_are_shared_by_a_label_that_all_select_by() {
    let (client, mut server) = mock();
    let feeds = Feeds::new(client);
    let mut a = pods(&feeds, &[("app", "a"), ("tier", "front")]);
    let mut b = pods(&feeds, &[("app", "b")]);
    let _others = ["c", "d"].map(|app| pods(&feeds, &[("app", app)]));
    let any = "labelSelector=app+in+%28a%2Cb%2Cc%2Cd%29&";
    let there = [object("a-1", "a"), object("b-1", "b")];
    let (_, watch) = serve(&mut server, PODS, any, &there).await;
    all(&mut a, &["init", "done"]).await;
    all(&mut b, &["init", "there b-1", "done"]).await;

    let mut front = object("a-1", "a");
    front["metadata"]["labels"]["tier"] = json!("front");
    watch.event("MODIFIED", &front);
    // Its label was b and is something that nobody selects.
    watch.event("MODIFIED", &object("b-1", "c"));
    all(&mut a, &["apply a-1"]).await;
    all(&mut b, &["delete b-1"]).await;
    watch.event("MODIFIED", &object("a-1", "a"));
    all(&mut a, &["delete a-1"]).await;
}

#[tokio::test(start_paused = true)]
async fn pods_without_a_label_in_common_have_watches_of_their_own() {
    let (client, mut server) = mock();
    let feeds = Feeds::new(client);
    let labels = ["a", "b", "c", "d", "e"];
    let _feeds = labels.map(|label| pods(&feeds, &[(label, "x")]));
    let mut lines = Vec::new();
    for _ in labels {
        lines.push(server.next().await.line());
    }
    lines.sort();
    for (label, line) in labels.iter().zip(lines) {
        assert!(
            line.contains(&format!("labelSelector={label}%3Dx&")),
            "{line}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_watch_that_fails_is_everybodys_and_ends_with_the_last() {
    let (client, mut server) = mock();
    let feeds = Feeds::new(client);
    let mut many = workloads(&feeds, 0..SHARED_FROM);
    server.next().await.refuse(403, "Forbidden");
    for feed in &mut many {
        all(feed, &["init", "Forbidden"]).await;
    }
    let (_, watch) = serve(&mut server, WORKLOADS, "", &[]).await;
    let mut last = many.split_off(SHARED_FROM - 1);
    drop(many);
    all(&mut last[0], &["init", "done"]).await;
    watch.event("ADDED", &object("web-3", ""));
    all(&mut last[0], &["apply web-3"]).await;
    drop(last);
    let closed = tokio::time::timeout(Duration::from_secs(5), watch.closed());
    closed.await.expect("the watch ends with its last member");
}
