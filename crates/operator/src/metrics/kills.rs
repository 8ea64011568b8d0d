//! Metrics of lives that ended: what ended them, and how soon a kill was answered.
//!
//! All labels come from closed lists. Which pod it was is in the policy's events.

use jiff::Timestamp;
use probepilot_policy::{Judgement, Verdict};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From a quarter of a second, through the second that is promised, to an hour: a policy that meets
/// a target which has looped for long answers a kill of long ago.
const SECONDS: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BasisLabels {
    basis: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    verdict: String,
}

/// What ended lives, and what came of kills.
pub(super) struct KillMetrics {
    kills: Family<BasisLabels, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    raises: Counter,
    kill_to_write: Histogram,
}

impl KillMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            kills: Family::default(),
            verdicts: Family::default(),
            raises: Counter::default(),
            kill_to_write: Histogram::new(SECONDS),
        };
        registry.register(
            "kills",
            "Starts that a probe ended (verdict StartupKill), by what the verdict rests on",
            metrics.kills.clone(),
        );
        registry.register(
            "verdicts",
            "Ended lives of targets' containers, by verdict",
            metrics.verdicts.clone(),
        );
        registry.register(
            "raises",
            "Raises of a budget that had covered the need, because of a kill",
            metrics.raises.clone(),
        );
        registry.register_with_unit(
            "kill_to_write",
            "Time from the end of the newest killed life to the accepted write that answers it; the kubelet tells ends in whole seconds, cut off",
            Unit::Seconds,
            metrics.kill_to_write.clone(),
        );
        metrics
    }

    pub(super) fn judged(&self, judgement: &Judgement) {
        let verdict = judgement.verdict();
        if verdict == Verdict::StartupKill {
            let basis = judgement.confidence().to_string();
            self.kills.get_or_create(&BasisLabels { basis }).inc();
        }
        let verdict = verdict.to_string();
        self.verdicts
            .get_or_create(&VerdictLabels { verdict })
            .inc();
    }

    pub(super) fn raised(&self, times: u64) {
        self.raises.inc_by(times);
    }

    pub(super) fn answered(&self, killed_at: Timestamp, written_at: Timestamp) {
        let took = written_at.duration_since(killed_at);
        // A node's clock may be ahead of ours.
        self.kill_to_write.observe(took.as_secs_f64().max(0.0));
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use probepilot_policy::{Confidence, Diagnosis, FailedProbe, HowKnown, ProbeKill, Why};
    use prometheus_client::encoding::text;

    use super::*;

    fn judgement(why: Why, confidence: Confidence) -> Judgement {
        Judgement {
            diagnosis: Diagnosis { why, confidence },
            finished_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn killed(confidence: Confidence) -> Judgement {
        let kill = ProbeKill {
            probe: FailedProbe::Liveness,
            known: HowKnown::Event {
                at: Timestamp::UNIX_EPOCH,
            },
            complaint: None,
        };
        judgement(Why::StartupKill(kill), confidence)
    }

    fn scraped(does: impl FnOnce(&KillMetrics)) -> Vec<String> {
        let mut registry = Registry::default();
        does(&KillMetrics::register(&mut registry));
        let mut encoded = String::new();
        text::encode(&mut encoded, &registry).unwrap();
        let mut lines: Vec<_> = encoded
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn kills_are_told_apart_by_basis_and_other_ends_are_no_kills() {
        let lines = scraped(|metrics| {
            metrics.judged(&killed(Confidence::Proven));
            metrics.judged(&killed(Confidence::Proven));
            metrics.judged(&killed(Confidence::InferredTwice));
            let memory = Why::OutOfMemory { limit: None };
            metrics.judged(&judgement(memory, Confidence::Proven));
        });
        let lines: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("kills") || line.starts_with("verdicts"))
            .collect();
        assert_eq!(
            lines,
            [
                "kills_total{basis=\"InferredTwice\"} 1",
                "kills_total{basis=\"Proven\"} 2",
                "verdicts_total{verdict=\"OutOfMemory\"} 1",
                "verdicts_total{verdict=\"StartupKill\"} 3",
            ]
        );
    }

    #[test]
    fn an_answer_is_measured_from_the_end_of_the_life() {
        let end = Timestamp::UNIX_EPOCH;
        let lines = scraped(|metrics| {
            metrics.raised(2);
            metrics.answered(end, end + SignedDuration::from_millis(700));
            // The node's clock is ahead.
            metrics.answered(end, end - SignedDuration::from_secs(3));
        });
        for expected in [
            "kill_to_write_seconds_bucket{le=\"0.5\"} 1",
            "kill_to_write_seconds_bucket{le=\"1.0\"} 2",
            "kill_to_write_seconds_sum 0.7",
            "raises_total 2",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
        }
    }
}
