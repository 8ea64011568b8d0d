//! How long the API server takes for one and the same count.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::SignedDuration;
use probepilot_policy::Latency;

/// Reads remembered; two hours at the usual interval.
const REMEMBERED: usize = 240;
/// The newest reads; the quickest of them is how long it takes now, so that one slow answer is no news.
const LATELY: usize = 3;
/// Reads before those from which there is a usual time.
const ENOUGH: usize = 8;

/// Times of the last reads, oldest first.
#[derive(Debug, Default)]
pub(super) struct Latencies(VecDeque<Duration>);

impl Latencies {
    /// A read took so long.
    pub(super) fn push(&mut self, took: Duration) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(took);
    }

    /// What they say, once there are enough. The usual time is that of a quick read (the lower
    /// quartile), which an hour of slowness does not move.
    pub(super) fn latency(&self) -> Option<Latency> {
        let before = self.0.len().checked_sub(LATELY)?;
        if before < ENOUGH {
            return None;
        }
        let now = self.0.iter().skip(before).min()?;
        let mut usual: Vec<_> = self.0.iter().take(before).collect();
        usual.sort();
        let usual = usual.get(before / 4)?;
        Some(Latency {
            now: SignedDuration::try_from(*now).ok()?,
            usual: SignedDuration::try_from(**usual).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(millis: &[u64]) -> Option<(i128, i128)> {
        let mut latencies = Latencies::default();
        for millis in millis {
            latencies.push(Duration::from_millis(*millis));
        }
        let latency = latencies.latency()?;
        Some((latency.now.as_millis(), latency.usual.as_millis()))
    }

    #[test]
    fn the_present_is_held_against_what_was_before() {
        let cases: [(&str, &[u64], _); 5] = [
            ("nothing", &[], None),
            ("too few", &[9; 10], None),
            ("enough", &[9; 11], Some((9, 9))),
            (
                "one slow answer",
                &[9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 4_000],
                Some((9, 9)),
            ),
            (
                "three slow answers",
                &[9, 8, 9, 9, 9, 50, 9, 9, 2_000, 1_500, 4_000],
                Some((1_500, 9)),
            ),
        ];
        for (name, millis, expected) in cases {
            assert_eq!(latency(millis), expected, "{name}");
        }
    }

    #[test]
    fn an_hour_of_slowness_is_still_slow_and_a_day_is_usual() {
        let mut millis = vec![10; REMEMBERED / 2];
        millis.extend([3_000; REMEMBERED / 2]);
        assert_eq!(latency(&millis), Some((3_000, 10)));
        millis.extend([3_000; REMEMBERED]);
        assert_eq!(latency(&millis), Some((3_000, 3_000)));
    }
}
