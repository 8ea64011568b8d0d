//! A target, its policy and the whole operator, in a namespace of their own behind a [`Proxy`].

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Config;
use probepilot_api::ProbePolicyStatus;
use probepilot_operator::admission::AdmissionPace;
use probepilot_operator::context::PolicyOptions;
use probepilot_operator::{Options, RunError};
use probepilot_test_cluster::wait::{self, Seen};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Scene;
use crate::crd::install_own;
use crate::proxy::Proxy;

mod acts;
mod killed;
mod shown;
mod started;
mod stuck;
mod waits;

pub use killed::{Killed, get};
pub use shown::{Shown, chart_liveness, deployment, shown, web};
pub use stuck::{daemon, stateful, threshold, uid};

/// How long anything may take that should come at once. Far below the operator's own retries of minutes.
pub const PATIENCE: Duration = Duration::from_secs(50);

/// Time between two counts of the operator in the test's own process.
const COUNTS: Duration = Duration::from_millis(400);

/// Where a test plays.
pub struct Stage {
    /// Cluster and namespace.
    pub scene: Scene,
    /// Between the operator and the API server.
    pub proxy: Proxy,
}

/// A running operator; [`Operator::stop`] ends it as SIGTERM would.
pub struct Operator {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

/// Waits until `look` is done; fails the test after [`PATIENCE`].
pub async fn until<T, E: Display, F: Future<Output = Result<Seen<T>, E>>>(
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    within(PATIENCE, what, look).await
}

/// As [`until`], with another patience.
pub async fn within<T, E: Display, F: Future<Output = Result<Seen<T>, E>>>(
    patience: Duration,
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    let waited = wait::until(what, patience, look).await;
    waited.unwrap_or_else(|error| panic!("{error}"))
}

/// The reason of a condition; empty without it.
#[must_use]
pub fn reason(status: &ProbePolicyStatus, kind: &str) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == kind);
    found
        .map(|condition| condition.reason.clone())
        .unwrap_or_default()
}

/// Status and reason of Ready, as `False Duplicate`.
#[must_use]
pub fn ready(status: &ProbePolicyStatus) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == "Ready");
    found.map_or_else(String::new, |ready| {
        format!("{} {}", ready.status, ready.reason)
    })
}

/// The message of InSync.
#[must_use]
pub fn sync_message(status: &ProbePolicyStatus) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == "InSync");
    found
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}

impl Stage {
    /// A namespace whose name begins with `prefix`, with the CRD served.
    pub async fn new(prefix: &str) -> Self {
        let scene = Scene::new(prefix).await;
        install_own(&scene.admin).await;
        let proxy = Proxy::start(scene.admin.clone()).await;
        Self { scene, proxy }
    }

    /// Starts the operator for this namespace, in this process.
    #[must_use]
    pub fn start(&self) -> Operator {
        self.start_with(false, ([127, 0, 0, 1], 0).into())
    }

    /// The same, with its metrics at this address.
    #[must_use]
    pub fn start_serving(&self, listen: SocketAddr) -> Operator {
        self.start_with(false, listen)
    }

    /// The same with `--read-only`.
    #[must_use]
    pub fn start_read_only(&self) -> Operator {
        self.start_with(true, ([127, 0, 0, 1], 0).into())
    }

    fn start_with(&self, read_only: bool, listen: SocketAddr) -> Operator {
        let config = self.proxy.config(self.scene.ns());
        self.start_as(config, read_only, listen)
    }

    /// The same with this way to the API server, and whose rights it has there.
    #[must_use]
    pub fn start_as(&self, config: Config, read_only: bool, listen: SocketAddr) -> Operator {
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options {
            policies: PolicyOptions {
                namespace: Some(self.scene.ns().to_owned()),
                read_only,
                max_parallel_rollouts: 1,
                count_interval: COUNTS,
                admission: AdmissionPace {
                    look: COUNTS,
                    prove: Duration::from_secs(5),
                },
            },
            listen,
            lease: None,
            instance: "stage".to_owned(),
        };
        let running = tokio::spawn(probepilot_operator::run(config, options, async {
            let _ = stopped.await;
        }));
        Operator { stop, running }
    }

    /// Deployment `name` as it is.
    pub async fn get(&self, name: &str) -> Deployment {
        self.scene.api().get(name).await.expect("the deployment")
    }

    /// Deletes the namespace.
    pub async fn end(self) {
        self.scene.end().await;
    }
}

/// Whether a request patches a workload.
#[must_use]
pub fn patches_workload(line: &str) -> bool {
    line.starts_with("PATCH /apis/apps/v1/")
}

/// Whether a request writes a policy's status.
#[must_use]
pub fn writes_status(line: &str) -> bool {
    line.starts_with("PATCH /apis/probepilot.dev/")
}

impl Operator {
    /// Ends it and waits for its end.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let ended = tokio::time::timeout(Duration::from_secs(15), self.running).await;
        ended
            .expect("a shutdown in time")
            .expect("no panic")
            .expect("a clean end");
    }
}
