//! What the operator measures of itself, in OpenMetrics.
//!
//! Label sets are bounded by what the operator is configured with: policies, selectors, and closed
//! lists of reasons. Nothing is labelled by pod, message or status text. Series of a policy or of a
//! selector go when it goes.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use probepilot_api::CountSelector;
use probepilot_policy::Judgement;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::client::{Observer, Verb};
use crate::memory::ResidentMemory;

mod kills;

use kills::KillMetrics;

/// Every metric of the process. Cloning is cheap and shares them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    count: Family<SelectorLabels, Gauge>,
    count_bytes: Family<SelectorLabels, Gauge>,
    count_seconds: Histogram,
    reconciles: Family<OutcomeLabels, Counter>,
    reconcile_seconds: Histogram,
    writes: Family<ReasonLabels, Counter>,
    policies: Gauge,
    need: Family<PolicyLabels, Gauge>,
    budget: Family<PolicyLabels, Gauge>,
    leader: Gauge,
    requests: Family<RequestLabels, Counter>,
    events_dropped: Counter,
    kills: KillMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SelectorLabels {
    group: String,
    resource: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: &'static str,
    code: String,
}

/// From 1 ms to 16 s, in steps of four.
const SECONDS: [f64; 8] = [0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 16.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut root = Registry::default();
        root.register_collector(Box::new(ResidentMemory));
        let registry = root.sub_registry_with_prefix("probepilot");
        let mut metrics = Inner {
            count: Family::default(),
            count_bytes: Family::default(),
            count_seconds: Histogram::new(SECONDS),
            reconciles: Family::default(),
            reconcile_seconds: Histogram::new(SECONDS),
            writes: Family::default(),
            policies: Gauge::default(),
            need: Family::default(),
            budget: Family::default(),
            leader: Gauge::default(),
            requests: Family::default(),
            events_dropped: Counter::default(),
            kills: KillMetrics::register(registry),
            registry: Registry::default(),
        };
        registry.register(
            "count",
            "Objects counted, by what is counted; an empty namespace means all",
            metrics.count.clone(),
        );
        registry.register_with_unit(
            "count_poll",
            "Size of the last answer to a count",
            Unit::Bytes,
            metrics.count_bytes.clone(),
        );
        registry.register_with_unit(
            "count_poll",
            "Time that one count took",
            Unit::Seconds,
            metrics.count_seconds.clone(),
        );
        registry.register(
            "reconciles",
            "Reconciles of policies, by outcome",
            metrics.reconciles.clone(),
        );
        registry.register_with_unit(
            "reconcile",
            "Time that one reconcile took",
            Unit::Seconds,
            metrics.reconcile_seconds.clone(),
        );
        registry.register(
            "writes",
            "Accepted writes to workloads, by reason",
            metrics.writes.clone(),
        );
        registry.register(
            "policies",
            "Policies that this replica works on",
            metrics.policies.clone(),
        );
        registry.register_with_unit(
            "need",
            "Startup budget that a policy's rules ask for",
            Unit::Seconds,
            metrics.need.clone(),
        );
        registry.register_with_unit(
            "budget",
            "Startup budget that a policy's target guarantees",
            Unit::Seconds,
            metrics.budget.clone(),
        );
        registry.register(
            "leader",
            "1 while this replica leads, else 0",
            metrics.leader.clone(),
        );
        registry.register(
            "api_requests",
            "Requests to the API server, by verb and status code; code none means that no answer came",
            metrics.requests.clone(),
        );
        registry.register(
            "events_dropped",
            "Events about policies that could not be published",
            metrics.events_dropped.clone(),
        );
        metrics.registry = root;
        Self(Arc::new(metrics))
    }
}

impl Metrics {
    /// Everything as OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// One count was read: its value, the bytes of the answer and the time that it took.
    pub fn counted(&self, selector: &CountSelector, value: i64, bytes: usize, took: Duration) {
        let labels = SelectorLabels::from(selector);
        self.0.count.get_or_create(&labels).set(value);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.count_bytes.get_or_create(&labels).set(bytes);
        self.0.count_seconds.observe(took.as_secs_f64());
    }

    /// Nobody counts this any more.
    pub fn forget_count(&self, selector: &CountSelector) {
        let labels = SelectorLabels::from(selector);
        self.0.count.remove(&labels);
        self.0.count_bytes.remove(&labels);
    }

