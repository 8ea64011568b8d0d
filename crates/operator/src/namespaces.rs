//! Whether a namespace is annotated to be left alone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use probepilot_api::IGNORE_ANNOTATION;
use tokio::time::Instant;

/// How long an answer is taken for current. It is asked for only before a write.
pub const FRESH: Duration = Duration::from_secs(30);

/// Answers about namespaces.
pub struct Namespaces {
    api: Api<Namespace>,
    known: Mutex<HashMap<String, (bool, Instant)>>,
}

impl Namespaces {
    /// Nothing is asked until somebody wants to write.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            known: Mutex::default(),
        }
    }

    /// Whether the namespace carries the ignore annotation.
    ///
    /// # Errors
    /// When the API server does not say.
    pub async fn ignored(&self, namespace: &str) -> Result<bool, kube::Error> {
        if let Some((ignored, at)) = self.known().get(namespace).copied()
            && at.elapsed() < FRESH
        {
            return Ok(ignored);
        }
        let found = self.api.get_metadata_opt(namespace).await?;
        let annotations = found.and_then(|namespace| namespace.metadata.annotations);
        let value = annotations.and_then(|all| all.get(IGNORE_ANNOTATION).cloned());
        let ignored = value.is_some_and(|value| value != "false");
        let mut known = self.known();
        known.retain(|_, (_, at)| at.elapsed() < FRESH);
        known.insert(namespace.to_owned(), (ignored, Instant::now()));
        Ok(ignored)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (bool, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
