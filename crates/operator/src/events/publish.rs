//! The operator's own events, on policies and targets.
//!
//! kube's recorder is not used: it takes two events of one reason for the same whatever they say,
//! and an event that the API server has expired meanwhile makes it fail. Here an event is told
//! again, as a series, only when every word of it is the same.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::deadline::within;
use crate::failure::Failure;
use crate::metrics::Metrics;

/// Longest note that the API server takes, in bytes (events.k8s.io/v1).
const MOST_NOTE_BYTES: usize = 1024;
/// Longest time for one event.
const DEADLINE: Duration = Duration::from_secs(5);
/// Events that may wait; beyond these they are dropped and counted.
const QUEUE: usize = 256;
/// Longest time that an event is told again as a series.
const SERIES: Duration = Duration::from_mins(10);
/// Events remembered for series.
const MOST_KNOWN: usize = 1024;

/// Kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoticeType {
    /// Information.
    Normal,
    /// Something that somebody should look at.
    Warning,
}

/// An event to publish.
#[derive(Clone, Debug)]
pub struct Notice {
    /// The object that it is about; its namespace is the event's.
    pub regarding: ObjectReference,
    /// Another object that has to do with it.
    pub related: Option<ObjectReference>,
    /// Kind of event.
    pub type_: NoticeType,
    /// Word of a closed list, at most 128 bytes.
    pub reason: String,
    /// What was being done, one word, at most 128 bytes.
    pub action: String,
    /// What happened, for people. Cut at 1024 bytes.
    pub note: String,
}

/// The same words about the same object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    type_: NoticeType,
    reason: String,
    action: String,
    note: String,
}

struct Known {
    event: String,
    count: i32,
    told: Instant,
}

enum Order {
    Publish(Box<Notice>),
    Flush(oneshot::Sender<()>),
}

/// Hands events to the task that publishes them. Cloning is cheap and shares it; it ends with the
/// last clone.
#[derive(Clone)]
pub struct Publisher {
    orders: mpsc::Sender<Order>,
    metrics: Metrics,
}

impl Publisher {
    /// Starts the task. `instance` names this replica, usually its pod. Must be called within a
    /// tokio runtime.
    #[must_use]
    pub fn start(client: Client, metrics: Metrics, instance: &str) -> Self {
        let (orders, mut queue) = mpsc::channel(QUEUE);
        let mut desk = Desk {
            client,
            instance: cut(instance, 128).to_owned(),
            known: HashMap::new(),
        };
        let counting = metrics.clone();
        tokio::spawn(async move {
            while let Some(order) = queue.recv().await {
                match order {
                    Order::Publish(notice) => {
                        if !desk.publish(&notice).await {
                            counting.event_dropped();
                        }
                    }
                    Order::Flush(done) => {
                        let _ = done.send(());
                    }
                }
            }
        });
        Self { orders, metrics }
    }

    /// Publishes an event soon; never waits. When too many wait already it is dropped, logged and
    /// counted.
    pub fn publish(&self, notice: Notice) {
        if self
            .orders
            .try_send(Order::Publish(Box::new(notice)))
            .is_err()
        {
            tracing::warn!("an event was dropped: too many wait to be published");
            self.metrics.event_dropped();
        }
    }

    /// Waits until everything handed in before is published or given up, but no longer than
    /// `limit`.
    pub async fn flush(&self, limit: Duration) {
        let flushing = async {
            let (done, flushed) = oneshot::channel();
            if self.orders.send(Order::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        };
        if let Err(error) = within(limit, "publishing the last events", flushing).await {
            tracing::warn!("{error}");
        }
    }
}

struct Desk {
    client: Client,
    instance: String,
    known: HashMap<Key, Known>,
}

impl Desk {
    /// Whether the event was published; a failure is logged.
    async fn publish(&mut self, notice: &Notice) -> bool {
        let Notice {
            reason, regarding, ..
        } = notice;
        let name = regarding.name.as_deref().unwrap_or_default();
        match within(DEADLINE, "publishing an event", self.tell(notice)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(reason, name, "an event could not be published: {error}");
                false
            }
            Err(error) => {
                tracing::warn!(reason, name, "{error}");
                false
            }
        }
    }

