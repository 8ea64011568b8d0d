//! The controller over all policies. It runs while this replica leads.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::controller::{self, Config, Error as ControllerError};
use kube::runtime::{Controller, WatchStreamExt, reflector, watcher};
use kube::{Api, Client};
use probepilot_api::ProbePolicy;

use crate::client::Clients;
use crate::context::{Context, PolicyOptions};
use crate::events::Publisher;
use crate::farewell::{self, Farewells};
use crate::metrics::Metrics;
use crate::policies::{PolicyRef, Wake};
use crate::reconcile::{Failed, after_failure, reconcile};
use crate::watch::trigger_backoff;

/// Reconciles under way at a time. Each waits for the API server most of its time.
const CONCURRENCY: u16 = 16;

/// A policy's own changes and its wakes come in bursts; the first of a burst waits for so long.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Policies of one page of a list: what is in memory whole, for a moment.
const POLICIES: u32 = 100;

/// Works on policies until the future is dropped.
pub async fn run(clients: Clients, options: PolicyOptions, metrics: Metrics, publisher: Publisher) {
    let (wake, mut woken) = Wake::channel();
    let (farewells, leaving) = Farewells::channel();
    let api = policies(&clients.api, options.namespace.as_deref());
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().page_size(POLICIES);
    // Who owns which field of a policy is never asked, and is the larger part of it in memory.
    let events =
        watcher::watcher(api, config).modify(|policy| policy.metadata.managed_fields = None);
    // A policy that is deleted must be heard of at once: another may be waiting for its place.
    let touched = events.reflect(writer).touched_objects();
    let controller = Controller::for_stream(touched, store.clone());
    let context = Arc::new(Context::new(
        clients, options, metrics, store, publisher, wake, farewells,
    ));
    let config = Config::default()
        .concurrency(CONCURRENCY)
        .debounce(DEBOUNCE);
    let controlling = controller
        .with_config(config)
        .trigger_backoff(trigger_backoff())
        .reconcile_on(futures::stream::poll_fn(move |task| woken.poll_recv(task)))
        .run(reconcile, error_policy, Arc::clone(&context))
        .for_each(|result| {
            let context = Arc::clone(&context);
            async move { note(&context, result) }
        });
    // Neither ends by itself before this replica stops leading.
    tokio::select! {
        () = controlling => {}
        () = farewell::run(&context, leaving) => {}
    }
}

fn policies(client: &Client, namespace: Option<&str>) -> Api<ProbePolicy> {
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that the controller asks for"
)]
fn error_policy(
    object: Arc<ProbePolicy>,
    failed: &Failed,
    context: Arc<Context>,
) -> controller::Action {
    after_failure(&object, failed, &context)
}

/// A policy that was woken and is gone is forgotten; its own errors were logged by the error policy.
fn note(
    context: &Context,
    result: Result<(PolicyRef, controller::Action), ControllerError<Failed, watcher::Error>>,
) {
    match result {
        Err(ControllerError::ObjectNotFound(policy)) => {
            context.forget(&policy.into_kind_unchecked::<ProbePolicy>(()));
        }
        Err(ControllerError::QueueError(error)) => {
            tracing::warn!("watching policies failed and is tried again: {error}");
        }
        Ok(_) | Err(_) => {}
    }
}
