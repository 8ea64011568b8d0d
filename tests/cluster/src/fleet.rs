//! Thousands of fake nodes and pods, played by kwok.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PartialObjectMeta};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::cluster::Cluster;
use crate::creation::{create, patiently, post};
use crate::error::{Error, Result};
use crate::wait::{self, Seen};

/// Label of fake nodes, value `true`.
pub const FAKE_NODE_LABEL: &str = "probepilot.test/fake";

/// Requests in flight at once. More do not make the API server faster on two processors.
const CONCURRENT: usize = 32;
/// Pods deleted by one request: the API server ends a request after a minute.
const DELETED_AT_ONCE: u32 = 2_000;
/// Length of one padding variable: name, `=` and value.
const PADDING: usize = 64;

/// Many pods that are all alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodFleet {
    /// Their namespace; made if it is missing.
    pub namespace: String,
    /// How many.
    pub count: usize,
    /// Number of the first: pods are called `PREFIX-NUMBER`, so a fleet can be added to.
    pub first: usize,
    /// What their names begin with.
    pub prefix: String,
    /// Bytes of environment in each, to make the objects as big as real ones. What a client has to decode grows with it.
    pub env_bytes: usize,
    /// The image they name; nothing is pulled.
    pub image: String,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
}

impl PodFleet {
    /// Small pods with the name prefix `fake` and the label `app: fake`.
    #[must_use]
    pub fn new(namespace: impl Into<String>, count: usize) -> Self {
        Self {
            namespace: namespace.into(),
            count,
            first: 0,
            prefix: "fake".to_owned(),
            env_bytes: 0,
            image: "probepilot.test/none:1".to_owned(),
            labels: BTreeMap::from([("app".to_owned(), "fake".to_owned())]),
        }
    }

    /// Numbered from `first` on.
    #[must_use]
    pub fn first(mut self, first: usize) -> Self {
        self.first = first;
        self
    }

    /// With that many bytes of environment in each.
    #[must_use]
    pub fn env_bytes(mut self, bytes: usize) -> Self {
        self.env_bytes = bytes;
        self
    }

    fn name(&self, number: usize) -> String {
        format!("{}-{number:06}", self.prefix)
    }

    /// A pod of the fleet with [`NAME`] and [`NODE`] where its own are to be put. The scheduler is left out: it would be the bottleneck.
    fn template(&self) -> String {
        let env: Vec<_> = (0..self.env_bytes.div_ceil(PADDING))
            .map(|variable| {
                let name = format!("PADDING_{variable:05}");
                let left = (self.env_bytes - variable * PADDING).min(PADDING);
                json!({"name": name, "value": "x".repeat(left.saturating_sub(name.len() + 1))})
            })
            .collect();
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "labels": self.labels},
            "spec": {
                "nodeName": NODE,
                "automountServiceAccountToken": false,
                "enableServiceLinks": false,
                "containers": [{"name": "main", "image": self.image, "env": env}],
            },
        })
        .to_string()
    }
}

/// Stands for a pod's name in the fleet's template; no text of Kubernetes has such characters.
const NAME: &str = "@name@";
/// Stands for a node's name in the fleet's template.
const NODE: &str = "@node@";

impl Cluster {
    /// Makes fake nodes until there are `count` (`fake-0000`, ...) and waits until all are Ready. Returns how long it took.
    pub async fn add_fake_nodes(&self, count: usize) -> Result<Duration> {
        let begin = Instant::now();
        let nodes = Api::<Node>::all(self.client().await?);
        stream::iter(0..count)
            .map(|number| {
                let nodes = nodes.clone();
                async move {
                    let node = fake_node(number).map_err(|cause| Error::Json {
                        what: "a fake node",
                        cause,
                    })?;
                    create(&nodes, &node).await
                }
            })
            .buffer_unordered(CONCURRENT)
            .try_collect::<Vec<()>>()
            .await?;
        let fake = ListParams::default().labels(&format!("{FAKE_NODE_LABEL}=true"));
        wait::until(
            format!("{count} fake nodes to be Ready"),
            Duration::from_mins(1),
            || async {
                let ready = nodes
                    .list(&fake)
                    .await?
                    .items
                    .iter()
                    .filter(|node| is_ready(node))
                    .count();
                Ok::<_, kube::Error>(if ready >= count {
                    Seen::Done(())
                } else {
                    Seen::NotYet(format!("{ready} are Ready"))
                })
            },
        )
        .await?;
        Ok(begin.elapsed())
    }

