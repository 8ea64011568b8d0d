//! The pods of one target, few of them kept.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use probepilot_api::TargetKind;
use probepilot_policy::{Owner, PodView};

/// Pods kept of one target. A DaemonSet of 5,000 nodes must not cost 5,000 pods of memory.
pub const MOST_PODS: usize = 200;

/// Pods of one page of a list: what is in memory whole, for a moment, at about 20 KiB a pod.
pub(crate) const PAGE: u32 = 50;

/// Whose pods are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodOwner {
    pub kind: TargetKind,
    pub name: String,
    pub uid: String,
}

impl PodOwner {
    fn owns(&self, pod: &Pod) -> bool {
        let Self { kind, name, uid } = self;
        let owner = Owner {
            kind: *kind,
            name,
            uid,
        };
        owner.owns(pod)
    }
}

/// How much a pod matters; more matters first. The order of fields is the order of weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    unhealthy: bool,
    restarted: bool,
    created: Option<Timestamp>,
}

impl Weight {
    fn of(view: &PodView, created: Option<Timestamp>) -> Self {
        let containers = || view.containers.values();
        Self {
            unhealthy: containers().any(|container| !container.healthy()),
            restarted: containers().any(|container| container.restart_count > 0),
            created,
        }
    }
}

/// Projections of the pods that matter most, and how many others there are.
#[derive(Debug, Default)]
struct Kept {
    /// By UID.
    pods: HashMap<String, (Weight, PodView)>,
    /// Hashes of the UIDs that were let go, 8 bytes each: enough to count them.
    dropped: HashSet<u64>,
}

fn hash(uid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    uid.hash(&mut hasher);
    hasher.finish()
}

impl Kept {
    fn put(&mut self, view: PodView, created: Option<Timestamp>) {
        self.dropped.remove(&hash(&view.uid));
        let weight = Weight::of(&view, created);
        self.pods.insert(view.uid.clone(), (weight, view));
        if self.pods.len() <= MOST_PODS {
            return;
        }
        let least = self
            .pods
            .iter()
            .min_by_key(|(uid, (weight, _))| (*weight, uid.as_str()))
            .map(|(uid, _)| uid.clone());
        if let Some(uid) = least {
            self.pods.remove(&uid);
            self.dropped.insert(hash(&uid));
        }
    }

    fn view(&self, uid: &str) -> Option<&PodView> {
        self.pods.get(uid).map(|(_, view)| view)
    }

    fn remove(&mut self, uid: &str) {
        self.pods.remove(uid);
        self.dropped.remove(&hash(uid));
    }
}

/// The pods of one target as its watch tells them.
#[derive(Debug)]
pub(crate) struct Pods {
    owner: PodOwner,
    shown: Kept,
    /// A list that is being received; it replaces what is shown when it is complete.
    incoming: Option<Kept>,
    listed: bool,
}

impl Pods {
    pub(crate) fn of(owner: PodOwner) -> Self {
        Self {
            owner,
            shown: Kept::default(),
            incoming: None,
            listed: false,
        }
    }

    /// Takes an event in, and says whether anything shown may have changed.
    pub(crate) fn take(&mut self, event: Event<Pod>) -> bool {
        match event {
            Event::Init => {
                self.incoming = Some(Kept::default());
                false
            }
            Event::InitApply(pod) => {
                if self.owner.owns(&pod)
                    && let Some(incoming) = &mut self.incoming
                {
                    let (mut view, created) = project(&pod);
                    let before = self.shown.view(&view.uid);
                    // Views between the last one and this list may be missing.
                    view.witness(before, Timestamp::now(), false);
                    incoming.put(view, created);
                }
                false
            }
            Event::InitDone => {
                self.shown = self.incoming.take().unwrap_or_default();
                self.listed = true;
                true
            }
            Event::Apply(pod) if self.owner.owns(&pod) => {
                let (mut view, created) = project(&pod);
                view.witness(self.shown.view(&view.uid), Timestamp::now(), true);
                self.shown.put(view, created);
                true
            }
            // Orphaned or adopted by somebody else: no longer the target's.
            Event::Apply(pod) | Event::Delete(pod) => {
                if let Some(uid) = &pod.metadata.uid {
                    self.shown.remove(uid);
                }
                true
            }
        }
    }

    /// Whether a list was received whole.
    pub(crate) fn listed(&self) -> bool {
        self.listed
    }

    /// The pods kept, the ones that matter most first.
    pub(crate) fn views(&self) -> Vec<PodView> {
        let mut kept: Vec<_> = self.shown.pods.values().collect();
        kept.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.name.cmp(&y.name)));
        kept.into_iter().map(|(_, view)| view.clone()).collect()
    }

    /// How many pods the target has, kept or not.
    pub(crate) fn total(&self) -> usize {
        self.shown.pods.len() + self.shown.dropped.len()
    }
}

