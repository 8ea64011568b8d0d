//! A decision as status, and whether the difference is worth a write.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{
    ConditionType, Handover, Intent, LastWrite, Memory, ProbePolicyStatus, Reason, StartRecord,
    StartupStatus,
};

use crate::decision::{Cause, Decision, Startup, Write};
use crate::handover::after_write;
use crate::pace::{self, HEARTBEAT};
use crate::policy::Policy;
use crate::raise::written;
use crate::workload::{ContainerProbes, Workload};

/// A count alone is written at most so often. Source: design, section 5.
const COUNT_INTERVAL: SignedDuration = SignedDuration::from_mins(10);
/// Starts that began closer together are written with the next ones, or with whatever else is news.
const STARTS_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// A count that moved by less than this many percent is not news.
const COUNT_NEWS_PERCENT: u64 = 5;
/// A need that moved by this many percent is news at once, as when a rung is reached.
const NEED_NEWS_PERCENT: u64 = 20;

/// The policy's whole status after a decision.
#[must_use]
pub fn status(
    policy: &Policy,
    decision: &Decision,
    prior: &ProbePolicyStatus,
    generation: i64,
    now: Timestamp,
) -> ProbePolicyStatus {
    let conditions = decision.conditions.iter();
    ProbePolicyStatus {
        observed_generation: Some(generation),
        target: Some(policy.target.display()),
        container: decision.container.clone(),
        verdict: decision.verdict.map(|verdict| verdict.to_string()),
        startup: Some(StartupStatus::from(decision.startup)),
        advice: decision.advice.clone(),
        raises: decision.raises,
        counts: decision
            .counts
            .iter()
            .map(|count| pace::status(&count.selector, count.last))
            .collect(),
        desired: decision.probes.map(|probes| probes.desired),
        baseline: decision.probes.map(|probes| probes.baseline),
        starts: decision
            .starts
            .as_slice()
            .iter()
            .map(StartRecord::from)
            .collect(),
        memory: (decision.memory != Memory::default()).then(|| decision.memory.clone()),
        last_write: prior.last_write.clone(),
        conditions: conditions
            .map(|state| state.render(&prior.conditions, generation, now))
            .collect(),
    }
}

impl From<Startup> for StartupStatus {
    fn from(startup: Startup) -> Self {
        let seconds = |value: Option<u32>| value.map(i64::from);
        Self {
            count: startup.count,
            need_seconds: seconds(startup.need_seconds),
            budget_seconds: seconds(startup.budget_seconds),
            detection_seconds: seconds(startup.detection_seconds),
            baseline_detection_seconds: seconds(startup.baseline_detection_seconds),
            recommended_seconds: seconds(startup.recommended_seconds),
            source: startup.source,
            queue_position: startup
                .queue_position
                .and_then(|place| i64::try_from(place).ok()),
        }
    }
}

/// The intent of a write to `workload` as it is, for status before it is done.
#[must_use]
pub fn intent(write: &Write, workload: &Workload, at: Timestamp) -> Intent {
    Intent {
        at: Time(at),
        target_uid: workload.uid.clone(),
        generation: Some(workload.generation),
        template: workload.revision.mark.clone(),
        probes: write.record.written,
        cause: Some(write.cause),
        write: last_write(write, None, at),
    }
}

/// The record of a write that was accepted.
#[must_use]
pub fn last_write(write: &Write, generation: Option<i64>, at: Timestamp) -> LastWrite {
    LastWrite {
        at: Time(at),
        generation,
        from_seconds: write.from_seconds.into(),
        // Without a probe there is no budget, however large the number that stands for that.
        to_seconds: if write.to_seconds == u32::MAX {
            0
        } else {
            write.to_seconds.into()
        },
        reason: write.sentence.clone(),
    }
}

/// Takes the change of what new pods get into a status that is about to be written. That status is the write:
/// there is nothing to be done after it but to tell, and the intent says that nobody was told yet.
pub fn admitted(
    status: &mut ProbePolicyStatus,
    write: &Write,
    workload: &Workload,
    now: Timestamp,
) {
    let desired = status.desired.unwrap_or_default();
    let revision = desired.revision();
    let memory = status.memory.take().unwrap_or_default();
    let written = last_write(write, None, now);
    let mut memory = remember(memory, Some(write.cause), write.from_seconds.into(), now);
    memory.handover = (!revision.is_empty()).then(|| Handover {
        target_uid: workload.uid.clone(),
        generation: workload.generation,
        earlier: Vec::new(),
        written: Some(revision),
        replaced: None,
        missed: None,
    });
    memory.intent = Some(Intent {
        at: Time(now),
        target_uid: workload.uid.clone(),
        generation: None,
        template: None,
        probes: desired,
        cause: Some(write.cause),
        write: written.clone(),
    });
    status.raises = raises(&memory);
    status.memory = Some(memory);
    status.last_write = Some(written);
}

