//! The operator's requests, as the API server's audit log has them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use probepilot_test_cluster::Cluster;
use serde_json::Value;

/// Requests that were answered, watches and leases apart from the rest.
pub struct Audit {
    requests: Vec<Request>,
}

struct Request {
    at: Timestamp,
    /// As `patch probepolicies/status`.
    kind: String,
}

impl Audit {
    /// All requests of the operator's account but watches.
    pub fn read(cluster: &Cluster) -> Result<Self> {
        let path = cluster.audit_log();
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut requests = Vec::new();
        for line in text.lines() {
            // The last line may be half written.
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let user = event["user"]["username"].as_str().unwrap_or_default();
            let verb = event["verb"].as_str().unwrap_or_default();
            if !user.ends_with(":probepilot") || verb == "watch" {
                continue;
            }
            let at = event["requestReceivedTimestamp"]
                .as_str()
                .unwrap_or_default();
            let object = &event["objectRef"];
            let resource = object["resource"].as_str().unwrap_or_default();
            let subresource = object["subresource"].as_str();
            let below = subresource
                .map(|name| format!("/{name}"))
                .unwrap_or_default();
            requests.push(Request {
                at: at.parse().with_context(|| format!("no time: {at}"))?,
                kind: format!("{verb} {resource}{below}"),
            });
        }
        Ok(Self { requests })
    }

    /// Those from this time on.
    #[must_use]
    pub fn since(mut self, from: Timestamp) -> Self {
        self.requests.retain(|request| request.at >= from);
        self
    }

    /// Requests a second.
    #[must_use]
    pub fn rate(&self, window: Duration) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let requests = self.requests.len() as f64;
        requests / window.as_secs_f64()
    }

    /// How many of each kind.
    #[must_use]
    pub fn kinds(&self) -> String {
        let mut kinds = BTreeMap::new();
        for request in &self.requests {
            *kinds.entry(request.kind.as_str()).or_insert(0) += 1;
        }
        let shown = kinds.iter().map(|(kind, times)| format!("{times} {kind}"));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// The most requests that came within one second of the clock.
    #[must_use]
    pub fn busiest_second(&self) -> usize {
        let mut seconds = BTreeMap::new();
        for request in &self.requests {
            *seconds.entry(request.at.as_second()).or_insert(0) += 1;
        }
        seconds.into_values().max().unwrap_or(0)
    }
}
