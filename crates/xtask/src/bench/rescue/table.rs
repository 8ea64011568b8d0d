//! What was measured, one row for each length of a start.

use std::fmt;
use std::time::Duration;

/// From the first kill to Ready, of starts of one length.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// How long a start takes. Unit: seconds.
    pub start: u32,
    /// Under a policy that acts on kills alone.
    pub policy: Vec<Duration>,
    /// By somebody who knew the start and wrote the right probe at the first kill: start and rollout.
    pub oracle: Vec<Duration>,
}

impl Row {
    /// The slowest rescue as a multiple of the oracle's median.
    pub(super) fn worst_ratio(&self) -> f64 {
        let worst = self.policy.iter().max().copied().unwrap_or_default();
        let oracle = median(&self.oracle);
        if oracle.is_zero() {
            return f64::INFINITY;
        }
        worst.as_secs_f64() / oracle.as_secs_f64()
    }
}

fn median(of: &[Duration]) -> Duration {
    let mut of = of.to_vec();
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or_default()
}

/// All rows.
pub(super) struct Table(pub Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| start | budget before | runs | oracle, median | policy, median | policy, slowest | slowest / oracle |"
        )?;
        write!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.0 {
            let slowest = row.policy.iter().max().copied().unwrap_or_default();
            write!(
                f,
                "\n| {} s | {} s | {} | {:.1} s | {:.1} s | {:.1} s | {:.2} |",
                row.start,
                super::objects::budget(row.start),
                row.policy.len(),
                median(&row.oracle).as_secs_f64(),
                median(&row.policy).as_secs_f64(),
                slowest.as_secs_f64(),
                row.worst_ratio()
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(policy: &[u64], oracle: &[u64]) -> Row {
        let seconds = |all: &[u64]| all.iter().map(|one| Duration::from_secs(*one)).collect();
        Row {
            start: 40,
            policy: seconds(policy),
            oracle: seconds(oracle),
        }
    }

    #[test]
    fn the_slowest_rescue_is_held_against_the_median_of_the_oracle() {
        for (policy, oracle, ratio) in [
            (&[44, 60, 45][..], &[50, 40, 90][..], 1.2),
            (&[40], &[40], 1.0),
            (&[40], &[], f64::INFINITY),
        ] {
            let found = row(policy, oracle).worst_ratio();
            assert!(
                found.total_cmp(&ratio).is_eq() || (found - ratio).abs() < 1e-9,
                "{found} instead of {ratio}"
            );
        }
        let table = Table(vec![row(&[44, 60, 45], &[50, 40, 90])]).to_string();
        assert!(
            table.ends_with("| 40 s | 24 s | 3 | 50.0 s | 45.0 s | 60.0 s | 1.20 |"),
            "{table}"
        );
    }
}