    /// One reconcile ended. `outcome` is a word of a closed list.
    pub fn reconciled(&self, outcome: &'static str, took: Duration) {
        self.0
            .reconciles
            .get_or_create(&OutcomeLabels { outcome })
            .inc();
        self.0.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// A write to a workload was accepted. `reason` is a word of a closed list.
    pub fn wrote(&self, reason: &'static str) {
        self.0.writes.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// A life was judged for the first time.
    pub fn judged(&self, judgement: &Judgement) {
        self.0.kills.judged(judgement);
    }

    /// Kills asked for so many raises.
    pub fn raised(&self, times: u64) {
        self.0.kills.raised(times);
    }

    /// A kill was answered by a write.
    pub fn answered(&self, killed_at: Timestamp, written_at: Timestamp) {
        self.0.kills.answered(killed_at, written_at);
    }

    /// How many policies there are.
    pub fn policies(&self, policies: usize) {
        let policies = i64::try_from(policies).unwrap_or(i64::MAX);
        self.0.policies.set(policies);
    }

    /// Need and budget of a policy, in seconds; what is unknown has no series.
    pub fn policy(&self, namespace: &str, name: &str, need: Option<i64>, budget: Option<i64>) {
        let labels = PolicyLabels::new(namespace, name);
        for (family, value) in [(&self.0.need, need), (&self.0.budget, budget)] {
            match value {
                Some(value) => {
                    family.get_or_create(&labels).set(value);
                }
                None => {
                    family.remove(&labels);
                }
            }
        }
    }

    /// The policy is gone.
    pub fn forget_policy(&self, namespace: &str, name: &str) {
        self.policy(namespace, name, None, None);
    }

    /// Whether this replica leads.
    pub fn leading(&self, leading: bool) {
        self.0.leader.set(i64::from(leading));
    }

    /// An event about a policy could not be published.
    pub fn event_dropped(&self) {
        self.0.events_dropped.inc();
    }
}

impl Observer for Metrics {
    fn ended(&self, verb: Verb, code: Option<StatusCode>) {
        let labels = RequestLabels {
            verb: verb.as_str(),
            code: code.map_or_else(|| "none".to_owned(), |code| code.as_str().to_owned()),
        };
        self.0.requests.get_or_create(&labels).inc();
    }
}

impl From<&CountSelector> for SelectorLabels {
    fn from(selector: &CountSelector) -> Self {
        Self {
            group: selector.group.clone(),
            resource: selector.resource.clone(),
            namespace: selector.namespace.clone(),
        }
    }
}

impl PolicyLabels {
    fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(metrics: &Metrics, part: &str) -> Vec<String> {
        let text = metrics.encode().unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#') && line.contains(part))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn a_count_has_value_size_and_time_until_nobody_counts_it() {
        let metrics = Metrics::default();
        let selector = CountSelector::default();
        metrics.counted(&selector, 10_000, 431, Duration::from_millis(20));
        assert_eq!(
            lines(&metrics, "resource=\"pods\""),
            [
                "probepilot_count{group=\"\",resource=\"pods\",namespace=\"\"} 10000",
                "probepilot_count_poll_bytes{group=\"\",resource=\"pods\",namespace=\"\"} 431",
            ]
        );
        assert_eq!(
            lines(&metrics, "count_poll_seconds_count"),
            ["probepilot_count_poll_seconds_count 1"]
        );
        metrics.forget_count(&selector);
        assert!(lines(&metrics, "resource=\"pods\"").is_empty());
    }

    #[test]
    fn a_policy_leaves_no_series_behind() {
        let metrics = Metrics::default();
        metrics.policy("a", "one", Some(120), Some(60));
        metrics.policy("b", "two", None, Some(60));
        assert_eq!(
            lines(&metrics, "name=\"two\""),
            ["probepilot_budget_seconds{namespace=\"b\",name=\"two\"} 60"]
        );
        metrics.forget_policy("a", "one");
        assert!(lines(&metrics, "name=\"one\"").is_empty());
        assert_eq!(lines(&metrics, "name=\"two\"").len(), 1);
    }

    #[test]
    fn requests_are_told_apart_by_verb_and_code() {
        let metrics = Metrics::default();
        metrics.ended(Verb::Get, Some(StatusCode::OK));
        metrics.ended(Verb::Get, Some(StatusCode::OK));
        metrics.ended(Verb::Patch, None);
        let mut found = lines(&metrics, "api_requests_total");
        found.sort();
        assert_eq!(
            found,
            [
                "probepilot_api_requests_total{verb=\"get\",code=\"200\"} 2",
                "probepilot_api_requests_total{verb=\"patch\",code=\"none\"} 1",
            ]
        );
    }

    #[test]
    fn the_process_reports_the_memory_it_really_holds() {
        let held = lines(&Metrics::default(), "process_resident_memory_bytes");
        let [line] = held.as_slice() else {
            panic!("one series, not {held:?}")
        };
        let (_, value) = line.rsplit_once(' ').unwrap();
        let bytes: f64 = value.parse().unwrap();
        assert!(bytes > 1e6 && bytes < 1e10, "{bytes}");
    }

    #[test]
    fn the_text_ends_as_openmetrics_demands() {
        assert!(Metrics::default().encode().unwrap().ends_with("# EOF\n"));
    }
}
