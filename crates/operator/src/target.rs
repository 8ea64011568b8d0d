//! One target: its workload and its pods, watched for as long as somebody looks.
//!
//! The workload is watched by name, its pods by its label selector, so cost grows with policies and
//! not with the cluster; targets of one namespace share watches ([`crate::feeds`]). Another UID or another selector starts the pods' watch anew; a target that
//! is missing goes on being watched, so that it is seen when it comes. Policies of one target share
//! its watch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::DynamicObject;
use kube::core::Selector;
use kube::runtime::watcher::Event;
use probepilot_api::TargetRef;
use probepilot_policy::{PodView, Target};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::debounce::{Changed, Changes};
use crate::failure::Failure;
use crate::feeds::{Feed, Feeds};
use crate::pods::{PodOwner, Pods};
use crate::watch::{Problems, WatchProblem};
use crate::workloads::WorkloadView;

/// Changes of a target are told at most this often.
const WINDOW: Duration = Duration::from_millis(150);

/// What is known of a target now.
#[derive(Clone, Debug)]
pub struct TargetSnapshot {
    /// The workload.
    pub target: Target,
    /// Its pods: at most [`crate::pods::MOST_PODS`], unhealthy ones first, then restarted ones,
    /// then the newest.
    pub pods: Vec<PodView>,
    /// How many pods it has in all.
    pub pods_total: usize,
    /// Whether nothing is still being read: the workload was looked for and, where it exists, its
    /// pods were listed.
    pub complete: bool,
    /// Why the watches do not deliver, while they do not; the rest is what was known before.
    pub problem: Option<WatchProblem>,
}

/// All target watches of the process. Cloning is cheap and shares them.
#[derive(Clone)]
pub struct Targets(Arc<Registry>);

struct Registry {
    feeds: Feeds,
    running: Mutex<HashMap<Key, Weak<Watching>>>,
}

type Key = (String, TargetRef);

impl Targets {
    /// Nothing is watched until somebody asks.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Registry {
            feeds: Feeds::new(client),
            running: Mutex::default(),
        }))
    }

    /// Watches a target until the last [`TargetWatch`] of it is dropped. Must be called within a
    /// tokio runtime.
    #[must_use]
    pub fn watch(&self, namespace: &str, target: &TargetRef) -> TargetWatch {
        let key = (namespace.to_owned(), target.clone());
        let mut running = lock(&self.0.running);
        let watching = running.get(&key).and_then(Weak::upgrade);
        let watching = watching.unwrap_or_else(|| {
            let started = Arc::new(Watching::start(&self.0, key.clone()));
            running.insert(key, Arc::downgrade(&started));
            started
        });
        TargetWatch {
            changes: watching.shared.changed.listen(WINDOW),
            watching,
        }
    }

    /// How many targets are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        let running = lock(&self.0.running);
        running
            .values()
            .filter(|watching| watching.strong_count() > 0)
            .count()
    }

    /// Whether nothing is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A share in the watches of one target.
#[derive(Clone)]
pub struct TargetWatch {
    watching: Arc<Watching>,
    changes: Changes,
}

impl TargetWatch {
    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> TargetSnapshot {
        self.watching.shared.lock().snapshot()
    }

    /// Waits for a change; changes that come close together are told once, and a constant stream
    /// of them each 150 ms. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        self.changes.next().await;
    }
}

struct Watching {
    registry: Weak<Registry>,
    key: Key,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    changed: Changed,
}

struct State {
    workload: WorkloadView,
    workload_problem: Problems,
    pods: Option<Pods>,
    pods_problem: Problems,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watching {
    fn start(registry: &Arc<Registry>, key: Key) -> Self {
        let (namespace, target) = key.clone();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                workload: WorkloadView::of(&target),
                workload_problem: Problems::default(),
                pods: None,
                pods_problem: Problems::default(),
            }),
            changed: Changed::default(),
        });
        let span = tracing::info_span!("target", namespace, target = target.display());
        let watching = run(
            registry.feeds.clone(),
            namespace,
            target,
            Arc::clone(&shared),
        );
        Self {
            registry: Arc::downgrade(registry),
            key,
            shared,
            task: tokio::spawn(watching.instrument(span)),
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(registry) = self.registry.upgrade() {
            let mut running = lock(&registry.running);
            // Somebody may have started to watch the same target since the last share went.
            if running
                .get(&self.key)
                .is_some_and(|watching| watching.strong_count() == 0)
            {
                running.remove(&self.key);
            }
        }
    }
}

/// Both watches of one target, for ever.
async fn run(feeds: Feeds, namespace: String, target: TargetRef, shared: Arc<Shared>) {
    let mut workload = feeds.workload(&namespace, target.kind, &target.name);
    let mut pods: Feed<Pod> = stream::pending().boxed();
    let mut following: Option<(PodOwner, Selector)> = None;
    loop {
        tokio::select! {
            Some(event) = workload.next() => {
                let wanted = shared.take_workload(event, &target);
                if wanted == following {
                    continue;
                }
                pods = match &wanted {
                    Some((_, selector)) => feeds.pods(&namespace, selector.clone()),
                    None => stream::pending().boxed(),
                };
                shared.restart_pods(wanted.as_ref().map(|(owner, _)| owner.clone()));
                following = wanted;
            }
            Some(event) = pods.next() => shared.take_pod(event, &target),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Takes an event in and says whose pods to watch from now on.
    fn take_workload(
        &self,
        event: Result<Event<DynamicObject>, WatchProblem>,
        target: &TargetRef,
    ) -> Option<(PodOwner, Selector)> {
        let mut state = self.lock();
        let changed = match event {
            Ok(event) => {
                if !matches!(event, Event::Init) {
                    state.workload_problem.works();
                }
                state.workload.take(&event)
            }
            Err(error) => {
                state.workload_problem.failed(&target.display(), &error);
                true
            }
        };
        if changed {
            self.changed.mark();
        }
        state.workload.pods()
    }

    fn take_pod(&self, event: Result<Event<Pod>, WatchProblem>, target: &TargetRef) {
        let mut state = self.lock();
        let changed = match event {
            Ok(event) => {
                if !matches!(event, Event::Init) {
                    state.pods_problem.works();
                }
                state.pods.as_mut().is_some_and(|pods| pods.take(event))
            }
            Err(error) => {
                let what = format!("the pods of {}", target.display());
                state.pods_problem.failed(&what, &error);
                true
            }
        };
        if changed {
            self.changed.mark();
        }
    }

    fn restart_pods(&self, owner: Option<PodOwner>) {
        let mut state = self.lock();
        state.pods = owner.map(Pods::of);
        state.pods_problem = Problems::default();
        self.changed.mark();
    }
}

impl State {
    fn snapshot(&self) -> TargetSnapshot {
        let target = self.workload.target().clone();
        let complete = match &target {
            Target::Unread => false,
            Target::Missing => true,
            Target::Found(_) => self.pods.as_ref().is_some_and(Pods::listed),
        };
        let unreadable = || {
            let message = self.workload.unreadable()?.to_owned();
            Some(WatchProblem {
                failure: Failure::Other,
                message,
            })
        };
        let problem = self
            .workload_problem
            .current()
            .or(self.pods_problem.current());
        TargetSnapshot {
            target,
            pods: self.pods.as_ref().map(Pods::views).unwrap_or_default(),
            pods_total: self.pods.as_ref().map(Pods::total).unwrap_or_default(),
            complete,
            problem: problem.cloned().or_else(unreadable),
        }
    }
}

#[cfg(test)]
mod tests;
