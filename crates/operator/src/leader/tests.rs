use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::testing::{Call, MockServer, mock};

const ONE: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/probepilot";
const ALL: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases";

fn seek() -> (Leadership, Fence, MockServer) {
    let (client, server) = mock();
    let fence = Fence::default();
    let candidacy = Candidacy {
        namespace: "system".to_owned(),
        name: "probepilot".to_owned(),
        identity: "me".to_owned(),
    };
    let leadership = Leadership::seek(client, candidacy, fence.clone(), Metrics::default());
    (leadership, fence, server)
}

fn lease(holder: Option<&str>, version: u64) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "probepilot", "resourceVersion": version.to_string()},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 7, "leaseTransitions": 4}})
}

/// Accepts a write and gives it the next version.
fn accept(call: Call, version: u64) -> Value {
    let mut body = call.body.clone();
    body["metadata"]["resourceVersion"] = json!(version.to_string());
    call.answer(&body);
    body
}

async fn won(server: &mut MockServer) {
    let read = server.expect(&format!("GET {ONE}")).await;
    read.refuse(404, "NotFound");
    let create = server.expect(&format!("POST {ALL}?")).await;
    accept(create, 1);
}

#[tokio::test(start_paused = true)]
async fn reads_creates_and_renews_each_two_seconds() {
    let (mut leadership, fence, mut server) = seek();
    assert!(!fence.holds());
    won(&mut server).await;
    leadership.won().await;
    assert!(fence.holds());
    for version in 1..5 {
        let start = Instant::now();
        let renewal = server.expect(&format!("PUT {ONE}?")).await;
        assert!(start.elapsed() <= Duration::from_secs(2));
        assert_eq!(
            renewal.body["metadata"]["resourceVersion"],
            version.to_string()
        );
        assert_eq!(renewal.body["spec"]["holderIdentity"], "me");
        accept(renewal, version + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_over_and_the_change_of_hands_counted() {
    let (mut leadership, _, mut server) = seek();
    let read = server.expect(&format!("GET {ONE}")).await;
    read.answer(&lease(None, 8));
    let claim = server.expect(&format!("PUT {ONE}?")).await;
    assert_eq!(claim.body["spec"]["leaseTransitions"], 5);
    accept(claim, 9);
    leadership.won().await;
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_meets_a_conflict_stands_by() {
    let (leadership, fence, mut server) = seek();
    let read = server.expect(&format!("GET {ONE}")).await;
    read.answer(&lease(None, 8));
    let claim = server.expect(&format!("PUT {ONE}?")).await;
    claim.refuse(409, "Conflict");
    let read = server.expect(&format!("GET {ONE}")).await;
    read.answer(&lease(Some("other"), 9));
    let mut standing = leadership.standing();
    let by_other = |standing: &Standing| {
        *standing
            == Standing::Standby {
                holder: Some("other".to_owned()),
            }
    };
    standing.wait_for(by_other).await.unwrap();
    assert!(!fence.holds());
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_renewals_are_not_answered_stops_its_work_in_five_seconds() {
    let (mut leadership, fence, mut server) = seek();
    won(&mut server).await;
    leadership.won().await;
    let start = Instant::now();
    let unanswered = tokio::spawn(async move {
        let mut calls = Vec::new();
        loop {
            calls.push(server.next().await);
        }
    });
    let (began, dropped) = (Arc::new(Mutex::new(0)), Arc::new(()));
    let work = || {
        *began.lock().unwrap() += 1;
        let alive = Arc::clone(&dropped);
        async move {
            std::future::pending::<()>().await;
            drop(alive);
        }
    };
    let working = leadership.lead(work);
    let ended = tokio::time::timeout(Duration::from_millis(5100), working).await;
    assert!(ended.is_err(), "it goes on standing for the lease");
    assert_eq!(*began.lock().unwrap(), 1);
    assert_eq!(Arc::strong_count(&dropped), 1, "the work is dropped");
    assert!(!fence.holds());
    assert!(start.elapsed() <= Duration::from_millis(5100));
    unanswered.abort();
}

#[tokio::test(start_paused = true)]
async fn release_empties_the_lease_and_a_standby_releases_nothing() {
    let (mut leadership, fence, mut server) = seek();
    won(&mut server).await;
    leadership.won().await;
    let releasing = tokio::spawn(leadership.release());
    let release = server.expect(&format!("PUT {ONE}?")).await;
    assert!(!fence.holds(), "no write while the lease goes back");
    assert_eq!(release.body["spec"].get("holderIdentity"), None);
    assert_eq!(release.body["metadata"]["resourceVersion"], "1");
    accept(release, 2);
    releasing.await.unwrap();
    assert_eq!(server.waiting(), 0);

    let (leadership, _, mut server) = seek();
    let read = server.expect(&format!("GET {ONE}")).await;
    read.answer(&lease(Some("other"), 3));
    leadership.release().await;
    assert_eq!(server.waiting(), 0);
}
