//! The one workload of a target, as its watch tells it.

use kube::api::{ApiResource, DynamicObject};
use kube::core::Selector;
use kube::runtime::watcher::Event;
use probepilot_api::{TargetKind, TargetRef};
use probepilot_policy::{Target, Workload};

use crate::pods::PodOwner;

/// Type of the workload for a client that keeps every field, known here or not.
pub(crate) fn api_resource(kind: TargetKind) -> ApiResource {
    use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
    match kind {
        TargetKind::Deployment => ApiResource::erase::<Deployment>(&()),
        TargetKind::StatefulSet => ApiResource::erase::<StatefulSet>(&()),
        TargetKind::DaemonSet => ApiResource::erase::<DaemonSet>(&()),
    }
}

/// What is known of the workload.
#[derive(Debug)]
pub(crate) struct WorkloadView {
    kind: TargetKind,
    seen: Target,
    /// Why the object as last told cannot be read.
    unreadable: Option<String>,
    /// Whether a list that is being received had it.
    listed: bool,
}

impl WorkloadView {
    pub(crate) fn of(target: &TargetRef) -> Self {
        Self {
            kind: target.kind,
            seen: Target::Unread,
            unreadable: None,
            listed: false,
        }
    }

    /// Takes an event in, and says whether what is known may have changed.
    pub(crate) fn take(&mut self, event: &Event<DynamicObject>) -> bool {
        match event {
            Event::Init => {
                self.listed = false;
                false
            }
            Event::InitApply(object) => {
                self.listed = true;
                self.read(object);
                true
            }
            Event::InitDone if self.listed => false,
            Event::InitDone | Event::Delete(_) => {
                self.seen = Target::Missing;
                self.unreadable = None;
                true
            }
            Event::Apply(object) => {
                self.read(object);
                true
            }
        }
    }

    fn read(&mut self, object: &DynamicObject) {
        let parsed = serde_json::to_value(object)
            .map_err(|error| error.to_string())
            .and_then(|json| Workload::parse(self.kind, &json).map_err(|error| error.to_string()));
        match parsed {
            Ok(workload) => {
                self.seen = Target::Found(Box::new(workload));
                self.unreadable = None;
            }
            // What was known before is not true any more; nothing may be decided on it.
            Err(message) => {
                tracing::warn!("{message}");
                self.seen = Target::Unread;
                self.unreadable = Some(message);
            }
        }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.seen
    }

    pub(crate) fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Whose pods to watch, and by which label selector.
    pub(crate) fn pods(&self) -> Option<(PodOwner, Selector)> {
        let Target::Found(workload) = &self.seen else {
            return None;
        };
        let selector = Selector::try_from(workload.selector.clone()).ok()?;
        let owner = PodOwner {
            kind: workload.kind,
            name: workload.name.clone(),
            uid: workload.uid.clone(),
        };
        Some((owner, selector))
    }
}
