//! A killed pod that no rollout will replace: it keeps the probes that killed it, whatever the template
//! says, until it is deleted. Source: design, section 8.

use jiff::SignedDuration;
use probepilot_api::{Handover, Reason, ReplacedPod, TargetKind};

use super::{Case, sooner};
use crate::condition::ConditionState;
use crate::decision::{Action, Decision, Replace};
use crate::gate::{Change, brake};
use crate::pod::{ContainerView, PodView};
use crate::probes::budget;
use crate::workload::Strategy;

/// A successor that does not come within this time holds up nobody else.
pub(super) const SUCCESSION: SignedDuration = SignedDuration::from_mins(10);

/// A killed pod whose own probes give less than the template.
#[derive(Clone, Copy)]
pub(super) struct Stuck<'a> {
    pub pod: &'a PodView,
    pub view: &'a ContainerView,
    pub budget_seconds: u32,
}

/// Why a killed pod is not deleted now.
enum Kept {
    /// It is not known yet; the next look will tell.
    NotYet,
    /// For as long as nobody changes something.
    For(Reason, String),
}

impl Case<'_> {
    /// The template is as it should be; so may every killed pod be.
    pub(super) fn hand_over(&self, settled: ConditionState, decision: &mut Decision) {
        let condition = self.replace_killed(decision).unwrap_or(settled);
        decision.conditions.push(condition);
    }

    /// Decides about killed pods with less than the template has; the condition, where there is one.
    fn replace_killed(&self, decision: &mut Decision) -> Option<ConditionState> {
        let stuck = self.stuck();
        let first = stuck.first()?;
        match self.workload.kind {
            TargetKind::Deployment => return self.paused(first),
            // The controller itself deletes pods that are not available, budget or not.
            TargetKind::DaemonSet if self.workload.strategy != Strategy::OnDelete => return None,
            TargetKind::DaemonSet | TargetKind::StatefulSet => {}
        }
        let summary = format!(
            "{}; it should be deleted, so that a new one gets {} s",
            killed(first),
            budget(self.current)
        );
        let change = Change {
            summary: &summary,
            urgent: true,
            window_left: SignedDuration::ZERO,
            interval: (0, None),
            held_back: None,
        };
        if let Some(closed) = brake(self.policy, self.observation, self.workload, &change) {
            return Some(closed.condition);
        }
        let mut kept = None;
        for stuck in &stuck {
            match self.may_go(stuck, decision.memory.handover.as_ref()) {
                Ok(()) => return Some(self.replace(stuck, decision)),
                Err(Kept::NotYet) => {}
                Err(Kept::For(reason, why)) => {
                    let text = || format!("{}, {why}", killed(stuck));
                    kept.get_or_insert_with(|| ConditionState::new(reason, text()));
                }
            }
        }
        kept
    }

    /// Killed pods with less than the template has, in order of their names.
    pub(super) fn stuck(&self) -> Vec<Stuck<'_>> {
        let present = budget(self.current);
        let mut stuck: Vec<_> = self
            .observation
            .pods
            .iter()
            .filter(|pod| self.kills.killed_pods.contains(&pod.uid))
            .filter_map(|pod| {
                let view = pod.containers.get(&self.current.name)?;
                let budget_seconds = view.guard().budget_seconds()?;
                (budget_seconds < present).then_some(Stuck {
                    pod,
                    view,
                    budget_seconds,
                })
            })
            .collect();
        stuck.sort_by_key(|stuck| (ordinal(stuck.pod), stuck.pod.name.clone()));
        stuck
    }

    fn paused(&self, stuck: &Stuck<'_>) -> Option<ConditionState> {
        let text = || {
            format!(
                "{} and keeps it, because {} is paused; resume its rollouts, and a new pod gets {} s",
                killed(stuck),
                self.workload.display(),
                budget(self.current)
            )
        };
        let rollout = self.workload.rollout;
        (rollout.paused && rollout.in_progress).then(|| ConditionState::new(Reason::Paused, text()))
    }

    /// Whether a deletion of this pod gives it the template's budget and does nothing else.
    fn may_go(&self, stuck: &Stuck<'_>, handover: Option<&Handover>) -> Result<(), Kept> {
        let (name, below) = (&stuck.pod.name, self.workload.revision.kept_below);
        if ordinal(stuck.pod).is_some_and(|ordinal| ordinal < below) {
            return Err(Kept::For(
                Reason::Partitioned,
                format!(
                    "but the partition keeps pods below ordinal {below} on the template before, even new ones; lower spec.updateStrategy.rollingUpdate.partition"
                ),
            ));
        }
        if !self.was_never_healthy(stuck) {
            return Err(Kept::For(
                Reason::PodKept,
                format!(
                    "but it may have been healthy before, so it is left to its owner; if it serves nobody, write kubectl delete pod {name} -n {}",
                    self.workload.namespace
                ),
            ));
        }
        self.differs_by_our_write(stuck, handover)?;
        let replaced = handover.and_then(|handover| handover.replaced.as_ref());
        match replaced {
            Some(replaced) if replaced.uid == stuck.pod.uid => Ok(()),
            Some(replaced) if replaced.place == self.place(stuck.pod) => Err(Kept::For(
                Reason::PodKept,
                "although the pod before it was deleted for the same; a pod is deleted once for each budget written".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Without a startup and a readiness probe nothing shows health; then every life has to be known as
    /// killed while it started.
    pub(super) fn was_never_healthy(&self, stuck: &Stuck<'_>) -> bool {
        let (pod, view) = (stuck.pod, stuck.view);
        if view.startup.is_some() || view.has_readiness {
            return pod.was_never_ready();
        }
        let known = i32::try_from(self.kills.start_kills_of(&pod.uid)).unwrap_or(i32::MAX);
        known >= view.ended_lives()
    }

    fn differs_by_our_write(
        &self,
        stuck: &Stuck<'_>,
        handover: Option<&Handover>,
    ) -> Result<(), Kept> {
        let unknown = |why: &str| {
            let target = self.workload.display();
            Err(Kept::For(
                Reason::OwnerChangePending,
                format!(
                    "but {why}, so it is not deleted; delete it with kubectl delete pod {} -n {} to roll out {target} as it is",
                    stuck.pod.name, self.workload.namespace
                ),
            ))
        };
        let Some(handover) = handover else {
            return unknown(
                "it is not known that a new one would differ by probepilot's write alone",
            );
        };
        let Some(mark) = &self.workload.revision.mark else {
            // The target's controller has not seen the template yet.
            return Err(Kept::NotYet);
        };
        let Some(made_from) = &stuck.pod.template else {
            return unknown("it does not say which template it was made from");
        };
        if handover.written.as_ref() != Some(mark) {
            return unknown("its owner changed the template after probepilot's write");
        }
        if !handover.earlier.contains(made_from) {
            return unknown("a new one would get a change of its owner as well");
        }
        Ok(())
    }

    fn replace(&self, stuck: &Stuck<'_>, decision: &mut Decision) -> ConditionState {
        let handover = decision.memory.handover.as_ref();
        let replaced = handover.and_then(|handover| handover.replaced.as_ref());
        let sentence = format!(
            "{} and was never healthy; it is deleted, because no rollout replaces it, and the new one gets {} s",
            killed(stuck),
            budget(self.current)
        );
        if let Some(wait) = self.waits(stuck, replaced) {
            decision.look_again = Some(sooner(decision.look_again, wait));
            let text = format!(
                "{}; it is deleted once the pod replaced before it has started",
                killed(stuck)
            );
            return ConditionState::new(Reason::ReplacingPod, text);
        }
        let condition = ConditionState::new(Reason::ReplacingPod, sentence.clone());
        decision.action = Action::Replace(Replace {
            pod: stuck.pod.name.clone(),
            uid: stuck.pod.uid.clone(),
            resource_version: stuck.pod.resource_version.clone(),
            place: self.place(stuck.pod),
            sentence,
            missed: false,
        });
        condition
    }

    /// One at a time: how long to wait for a pod that goes, or for the first start of its successor.
    fn waits(&self, stuck: &Stuck<'_>, replaced: Option<&ReplacedPod>) -> Option<SignedDuration> {
        let mut pods = self.observation.pods.iter();
        if pods.any(|pod| pod.deleting) {
            return Some(SUCCESSION);
        }
        let replaced = replaced.filter(|replaced| replaced.uid != stuck.pod.uid)?;
        let left = SUCCESSION - self.now.duration_since(replaced.at.0);
        let mut pods = self.observation.pods.iter();
        let successor = pods.find(|pod| self.place(pod) == replaced.place);
        let starts = match successor {
            None => left > SignedDuration::ZERO,
            Some(pod) => {
                let view = pod.containers.get(&self.current.name);
                pod.unscheduled.is_none()
                    && view.is_some_and(|view| {
                        view.ended_lives() == 0 && !view.healthy_by(pod, self.now)
                    })
            }
        };
        starts.then(|| left.max(SignedDuration::from_secs(1)))
    }

    /// Where a pod's successor comes up.
    fn place(&self, pod: &PodView) -> String {
        match self.workload.kind {
            TargetKind::DaemonSet => pod.node.clone().unwrap_or_else(|| pod.name.clone()),
            TargetKind::StatefulSet | TargetKind::Deployment => pod.name.clone(),
        }
    }
}

/// What a pod suffers, as the beginning of a sentence.
pub(super) fn killed(stuck: &Stuck<'_>) -> String {
    format!(
        "pod {} was killed by its probe under a startup budget of {} s",
        stuck.pod.name, stuck.budget_seconds
    )
}

/// The number at the end of the name of a StatefulSet's pod.
pub(super) fn ordinal(pod: &PodView) -> Option<i64> {
    let (_, ordinal) = pod.name.rsplit_once('-')?;
    ordinal.parse().ok()
}
