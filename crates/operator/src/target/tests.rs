use probepilot_api::TargetKind;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Call, MockServer, WatchStream, mock};

const WORKLOADS: &str = "/apis/apps/v1/namespaces/team/statefulsets?";
const PODS: &str = "/api/v1/namespaces/team/pods?";

fn db() -> TargetRef {
    TargetRef {
        api_version: "apps/v1".to_owned(),
        kind: TargetKind::StatefulSet,
        name: "db".to_owned(),
    }
}

fn workload(uid: &str, app: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "team", "uid": uid, "resourceVersion": "1", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": app}},
            "template": {"spec": {"containers": [{"name": "a", "livenessProbe": {"futureGet": {"x": 1}}}]}}},
        "status": {}})
}

fn pod(name: &str, owner: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "uid": name, "resourceVersion": "2",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "uid": owner, "controller": true}]},
        "spec": {"containers": [{"name": "a"}]}})
}

fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "9"}, "items": items})
}

/// The next request that begins so; the two watches may ask in any order.
async fn next(server: &mut MockServer, ahead: &mut Vec<Call>, path: &str) -> Call {
    if let Some(at) = ahead.iter().position(|call| call.target.starts_with(path)) {
        return ahead.remove(at);
    }
    loop {
        let call = server.next().await;
        if call.target.starts_with(path) {
            return call;
        }
        ahead.push(call);
    }
}

struct Scene {
    targets: Targets,
    server: MockServer,
    ahead: Vec<Call>,
}

impl Scene {
    fn new() -> Self {
        let (client, server) = mock();
        Self {
            targets: Targets::new(client),
            server,
            ahead: Vec::new(),
        }
    }

    async fn next(&mut self, path: &str) -> Call {
        next(&mut self.server, &mut self.ahead, path).await
    }

    /// Answers the list and starts the watch after it.
    async fn serve(&mut self, path: &str, items: &[Value]) -> (String, WatchStream) {
        let call = self.next(path).await;
        let line = call.line();
        call.answer(&list(items));
        let watch = self.next(path).await;
        assert!(watch.target.contains("watch=true"), "{}", watch.target);
        (line, watch.watch())
    }
}

async fn settled(
    watch: &mut TargetWatch,
    done: impl Fn(&TargetSnapshot) -> bool,
) -> TargetSnapshot {
    let waiting = async {
        loop {
            let snapshot = watch.snapshot();
            if done(&snapshot) {
                return snapshot;
            }
            watch.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .expect("the snapshot that was waited for")
}

fn names(snapshot: &TargetSnapshot) -> Vec<&str> {
    snapshot.pods.iter().map(|pod| pod.name.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn one_workload_by_name_and_its_pods_by_label_are_listed_in_pages_and_watched() {
    let mut scene = Scene::new();
    let mut watch = scene.targets.watch("team", &db());
    assert!(!watch.snapshot().complete);
    let (line, _workloads) = scene.serve(WORKLOADS, &[workload("u1", "db")]).await;
    assert_eq!(
        line,
        format!("GET {WORKLOADS}&fieldSelector=metadata.name%3Ddb&limit=500")
    );
    let (line, pods) = scene
        .serve(PODS, &[pod("db-0", "u1"), pod("x", "zz")])
        .await;
    assert_eq!(line, format!("GET {PODS}&labelSelector=app%3Ddb&limit=50"));
    let snapshot = settled(&mut watch, |snapshot| snapshot.complete).await;
    let Target::Found(found) = &snapshot.target else {
        panic!("{:?}", snapshot.target)
    };
    let handler = &found.containers[0].liveness.as_ref().unwrap().handler;
    assert!(
        handler.contains_key("futureGet"),
        "unknown handlers survive"
    );
    assert_eq!(names(&snapshot), ["db-0"]);

    pods.event("ADDED", &pod("db-1", "u1"));
    let snapshot = settled(&mut watch, |snapshot| snapshot.pods_total == 2).await;
    assert_eq!(names(&snapshot), ["db-0", "db-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_target_is_watched_until_it_comes_and_after_it_went() {
    let mut scene = Scene::new();
    let mut watch = scene.targets.watch("team", &db());
    let (_, workloads) = scene.serve(WORKLOADS, &[]).await;
    let snapshot = settled(&mut watch, |snapshot| snapshot.complete).await;
    assert_eq!(snapshot.target, Target::Missing);

    workloads.event("ADDED", &workload("u1", "db"));
    let _pods = scene.serve(PODS, &[pod("db-0", "u1")]).await;
    settled(&mut watch, |snapshot| snapshot.pods_total == 1).await;

    workloads.event("DELETED", &workload("u1", "db"));
    let snapshot = settled(&mut watch, |snapshot| snapshot.target == Target::Missing).await;
    assert!(snapshot.pods.is_empty());

    workloads.event("ADDED", &workload("u2", "db"));
    let _pods = scene
        .serve(PODS, &[pod("db-0", "u1"), pod("db-1", "u2")])
        .await;
    let snapshot = settled(&mut watch, |snapshot| snapshot.complete).await;
    assert_eq!(
        names(&snapshot),
        ["db-1"],
        "pods of the one before are not its own"
    );
}

#[tokio::test(start_paused = true)]
async fn another_selector_starts_the_pods_watch_anew() {
    let mut scene = Scene::new();
    let mut watch = scene.targets.watch("team", &db());
    let (_, workloads) = scene.serve(WORKLOADS, &[workload("u1", "db")]).await;
    let _old = scene.serve(PODS, &[pod("db-0", "u1")]).await;
    settled(&mut watch, |snapshot| snapshot.complete).await;
    // Kubernetes lets nobody change a selector; a workload that was deleted and made again
    // between two events looks like it.
    workloads.event("MODIFIED", &workload("u2", "other"));
    let (line, _new) = scene.serve(PODS, &[pod("db-5", "u2")]).await;
    assert!(line.contains("labelSelector=app%3Dother"), "{line}");
    let snapshot = settled(&mut watch, |snapshot| snapshot.complete).await;
    assert_eq!(names(&snapshot), ["db-5"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_watch_is_a_problem_and_what_was_known_stays() {
    let mut scene = Scene::new();
    let mut watch = scene.targets.watch("team", &db());
    let _workloads = scene.serve(WORKLOADS, &[workload("u1", "db")]).await;
    scene.next(PODS).await.refuse(403, "Forbidden");
    let snapshot = settled(&mut watch, |snapshot| snapshot.problem.is_some()).await;
    assert_eq!(snapshot.problem.unwrap().failure, Failure::Forbidden);
    assert!(matches!(snapshot.target, Target::Found(_)));
    assert!(!snapshot.complete);
    let _pods = scene.serve(PODS, &[pod("db-0", "u1")]).await;
    let snapshot = settled(&mut watch, |snapshot| snapshot.complete).await;
    assert_eq!(snapshot.problem, None);
}

#[tokio::test(start_paused = true)]
async fn policies_of_one_target_share_its_watch_and_the_last_one_ends_it() {
    let mut scene = Scene::new();
    let first = scene.targets.watch("team", &db());
    let second = scene.targets.watch("team", &db());
    let _other = scene.targets.watch("elsewhere", &db());
    assert_eq!(scene.targets.len(), 2);
    let (_, workloads) = scene.serve(WORKLOADS, &[]).await;
    drop(first);
    assert_eq!(scene.targets.len(), 2);
    drop(second);
    assert_eq!(scene.targets.len(), 1);
    tokio::time::timeout(Duration::from_secs(5), workloads.closed())
        .await
        .expect("the watch ends with its last user");
}