    async fn tell(&mut self, notice: &Notice) -> Result<(), kube::Error> {
        let namespace = notice.regarding.namespace.as_deref().unwrap_or("default");
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let key = Key::of(notice);
        self.forget_old();
        if let Some(known) = self.known.get_mut(&key) {
            let count = known.count.saturating_add(1);
            let series = EventSeries {
                count,
                last_observed_time: MicroTime(Timestamp::now()),
            };
            let patch = Patch::Merge(json!({"series": series}));
            match events
                .patch(&known.event, &PatchParams::default(), &patch)
                .await
            {
                Ok(_) => {
                    known.count = count;
                    known.told = Instant::now();
                    return Ok(());
                }
                // Expired or deleted meanwhile: told anew.
                Err(error) if Failure::of(&error) == Failure::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let event = self.event(notice, namespace);
        events.create(&PostParams::default(), &event).await?;
        let known = Known {
            event: event.metadata.name.unwrap_or_default(),
            count: 1,
            told: Instant::now(),
        };
        self.known.insert(key, known);
        Ok(())
    }

    fn forget_old(&mut self) {
        self.known.retain(|_, known| known.told.elapsed() < SERIES);
        if self.known.len() >= MOST_KNOWN {
            // All of them are young: better some events twice than no bound.
            self.known.clear();
        }
    }

    fn event(&self, notice: &Notice, namespace: &str) -> Event {
        let now = Timestamp::now();
        let about = notice.regarding.name.as_deref().unwrap_or("probepilot");
        // A name has 253 bytes: 1 for the dot, 16 for the number.
        // A name has at most 253 bytes: 1 for the dot, 16 for the number, which is random so that two
        // events about one object never meet.
        let name = format!("{}.{:016x}", cut(about, 236), fastrand::u64(..));
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            action: Some(cut(&notice.action, 128).to_owned()),
            event_time: Some(MicroTime(now)),
            note: Some(cut(&notice.note, MOST_NOTE_BYTES).to_owned()),
            reason: Some(cut(&notice.reason, 128).to_owned()),
            regarding: Some(notice.regarding.clone()),
            related: notice.related.clone(),
            reporting_controller: Some("probepilot.dev/operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            type_: Some(
                match notice.type_ {
                    NoticeType::Normal => "Normal",
                    NoticeType::Warning => "Warning",
                }
                .to_owned(),
            ),
            ..Event::default()
        }
    }
}

impl Key {
    fn of(notice: &Notice) -> Self {
        Self {
            uid: notice.regarding.uid.clone(),
            namespace: notice.regarding.namespace.clone(),
            name: notice.regarding.name.clone(),
            type_: notice.type_,
            reason: notice.reason.clone(),
            action: notice.action.clone(),
            note: notice.note.clone(),
        }
    }
}

/// The longest start of `text` that fits into so many bytes.
fn cut(text: &str, most_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(most_bytes)]
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::testing::{MockServer, mock};

    fn notice(note: &str) -> Notice {
        Notice {
            regarding: ObjectReference {
                api_version: Some("probepilot.dev/v1alpha1".to_owned()),
                kind: Some("ProbePolicy".to_owned()),
                namespace: Some("team".to_owned()),
                name: Some("web".to_owned()),
                uid: Some("u1".to_owned()),
                ..ObjectReference::default()
            },
            related: None,
            type_: NoticeType::Normal,
            reason: "BudgetRaised".to_owned(),
            action: "Reconcile".to_owned(),
            note: note.to_owned(),
        }
    }

    fn desk() -> (Publisher, MockServer, Metrics) {
        let (client, server) = mock();
        let metrics = Metrics::default();
        let publisher = Publisher::start(client, metrics.clone(), "probepilot-0");
        (publisher, server, metrics)
    }

    /// Takes the creation of an event, accepts it and gives its name and note.
    async fn created(server: &mut MockServer) -> (String, String) {
        let call = server.next().await;
        assert_eq!(call.method, Method::POST);
        assert!(
            call.target
                .starts_with("/apis/events.k8s.io/v1/namespaces/team/events")
        );
        let body = call.body.clone();
        assert_eq!(body["reportingInstance"], "probepilot-0");
        assert_eq!(body["reportingController"], "probepilot.dev/operator");
        assert_eq!(body["regarding"]["name"], "web");
        call.answer(&body);
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        (text(&body["metadata"]["name"]), text(&body["note"]))
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_words_become_a_series_and_other_words_another_event() {
        let (publisher, mut server, _) = desk();
        publisher.publish(notice("from 60 s to 120 s"));
        let (name, note) = created(&mut server).await;
        assert_eq!(note, "from 60 s to 120 s");

        publisher.publish(notice("from 60 s to 120 s"));
        let call = server.next().await;
        assert_eq!(call.method, Method::PATCH);
        assert!(call.target.contains(&name));
        assert_eq!(call.body["series"]["count"], 2);
        call.answer(&json!({}));

        publisher.publish(notice("from 120 s to 240 s"));
        assert_eq!(created(&mut server).await.1, "from 120 s to 240 s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_series_whose_event_expired_starts_anew() {
        let (publisher, mut server, metrics) = desk();
        publisher.publish(notice("x"));
        created(&mut server).await;
        publisher.publish(notice("x"));
        server.next().await.refuse(404, "NotFound");
        created(&mut server).await;
        tokio::time::sleep(SERIES).await;
        publisher.publish(notice("x"));
        created(&mut server).await;
        publisher.flush(DEADLINE).await;
        assert!(metrics.encode().unwrap().contains("events_dropped_total 0"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_note_is_cut_between_characters() {
        let (publisher, mut server, _) = desk();
        publisher.publish(notice(&"ä".repeat(1000)));
        assert_eq!(created(&mut server).await.1, "ä".repeat(512));
        publisher.publish(notice(&format!("x{}", "ä".repeat(1000))));
        assert_eq!(created(&mut server).await.1.len(), 1023);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_delays_nobody_and_costs_the_event() {
        let (publisher, mut server, metrics) = desk();
        let start = Instant::now();
        publisher.publish(notice("lost"));
        assert_eq!(start.elapsed(), Duration::ZERO);
        let _unanswered = server.next().await;
        publisher.publish(notice("told"));
        assert_eq!(created(&mut server).await.1, "told");
        assert!(metrics.encode().unwrap().contains("events_dropped_total 1"));
    }

    #[tokio::test(start_paused = true)]
    async fn flush_waits_for_what_was_handed_in_but_not_for_ever() {
        let (publisher, mut server, _) = desk();
        publisher.publish(notice("x"));
        let flushing = publisher.clone();
        let flushed = tokio::spawn(async move { flushing.flush(DEADLINE).await });
        let call = server.next().await;
        assert!(!flushed.is_finished());
        call.answer(&json!({}));
        flushed.await.unwrap();

        publisher.publish(notice("y"));
        let start = Instant::now();
        publisher.flush(Duration::from_secs(2)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }
}
