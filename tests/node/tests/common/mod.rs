//! The operator in this process, on one namespace of the shared cluster.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Config, ResourceExt};
use probepilot_api::ProbePolicyStatus;
use probepilot_operator::admission::AdmissionPace;
use probepilot_operator::context::PolicyOptions;
use probepilot_operator::events::Publisher;
use probepilot_operator::metrics::Metrics;
use probepilot_operator::{client, controller};
use probepilot_test_cluster::Cluster;
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::Value;

/// An object of this kind.
pub fn from_json<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the object is written for its type")
}

/// A condition's reason.
pub fn reason(status: &ProbePolicyStatus, kind: &str) -> String {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind);
    found
        .map(|condition| condition.reason.clone())
        .unwrap_or_default()
}

/// Installs the CRD and waits until it is served.
pub async fn install_crd(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = probepilot_api::crd();
    let params = PatchParams::apply("tests").force();
    crds.patch(&crd.name_any(), &params, &Patch::Apply(&crd))
        .await
        .unwrap();
    let look = || async {
        let crd = crds.get(&crd.name_any()).await?;
        let conditions = crd
            .status
            .and_then(|status| status.conditions)
            .unwrap_or_default();
        let established = conditions
            .iter()
            .any(|condition| condition.type_ == "Established" && condition.status == "True");
        Ok::<_, kube::Error>(if established {
            Seen::Done(())
        } else {
            Seen::NotYet(format!("{conditions:?}"))
        })
    };
    wait::until("the CRD to be established", Duration::from_secs(30), look)
        .await
        .unwrap();
}

/// Runs the operator on one namespace until the returned task is aborted.
pub async fn operator(cluster: &Cluster, namespace: &str) -> tokio::task::JoinHandle<()> {
    operator_as(cluster.config().await.unwrap(), namespace)
}

/// The same with this way to the API server, and whose rights it has there.
pub fn operator_as(config: Config, namespace: &str) -> tokio::task::JoinHandle<()> {
    let metrics = Metrics::default();
    let clients = client::connect(config, Arc::new(metrics.clone())).unwrap();
    clients.fence.open();
    let publisher = Publisher::start(clients.api.clone(), metrics.clone(), "test");
    let options = PolicyOptions {
        namespace: Some(namespace.to_owned()),
        read_only: false,
        max_parallel_rollouts: 1,
        count_interval: Duration::from_secs(5),
        admission: AdmissionPace::default(),
    };
    tokio::spawn(controller::run(clients, options, metrics, publisher))
}
