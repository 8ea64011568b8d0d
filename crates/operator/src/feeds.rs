//! Watches of targets and their pods, shared by the targets of one namespace.
//!
//! A watch is a connection of its own, of about 65 KiB with its buffers, so a thousand policies would cost two
//! thousand of them. Who asks for a watch therefore waits a moment for others of the same namespace, as they come when
//! the operator starts; the group then has one watch, and each member gets what it asked for. A group never takes in
//! anybody later: who comes alone has a watch of his own, and no list is read twice because of him.
//!
//! - Workloads: a few are watched by name; more than that by watching all workloads of that kind in the namespace.
//! - Pods: by label selector; a group by one label that all its members select by, `app in (a, b, c)`. So pods of
//!   nobody's target stay out of it, however many the namespace has.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::DynamicObject;
use kube::core::{Expression, Selector, SelectorExt};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, Resource, ResourceExt};
use probepilot_api::TargetKind;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::pods::PAGE;
use crate::watch::{WatchProblem, follow};
use crate::workloads::api_resource;

/// For so long the first of a group waits for others.
const GATHER: Duration = Duration::from_millis(200);
/// A group of fewer has a watch for each member, which sees nothing but what it asked for.
const SHARED_FROM: usize = 4;
/// Members of a shared watch of pods, whose labels all stand in its URL.
const MOST_SHARING: usize = 40;
/// Events that wait for a member.
const WAITING: usize = 8;

/// Events of the objects that were asked for, as a watch of one's own would tell them.
pub(crate) type Feed<K> = BoxStream<'static, Result<Event<K>, WatchProblem>>;

/// All watches of targets of the process. Cloning is cheap and shares them.
#[derive(Clone)]
pub(crate) struct Feeds(Arc<Open>);

/// Groups that still take members in.
struct Open {
    client: Client,
    workloads: Gathering<(String, TargetKind), DynamicObject, Name>,
    pods: Gathering<String, Pod, Selector>,
}

/// Groups by their place.
type Gathering<P, K, W> = Mutex<HashMap<P, Vec<Member<K, W>>>>;

/// Who asked, and for what.
struct Member<K, W> {
    wants: W,
    /// Boxed: a channel has room for 32 from its beginning, and a pod's event is some KiB large.
    events: mpsc::Sender<Box<Result<Event<K>, WatchProblem>>>,
    /// UIDs of what it was shown and still selects.
    known: HashSet<String>,
}

/// The one object of that name.
struct Name(String);

/// What a member asks for.
trait Wants<K> {
    fn selects(&self, object: &K) -> bool;
}

impl Wants<DynamicObject> for Name {
    fn selects(&self, object: &DynamicObject) -> bool {
        object.metadata.name.as_ref() == Some(&self.0)
    }
}

impl Wants<Pod> for Selector {
    fn selects(&self, pod: &Pod) -> bool {
        self.matches(pod.labels())
    }
}

impl Feeds {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(Open {
            client,
            workloads: Mutex::default(),
            pods: Mutex::default(),
        }))
    }

    /// The workload of that name. Must be called within a tokio runtime.
    pub(crate) fn workload(
        &self,
        namespace: &str,
        kind: TargetKind,
        name: &str,
    ) -> Feed<DynamicObject> {
        let place = (namespace.to_owned(), kind);
        let (member, feed) = member(Name(name.to_owned()));
        if join(&self.0.workloads, place.clone(), member) {
            let open = Arc::clone(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                let members = close(&open.workloads, &place);
                let (namespace, kind) = place;
                let resource = api_resource(kind);
                let api = Api::namespaced_with(open.client.clone(), &namespace, &resource);
                for (config, members) in by_name(members) {
                    tokio::spawn(share(follow(api.clone(), config), members));
                }
            });
        }
        feed
    }

    /// The pods that this selects. Must be called within a tokio runtime.
    pub(crate) fn pods(&self, namespace: &str, selector: Selector) -> Feed<Pod> {
        let place = namespace.to_owned();
        let (member, feed) = member(selector);
        if join(&self.0.pods, place.clone(), member) {
            let open = Arc::clone(&self.0);
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                let members = close(&open.pods, &place);
                let api = Api::namespaced(open.client.clone(), &place);
                for (config, members) in by_label(members) {
                    tokio::spawn(share(follow(api.clone(), config.page_size(PAGE)), members));
                }
            });
        }
        feed
    }
}

fn member<K: Send + 'static, W>(wants: W) -> (Member<K, W>, Feed<K>) {
    let (events, told) = mpsc::channel(WAITING);
    let member = Member {
        wants,
        events,
        known: HashSet::new(),
    };
    let feed =
        futures::stream::unfold(
            told,
            |mut told| async move { Some((*told.recv().await?, told)) },
        );
    (member, feed.boxed())
}

/// Whether the member is the first one there.
fn join<P: Eq + std::hash::Hash, K, W>(
    open: &Gathering<P, K, W>,
    place: P,
    member: Member<K, W>,
) -> bool {
    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
    let group = open.entry(place).or_default();
    group.push(member);
    group.len() == 1
}