/// What a look at the target says about an intended write.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The status without the intent.
    pub status: ProbePolicyStatus,
    /// The intent, where its write was done. Nobody was told of it, as far as is known.
    pub done: Option<Intent>,
}

/// Looks whether an intended write was done, for an operator that was stopped between the two or
/// had no answer. Whatever comes of it, the intent is settled.
#[must_use]
pub fn settle_intent(status: &ProbePolicyStatus, workload: &Workload) -> Settled {
    let mut status = status.clone();
    let memory = status.memory.as_mut();
    let intent = memory.and_then(|memory| memory.intent.take());
    let admitted = intent
        .as_ref()
        .filter(|intent| is_admitted(intent, &status));
    if let Some(intent) = admitted {
        // New pods get it since that status was written.
        return Settled {
            done: Some(intent.clone()),
            status,
        };
    }
    let container = status.container.as_deref();
    let container = container.and_then(|name| workload.container(name));
    let done = intent
        .filter(|intent| container.is_some_and(|container| is_done(intent, workload, container)));
    if let Some(intent) = &done {
        let memory = status.memory.take().unwrap_or_default();
        let raised = &intent.write;
        let mut memory = remember(memory, intent.cause, raised.from_seconds, intent.at.0);
        status.raises = raises(&memory);
        after_write(
            &mut memory,
            workload.kind,
            intent,
            Some(workload.generation),
        );
        if let Some(template) = &mut memory.template {
            template.probes = Some(intent.probes);
        }
        status.memory = Some(memory);
        status.last_write = Some(LastWrite {
            generation: Some(workload.generation),
            ..intent.write.clone()
        });
    }
    Settled { status, done }
}

/// Whether it is about what new pods get, and not about the target.
fn is_admitted(intent: &Intent, status: &ProbePolicyStatus) -> bool {
    let memory = status.memory.as_ref();
    let handover = memory.and_then(|memory| memory.handover.as_ref());
    let written = handover.and_then(|handover| handover.written.clone());
    intent.generation.is_none() && written.unwrap_or_default() == intent.probes.revision()
}

fn is_done(intent: &Intent, workload: &Workload, container: &ContainerProbes) -> bool {
    if intent.target_uid != workload.uid || container.timings() != intent.probes {
        return false;
    }
    // Timings say nothing of a write that changed the handler alone; it moved the generation, and
    // both handlers are the same after it.
    intent.cause != Some(Cause::Handler)
        || (intent.generation < Some(workload.generation) && container.handlers_agree())
}

/// Raises written in a row, as status shows them.
#[must_use]
pub fn raises(memory: &Memory) -> Option<i64> {
    written(memory.series.as_ref())
}

/// Memory after a write that was accepted.
#[must_use]
pub fn remember_write(memory: Memory, write: &Write, at: Timestamp) -> Memory {
    let mut memory = remember(memory, Some(write.cause), write.from_seconds.into(), at);
    let template = memory.template.get_or_insert_default();
    template.target_uid.clone_from(&write.target_uid);
    template.sum.clone_from(&write.template);
    // Where the owner's own probes are back, nothing is left that could be taken away.
    template.probes =
        (write.record.written != write.record.baseline).then_some(write.record.written);
    memory
}

/// A budget that changed begins every window again. A handler that followed changed no budget.
fn remember(mut memory: Memory, cause: Option<Cause>, from: i64, at: Timestamp) -> Memory {
    memory.intent = None;
    // A raise is counted when it is written, and only where a kill asked for more than there was.
    let asked = memory
        .floor
        .as_ref()
        .is_some_and(|floor| from < floor.seconds);
    if let Some(series) = memory
        .series
        .as_mut()
        .filter(|_| asked && cause == Some(Cause::Kill))
    {
        series.raises += 1;
    }
    if cause == Some(Cause::Handler) {
        return memory;
    }
    memory.pending_raise = None;
    memory.pending_lower = None;
    if cause == Some(Cause::Lower) {
        memory.lowered_at = Some(Time(at));
    }
    memory
}

