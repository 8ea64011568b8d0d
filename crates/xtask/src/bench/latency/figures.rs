//! What was measured, as percentiles.

use std::fmt;
use std::time::Duration;

/// Durations of one kind.
#[derive(Debug, Default)]
pub(super) struct Figures(Vec<Duration>);

impl Figures {
    pub(super) fn push(&mut self, one: Duration) {
        let at = self.0.partition_point(|before| *before <= one);
        self.0.insert(at, one);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest duration that this many per cent do not exceed (nearest rank); zero when nothing
    /// was measured.
    pub(super) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99), ("max", 100)] {
            if percent > 50 {
                f.write_str("   ")?;
            }
            write!(f, "{name} {} ms", self.percentile(percent).as_millis())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(millis: impl IntoIterator<Item = u64>) -> Figures {
        let mut figures = Figures::default();
        for millis in millis {
            figures.push(Duration::from_millis(millis));
        }
        figures
    }

    #[test]
    fn percentiles_are_measured_values() {
        let hundred = figures((1..=100).rev());
        let cases = [(50, 50), (90, 90), (99, 99), (100, 100)];
        for (percent, expected) in cases {
            let found = hundred.percentile(percent);
            assert_eq!(found, Duration::from_millis(expected), "p{percent}");
        }
        // Of few, the worst: one slow answer in ten is seen.
        let ten = figures([5, 5, 5, 5, 5, 5, 5, 5, 5, 2_000]);
        assert_eq!(ten.percentile(90), Duration::from_millis(5));
        assert_eq!(ten.percentile(99), Duration::from_secs(2));
        assert_eq!(
            ten.to_string(),
            "p50 5 ms   p90 5 ms   p99 2000 ms   max 2000 ms"
        );
    }
}