fn close<P: Eq + std::hash::Hash, K, W>(open: &Gathering<P, K, W>, place: &P) -> Vec<Member<K, W>> {
    let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
    open.remove(place).unwrap_or_default()
}

/// Members and how they watch.
type Group<K, W> = (watcher::Config, Vec<Member<K, W>>);

fn by_name(members: Vec<Member<DynamicObject, Name>>) -> Vec<Group<DynamicObject, Name>> {
    if members.len() >= SHARED_FROM {
        return vec![(watcher::Config::default().page_size(PAGE), members)];
    }
    let alone = |member: Member<_, Name>| {
        let by_name = format!("metadata.name={}", member.wants.0);
        (watcher::Config::default().fields(&by_name), vec![member])
    };
    members.into_iter().map(alone).collect()
}

fn by_label(members: Vec<Member<Pod, Selector>>) -> Vec<Group<Pod, Selector>> {
    let Some(label) = common_label(&members) else {
        return members.into_iter().map(alone).collect();
    };
    let mut groups = Vec::new();
    let mut sharing: Vec<(String, Member<Pod, Selector>)> = Vec::new();
    for member in members {
        match value_of(&member.wants, &label) {
            Some(value) => sharing.push((value, member)),
            None => groups.push(alone(member)),
        }
    }
    while !sharing.is_empty() {
        let rest = sharing.split_off(sharing.len().min(MOST_SHARING));
        let (values, members): (BTreeSet<_>, Vec<_>) = sharing.into_iter().unzip();
        let any: Selector = Expression::In(label.clone(), values).into();
        groups.push((watcher::Config::default().labels_from(&any), members));
        sharing = rest;
    }
    groups
}

fn alone(member: Member<Pod, Selector>) -> Group<Pod, Selector> {
    let config = watcher::Config::default().labels_from(&member.wants);
    (config, vec![member])
}

/// The label that most members select by its value, where enough do for a shared watch.
fn common_label(members: &[Member<Pod, Selector>]) -> Option<String> {
    let mut labels = BTreeMap::<String, usize>::new();
    for member in members {
        for expression in member.wants.clone() {
            if let Expression::Equal(label, _) = expression {
                *labels.entry(label).or_default() += 1;
            }
        }
    }
    let (label, times) = labels.into_iter().max_by_key(|(_, times)| *times)?;
    (times >= SHARED_FROM).then_some(label)
}

fn value_of(selector: &Selector, wanted: &str) -> Option<String> {
    selector
        .clone()
        .into_iter()
        .find_map(|expression| match expression {
            Expression::Equal(label, value) if label == wanted => Some(value),
            _ => None,
        })
}

/// Tells each member what it asked for, until the last one is gone.
async fn share<K, W>(
    mut events: BoxStream<'static, Result<Event<K>, WatchProblem>>,
    mut members: Vec<Member<K, W>>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    W: Wants<K>,
{
    let gone = |member: &Member<K, W>| {
        let events = member.events.clone();
        async move { events.closed().await }.boxed()
    };
    let mut leaving: FuturesUnordered<_> = members.iter().map(gone).collect();
    // The API server has selected for one that is alone.
    let selected = members.len() == 1;
    loop {
        tokio::select! {
            Some(event) = events.next() => {
                for member in &mut members {
                    member.take(&event, selected).await;
                }
            }
            Some(()) = leaving.next() => {
                members.retain(|member| !member.events.is_closed());
                if members.is_empty() {
                    return;
                }
            }
            else => return,
        }
    }
}

impl<K: Resource + Clone, W: Wants<K>> Member<K, W> {
    /// Passes on what is the member's. Slow members hold up the others, so the watch, and not memory, waits.
    async fn take(&mut self, event: &Result<Event<K>, WatchProblem>, selected: bool) {
        if let Some(told) = self.translate(event, selected) {
            // Who is gone is noticed by the caller.
            let _ = self.events.send(Box::new(told)).await;
        }
    }

    /// What a watch of the member's own would say.
    fn translate(
        &mut self,
        event: &Result<Event<K>, WatchProblem>,
        selected: bool,
    ) -> Option<Result<Event<K>, WatchProblem>> {
        let told = match event {
            Err(problem) => return Some(Err(problem.clone())),
            Ok(told) if selected => return Some(Ok(told.clone())),
            Ok(told) => told,
        };
        let (Event::InitApply(object) | Event::Apply(object) | Event::Delete(object)) = told else {
            if matches!(told, Event::Init) {
                self.known.clear();
            }
            return Some(Ok(told.clone()));
        };
        let uid = object.meta().uid.clone().unwrap_or_default();
        if matches!(told, Event::Delete(_)) || !self.wants.selects(object) {
            // What is selected no longer is as good as deleted.
            return self
                .known
                .remove(&uid)
                .then(|| Ok(Event::Delete(object.clone())));
        }
        self.known.insert(uid);
        Some(Ok(told.clone()))
    }
}

#[cfg(test)]
mod tests;
