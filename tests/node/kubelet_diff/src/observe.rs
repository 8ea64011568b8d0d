//! Running a pod and collecting every life of its container, from statuses and Killing events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use probepilot_kubelet::ProbeKind;
use serde::Serialize;

use crate::manifest::CONTAINER;

/// One life as the API shows it. All times are whole seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenLife {
    /// `startedAt`.
    pub started: i64,
    /// `finishedAt`, if it ended.
    pub finished: Option<i64>,
    /// Exit code, if it ended.
    pub code: Option<i32>,
}

/// A Killing event of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeenKill {
    /// `lastTimestamp`: when the kubelet decided, in whole seconds since 1970.
    pub at: i64,
    /// The probe it names.
    pub probe: ProbeKind,
}

/// What was seen of one pod's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// In order of their start.
    pub lives: Vec<SeenLife>,
    /// In order of time.
    pub kills: Vec<SeenKill>,
    /// `restartCount`.
    pub restarts: i32,
    /// How often the kubelet said Killing, by the events' own counters.
    pub kills_counted: i32,
}

/// All pods of a namespace, watched.
#[derive(Clone, Debug, Default)]
pub struct Watched(Arc<Mutex<BTreeMap<String, Collected>>>);

#[derive(Clone, Debug, Default)]
struct Collected {
    /// By container ID.
    lives: BTreeMap<String, SeenLife>,
    kills: Vec<SeenKill>,
    restarts: i32,
    /// By the event's name.
    counts: BTreeMap<String, i32>,
}

impl Watched {
    /// What is known of a pod now.
    #[must_use]
    pub fn seen(&self, pod: &str) -> Seen {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(collected) = all.get(pod) else {
            return Seen::default();
        };
        let mut lives: Vec<SeenLife> = collected.lives.values().cloned().collect();
        lives.sort_by_key(|life| (life.started, life.finished.unwrap_or(i64::MAX)));
        let mut kills = collected.kills.clone();
        kills.sort_unstable();
        Seen {
            lives,
            kills,
            restarts: collected.restarts,
            kills_counted: collected.counts.values().sum(),
        }
    }

    /// Watches pods and Killing events of a namespace until it is dropped. A watch that breaks begins anew, and says so. Ends
    /// only with an error.
    pub async fn follow(&self, client: &Client, namespace: &str) -> anyhow::Result<()> {
        let pods = Api::<Pod>::namespaced(client.clone(), namespace);
        let events = Api::<Event>::namespaced(client.clone(), namespace);
        let pods = watcher(pods, watcher::Config::default())
            .default_backoff()
            .applied_objects();
        let killing = watcher::Config::default().fields("reason=Killing");
        let events = watcher(events, killing).default_backoff().applied_objects();
        pin_mut!(pods);
        pin_mut!(events);
        loop {
            tokio::select! {
                pod = pods.next() => match pod.context("the pods' watch ended")? {
                    Ok(pod) => self.note_pod(&pod),
                    Err(error) => println!("the pods' watch begins anew: {error}"),
                },
                event = events.next() => match event.context("the events' watch ended")? {
                    Ok(event) => self.note_event(&event),
                    Err(error) => println!("the events' watch begins anew: {error}"),
                },
            }
        }
    }

    fn note_pod(&self, pod: &Pod) {
        let Some(status) = &pod.status else { return };
        let containers = status.container_statuses.iter().flatten();
        let sidecars = status.init_container_statuses.iter().flatten();
        let Some(status) = containers
            .chain(sidecars)
            .find(|status| status.name == CONTAINER)
        else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(pod.name_any()).or_default().note(status);
    }

    fn note_event(&self, event: &Event) {
        let message = event.message.as_deref().unwrap_or_default();
        let probe = [ProbeKind::Startup, ProbeKind::Liveness]
            .into_iter()
            .find(|kind| message.contains(&format!("failed {} probe", kind.as_str())));
        let (Some(probe), Some(pod), Some(at)) = (
            probe,
            &event.involved_object.name,
            event.last_timestamp.as_ref(),
        ) else {
            return;
        };
        let kill = SeenKill {
            at: at.0.as_second(),
            probe,
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let collected = all.entry(pod.clone()).or_default();
        // A watch that begins anew shows old events again.
        if !collected.kills.contains(&kill) {
            collected.kills.push(kill);
        }
        let count = event.count.unwrap_or(1);
        collected.counts.insert(event.name_any(), count);
    }
}

impl Collected {
    fn note(&mut self, status: &ContainerStatus) {
        self.restarts = self.restarts.max(status.restart_count);
        for state in [&status.state, &status.last_state].into_iter().flatten() {
            self.note_state(state, status.container_id.as_ref());
        }
    }

    fn note_state(&mut self, state: &ContainerState, current: Option<&String>) {
        if let (Some(running), Some(id)) = (&state.running, current)
            && let Some(started) = &running.started_at
        {
            self.lives.entry(id.clone()).or_default().started = started.0.as_second();
        }
        if let Some(ended) = &state.terminated
            && let (Some(id), Some(started), Some(finished)) =
                (&ended.container_id, &ended.started_at, &ended.finished_at)
        {
            let life = SeenLife {
                started: started.0.as_second(),
                finished: Some(finished.0.as_second()),
                code: Some(ended.exit_code),
            };
            self.lives.insert(id.clone(), life);
        }
    }
}