fn project(pod: &Pod) -> (PodView, Option<Timestamp>) {
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (PodView::project(pod), created)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owner() -> PodOwner {
        PodOwner {
            kind: TargetKind::DaemonSet,
            name: "agent".to_owned(),
            uid: "ds".to_owned(),
        }
    }

    fn pod(index: i64, owner: &str, ready: bool, restarts: i32) -> Pod {
        let created = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(index);
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("agent-{index}"), "uid": format!("uid-{index}"),
                "creationTimestamp": created.to_string(),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "agent",
                    "uid": owner, "controller": true}],
            },
            "spec": {"containers": [{"name": "a"}]},
            "status": {"containerStatuses": [{"name": "a", "image": "", "imageID": "", "ready": ready,
                "restartCount": restarts, "state": {"running": {"startedAt": created.to_string()}}}]},
        }))
        .unwrap()
    }

    fn listed(pods: impl IntoIterator<Item = Pod>) -> Pods {
        let mut kept = Pods::of(owner());
        kept.take(Event::Init);
        for pod in pods {
            kept.take(Event::InitApply(pod));
        }
        kept.take(Event::InitDone);
        kept
    }

    fn names(pods: &Pods) -> Vec<String> {
        pods.views().into_iter().map(|view| view.name).collect()
    }

    #[test]
    fn of_five_thousand_pods_the_unhealthy_the_restarted_and_the_newest_stay() {
        let pods = listed((0..5000).map(|index| {
            let (ready, restarts) = match index {
                3 => (false, 0),
                7 => (true, 2),
                _ => (true, 0),
            };
            pod(index, "ds", ready, restarts)
        }));
        assert_eq!(pods.total(), 5000);
        let names = names(&pods);
        assert_eq!(names.len(), MOST_PODS);
        assert_eq!(names[..3], ["agent-3", "agent-7", "agent-4999"]);
        assert_eq!(names[MOST_PODS - 1], "agent-4802");
    }

    #[test]
    fn a_pod_that_was_let_go_comes_back_when_it_turns_unhealthy_and_counts_once() {
        let mut pods = listed((0..300).map(|index| pod(index, "ds", true, 0)));
        assert!(!names(&pods).contains(&"agent-0".to_owned()));
        assert!(pods.take(Event::Apply(pod(0, "ds", false, 1))));
        assert_eq!(names(&pods)[0], "agent-0");
        assert_eq!(pods.total(), 300);
        pods.take(Event::Delete(pod(0, "ds", false, 1)));
        pods.take(Event::Delete(pod(1, "ds", true, 0)));
        assert_eq!(pods.total(), 298);
    }

    #[test]
    fn pods_of_others_with_the_same_labels_are_not_the_targets() {
        let mut pods = listed([pod(1, "ds", true, 0), pod(2, "other", true, 0)]);
        assert_eq!(names(&pods), ["agent-1"]);
        pods.take(Event::Apply(pod(3, "other", true, 0)));
        assert_eq!(names(&pods), ["agent-1"]);
        pods.take(Event::Apply(pod(1, "other", true, 0)));
        assert!(names(&pods).is_empty(), "an orphaned pod is let go");
    }

    #[test]
    fn a_start_is_witnessed_from_view_to_view_and_across_a_new_list() {
        let guarded = |started: bool| {
            let mut pod = pod(1, "ds", started, 0);
            let probe = json!({"httpGet": {"port": 80}});
            let container = &mut pod.spec.as_mut().unwrap().containers[0];
            container.startup_probe = serde_json::from_value(probe).unwrap();
            let status = pod.status.as_mut().unwrap();
            status.container_statuses.as_mut().unwrap()[0].started = Some(started);
            pod
        };
        let seen = |pods: &Pods| pods.views()[0].containers["a"].seen.clone();
        let mut pods = listed([guarded(false)]);
        assert!(seen(&pods)[0].healthy_at.is_none());
        pods.take(Event::Apply(guarded(true)));
        assert!(seen(&pods)[0].healthy_at.is_some());
        pods.take(Event::Init);
        pods.take(Event::InitApply(guarded(true)));
        pods.take(Event::InitDone);
        assert!(seen(&pods)[0].healthy_at.is_some(), "what was seen stays");
        let late = listed([guarded(true)]);
        assert!(seen(&late).is_empty(), "nobody saw it start");
    }

    #[test]
    fn a_new_list_replaces_the_old_one_only_when_it_is_whole() {
        let mut pods = listed([pod(1, "ds", true, 0), pod(2, "ds", true, 0)]);
        assert!(pods.listed());
        assert!(!pods.take(Event::Init));
        assert!(!pods.take(Event::InitApply(pod(2, "ds", true, 0))));
        assert_eq!(names(&pods), ["agent-2", "agent-1"]);
        assert!(pods.take(Event::InitDone));
        assert_eq!(names(&pods), ["agent-2"]);
    }
}
