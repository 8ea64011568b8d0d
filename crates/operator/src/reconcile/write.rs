//! Writes of one policy's turn: the intent before, the probes, and what came of them.

use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;
use probepilot_api::{Memory, ProbePolicyStatus, Reason};
use probepilot_policy::{
    Cause, ConditionState, Event, Settled, Workload, Write, admitted, after_write, intent,
    last_write, raises, remember_write, settle_intent,
};
use tokio::time::Instant;

use super::{Error, Outcome, REFUSED_RETRY, Turn, tally};
use crate::act::{Written, write_probes};
use crate::context::key;
use crate::hand_back::workload_ref;
use crate::policies::{Entry, Refused};

/// Longest time that status waits for the events about a write.
pub(super) const TELLING: Duration = Duration::from_secs(3);

impl Turn<'_> {
    /// Writes the probes, with the intent in status before.
    pub(super) async fn act(
        &self,
        entry: &mut Entry,
        mut next: ProbePolicyStatus,
        workload: &Workload,
        write: &Write,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        let intent = intent(write, workload, now);
        next.memory.get_or_insert_default().intent = Some(intent.clone());
        let before = self.persist(entry, next.clone()).await?;
        if before.metadata.generation != self.object.metadata.generation {
            // The policy changed meanwhile: its new generation decides, not this one.
            return Ok(Outcome::Outdated);
        }
        let client = &self.context.clients.api;
        let written = write_probes(client, workload, write).await;
        let written = written.map_err(|source| Error::Probes {
            target: workload.display(),
            source,
        })?;
        let memory = next.memory.take().unwrap_or_default();
        next.memory = Some(Memory {
            intent: None,
            ..memory.clone()
        });
        let outcome = match written {
            Written::Accepted(generation) => {
                entry.left_at = generation.map(|generation| (workload.uid.clone(), generation));
                if write.cause == Cause::Kill
                    && let Some(killed_at) = tally::killed_at(&memory)
                {
                    self.context.metrics.answered(killed_at, Timestamp::now());
                }
                let mut memory = remember_write(memory, write, now);
                after_write(&mut memory, workload.kind, &intent, generation);
                next.raises = raises(&memory);
                next.memory = Some(memory);
                next.last_write = Some(last_write(write, generation, now));
                if write.takes_slot {
                    let deadline = workload.rollout.progress_deadline_seconds;
                    let mut queue = self.context.queue();
                    queue.begin(key(&self.key), deadline, Timestamp::now());
                }
                self.announce(workload, write.cause, &write.sentence).await;
                Outcome::Wrote
            }
            Written::Unneeded => Outcome::Kept,
            Written::Outdated => {
                // It may have been an earlier try of the same write that changed the target, whose answer
                // was lost: the intent stands until the target is seen again.
                next.memory = Some(memory);
                self.context.give_back(&self.key);
                Outcome::Outdated
            }
            Written::Refused(sentence) => {
                self.context.give_back(&self.key);
                let message = format!(
                    "the API server refused to write the probes of {}: {sentence}",
                    workload.display()
                );
                let condition = self.note_refusal(&mut next, message, now);
                entry.refused = Some(Refused {
                    generation: self.object.metadata.generation.unwrap_or_default(),
                    target: (workload.uid.clone(), workload.generation),
                    probes: write.probes.clone(),
                    condition,
                    until: Instant::now() + REFUSED_RETRY,
                });
                Outcome::Refused
            }
        };
        entry.status = next;
        Ok(outcome)
    }

    /// Writes what new pods get, which is status and nothing else, and tells of it.
    pub(super) async fn admit(
        &self,
        entry: &mut Entry,
        mut next: ProbePolicyStatus,
        workload: &Workload,
        write: &Write,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        admitted(&mut next, write, workload, now);
        self.persist(entry, next.clone()).await?;
        if write.cause == Cause::Kill
            && let Some(killed_at) = next.memory.as_ref().and_then(tally::killed_at)
        {
            self.context.metrics.answered(killed_at, Timestamp::now());
        }
        self.announce(workload, write.cause, &write.sentence).await;
        if let Some(memory) = &mut next.memory {
            memory.intent = None;
        }
        entry.status = next;
        Ok(Outcome::Wrote)
    }

    /// Settles what a write before left open, and tells of it where it was done: whoever did it was
    /// stopped, or had no answer, before he could.
    pub(super) async fn settle(&self, entry: &mut Entry, workload: &Workload) {
        let Settled { status, done } = settle_intent(&entry.status, workload);
        entry.status = status;
        if let Some(intent) = done {
            let cause = intent.cause.unwrap_or(Cause::Raise);
            self.announce(workload, cause, &intent.write.reason).await;
        }
    }

    /// Tells of a write that was done. The events are out before status forgets the intent, so that an
    /// operator that is stopped meanwhile tells of it when it is back: twice rather than never.
    async fn announce(&self, workload: &Workload, cause: Cause, sentence: &str) {
        let (reason, metric) = match cause {
            Cause::Kill => ("ProbesRaised", "kill"),
            Cause::Raise => ("ProbesRaised", "raise"),
            Cause::Lower => ("ProbesLowered", "lower"),
            Cause::Handler => ("ProbeFollowed", "handler"),
        };
        self.context.metrics.wrote(metric);
        tracing::info!(reason, "{sentence}");
        let event = Event {
            warning: false,
            reason: reason.to_owned(),
            message: sentence.to_owned(),
        };
        let target = workload_ref(workload);
        self.publish(self.object.object_ref(&()), Some(target.clone()), &event);
        self.publish(target, Some(self.object.object_ref(&())), &event);
        self.context.publisher.flush(TELLING).await;
    }

    pub(super) fn note_refusal(
        &self,
        next: &mut ProbePolicyStatus,
        message: String,
        now: Timestamp,
    ) -> ConditionState {
        tracing::warn!("{message}");
        let state = ConditionState::new(Reason::WriteRefused, message.clone());
        let known = !state.is_news(&self.object.status.clone().unwrap_or_default().conditions);
        let rendered = state.render(
            &next.conditions,
            self.object.metadata.generation.unwrap_or_default(),
            now,
        );
        next.conditions
            .retain(|condition| condition.type_ != rendered.type_);
        next.conditions.push(rendered);
        if !known {
            let event = Event {
                warning: true,
                reason: Reason::WriteRefused.to_string(),
                message,
            };
            self.publish(self.object.object_ref(&()), None, &event);
        }
        state
    }
}
