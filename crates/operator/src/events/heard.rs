//! What events tell of a pod: who killed a container (K19), and how probes failed before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use probepilot_policy::PodView;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::deadline::{DeadlineExceeded, within};

/// Longest time for all pages of one pod, waiting for the namespace's turn included.
const DEADLINE: Duration = Duration::from_secs(5);
/// Events of one page.
const PAGE: u32 = 100;
/// Pages read of one pod. One pod has few events: repeats only bump a count.
const MOST_PAGES: usize = 5;

/// Why a pod's events are not known.
#[derive(Debug, Error)]
pub enum PodEventsError {
    /// Too slow.
    #[error(transparent)]
    Deadline(#[from] DeadlineExceeded),
    /// The API server refused or could not be asked.
    #[error("reading the events of pod {pod} failed: {source}")]
    Failed {
        /// NAMESPACE/NAME.
        pod: String,
        /// What went wrong.
        source: kube::Error,
    },
}

/// Reads the events of single pods. Cloning is cheap and shares the turns.
#[derive(Clone)]
pub struct PodEvents {
    client: Client,
    turns: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

impl PodEvents {
    /// Reads nothing until asked.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            turns: Arc::default(),
        }
    }

    /// Reads the events of `pod` in `namespace` and lets the pod hear them: each container's `kills`
    /// is known afterwards, empty where no event names it.
    ///
    /// # Errors
    /// When they cannot be read in time; nothing is heard then.
    pub async fn read_into(
        &self,
        namespace: &str,
        pod: &mut PodView,
    ) -> Result<(), PodEventsError> {
        let reading = async {
            let turn = self.turn(namespace);
            // The semaphore is never closed.
            let _turn = turn.acquire().await;
            self.read(namespace, &pod.uid).await
        };
        let events = within(DEADLINE, "reading a pod's events", reading)
            .await?
            .map_err(|source| PodEventsError::Failed {
                pod: format!("{namespace}/{}", pod.name),
                source,
            })?;
        pod.hear(&events);
        Ok(())
    }

    async fn read(&self, namespace: &str, uid: &str) -> Result<Vec<Event>, kube::Error> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let selector = format!("involvedObject.uid={uid}");
        let mut page = ListParams::default().fields(&selector).limit(PAGE);
        let mut events = Vec::new();
        for _ in 0..MOST_PAGES {
            let list = api.list(&page).await?;
            events.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        Ok(events)
    }

    /// The namespace's turn; namespaces that nobody reads are forgotten.
    fn turn(&self, namespace: &str) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(namespace).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Semaphore::new(1));
        turns.insert(namespace.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::testing::mock;

    fn event(path: &str, message: &str) -> Value {
        json!({
            "metadata": {"name": "x", "namespace": "team"}, "reason": "Killing", "message": message,
            "involvedObject": {"kind": "Pod", "uid": "p", "fieldPath": path},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:05:00Z", "count": 6,
        })
    }

    fn pod(uid: &str) -> PodView {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web", "uid": uid},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
        }))
        .unwrap();
        PodView::project(&pod)
    }

    fn read(
        events: &PodEvents,
        namespace: &'static str,
        uid: &'static str,
    ) -> JoinHandle<Result<PodView, PodEventsError>> {
        let events = events.clone();
        tokio::spawn(async move {
            let mut pod = pod(uid);
            events.read_into(namespace, &mut pod).await?;
            Ok(pod)
        })
    }

    fn list(items: &[Value], token: &str) -> Value {
        json!({"kind": "EventList", "apiVersion": "v1", "metadata": {"continue": token}, "items": items})
    }

    const FIRST: &str =
        "GET /api/v1/namespaces/team/events?&fieldSelector=involvedObject.uid%3Dp1&limit=100";

    #[tokio::test(start_paused = true)]
    async fn pages_are_followed_and_every_container_is_known_afterwards() {
        let (client, mut server) = mock();
        let reading = read(&PodEvents::new(client), "team", "p1");
        server.expect(FIRST).await.answer(&list(&[], "more"));
        let message = "Container a failed startup probe, will be restarted";
        let call = server.expect(&format!("{FIRST}&continue=more")).await;
        call.answer(&list(&[event("spec.containers{a}", message)], ""));
        let pod = reading.await.unwrap().unwrap();
        let kills = |name: &str| pod.containers[name].kills.as_ref().unwrap().len();
        assert_eq!((kills("a"), kills("b")), (1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_list_ends() {
        let (client, mut server) = mock();
        let reading = read(&PodEvents::new(client), "team", "p1");
        for _ in 0..MOST_PAGES {
            server.next().await.answer(&list(&[], "more"));
        }
        assert!(reading.await.unwrap().is_ok());
        assert_eq!(server.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_is_in_flight_a_namespace() {
        let (client, mut server) = mock();
        let events = PodEvents::new(client);
        let first = read(&events, "team", "p1");
        let call = server.expect(FIRST).await;
        let second = read(&events, "team", "p2");
        let elsewhere = read(&events, "other", "p3");
        let other = server.next().await;
        assert!(other.target.contains("/namespaces/other/"));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(server.waiting(), 0, "the second waits for its turn");
        call.answer(&list(&[], ""));
        assert!(first.await.unwrap().is_ok());
        server.next().await.answer(&list(&[], ""));
        assert!(second.await.unwrap().is_ok());
        other.answer(&list(&[], ""));
        assert!(elsewhere.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_read_is_given_up_and_leaves_the_kills_unknown() {
        let (client, mut server) = mock();
        let events = PodEvents::new(client);
        let reading = read(&events, "team", "p1");
        let _unanswered = server.next().await;
        let error = reading.await.unwrap().unwrap_err();
        assert!(matches!(error, PodEventsError::Deadline(_)), "{error}");

        let mut pod = pod("p1");
        let refused = tokio::spawn(async move {
            let outcome = events.read_into("team", &mut pod).await;
            (outcome, pod)
        });
        server.next().await.refuse(403, "Forbidden");
        let (outcome, pod) = refused.await.unwrap();
        assert!(matches!(outcome, Err(PodEventsError::Failed { .. })));
        assert_eq!(pod.containers["a"].kills, None);
    }
}
