//! Leader election by a real Lease.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use probepilot_operator::client::{Clients, Observer, Verb, connect};
use probepilot_operator::leader::{Candidacy, Leadership, identity};
use probepilot_operator::metrics::Metrics;
use probepilot_test_api::{Scene, config, eventually};
use std::sync::atomic::{AtomicU32, Ordering};

/// Slack for a busy machine on top of what the election promises.
const SLACK: Duration = Duration::from_secs(2);

/// Counts the writes that met a conflict.
#[derive(Default)]
struct Conflicts(AtomicU32);

impl Observer for Conflicts {
    fn ended(&self, _: Verb, code: Option<StatusCode>) {
        if code == Some(StatusCode::CONFLICT) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A replica: clients of its own, with a fence of its own.
struct Replica {
    clients: Clients,
    leadership: Leadership,
}

impl Replica {
    async fn start(scene: &Scene, name: &str, observer: Arc<dyn Observer>) -> Self {
        let clients = connect(config(&scene.cluster).await, observer).unwrap();
        let candidacy = Candidacy {
            namespace: scene.ns().to_owned(),
            name: "probepilot".to_owned(),
            identity: identity(name),
        };
        let (lease, fence) = (clients.lease.clone(), clients.fence.clone());
        let leadership = Leadership::seek(lease, candidacy, fence, Metrics::default());
        Self {
            clients,
            leadership,
        }
    }

    fn leads(&self) -> bool {
        self.clients.fence.holds()
    }
}

async fn record(scene: &Scene) -> LeaseSpec {
    let lease: Lease = scene.api().get("probepilot").await.unwrap();
    lease.spec.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_vanishes_is_followed_within_ten_seconds() {
    let scene = Scene::new("leader").await;
    let mut one = Replica::start(&scene, "one", Arc::new(())).await;
    one.leadership.won().await;
    let two = Replica::start(&scene, "two", Arc::new(())).await;
    eventually("the standby to know the leader", SLACK * 2, || match &*two
        .leadership
        .standing()
        .borrow()
    {
        probepilot_operator::leader::Standing::Standby {
            holder: Some(holder),
        } if holder.starts_with("one_") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let fence = one.clients.fence.clone();
    let vanished = Instant::now();
    // Dropped without a release, as by SIGKILL.
    drop(one.leadership);
    let limit = Duration::from_secs(10) + SLACK;
    eventually("the standby to lead", limit, || {
        if two.leads() {
            Ok(())
        } else {
            Err("standing by".to_owned())
        }
    })
    .await;
    assert!(!fence.holds());
    let took = vanished.elapsed();
    assert!(
        took >= Duration::from_secs(5),
        "took over after {took:?}: before the terms had ended"
    );
    let record = record(&scene).await;
    assert!(record.holder_identity.unwrap().starts_with("two_"));
    assert_eq!(record.lease_transitions, Some(1));
    two.leadership.release().await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_lease_is_taken_over_at_once() {
    let scene = Scene::new("leader").await;
    let mut one = Replica::start(&scene, "one", Arc::new(())).await;
    one.leadership.won().await;
    let two = Replica::start(&scene, "two", Arc::new(())).await;
    let released = Instant::now();
    one.leadership.release().await;
    let free = record(&scene).await;
    assert!(free.holder_identity.is_none() || two.leads(), "{free:?}");
    let limit = Duration::from_secs(1) + SLACK;
    eventually("the standby to lead", limit, || {
        if two.leads() {
            Ok(())
        } else {
            Err("standing by".to_owned())
        }
    })
    .await;
    println!(
        "taken over {:?} after the release began",
        released.elapsed()
    );
    two.leadership.release().await;
    scene.end().await;
}

/// Eight replicas reach for one lease at the same moment, three times over. The API server
/// refuses all but one of the claims, and no moment has two leaders.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_never_makes_two_leaders() {
    let scene = Scene::new("leader").await;
    let conflicts = Arc::new(Conflicts::default());
    let mut replicas = Vec::new();
    for index in 0..8 {
        let observer: Arc<dyn Observer> = Arc::clone(&conflicts) as Arc<dyn Observer>;
        replicas.push(Replica::start(&scene, &format!("r{index}"), observer).await);
    }
    let mut changes_of_hands = 0;
    while !replicas.is_empty() {
        let limit = Duration::from_secs(10) + SLACK;
        let leader = eventually("one leader", limit, || {
            let leaders: Vec<_> = (0..replicas.len())
                .filter(|index| replicas[*index].leads())
                .collect();
            assert!(leaders.len() <= 1, "{leaders:?} lead together");
            leaders.first().copied().ok_or_else(|| "none".to_owned())
        })
        .await;
        changes_of_hands += 1;
        replicas.swap_remove(leader).leadership.release().await;
    }
    assert_eq!(changes_of_hands, 8);
    assert_eq!(record(&scene).await.lease_transitions, Some(7));
    let conflicts = conflicts.0.load(Ordering::Relaxed);
    assert!(conflicts > 0, "nobody ever reached for the lease together");
    scene.end().await;
}
