//! Lets a container go, or puts its owner's probes back: reads the workload, does the next step, reads again.
//!
//! Everything that was done is in the workload, so whoever is stopped on the way is followed by another: this
//! process after a restart, another replica, or `probepilot uninstall`.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch};
use probepilot_api::{OnDelete, TargetRef};
use probepilot_policy::{Event, LetGo, PutBack, Step, Workload, WorkloadError, step};

use crate::act::{Written, ours_alone, written};
use crate::workloads::api_resource;

/// Tries against a workload that others write all the time.
const TRIES: u32 = 10;
/// Wait after a try that came too late; it grows with each.
const AGAIN: Duration = Duration::from_millis(100);

/// A container of a workload, where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Namespace of the workload.
    pub namespace: String,
    /// The workload.
    pub target: TargetRef,
    /// The container.
    pub container: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum HandedBack {
    /// There is no such workload.
    Missing,
    /// Nothing there was ours.
    Nothing,
    /// The probes stay and are nobody's.
    Kept {
        /// The workload as it was before.
        workload: Box<Workload>,
        /// Its startup budget, in seconds.
        budget_seconds: u32,
    },
    /// The probes are the owner's.
    Returned {
        /// The workload as it was before.
        workload: Box<Workload>,
        /// Its startup budget before, in seconds, where the owner's values were put back now.
        from_seconds: Option<u32>,
        /// Its startup budget now, in seconds.
        budget_seconds: u32,
    },
    /// The API server refused it; its sentence.
    Refused(String),
}

/// Why it is not known what became of it. Whoever asks again goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum HandBackError {
    /// The API server cannot be asked, or fails.
    #[error(transparent)]
    Api(#[from] kube::Error),
    /// The workload cannot be read.
    #[error(transparent)]
    Unreadable(#[from] WorkloadError),
    /// The workload cannot be shown as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Others wrote it again and again meanwhile.
    #[error("{0} changes all the time")]
    Busy(String),
}

/// The workload as the API server has it now. A list of one: the operator's role reads by list and watch.
///
/// # Errors
/// When the API server cannot be asked, or the object is not readable.
pub async fn read_workload(
    client: &Client,
    namespace: &str,
    target: &TargetRef,
) -> Result<Option<Workload>, HandBackError> {
    let params = ListParams::default().fields(&format!("metadata.name={}", target.name));
    let found = workloads(client, namespace, target).list(&params).await?;
    let Some(object) = found.items.first() else {
        return Ok(None);
    };
    let json = serde_json::to_value(object)?;
    Ok(Some(Workload::parse(target.kind, &json)?))
}

fn workloads(client: &Client, namespace: &str, target: &TargetRef) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &api_resource(target.kind))
}

/// Lets the container go in this way, to the end.
///
/// # Errors
/// When it is not known what became of it.
pub async fn hand_back(
    client: &Client,
    place: &Place,
    how: OnDelete,
) -> Result<HandedBack, HandBackError> {
    let api = workloads(client, &place.namespace, &place.target);
    let mut done = HandedBack::Nothing;
    for attempt in 1..=TRIES {
        let read = read_workload(client, &place.namespace, &place.target).await?;
        let Some(workload) = read else {
            return Ok(HandedBack::Missing);
        };
        let next = step(&workload, &place.container, how);
        let answer = match &next {
            Step::Done => return Ok(done),
            Step::PutBack(PutBack { patch, .. }) => {
                let patch = Patch::Strategic(patch);
                api.patch(&workload.name, &ours_alone(), &patch).await
            }
            Step::LetGo(LetGo { operations, .. }) => {
                let operations = serde_json::from_value(operations.clone().into())?;
                let patch = Patch::Json::<()>(operations);
                api.patch(&workload.name, &ours_alone(), &patch).await
            }
        };
        match written(answer)? {
            Written::Accepted(_) | Written::Unneeded => done = done.and(workload, next),
            Written::Refused(sentence) => {
                // A JSON patch that no longer fits is refused as well: it does when nothing changed meanwhile.
                let now = read_workload(client, &place.namespace, &place.target).await?;
                if now.is_some_and(|now| now.resource_version == workload.resource_version) {
                    return Ok(HandedBack::Refused(sentence));
                }
            }
            Written::Outdated => tokio::time::sleep(AGAIN * attempt).await,
        }
    }
    Err(HandBackError::Busy(place.target.display()))
}

impl HandedBack {
    /// After one more step.
    fn and(self, workload: Workload, step: Step) -> Self {
        let workload = Box::new(workload);
        match (self, step) {
            (_, Step::PutBack(back)) => Self::Returned {
                workload,
                from_seconds: Some(back.from_seconds),
                budget_seconds: back.to_seconds,
            },
            (done, Step::Done) | (done @ Self::Returned { .. }, Step::LetGo(_)) => done,
            (
                _,
                Step::LetGo(LetGo {
                    budget_seconds,
                    command: Some(_),
                    ..
                }),
            ) => Self::Kept {
                workload,
                budget_seconds,
            },
            (_, Step::LetGo(LetGo { budget_seconds, .. })) => Self::Returned {
                workload,
                from_seconds: None,
                budget_seconds,
            },
        }
    }

    /// What to tell of it, and about which workload; nothing where nothing was done.
    #[must_use]
    pub fn told(&self) -> Option<(ObjectReference, Event)> {
        let (workload, reason, message) = match self {
            Self::Missing | Self::Nothing | Self::Refused(_) => return None,
            Self::Kept {
                workload,
                budget_seconds,
            } => (
                workload,
                "ProbesKept",
                format!(
                    "{} keeps its probes, with {}, and probepilot owns none of them any more; the annotation {} has the command that takes them away",
                    workload.display(),
                    budget(*budget_seconds),
                    probepilot_api::KEPT_ANNOTATION
                ),
            ),
            Self::Returned {
                workload,
                from_seconds,
                budget_seconds,
            } => {
                let before = from_seconds
                    .map_or_else(String::new, |from| format!(", after {}", budget(from)));
                let text = format!(
                    "the probes of {} are the owner's own, with {}{before}",
                    workload.display(),
                    budget(*budget_seconds)
                );
                (workload, "ProbesReturned", text)
            }
        };
        let event = Event {
            warning: false,
            reason: reason.to_owned(),
            message,
        };
        Some((workload_ref(workload), event))
    }
}

fn budget(seconds: u32) -> String {
    if seconds == u32::MAX {
        "no probe that can end a start".to_owned()
    } else {
        format!("a startup budget of {seconds} s")
    }
}

/// The workload, for an event about it.
pub(crate) fn workload_ref(workload: &Workload) -> ObjectReference {
    ObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: Some(format!("{:?}", workload.kind)),
        namespace: Some(workload.namespace.clone()),
        name: Some(workload.name.clone()),
        uid: Some(workload.uid.clone()),
        ..Default::default()
    }
}
