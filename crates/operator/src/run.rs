//! The whole operator, from start to shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList;
use kube::{Client, Config};
use probepilot_api::GROUP;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::client::{Clients, Observer, connect};
use crate::context::PolicyOptions;
use crate::controller;
use crate::events::Publisher;
use crate::failure::Failure;
use crate::leader::{Candidacy, Leadership, identity};
use crate::metrics::Metrics;
use crate::server::{Part, Readiness, Server};

/// Longest time for the last events on the way out. With the release of the lease (2 s) and the
/// open connections (2 s) a shutdown stays well below a pod's 30 s.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// Time between two looks for the ProbePolicy API while it is not served.
const LOOK: Duration = Duration::from_secs(2);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to work on policies.
    pub policies: PolicyOptions,
    /// Where to serve health and metrics; port 0 takes a free one, which the log tells.
    pub listen: SocketAddr,
    /// The lease to stand for; `None` works without asking anybody.
    pub lease: Option<LeaseName>,
    /// Name of this replica: its pod's, or its host's.
    pub instance: String,
}

/// Which lease.
#[derive(Clone, Debug)]
pub struct LeaseName {
    /// Namespace of the lease; `None` is the client's own.
    pub namespace: Option<String>,
    /// Name of the lease.
    pub name: String,
}

/// Why the operator ended other than by a shutdown.
#[derive(Debug, Error)]
pub enum RunError {
    /// The client could not be built.
    #[error("the client for the API server could not be built: {0}")]
    Client(#[from] kube::Error),
    /// The health server could not be started or ended.
    #[error("the health server on {address} failed: {source}")]
    Server {
        /// Where it listens.
        address: SocketAddr,
        /// What went wrong.
        source: io::Error,
    },
    /// The controller ended, which it never should.
    #[error("the controller ended by itself")]
    Controller,
}

/// Runs the operator until `shutdown` is over: work stops, the last events go out, the lease is
/// released, and the health server ends last.
pub async fn run(
    config: Config,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let metrics = Metrics::default();
    let readiness = Readiness::default();
    let api_served = readiness.part("the ProbePolicy API is served (kubectl apply -f crds/)");
    let serving = |source| RunError::Server {
        address: options.listen,
        source,
    };
    let server = Server::bind(options.listen, readiness, metrics.clone());
    let server = server.await.map_err(serving)?;
    let address = server.address();
    tracing::info!(%address, "serving /livez, /readyz and /metrics");
    let (end_server, server_end) = oneshot::channel::<()>();
    let mut server = tokio::spawn(server.serve(async {
        let _ = server_end.await;
    }));

    let own_namespace = config.default_namespace.clone();
    let clients = connect(config, Arc::new(metrics.clone()) as Arc<dyn Observer>)?;
    let publisher = Publisher::start(clients.api.clone(), metrics.clone(), &options.instance);
    let mut leadership = options.lease.map(|lease| {
        let candidacy = Candidacy {
            namespace: lease.namespace.unwrap_or(own_namespace),
            name: lease.name,
            identity: identity(&options.instance),
        };
        let fence = clients.fence.clone();
        Leadership::seek(clients.lease.clone(), candidacy, fence, metrics.clone())
    });
    let work = work(
        &clients,
        &options.policies,
        &metrics,
        &publisher,
        &api_served,
        leadership.as_mut(),
    );
    let outcome = tokio::select! {
        biased;
        () = shutdown => {
            tracing::info!("shutting down");
            Ok(())
        }
        ended = &mut server => Err(serving(match ended {
            Ok(Ok(())) => io::Error::other("it ended by itself"),
            Ok(Err(error)) => error,
            Err(error) => io::Error::other(error),
        })),
        () = work => Err(RunError::Controller),
    };
    publisher.flush(LAST_EVENTS).await;
    if let Some(leadership) = leadership {
        leadership.release().await;
    }
    let _ = end_server.send(());
    if outcome.is_ok() {
        let ended = server.await.map_err(io::Error::other);
        ended.and_then(|result| result).map_err(serving)?;
        tracing::info!("bye");
    }
    outcome
}

/// Works on policies whenever this replica may; for ever.
async fn work(
    clients: &Clients,
    options: &PolicyOptions,
    metrics: &Metrics,
    publisher: &Publisher,
    api_served: &Part,
    leadership: Option<&mut Leadership>,
) {
    until_served(&clients.api, api_served).await;
    let control = || {
        controller::run(
            clients.clone(),
            options.clone(),
            metrics.clone(),
            publisher.clone(),
        )
    };
    if let Some(leadership) = leadership {
        leadership.lead(control).await;
    } else {
        clients.fence.open();
        metrics.leading(true);
        control().await;
    }
}

/// Waits until the API server is reached and serves ProbePolicies.
async fn until_served(client: &Client, part: &Part) {
    let mut known = None;
    loop {
        let failure = match served(client).await {
            Ok(true) => break,
            Ok(false) => Failure::NotFound,
            Err(error) => {
                let failure = Failure::of(&error);
                if known != Some(failure) && failure != Failure::NotFound {
                    tracing::warn!("the API server cannot be asked and is tried again: {error}");
                }
                failure
            }
        };
        if known != Some(failure) && failure == Failure::NotFound {
            tracing::warn!(
                "the API server does not serve ProbePolicies yet: kubectl apply -f crds/"
            );
        }
        known = Some(failure);
        tokio::time::sleep(LOOK).await;
    }
    part.ready();
}

async fn served(client: &Client) -> Result<bool, kube::Error> {
    let path = format!("/apis/{GROUP}/v1alpha1");
    let request = Request::get(path)
        .body(vec![])
        .map_err(kube::Error::HttpError)?;
    let list: APIResourceList = client.request(request).await?;
    Ok(list
        .resources
        .iter()
        .any(|resource| resource.name == "probepolicies"))
}
