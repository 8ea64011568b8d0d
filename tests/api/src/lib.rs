//! Tests against a real API server.
//!
//! [`Scene`] is what each test begins with: the shared cluster, a namespace of its own, and the
//! operator's own clients.

// Only tests use this crate: what fails here fails the test, and the panic says what and where.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod crd;
pub mod process;
pub mod program;
pub mod proxy;
pub mod stage;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::api::PostParams;
use kube::{Api, Client, Config, Resource};
use probepilot_operator::client::{Clients, Observer, connect};
use probepilot_operator::kubeconfig;
use probepilot_operator::metrics::Metrics;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, TestNamespace};
use serde_json::Value;

/// A test's own place in the shared cluster.
pub struct Scene {
    /// The cluster.
    pub cluster: Cluster,
    /// The test's namespace.
    pub namespace: TestNamespace,
    /// An administrator's client, without the operator's layers.
    pub admin: Client,
    /// The operator's clients with an administrator's rights; they may write.
    pub clients: Clients,
    /// Where `clients` are measured.
    pub metrics: Metrics,
}

impl Scene {
    /// Takes a namespace whose name begins with `prefix`.
    pub async fn new(prefix: &str) -> Self {
        let cluster = Cluster::shared().await.expect("a cluster");
        let admin = cluster.client().await.expect("a client");
        let namespace = TestNamespace::create(&admin, prefix)
            .await
            .expect("a namespace");
        let metrics = Metrics::default();
        let observer: Arc<dyn Observer> = Arc::new(metrics.clone());
        let clients = connect(config(&cluster).await, observer).expect("clients");
        clients.fence.open();
        Self {
            cluster,
            namespace,
            admin,
            clients,
            metrics,
        }
    }

    /// The namespace's name.
    #[must_use]
    pub fn ns(&self) -> &str {
        self.namespace.name()
    }

    /// Creates an object in the test's namespace.
    pub async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).expect("an object of this kind");
        self.api()
            .create(&PostParams::default(), &object)
            .await
            .expect("created")
    }

    /// The administrator's view of one kind in the test's namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.admin.clone(), self.ns())
    }

    /// Deletes the namespace.
    pub async fn end(self) {
        self.namespace.delete().await.expect("deleted");
    }
}

/// Where the cluster is and who the administrator is.
pub async fn config(cluster: &Cluster) -> Config {
    let mut config = kubeconfig::load(Some(cluster.kubeconfig()), None)
        .await
        .expect("the cluster's kubeconfig");
    // A proxy of the developer's leads nowhere near a test cluster.
    config.proxy_url = None;
    config
}

/// The folder of a kustomization in config/.
#[must_use]
pub fn kustomization(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

/// Waits until `look` gives something; fails the test after `within`.
pub async fn eventually<T: Debug>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let looking = wait::until(what, within, || {
        let seen = match look() {
            Ok(value) => Seen::Done(value),
            Err(instead) => Seen::NotYet(instead),
        };
        std::future::ready(Ok::<_, std::convert::Infallible>(seen))
    });
    looking.await.unwrap_or_else(|error| panic!("{error}"))
}
