//! Replicas of one template may have different roles: the leader fills the caches, a standby waits.

use crate::starts::Start;

/// Starts at similar counts that differ by more than this are of different roles. Source: design,
/// section 8.
const APART: u64 = 3;

/// Those of the slow role, and how many are left out.
///
/// A start is fast when another one, at a similar or smaller count, took more than three times as long:
/// a curve that never falls cannot pass both. Similar is from half its count to √2 times it, because a
/// curve of exponent 2 makes a factor of 2 of √2, and only more than 3 counts.
///
/// Only healthy starts are compared. A kill at a count says what the slow role needs there, which the
/// curve never goes below anyway; if it could also dismiss healthy starts, a kill might lower the line.
pub fn slow<'a>(healthy: &[&'a Start]) -> (Vec<&'a Start>, usize) {
    let slow: Vec<&Start> = healthy
        .iter()
        .copied()
        .filter(|start| !healthy.iter().any(|other| dwarfs(other, start)))
        .collect();
    let left_out = healthy.len() - slow.len();
    (slow, left_out)
}

fn dwarfs(other: &Start, start: &Start) -> bool {
    let (of_other, of_start) = (other.count.max(1), start.count.max(1));
    let (of_other, of_start) = (i128::from(of_other), i128::from(of_start));
    // Squared, so that √2 needs no fraction; i128 holds twice the square of any i64.
    let similar = 2 * of_other >= of_start && of_other * of_other <= 2 * of_start * of_start;
    similar && u64::from(other.seconds.max(1)) > APART * u64::from(start.seconds.max(1))
}
