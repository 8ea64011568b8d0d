//! What is remembered of the way from a written template to pods that no rollout replaces.
//!
//! A successor differs from a killed pod by our writes alone when the pod carries a revision from which
//! our writes led, one after the other and with nothing between, to the template as it is now.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::{Handover, Intent, Memory, ProbePolicyStatus, ReplacedPod, TargetKind};

use crate::decision::Replace;
use crate::pod::PodView;
use crate::workload::Workload;

/// Revisions remembered (schema: maxItems of status.memory.handover.earlier).
const REMEMBERED: usize = 16;

/// Remembers a write that was accepted and left the target at `generation`.
pub fn after_write(
    memory: &mut Memory,
    kind: TargetKind,
    intent: &Intent,
    generation: Option<i64>,
) {
    let before = memory.handover.take();
    let alone = intent.generation.map(|generation| generation + 1);
    let Some(generation) = generation.filter(|now| Some(*now) == alone) else {
        // Somebody else changed the target before this was seen.
        return;
    };
    if kind == TargetKind::Deployment {
        return;
    }
    let follows = |before: &Handover| {
        let same = before.written.is_some() && before.written == intent.template;
        before.target_uid == intent.target_uid
            && (same || Some(before.generation) == intent.generation)
    };
    let mut earlier = before
        .filter(follows)
        .map_or_else(Vec::new, |before| before.earlier);
    earlier.extend(intent.template.clone());
    earlier.drain(..earlier.len().saturating_sub(REMEMBERED));
    let next = |mark: &String| Some((mark.parse::<i64>().ok()? + 1).to_string());
    memory.handover = Some(Handover {
        target_uid: intent.target_uid.clone(),
        generation,
        earlier,
        // A DaemonSet counts its templates; a StatefulSet's controller has to name its own.
        written: intent
            .template
            .as_ref()
            .filter(|_| kind == TargetKind::DaemonSet)
            .and_then(next),
        replaced: None,
        missed: None,
    });
}

/// Takes in what the target says of the written template.
pub(crate) fn learn(memory: &mut Memory, workload: &Workload) {
    let same = |handover: &Handover| handover.target_uid == workload.uid;
    memory.handover = memory.handover.take().filter(same);
    if let Some(handover) = &mut memory.handover
        && handover.written.is_none()
        && handover.generation == workload.generation
    {
        handover.written.clone_from(&workload.revision.mark);
    }
}

/// Remembers a deletion, decided or done.
pub fn replaced(memory: &mut Memory, replace: &Replace, at: Timestamp, told: bool) {
    if let Some(handover) = &mut memory.handover {
        if replace.missed {
            handover.missed = Some(Time(at));
        }
        handover.replaced = Some(ReplacedPod {
            place: replace.place.clone(),
            uid: replace.uid.clone(),
            at: Time(at),
            reason: replace.sentence.clone(),
            told,
        });
    }
}

/// Looks whether a pod whose deletion was decided is gone, for an operator that was stopped or had no
/// answer. Returns the sentence to tell, once. `pods` are all of the target's.
pub fn settle_replacement(status: &mut ProbePolicyStatus, pods: &[PodView]) -> Option<String> {
    let handover = status.memory.as_mut()?.handover.as_mut()?;
    let replaced = handover
        .replaced
        .as_mut()
        .filter(|replaced| !replaced.told)?;
    if pods
        .iter()
        .any(|pod| pod.uid == replaced.uid && !pod.deleting)
    {
        return None;
    }
    replaced.told = true;
    Some(replaced.reason.clone())
}