    /// Creates the fleet's pods, spread over the fake nodes, which must exist. Returns how long the API server took to take them all in; use
    /// [`Cluster::fleet_running`] to wait until kwok has reported them running. Pods that are there already are left as they are.
    pub async fn create_pods(&self, fleet: &PodFleet) -> Result<Duration> {
        let client = self.client().await?;
        let nodes = self.fake_nodes(&client).await?;
        ensure_namespace(&client, &fleet.namespace).await?;
        let url = format!("/api/v1/namespaces/{}/pods", fleet.namespace);
        let template = fleet.template();
        let begin = Instant::now();
        stream::iter(fleet.first..fleet.first + fleet.count)
            .map(|number| {
                let name = fleet.name(number);
                let body = template.replacen(NAME, &name, 1).replacen(
                    NODE,
                    &nodes[number % nodes.len()],
                    1,
                );
                let (client, url) = (client.clone(), url.clone());
                async move {
                    patiently(&format!("create pod {name}"), async || {
                        post(&client, &url, body.clone()).await
                    })
                    .await
                }
            })
            .buffer_unordered(CONCURRENT)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(begin.elapsed())
    }

    /// Waits until no pod of the namespace is in another phase than Running.
    pub async fn fleet_running(&self, namespace: &str, within: Duration) -> Result<()> {
        let pods = Api::<Pod>::namespaced(self.client().await?, namespace);
        let other = ListParams::default()
            .fields("status.phase!=Running")
            .limit(1);
        // The server looks through all pods for each answer.
        let pause = Duration::from_secs(1);
        wait::until_every(
            pause,
            format!("all pods of {namespace} to run"),
            within,
            || async {
                let first = pods.list_metadata(&other).await?.items.into_iter().next();
                Ok::<_, kube::Error>(match first {
                    None => Seen::Done(()),
                    Some(pod) => Seen::NotYet(format!("{} does not run", pod.name_any())),
                })
            },
        )
        .await?;
        Ok(())
    }

    /// Pods of a namespace, or of the cluster when it is empty: one item and what the server says remains, whatever their number.
    pub async fn count_pods(&self, namespace: &str) -> Result<u64> {
        let client = self.client().await?;
        let pods: Api<Pod> = if namespace.is_empty() {
            Api::all(client)
        } else {
            Api::namespaced(client, namespace)
        };
        count(&pods)
            .await
            .map_err(Error::kube(format!("count the pods of {namespace:?}")))
    }

    /// Deletes all pods of a namespace and waits until they are gone. Returns how long it took.
    pub async fn delete_pods(&self, namespace: &str) -> Result<Duration> {
        let begin = Instant::now();
        let pods = Api::<Pod>::namespaced(self.client().await?, namespace);
        // No grace: nothing runs that would have to be told.
        let at_once = DeleteParams {
            grace_period_seconds: Some(0),
            ..DeleteParams::default()
        };
        let some = ListParams::default().limit(DELETED_AT_ONCE);
        let pause = Duration::from_millis(10);
        wait::until_every(
            pause,
            format!("the pods of {namespace} to be deleted"),
            Duration::from_mins(10),
            || async {
                pods.delete_collection(&at_once, &some).await?;
                let left = count(&pods).await?;
                Ok::<_, kube::Error>(if left == 0 {
                    Seen::Done(())
                } else {
                    Seen::NotYet(format!("{left} are left"))
                })
            },
        )
        .await?;
        Ok(begin.elapsed())
    }

