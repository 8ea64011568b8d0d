//! The queue of proactive rollouts: few at a time, one a namespace, the neediest first.
//!
//! A state machine without a clock; the operator holds it in memory and tells it the time. A new
//! leader begins with an empty queue: who waits asks again at once, but a rollout that the one before
//! it began holds no slot any more, so for its rest one rollout more may be under way than is allowed.
//! The target of such a rollout is seen to be rolling out and is not written meanwhile.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::decision::Priority;
use crate::observation::Slot;

/// A policy, as namespace and name.
pub type PolicyKey = (String, String);

/// Longest time a rollout may hold its slot. Source: design, section 6.
const LONGEST_HOLD: SignedDuration = SignedDuration::from_mins(15);

/// Who waits and who rolls out.
#[derive(Clone, Debug)]
pub struct RolloutQueue {
    slots: usize,
    waiting: BTreeMap<PolicyKey, Priority>,
    held: BTreeMap<PolicyKey, Hold>,
}

/// A slot in use.
#[derive(Clone, Copy, Debug)]
struct Hold {
    until: Timestamp,
    /// Whether the write was accepted; before that the slot is only reserved.
    begun: bool,
}

impl RolloutQueue {
    /// A queue with so many slots; at least one.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            slots: slots.max(1),
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// Asks for a slot, or changes the priority of one who waits.
    pub fn ask(&mut self, policy: PolicyKey, priority: Priority) {
        if !self.held.contains_key(&policy) {
            self.waiting.insert(policy, priority);
        }
    }

    /// Gives back whatever the policy holds or waits for: its rollout is done, or it needs none.
    pub fn leave(&mut self, policy: &PolicyKey) {
        self.waiting.remove(policy);
        self.held.remove(policy);
    }

    /// Where the policy stands. This call reserves a slot when it is the policy's turn.
    pub fn slot(&mut self, policy: &PolicyKey, now: Timestamp) -> Slot {
        self.held.retain(|_, hold| hold.until > now);
        if self.held.contains_key(policy) {
            return Slot::Granted;
        }
        if !self.waiting.contains_key(policy) {
            return Slot::None;
        }
        if self.next().contains(policy) {
            self.waiting.remove(policy);
            self.held.insert(
                policy.clone(),
                Hold {
                    until: now + LONGEST_HOLD,
                    begun: false,
                },
            );
            return Slot::Granted;
        }
        let place = self.order().iter().position(|key| *key == policy);
        Slot::Waiting {
            position: place.map_or(1, |index| index + 1),
        }
    }

    /// Those whose turn it is: as many as slots are free, one a namespace.
    #[must_use]
    pub fn next(&self) -> Vec<PolicyKey> {
        let mut namespaces: Vec<&str> = self
            .held
            .keys()
            .map(|(namespace, _)| namespace.as_str())
            .collect();
        let free = self.slots.saturating_sub(self.held.len());
        let turn = self.order().into_iter().filter(|(namespace, _)| {
            let first = !namespaces.contains(&namespace.as_str());
            namespaces.push(namespace);
            first
        });
        turn.take(free).cloned().collect()
    }

    /// Holds the slot for a rollout that has begun, at most for the target's own deadline.
    pub fn begin(
        &mut self,
        policy: PolicyKey,
        progress_deadline_seconds: Option<u32>,
        now: Timestamp,
    ) {
        self.waiting.remove(&policy);
        let deadline =
            progress_deadline_seconds.map(|seconds| SignedDuration::from_secs(seconds.into()));
        let until = now + deadline.unwrap_or(LONGEST_HOLD).min(LONGEST_HOLD);
        self.held.insert(policy, Hold { until, begun: true });
    }

    /// Gives a slot back that is no longer used, because the rollout is done or nothing was written,
    /// and withdraws one who waits.
    pub fn settle(&mut self, policy: &PolicyKey, rolling_out: bool) {
        self.waiting.remove(policy);
        if self
            .held
            .get(policy)
            .is_some_and(|hold| !(hold.begun && rolling_out))
        {
            self.held.remove(policy);
        }
    }

    fn order(&self) -> Vec<&PolicyKey> {
        let mut order: Vec<_> = self.waiting.iter().collect();
        order.sort_by_key(|(key, priority)| {
            (
                !priority.looping,
                priority.coverage_permille,
                (*key).clone(),
            )
        });
        order.into_iter().map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests;
