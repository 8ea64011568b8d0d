//! Whether somebody takes away what was written: corrections, upgrades and rollbacks told apart.
//!
//! | what changed since our write was last seen in place | what it is | what follows |
//! |---|---|---|
//! | only timings and the startup probe that we write | a correction | written again, until it is contested |
//! | the same, by `kubectl rollout undo` | a rollback | written again after the next startup kill |
//! | the template is one that was there before | a rollback | written again after the next startup kill |
//! | anything else of the template as well | an upgrade | written again |
//! | the workload: it was deleted and created again | none of these | written as for any new target |
//!
//! Two corrections within 24 h or three within 7 days are a contest: nothing is written any more until
//! the author of the policy asks for it (`probepilot.dev/retry`). Source: design, section 7.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{Correction, Memory, ProbePair, TemplateMemory};

/// Corrections within a day that make a contest.
const TWICE: (usize, SignedDuration) = (2, SignedDuration::from_hours(24));
/// Corrections within a week that make a contest.
const THRICE: (usize, SignedDuration) = (3, SignedDuration::from_hours(7 * 24));
/// Corrections remembered (schema: maxItems of status.memory.corrections).
const REMEMBERED: usize = 4;
/// Templates remembered; a Deployment keeps 10 by default (revisionHistoryLimit).
const TEMPLATES: usize = 10;
/// Longest name of a manager in memory.
const LONGEST_NAME: usize = 128;

/// One look at the target's template.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// UID of the target.
    pub target_uid: String,
    /// Checksum of the template without what we may write.
    pub sum: String,
    /// The timings now.
    pub probes: ProbePair,
    /// Whether what we wrote is all there, by our hand.
    pub in_place: bool,
    /// Whether the present budget covers the need: then nobody fights.
    pub covered: bool,
    /// Whether the change bears the marks of `kubectl rollout undo`.
    pub looks_undone: bool,
    /// Who changed what we wrote; empty where it is not known.
    pub manager: String,
    /// From when on the author wants another try.
    pub retry: Option<Timestamp>,
    /// When the last life that a probe ended at its start was over.
    pub killed_at: Option<Timestamp>,
}

/// What a change of the template was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing of ours was taken away.
    None,
    /// Only ours.
    Correction,
    /// Back to an older template.
    Rollback,
    /// More than ours.
    Upgrade,
}

/// Takes a look into memory, and says what changed since the one before.
pub(crate) fn weigh(memory: &mut Memory, look: &Look, now: Timestamp) -> Change {
    forgive(memory, look);
    let mut known = memory.template.take();
    let is_other = |known: &mut TemplateMemory| {
        !known.target_uid.is_empty() && known.target_uid != look.target_uid
    };
    if known.take_if(is_other).is_some() {
        // Its owner made it anew, so nobody took anything away.
        memory.rolled_back = None;
    }
    let Some(before) = known else {
        if look.in_place {
            memory.template = Some(TemplateMemory {
                target_uid: look.target_uid.clone(),
                sum: look.sum.clone(),
                probes: Some(look.probes),
                earlier: Vec::new(),
            });
        }
        return Change::None;
    };
    let change = change(&before, look);
    let probes = if look.in_place {
        Some(look.probes)
    } else {
        before.probes.filter(|_| change == Change::None)
    };
    match change {
        // A value that somebody set and that is enough is his own wish, and nothing to fight for.
        _ if look.covered => {}
        Change::Correction => correct(memory, look, now),
        Change::Rollback => memory.rolled_back = Some(Time(now)),
        Change::None | Change::Upgrade => {}
    }
    let is_new = look.sum != before.sum;
    if is_new && change != Change::Rollback || look.in_place {
        memory.rolled_back = None;
    }
    memory.template = Some(TemplateMemory {
        earlier: earlier(&before, &look.sum),
        target_uid: look.target_uid.clone(),
        sum: look.sum.clone(),
        probes,
    });
    change
}

fn change(before: &TemplateMemory, look: &Look) -> Change {
    let taken = before.probes.is_some_and(|probes| probes != look.probes);
    if !taken || look.in_place {
        Change::None
    } else if look.sum == before.sum {
        if look.looks_undone {
            Change::Rollback
        } else {
            Change::Correction
        }
    } else if before.earlier.contains(&look.sum) {
        Change::Rollback
    } else {
        Change::Upgrade
    }
}

/// The templates before this one, newest last and each once.
fn earlier(before: &TemplateMemory, sum: &str) -> Vec<String> {
    let mut earlier = before.earlier.clone();
    if before.sum != sum {
        earlier.retain(|known| *known != before.sum && known != sum);
        earlier.push(before.sum.clone());
    }
    let surplus = earlier.len().saturating_sub(TEMPLATES);
    earlier.drain(..surplus);
    earlier
}

fn correct(memory: &mut Memory, look: &Look, now: Timestamp) {
    let recent = |correction: &Correction, within| now.duration_since(correction.at.0) <= within;
    memory
        .corrections
        .retain(|correction| recent(correction, THRICE.1));
    memory.corrections.push(Correction {
        at: Time(now),
        manager: look.manager.chars().take(LONGEST_NAME).collect(),
    });
    let surplus = memory.corrections.len().saturating_sub(REMEMBERED);
    memory.corrections.drain(..surplus);
    let contested = [TWICE, THRICE].into_iter().any(|(least, within)| {
        let corrections = memory.corrections.iter();
        corrections.filter(|one| recent(one, within)).count() >= least
    });
    if contested && memory.contested.is_none() {
        memory.contested = Some(Time(now));
    }
}

/// The author asks for another try, or a kill asks for what was rolled back.
fn forgive(memory: &mut Memory, look: &Look) {
    let after = |since: &Time, event: Option<Timestamp>| event.is_some_and(|event| event > since.0);
    if let Some(since) = &memory.contested
        && after(since, look.retry)
    {
        memory.contested = None;
        memory.corrections.clear();
    }
    if let Some(since) = &memory.rolled_back
        && (after(since, look.retry) || after(since, look.killed_at))
    {
        memory.rolled_back = None;
    }
}

#[cfg(test)]
mod tests;