    /// Deletes all fake nodes; pods on them are left for the pod garbage collector, so delete those first.
    pub async fn remove_fake_nodes(&self) -> Result<()> {
        let nodes = Api::<Node>::all(self.client().await?);
        let fake = ListParams::default().labels(&format!("{FAKE_NODE_LABEL}=true"));
        nodes
            .delete_collection(&DeleteParams::default(), &fake)
            .await
            .map_err(Error::kube("delete the fake nodes"))?;
        Ok(())
    }

    async fn fake_nodes(&self, client: &Client) -> Result<Vec<String>> {
        let fake = ListParams::default().labels(&format!("{FAKE_NODE_LABEL}=true"));
        let listed = Api::<Node>::all(client.clone())
            .list_metadata(&fake)
            .await
            .map_err(Error::kube("list the fake nodes"))?;
        let names: Vec<_> = listed.items.iter().map(ResourceExt::name_any).collect();
        if names.is_empty() {
            Err(Error::NoFakeNodes(self.layout().name().to_string()))
        } else {
            Ok(names)
        }
    }
}

async fn count(pods: &Api<Pod>) -> kube::Result<u64> {
    let page: kube::core::ObjectList<PartialObjectMeta<Pod>> =
        pods.list_metadata(&ListParams::default().limit(1)).await?;
    let remaining = page.metadata.remaining_item_count.unwrap_or(0);
    Ok(page.items.len() as u64 + u64::try_from(remaining).unwrap_or(0))
}

fn fake_node(number: usize) -> serde_json::Result<Node> {
    let name = format!("fake-{number:04}");
    serde_json::from_value(json!({
        "metadata": {
            "name": name,
            "labels": {FAKE_NODE_LABEL: "true", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        // Real pods must not be scheduled where nothing runs.
        "spec": {"taints": [{"key": FAKE_NODE_LABEL, "value": "true", "effect": "NoSchedule"}]},
    }))
}

fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Makes the namespace unless it is there, and waits until pods can be created in it.
async fn ensure_namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = Namespace {
        metadata: kube::api::ObjectMeta {
            name: Some(name.to_owned()),
            ..Default::default()
        },
        ..Namespace::default()
    };
    create(&Api::all(client.clone()), &namespace).await?;
    default_account(client, name).await
}

/// Waits for the service account without which no pod is admitted.
pub(crate) async fn default_account(client: &Client, namespace: &str) -> Result<()> {
    let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    wait::until(
        format!("the default service account of {namespace}"),
        Duration::from_mins(1),
        || async {
            let account = accounts.get_opt("default").await?;
            Ok::<_, kube::Error>(if account.is_some() {
                Seen::Done(())
            } else {
                Seen::NotYet("none".into())
            })
        },
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(fleet: &PodFleet) -> Pod {
        serde_json::from_str(&fleet.template()).unwrap()
    }

    #[test]
    fn padding_is_as_long_as_asked() {
        for bytes in [0, 14, 64, 100, 6_000] {
            let pod = pod(&PodFleet::new("n", 1).env_bytes(bytes));
            let env = pod
                .spec
                .unwrap()
                .containers
                .remove(0)
                .env
                .unwrap_or_default();
            let sum: usize = env
                .iter()
                .map(|var| var.name.len() + 1 + var.value.as_deref().unwrap_or("").len())
                .sum();
            assert_eq!(sum, bytes, "{bytes} bytes");
        }
    }

    #[test]
    fn a_template_has_one_place_for_each_name() {
        let fleet = PodFleet::new("n", 1).first(42);
        assert_eq!(fleet.name(42), "fake-000042");
        let template = fleet.template();
        assert_eq!(
            (
                template.matches(NAME).count(),
                template.matches(NODE).count()
            ),
            (1, 1)
        );
        let pod = pod(&fleet);
        assert_eq!(pod.metadata.name.as_deref(), Some(NAME));
        assert_eq!(pod.spec.unwrap().node_name.as_deref(), Some(NODE));
    }
}