/// Whether `next` should replace `written`, the status as the API server has it.
///
/// At once when the decision differs; a count alone when it moved by 5 % and the last write of it is
/// 10 minutes old; a waiting window every 10 minutes, so that a restart finds it without a gap.
#[must_use]
pub fn worth_writing(
    written: &ProbePolicyStatus,
    next: &ProbePolicyStatus,
    now: Timestamp,
) -> bool {
    if essence(written) != essence(next)
        || need_is_news(written, next)
        || starts_are_news(&written.starts, &next.starts)
    {
        return true;
    }
    let waited = |since: Option<&Time>, least| {
        since.is_none_or(|since| now.duration_since(since.0) >= least)
    };
    let count_due = waited(
        written
            .counts
            .iter()
            .filter_map(|count| count.observed_at.as_ref())
            .min(),
        COUNT_INTERVAL,
    );
    let pending = written.memory.as_ref().and_then(|memory| {
        memory
            .pending_lower
            .as_ref()
            .or(memory.pending_raise.as_ref())
    });
    let heartbeat_due =
        pending.is_some_and(|pending| waited(Some(&pending.observed_at), HEARTBEAT));
    heartbeat_due || (count_due && count_is_news(written, next))
}

/// A status without what moves by itself: counts, needs, messages and times of looking.
fn essence(status: &ProbePolicyStatus) -> ProbePolicyStatus {
    let mut status = status.clone();
    for count in &mut status.counts {
        count.value = count.value.map(|_| 0);
        count.observed_at = None;
    }
    if let Some(startup) = &mut status.startup {
        startup.count = startup.count.map(|_| 0);
        startup.need_seconds = startup.need_seconds.map(|_| 0);
        startup.recommended_seconds = startup.recommended_seconds.map(|_| 0);
        startup.queue_position = startup.queue_position.map(|_| 1);
    }
    status.starts.clear();
    if let Some(memory) = &mut status.memory {
        // An owner's new template is no news; what it took away is, by what is remembered of that.
        memory.template = None;
        for pending in [&mut memory.pending_raise, &mut memory.pending_lower]
            .into_iter()
            .flatten()
        {
            pending.observed_at = pending.since.clone();
            pending.turned_at = None;
            pending.counts.clear();
            pending.earlier.clear();
        }
    }
    for advice in &mut status.advice {
        // Numbers in it move; that it is given is what counts.
        advice.message.clear();
    }
    let said_by_reason =
        [ConditionType::InSync, ConditionType::CountFresh].map(|kind| kind.to_string());
    let counts_pods = Reason::PodsBehind.to_string();
    for condition in &mut status.conditions {
        if said_by_reason.contains(&condition.type_) && condition.reason != counts_pods {
            condition.message.clear();
        }
    }
    status
}

/// Each start is written down at once, but those of a large rollout no more often than each [`STARTS_INTERVAL`].
fn starts_are_news(written: &[StartRecord], next: &[StartRecord]) -> bool {
    let newest = |starts: &[StartRecord]| starts.last().map(|start| start.started_at.0);
    let apart =
        |(before, now): (Timestamp, Timestamp)| now.duration_since(before).abs() >= STARTS_INTERVAL;
    let (before, now) = (newest(written), newest(next));
    written != next && before.zip(now).is_none_or(apart)
}

fn need_is_news(written: &ProbePolicyStatus, next: &ProbePolicyStatus) -> bool {
    let need = |status: &ProbePolicyStatus| {
        status
            .startup
            .as_ref()
            .and_then(|startup| startup.need_seconds)
    };
    moved(need(written), need(next), NEED_NEWS_PERCENT)
}

fn count_is_news(written: &ProbePolicyStatus, next: &ProbePolicyStatus) -> bool {
    let pairs = written.counts.iter().zip(&next.counts);
    pairs
        .into_iter()
        .any(|(before, after)| moved(before.value, after.value, COUNT_NEWS_PERCENT))
}

fn moved(before: Option<i64>, after: Option<i64>, percent: u64) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            let least = before
                .unsigned_abs()
                .saturating_mul(percent)
                .div_ceil(100)
                .max(1);
            before.abs_diff(after) >= least
        }
        (before, after) => before != after,
    }
}

#[cfg(test)]
mod tests;
