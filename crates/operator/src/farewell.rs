//! Lets workloads go to whose template no policy writes any more. Under `apply.onDelete: Keep` there is no finalizer, so
//! a deletion is seen when the policy is away already. A policy may also name another target or container than before,
//! or deliver by Admission.
//!
//! What happened while no operator ran is found at its next start, from the annotation that every write leaves on
//! the workload: the metadata of all Deployments, StatefulSets and DaemonSets is read once, in pages.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta};
use kube::{Client, ResourceExt};
use probepilot_api::{BASELINE_ANNOTATION, Delivery, OnDelete, ProbePolicy, TargetKind, TargetRef};
use probepilot_policy::BaselineRecord;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::events::{Notice, NoticeType};
use crate::failure::Failure;
use crate::hand_back::{HandBackError, HandedBack, Place, hand_back, read_workload};
use crate::observe::{Scaled, successor};
use crate::policies::Gone;
use crate::workloads::api_resource;

/// Workloads that are let go at a time.
const AT_A_TIME: usize = 4;
/// Tries; the next start of the operator is one more.
const TRIES: u32 = 12;
/// Wait after a failed try; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Objects in a page of the look at the start. With managedFields one is a few kB.
const PAGE: u32 = 100;

/// Where to send workloads that are to be let go.
#[derive(Clone, Debug)]
pub struct Farewells(mpsc::UnboundedSender<Farewell>);

/// The other end.
pub type Leaving = mpsc::UnboundedReceiver<Farewell>;

/// Something to let go.
pub enum Farewell {
    /// What a policy of this namespace had written.
    Policy(String, Gone),
    /// A container to which no policy writes any more.
    Place(Place),
}

impl Farewells {
    /// The two ends.
    #[must_use]
    pub fn channel() -> (Self, Leaving) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Lets go what a policy that is gone had written. Nothing happens once the controller is gone.
    pub fn policy(&self, namespace: String, gone: Gone) {
        let _ = self.0.send(Farewell::Policy(namespace, gone));
    }

    /// Lets go a container to which no policy writes any more.
    pub fn place(&self, place: Place) {
        let _ = self.0.send(Farewell::Place(place));
    }
}

/// Lets go whatever comes, and first what was left before; for ever.
pub async fn run(context: &Arc<Context>, mut leaving: Leaving) {
    let sweep = stream::once(left_before(context)).flat_map(stream::iter);
    let coming = stream::poll_fn(move |task| leaving.poll_recv(task));
    stream::select(sweep.map(Farewell::Place), coming)
        .for_each_concurrent(AT_A_TIME, |farewell| say(context, farewell))
        .await;
}

