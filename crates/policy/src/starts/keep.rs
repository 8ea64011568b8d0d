//! Which starts are kept.

use std::collections::BTreeMap;

use super::{MAX_KEYS, MAX_STARTS, Outcome, Start, StartKey};

/// The starts that the rule of [`super::Starts`] keeps, oldest first.
pub fn kept(mut starts: Vec<Start>) -> Vec<Start> {
    starts.sort_unstable();
    starts.dedup();
    let keys: Vec<StartKey> = keys(&starts).into_iter().take(MAX_KEYS).cloned().collect();
    starts.retain(|start| keys.contains(&start.key));
    if starts.len() <= MAX_STARTS {
        return starts;
    }
    let mut order: Vec<usize> = keys
        .iter()
        .flat_map(|key| {
            [Outcome::Healthy, Outcome::Killed]
                .into_iter()
                .flat_map(|outcome| longest(&starts, key, outcome))
        })
        .collect();
    // What is left of the room goes to the newest, whatever they are.
    for newest in (0..starts.len()).rev() {
        if !order.contains(&newest) {
            order.push(newest);
        }
    }
    order.truncate(MAX_STARTS);
    order.sort_unstable();
    order.into_iter().map(|at| starts[at].clone()).collect()
}

/// The keys of starts that are sorted by time, that of the newest first.
pub fn keys(starts: &[Start]) -> Vec<&StartKey> {
    let mut keys = Vec::new();
    for start in starts.iter().rev() {
        if !keys.contains(&&start.key) {
            keys.push(&start.key);
        }
    }
    keys
}

/// The longest of each doubling of the count; of equals the newest. The newest doubling first, so
/// that the room, should it ever be too small for all, ends with what is oldest.
fn longest(starts: &[Start], key: &StartKey, outcome: Outcome) -> Vec<usize> {
    let mut longest: BTreeMap<u32, usize> = BTreeMap::new();
    for (at, start) in starts.iter().enumerate() {
        if start.key == *key && start.outcome == outcome {
            let most = longest.entry(start.bucket()).or_insert(at);
            if start.seconds >= starts[*most].seconds {
                *most = at;
            }
        }
    }
    let mut longest: Vec<usize> = longest.into_values().collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    longest
}
