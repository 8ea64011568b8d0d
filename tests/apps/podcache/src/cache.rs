//! The cache: every pod of the cluster, whole and decoded, as an informer's first list leaves it.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::ListParams;
use kube::core::{ObjectList, Request};
use tokio::time::{sleep, timeout};

use crate::log;

/// Pods of one page, as client-go's reflectors ask for.
const PAGE: u32 = 500;
/// The longest one page may take: at the smallest CPU limit it is a matter of ten seconds.
const DEADLINE: Duration = Duration::from_mins(5);
/// The pause after a list that failed, as client-go's first back-off.
const RETRY: Duration = Duration::from_millis(800);

/// Every pod by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct PodCache {
    pods: HashMap<(String, String), Pod>,
    bytes: usize,
}

/// Why a list did not come to its end.
#[derive(Debug, thiserror::Error)]
enum ListError {
    #[error("{0}")]
    Request(#[from] kube::Error),
    #[error("cannot build the request: {0}")]
    Build(#[from] kube::core::request::Error),
    #[error("the answer is not a list of pods: {0}")]
    Decode(#[from] serde_json::Error),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    Deadline,
}

impl PodCache {
    /// Lists until it has succeeded, as a reflector does.
    pub(crate) async fn fill(client: &Client) -> Self {
        loop {
            match Self::list(client).await {
                Ok(cache) => return cache,
                Err(error) => {
                    log::error("podInfo", "failed to list *v1.Pod", &error.to_string());
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Pods held.
    pub(crate) fn len(&self) -> usize {
        self.pods.len()
    }

    /// Bytes of JSON that were decoded.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    async fn list(client: &Client) -> Result<Self, ListError> {
        let mut cache = Self::default();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let request = Request::new("/api/v1/pods").list(&page)?;
            let text = timeout(DEADLINE, client.request_text(request))
                .await
                .map_err(|_| ListError::Deadline)??;
            cache.bytes += text.len();
            let pods: ObjectList<Pod> = serde_json::from_str(&text)?;
            cache.take(pods.items);
            match pods.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(cache),
            }
        }
    }

    fn take(&mut self, pods: Vec<Pod>) {
        for pod in pods {
            let key = (
                pod.metadata.namespace.clone().unwrap_or_default(),
                pod.metadata.name.clone().unwrap_or_default(),
            );
            self.pods.insert(key, pod);
        }
    }
}