async fn say(context: &Context, farewell: Farewell) {
    let place = match farewell {
        Farewell::Place(place) => Some(place),
        Farewell::Policy(namespace, gone) => gone.lock().await.place(&namespace),
    };
    let Some(place) = place.filter(|_| !context.options.read_only) else {
        return;
    };
    let name = format!("{}/{}", place.namespace, place.target.display());
    let mut wait = FIRST_WAIT;
    for _ in 0..TRIES {
        match try_once(context, &place).await {
            Ok(HandedBack::Refused(sentence)) => {
                tracing::warn!(
                    target_ref = name,
                    "the API server refused to let the workload go, to which no policy writes any more: {sentence}"
                );
                return;
            }
            Ok(done) => {
                tell(context, &done);
                return;
            }
            Err(error) => {
                tracing::warn!(
                    target_ref = name,
                    "letting the workload go, to which no policy writes any more, failed and is tried again: {error}"
                );
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    tracing::warn!(
        target_ref = name,
        "the workload was not let go; the next start of the operator, or `probepilot uninstall`, does it"
    );
}

async fn try_once(context: &Context, place: &Place) -> Result<HandedBack, HandBackError> {
    let client = &context.clients.api;
    let Some(workload) = read_workload(client, &place.namespace, &place.target).await? else {
        return Ok(HandedBack::Missing);
    };
    let scaled = Scaled {
        namespace: &place.namespace,
        target: &place.target,
        workload: &workload,
        container: &place.container,
    };
    let kept = workload.ignored
        || successor(&context.store, &scaled).is_some()
        || context.namespaces.ignored(&place.namespace).await?;
    if kept {
        return Ok(HandedBack::Nothing);
    }
    hand_back(client, place, OnDelete::Keep).await
}

fn tell(context: &Context, done: &HandedBack) {
    let Some((target, event)) = done.told() else {
        return;
    };
    context.metrics.wrote("leave");
    tracing::info!(reason = event.reason, "{}", event.message);
    context.publisher.publish(Notice {
        regarding: target,
        related: None,
        type_: NoticeType::Normal,
        reason: event.reason,
        action: "Reconcile".to_owned(),
        note: event.message,
    });
}

/// Containers with something of ours, of which no policy is known.
async fn left_before(context: &Arc<Context>) -> Vec<Place> {
    if context.options.read_only || context.store.wait_until_ready().await.is_err() {
        return Vec::new();
    }
    let known = known(&context.store.state());
    let client = &context.clients.api;
    let namespace = context.options.namespace.as_deref();
    let mut left = Vec::new();
    for kind in [
        TargetKind::Deployment,
        TargetKind::StatefulSet,
        TargetKind::DaemonSet,
    ] {
        match written(client, namespace, kind).await {
            Ok(places) => left.extend(places),
            Err(error) => tracing::warn!(
                "workloads whose policy was deleted while no operator ran are not looked for: {error}"
            ),
        }
    }
    left.retain(|place| !known.contains(&(place.namespace.clone(), place.target.clone())));
    left
}

/// To what policies write; their own reconciles know what to do there.
fn known(policies: &[Arc<ProbePolicy>]) -> HashSet<(String, TargetRef)> {
    let by_template = |policy: &&Arc<ProbePolicy>| policy.spec.apply.delivery == Delivery::Template;
    let named = policies.iter().filter(by_template).map(|policy| {
        let namespace = policy.namespace().unwrap_or_default();
        (namespace, policy.spec.target_ref.clone())
    });
    named.collect()
}

/// Every container of this kind of workload to which something was written that was not let go.
///
/// # Errors
/// When the API server does not list them.
pub async fn written(
    client: &Client,
    namespace: Option<&str>,
    kind: TargetKind,
) -> Result<Vec<Place>, kube::Error> {
    let found = records(client, namespace, kind).await?;
    let held = found.into_iter().filter(|(_, record)| !record.released);
    Ok(held.map(|(place, _)| place).collect())
}

/// Every container of this kind of workload of which there is a record, with it.
///
/// # Errors
/// When the API server does not list them.
pub async fn records(
    client: &Client,
    namespace: Option<&str>,
    kind: TargetKind,
) -> Result<Vec<(Place, BaselineRecord)>, kube::Error> {
    let resource = api_resource(kind);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let mut params = ListParams::default().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = match api.list_metadata(&params).await {
            Ok(page) => page,
            // The page is too old: begin anew.
            Err(error)
                if Failure::of(&error) == Failure::Gone && params.continue_token.is_some() =>
            {
                params.continue_token = None;
                found.clear();
                continue;
            }
            Err(error) => return Err(error),
        };
        found.extend(
            page.items
                .iter()
                .flat_map(|one| records_of(kind, &one.metadata)),
        );
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(found);
        }
    }
}

fn records_of(kind: TargetKind, metadata: &ObjectMeta) -> Vec<(Place, BaselineRecord)> {
    let annotations = metadata.annotations.as_ref();
    let text = annotations.and_then(|all| all.get(BASELINE_ANNOTATION));
    let records = text.and_then(|text| serde_json::from_str::<Vec<BaselineRecord>>(text).ok());
    let place = |record: &BaselineRecord| Place {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        target: TargetRef {
            api_version: "apps/v1".to_owned(),
            kind,
            name: metadata.name.clone().unwrap_or_default(),
        },
        container: record.container.clone(),
    };
    let records = records.unwrap_or_default().into_iter();
    records.map(|record| (place(&record), record)).collect()
}
