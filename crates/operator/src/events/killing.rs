//! Who killed a container, as far as events tell.
//!
//! Message and field path are those of facts on the kubelet, "Event strings" (k8s.io/kubernetes
//! v1.36.3): nothing else names the probe (K19).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use probepilot_policy::{FailedProbe, KillingEvent, PodView};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::deadline::{DeadlineExceeded, within};

/// Longest time for all pages of one pod, waiting for the namespace's turn included.
const DEADLINE: Duration = Duration::from_secs(5);
/// Events of one page.
const PAGE: u32 = 100;
/// Pages read of one pod. One pod has few Killing events: repeats only bump a count.
const MOST_PAGES: usize = 5;

/// Killing events that name a probe, by container, oldest first.
pub type KillsByContainer = BTreeMap<String, Vec<KillingEvent>>;

/// Why a pod's events are not known.
#[derive(Debug, Error)]
pub enum KillingEventsError {
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

/// Reads Killing events of single pods. Cloning is cheap and shares the turns.
#[derive(Clone)]
pub struct KillingEvents {
    client: Client,
    turns: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
}

impl KillingEvents {
    /// Reads nothing until asked.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            turns: Arc::default(),
        }
    }

    /// Reads the events of `pod` in `namespace` and puts them into its containers: each container's
    /// `kills` is known afterwards, empty where no event names it.
    pub async fn read_into(
        &self,
        namespace: &str,
        pod: &mut PodView,
    ) -> Result<(), KillingEventsError> {
        let reading = async {
            let turn = self.turn(namespace);
            // The semaphore is never closed.
            let _turn = turn.acquire().await;
            self.read(namespace, &pod.uid).await
        };
        let kills = within(DEADLINE, "reading a pod's events", reading)
            .await?
            .map_err(|source| KillingEventsError::Failed {
                pod: format!("{namespace}/{}", pod.name),
                source,
            })?;
        for (name, container) in &mut pod.containers {
            container.kills = Some(kills.get(name).cloned().unwrap_or_default());
        }
        Ok(())
    }

    async fn read(&self, namespace: &str, uid: &str) -> Result<KillsByContainer, kube::Error> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let selector = format!("involvedObject.uid={uid},reason=Killing");
        let mut page = ListParams::default().fields(&selector).limit(PAGE);
        let mut kills = KillsByContainer::new();
        for _ in 0..MOST_PAGES {
            let list = events.list(&page).await?;
            for (container, kill) in list.items.iter().filter_map(parse) {
                kills.entry(container).or_default().push(kill);
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
        for kills in kills.values_mut() {
            kills.sort_by_key(|kill| kill.last_at);
        }
        Ok(kills)
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

/// The container and the kill that an event tells of; `None` when it tells of no probe's kill of a
/// regular container.
fn parse(event: &Event) -> Option<(String, KillingEvent)> {
    if event.reason.as_deref() != Some("Killing") {
        return None;
    }
    let path = event.involved_object.field_path.as_deref()?;
    let container = path.strip_prefix("spec.containers{")?.strip_suffix('}')?;
    let message = event.message.as_deref()?;
    // Found anywhere: the text may stand behind "(combined from similar events): ", and its end
    // depends on whether the container is started again.
    let names = |probe| message.contains(&format!("Container {container} failed {probe} probe"));
    let probe = if names("startup") {
        FailedProbe::Startup
    } else if names("liveness") {
        FailedProbe::Liveness
    } else {
        return None;
    };
    let (first_at, last_at, count) = times(event)?;
    let kill = KillingEvent {
        probe,
        first_at,
        last_at,
        count,
    };
    Some((container.to_owned(), kill))
}

/// First and last time and how often, from the old fields or from a series.
fn times(event: &Event) -> Option<(Timestamp, Timestamp, i32)> {
    let began = event.event_time.as_ref().map(|time| time.0);
    let first = event.first_timestamp.as_ref().map(|time| time.0).or(began);
    let series = event.series.as_ref();
    let repeated = series
        .and_then(|series| series.last_observed_time.as_ref())
        .map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let last = [last, repeated].into_iter().flatten().max().or(first)?;
    let count = event
        .count
        .max(series.and_then(|series| series.count))
        .unwrap_or(1);
    Some((first.unwrap_or(last), last, count.max(1)))
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

    fn told(event: Value) -> Option<(String, KillingEvent)> {
        parse(&serde_json::from_value(event).unwrap())
    }

    #[test]
    fn only_a_probes_kill_of_this_container_counts() {
        use FailedProbe::{Liveness, Startup};
        let a = "spec.containers{a}";
        let cases = [
            (
                "liveness",
                a,
                "Container a failed liveness probe, will be restarted",
                Some(Liveness),
            ),
            (
                "startup",
                a,
                "Container a failed startup probe, will be restarted",
                Some(Startup),
            ),
            (
                "no restart",
                a,
                "Container a failed liveness probe",
                Some(Liveness),
            ),
            (
                "combined",
                a,
                "(combined from similar events): Container a failed startup probe, will be restarted",
                Some(Startup),
            ),
            (
                "other name in the message",
                a,
                "Container ab failed liveness probe",
                None,
            ),
            ("stopped", a, "Stopping container a", None),
            (
                "changed",
                a,
                "Container a definition changed, will be restarted",
                None,
            ),
            (
                "sidecar",
                "spec.initContainers{a}",
                "Init container a failed liveness probe",
                None,
            ),
            ("no path", "", "Container a failed liveness probe", None),
        ];
        for (name, path, message, expected) in cases {
            let probe = told(event(path, message)).map(|(_, kill)| kill.probe);
            assert_eq!(probe, expected, "{name}");
        }
        let mut unhealthy = event(a, "Container a failed liveness probe");
        unhealthy["reason"] = json!("Unhealthy");
        assert_eq!(told(unhealthy), None);
    }

    #[test]
    fn times_come_from_the_old_fields_or_from_a_series() {
        let message = "Container a failed liveness probe, will be restarted";
        let (container, kill) = told(event("spec.containers{a}", message)).unwrap();
        assert_eq!((container.as_str(), kill.count), ("a", 6));
        assert_eq!(kill.first_at.to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(kill.last_at.to_string(), "2026-01-01T00:05:00Z");

        let mut series = event("spec.containers{a}", message);
        for field in ["firstTimestamp", "lastTimestamp", "count"] {
            series[field] = Value::Null;
        }
        series["eventTime"] = json!("2026-01-01T00:00:00.000000Z");
        let (_, single) = told(series.clone()).unwrap();
        assert_eq!((single.first_at, single.count), (single.last_at, 1));
        series["series"] = json!({"count": 3, "lastObservedTime": "2026-01-01T00:09:00.000000Z"});
        let (_, kill) = told(series.clone()).unwrap();
        assert_eq!(kill.last_at.to_string(), "2026-01-01T00:09:00Z");
        assert_eq!(kill.count, 3);
        series["eventTime"] = Value::Null;
        series["series"] = Value::Null;
        assert_eq!(told(series), None, "an event without a time proves nothing");
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
        events: &KillingEvents,
        namespace: &'static str,
        uid: &'static str,
    ) -> JoinHandle<Result<PodView, KillingEventsError>> {
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

    const FIRST: &str = "GET /api/v1/namespaces/team/events?&fieldSelector=involvedObject.uid%3Dp1%2Creason%3DKilling&limit=100";

    #[tokio::test(start_paused = true)]
    async fn pages_are_followed_and_every_container_is_known_afterwards() {
        let (client, mut server) = mock();
        let reading = read(&KillingEvents::new(client), "team", "p1");
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
        let reading = read(&KillingEvents::new(client), "team", "p1");
        for _ in 0..MOST_PAGES {
            server.next().await.answer(&list(&[], "more"));
        }
        assert!(reading.await.unwrap().is_ok());
        assert_eq!(server.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_is_in_flight_a_namespace() {
        let (client, mut server) = mock();
        let events = KillingEvents::new(client);
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
        let events = KillingEvents::new(client);
        let reading = read(&events, "team", "p1");
        let _unanswered = server.next().await;
        let error = reading.await.unwrap().unwrap_err();
        assert!(matches!(error, KillingEventsError::Deadline(_)), "{error}");

        let mut pod = pod("p1");
        let refused = tokio::spawn(async move {
            let outcome = events.read_into("team", &mut pod).await;
            (outcome, pod)
        });
        server.next().await.refuse(403, "Forbidden");
        let (outcome, pod) = refused.await.unwrap();
        assert!(matches!(outcome, Err(KillingEventsError::Failed { .. })));
        assert_eq!(pod.containers["a"].kills, None);
    }
}
