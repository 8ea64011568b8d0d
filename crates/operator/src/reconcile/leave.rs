//! What a policy gives up of its target, and its finalizer.

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use probepilot_api::{OnDelete, ProbePolicyStatus};
use probepilot_policy::{Decision, Finalizer};

use super::write::TELLING;
use super::{Ended, Error, Outcome, Turn};
use crate::act::{Written, write_finalizer};
use crate::hand_back::{HandedBack, Place, hand_back};
use crate::observe::has_finalizer;
use crate::policies::Entry;

impl Turn<'_> {
    /// Does what was decided. The outcome, where the turn ends with it.
    pub(super) async fn leave(
        &self,
        entry: &mut Entry,
        next: &mut ProbePolicyStatus,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<Option<Outcome>, Error> {
        let mut finalizer = decision.leave.finalizer;
        if let Some(how) = decision.leave.hand_back {
            let container = next.container.clone();
            if let Some(sentence) = self.let_go(container.or(entry.container()), how).await? {
                return self.refused(entry, next, sentence, now).await.map(Some);
            }
            finalizer = has_finalizer(self.object).then_some(Finalizer::Take);
        }
        let Some(change) = finalizer else {
            return Ok(None);
        };
        let written = write_finalizer(&self.context.clients.api, self.object, change).await;
        match (written.map_err(Error::Finalizer)?, change) {
            (Written::Refused(sentence), _) => {
                let sentence =
                    format!("the API server refused to change the policy's finalizer: {sentence}");
                self.refused(entry, next, sentence, now).await.map(Some)
            }
            // The policy with its finalizer decides, not this one.
            (_, Finalizer::Put) | (Written::Outdated, Finalizer::Take) => {
                self.context.give_back(&self.key);
                Ok(Some(Outcome::Outdated))
            }
            (Written::Accepted(_) | Written::Unneeded, Finalizer::Take) => {
                // One that was waiting to be deleted is gone, and has no status any more.
                Ok(self.deleting().then_some(Outcome::HandedBack))
            }
        }
    }

    /// A policy that is to go and whose spec cannot be read: what it needs is not known, so everything stays.
    pub(super) async fn leave_unread(&self, entry: &mut Entry) -> Result<Option<Ended>, Error> {
        if !self.deleting() || !has_finalizer(self.object) {
            return Ok(None);
        }
        if self
            .let_go(entry.container(), OnDelete::Keep)
            .await?
            .is_some()
        {
            return Ok(None);
        }
        let api = &self.context.clients.api;
        let written = write_finalizer(api, self.object, Finalizer::Take).await;
        written.map_err(Error::Finalizer)?;
        Ok(Some((Outcome::HandedBack, None)))
    }

    fn deleting(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// Lets the container go, and tells of it. What the API server said, where it refused.
    async fn let_go(
        &self,
        container: Option<String>,
        how: OnDelete,
    ) -> Result<Option<String>, Error> {
        let target = self.object.spec.target_ref.clone();
        let Some(container) = container else {
            return Ok(None);
        };
        let place = Place {
            namespace: self.object.namespace().unwrap_or_default(),
            target,
            container,
        };
        let done = hand_back(&self.context.clients.api, &place, how).await;
        let done = done.map_err(|source| Error::HandBack {
            target: place.target.display(),
            source: Box::new(source),
        })?;
        if let HandedBack::Refused(sentence) = done {
            let target = place.target.display();
            return Ok(Some(format!(
                "the API server refused to let {target} go: {sentence}"
            )));
        }
        if let Some((target, event)) = done.told() {
            self.context.metrics.wrote("leave");
            tracing::info!(reason = event.reason, "{}", event.message);
            let policy = self.object.object_ref(&());
            self.publish(policy.clone(), Some(target.clone()), &event);
            self.publish(target, Some(policy), &event);
            self.context.publisher.flush(TELLING).await;
        }
        Ok(None)
    }

    async fn refused(
        &self,
        entry: &mut Entry,
        next: &mut ProbePolicyStatus,
        message: String,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        self.context.give_back(&self.key);
        self.note_refusal(next, message, now);
        entry.status = next.clone();
        self.report(entry, &[], now).await?;
        Ok(Outcome::Refused)
    }
}
