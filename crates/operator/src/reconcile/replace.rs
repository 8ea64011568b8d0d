//! Deletes a killed pod that no rollout replaces: remembered before, and told of once.

use jiff::Timestamp;
use kube::Resource;
use probepilot_api::ProbePolicyStatus;
use probepilot_policy::{Event, PodView, Replace, Workload, replaced, settle_replacement};

use super::write::TELLING;
use super::{Error, Outcome, Turn};
use crate::act::{Deleted, delete_pod};
use crate::hand_back::workload_ref;
use crate::policies::Entry;

impl Turn<'_> {
    /// Deletes the pod, with the decision in status before: an operator that is stopped between the two
    /// does the same again, and a pod's uid is there but once.
    pub(super) async fn replace(
        &self,
        entry: &mut Entry,
        mut next: ProbePolicyStatus,
        workload: &Workload,
        replace: &Replace,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        let tried = is_remembered(&entry.status, replace);
        let remember = |status: &mut ProbePolicyStatus, told| {
            replaced(status.memory.get_or_insert_default(), replace, now, told);
        };
        remember(&mut next, false);
        let before = self.persist(entry, next.clone()).await?;
        if before.metadata.generation != self.object.metadata.generation {
            // The policy changed meanwhile: its new generation decides, not this one.
            return Ok(Outcome::Outdated);
        }
        let client = &self.context.clients.api;
        let deleted = delete_pod(client, &workload.namespace, replace).await;
        let deleted = deleted.map_err(|source| Error::Pod {
            pod: replace.pod.clone(),
            source,
        })?;
        let outcome = match deleted {
            Deleted::Accepted => {
                self.tell_replaced(workload, &replace.sentence).await;
                remember(&mut next, true);
                Outcome::Replaced
            }
            Deleted::Outdated => {
                // An earlier try may have had its answer lost; then the pod's own end will tell. Otherwise
                // this deletion was not ours, or was none.
                if !tried {
                    forget(&mut next);
                }
                Outcome::Outdated
            }
            Deleted::Refused(sentence) => {
                if !tried {
                    forget(&mut next);
                }
                let message = format!(
                    "the API server refused to delete pod {}: {sentence}",
                    replace.pod
                );
                self.note_refusal(&mut next, message, now);
                Outcome::Refused
            }
        };
        entry.status = next;
        Ok(outcome)
    }

    /// Tells of a deletion whose answer nobody heard, once the pod is seen to go.
    pub(super) async fn settle_pod(
        &self,
        entry: &mut Entry,
        workload: &Workload,
        pods: &[PodView],
    ) {
        if let Some(sentence) = settle_replacement(&mut entry.status, pods) {
            self.tell_replaced(workload, &sentence).await;
        }
    }

    /// The events are out before status says so, as with a write: twice rather than never.
    async fn tell_replaced(&self, workload: &Workload, sentence: &str) {
        tracing::info!(reason = "PodReplaced", "{sentence}");
        let event = Event {
            warning: false,
            reason: "PodReplaced".to_owned(),
            message: sentence.to_owned(),
        };
        let (policy, target) = (self.object.object_ref(&()), workload_ref(workload));
        self.publish(policy.clone(), Some(target.clone()), &event);
        self.publish(target, Some(policy), &event);
        self.context.publisher.flush(TELLING).await;
    }
}

/// Whether the deletion of this very pod was decided before.
fn is_remembered(status: &ProbePolicyStatus, replace: &Replace) -> bool {
    let handover = status
        .memory
        .as_ref()
        .and_then(|memory| memory.handover.as_ref());
    let replaced = handover.and_then(|handover| handover.replaced.as_ref());
    replaced.is_some_and(|replaced| replaced.uid == replace.uid)
}

fn forget(status: &mut ProbePolicyStatus) {
    if let Some(handover) = status
        .memory
        .as_mut()
        .and_then(|memory| memory.handover.as_mut())
    {
        handover.replaced = None;
    }
}
