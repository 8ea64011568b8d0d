//! Pods that were created before the probes that new pods get: how many there are, and which of them may go.
//!
//! A pod that a probe keeps killing while it starts serves nobody, so it is deleted and its successor gets what
//! new pods get. All others stay until somebody else replaces them. Source: design, sections 8 and 9.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::{Memory, ProbePair, Reason, ReplacedPod, TargetKind};

use super::stuck::{SUCCESSION, Stuck, killed, ordinal};
use super::{Case, admission, sooner};
use crate::admission::Support;
use crate::condition::ConditionState;
use crate::decision::{Action, Decision, Replace};
use crate::gate::{Change, brake};
use crate::pod::PodView;
use crate::probes::budget;
use crate::workload::{ContainerProbes, Strategy};

/// API servers see a status some moments after it is written (measured: about 1 s). A pod that is created later
/// than this after it must have been given what it says.
const SEEN_BY_ALL: SignedDuration = SignedDuration::from_secs(8);
/// Where there are more pods than this, how many carry the probes is told in tenths: a status for each pod of a
/// large rollout would be too many.
const COUNTED_ONE_BY_ONE: usize = 20;

impl Case<'_> {
    /// Nothing has to change for new pods; perhaps for those that run.
    pub(super) fn settled(
        &self,
        settled: ConditionState,
        works: bool,
        decision: &mut Decision,
    ) -> ConditionState {
        if self.delivered == ProbePair::default() {
            return settled;
        }
        let given = budget(self.current);
        if !works {
            let kind = probepilot_api::ConditionType::Delivery;
            let text = format!(
                "new pods should have a startup budget of {given} s, but do not get it; see the {kind} condition"
            );
            return ConditionState::new(Reason::NotDelivered, text);
        }
        self.replace_behind(decision)
            .or_else(|| {
                let revision = self.delivered.revision();
                behind(self.carrying(self.current, Some(&revision)), given)
            })
            .unwrap_or(settled)
    }

    /// How many of the pods there are carry these probes, or were given that revision.
    pub(super) fn carrying(
        &self,
        probes: &ContainerProbes,
        revision: Option<&str>,
    ) -> (usize, usize) {
        let timings = |probe: &Option<crate::Probe>| probe.as_ref().map(|probe| probe.timings);
        let wanted = (timings(&probes.startup), timings(&probes.liveness));
        let (mut carrying, mut all) = (0, 0);
        for pod in self.staying() {
            let Some(view) = pod.containers.get(&self.template.name) else {
                continue;
            };
            all += 1;
            let given = revision.is_some() && self.revision_of(pod) == revision;
            carrying += usize::from(given || (view.startup, view.liveness) == wanted);
        }
        (carrying, all)
    }

    /// The least budget that the pods there are really have; without pods, what a new one gets.
    pub(super) fn carried_budget(&self, works: bool) -> Option<u32> {
        let views = self
            .staying()
            .filter_map(|pod| pod.containers.get(&self.template.name));
        let budgets: Vec<_> = views.map(|view| view.guard().budget_seconds()).collect();
        if budgets.is_empty() {
            let new = if works { self.current } else { self.template };
            return new.guard().budget_seconds();
        }
        // Without a probe nothing can kill the start: that is no small budget.
        budgets.into_iter().flatten().min()
    }

    /// Whether new pods of this target get their probes: the canary's word, unless its own pods say otherwise.
    pub(super) fn delivery(&self, memory: &Memory) -> ConditionState {
        let support = admission::support(&self.observation.admission.support);
        let Support::Ready { since } = self.observation.admission.support else {
            return support;
        };
        let Some(seen) = self
            .seen_by_all()
            .filter(|_| self.delivered != ProbePair::default())
        else {
            return support;
        };
        let from = seen.max(since);
        let (mut given, mut missed) = (0, 0);
        for pod in self.staying().filter(|pod| pod.created_at > Some(from)) {
            if self.carries(pod) {
                given += 1;
            } else if self.could_carry(pod) {
                missed += 1;
            }
        }
        let before = memory.handover.as_ref().and_then(|one| one.missed.clone());
        missed += usize::from(before.is_some_and(|at| at.0 > since));
        if given > 0 || missed < 2 {
            return support;
        }
        let text = format!(
            "{missed} new pods of {} came without their probes although a canary in the operator's namespace got them; look whether MutatingAdmissionPolicyBinding {} leaves out namespace {}, and whether a webhook takes the startupProbe away",
            self.workload.display(),
            probepilot_api::ADMISSION_POLICY,
            self.workload.namespace
        );
        ConditionState::new(Reason::AdmissionBroken, text)
    }

    /// Decides about killed pods with less than new ones get; the condition, where there is one.
    fn replace_behind(&self, decision: &mut Decision) -> Option<ConditionState> {
        let stuck: Vec<_> = self
            .stuck()
            .into_iter()
            .filter(|stuck| self.could_carry(stuck.pod))
            .collect();
        let first = stuck.first()?;
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
            match self.why_kept(stuck) {
                None => return Some(self.replace_one(stuck, decision)),
                Some((reason, why)) => {
                    let text = || format!("{}, {why}", killed(stuck));
                    kept.get_or_insert_with(|| ConditionState::new(reason, text()));
                }
            }
        }
        kept
    }

    /// Why this killed pod is not deleted: it served somebody, or its successor would differ by more than its
    /// probes.
    fn why_kept(&self, stuck: &Stuck<'_>) -> Option<(Reason, String)> {
        let (pod, namespace) = (stuck.pod, &self.workload.namespace);
        if !self.was_never_healthy(stuck) {
            let why = format!(
                "but it may have been healthy before, so it is left to its owner; if it serves nobody, write kubectl delete pod {} -n {namespace}",
                pod.name
            );
            return Some((Reason::PodKept, why));
        }
        // A Deployment's ReplicaSet makes its pods anew as they were.
        let as_it_was = match self.workload.kind {
            TargetKind::Deployment => true,
            TargetKind::StatefulSet | TargetKind::DaemonSet => {
                let kept_back =
                    ordinal(pod).is_some_and(|ordinal| ordinal < self.workload.revision.kept_below);
                kept_back || pod.template.is_some() && pod.template == self.workload.revision.mark
            }
        };
        if as_it_was {
            return None;
        }
        if self.workload.kind == TargetKind::DaemonSet
            && self.workload.strategy != Strategy::OnDelete
        {
            let why = "and is replaced by the rollout under way".to_owned();
            return Some((Reason::RollingOut, why));
        }
        let why = format!(
            "but a new one would get a change of its owner as well, so it is not deleted; delete it with kubectl delete pod {} -n {namespace} to roll out {} as it is",
            pod.name,
            self.workload.display()
        );
        Some((Reason::OwnerChangePending, why))
    }

    fn replace_one(&self, stuck: &Stuck<'_>, decision: &mut Decision) -> ConditionState {
        let wait = self.waits_for_others(stuck, &decision.memory);
        if let Some((wait, why)) = wait {
            decision.look_again = Some(sooner(decision.look_again, wait));
            let text = format!("{}; it is deleted {why}", killed(stuck));
            return ConditionState::new(Reason::ReplacingPod, text);
        }
        let sentence = format!(
            "{} and was never healthy; it is deleted, and the new one gets {} s as it is created",
            killed(stuck),
            budget(self.current)
        );
        let missed = self
            .seen_by_all()
            .is_some_and(|seen| stuck.pod.created_at > Some(seen))
            && !self.carries(stuck.pod);
        decision.action = Action::Replace(Replace {
            pod: stuck.pod.name.clone(),
            uid: stuck.pod.uid.clone(),
            resource_version: stuck.pod.resource_version.clone(),
            place: self.place_of(stuck.pod),
            sentence: sentence.clone(),
            missed,
        });
        ConditionState::new(Reason::ReplacingPod, sentence)
    }

    /// One at a time, and not before API servers know what a new pod gets.
    fn waits_for_others(
        &self,
        stuck: &Stuck<'_>,
        memory: &Memory,
    ) -> Option<(SignedDuration, &'static str)> {
        if let Some(seen) = self.seen_by_all() {
            let left = seen.duration_since(self.now);
            if left > SignedDuration::ZERO {
                return Some((left, "once every API server knows what new pods get"));
            }
        }
        if self.observation.pods.iter().any(|pod| pod.deleting) {
            return Some((SUCCESSION, "once the pod that is being deleted is gone"));
        }
        let handover = memory.handover.as_ref()?;
        let replaced = handover.replaced.as_ref()?;
        if replaced.uid == stuck.pod.uid {
            return None;
        }
        let left = SUCCESSION - self.now.duration_since(replaced.at.0);
        let starts = self
            .successors(replaced)
            .any(|pod| self.has_to_show_itself(pod));
        let missing = self.successors(replaced).next().is_none() && left > SignedDuration::ZERO;
        (starts || missing).then(|| {
            let wait = left.max(SignedDuration::from_secs(30));
            (wait, "once the pod replaced before it has started")
        })
    }

    /// Pods that may be what came of a deletion.
    fn successors<'b>(&'b self, replaced: &'b ReplacedPod) -> impl Iterator<Item = &'b PodView> {
        // Creation times are whole seconds.
        let since = replaced.at.0 - SignedDuration::from_secs(1);
        self.staying().filter(move |pod| {
            pod.uid != replaced.uid
                && pod.created_at >= Some(since)
                && self.place_of(pod) == replaced.place
        })
    }

    /// Whether its first start goes on.
    fn has_to_show_itself(&self, pod: &PodView) -> bool {
        let view = pod.containers.get(&self.template.name);
        pod.unscheduled.is_none()
            && view.is_some_and(|view| view.ended_lives() == 0 && !view.healthy_by(pod, self.now))
    }

    /// When every API server knows what new pods get.
    fn seen_by_all(&self) -> Option<Timestamp> {
        let write = self.prior.last_write.as_ref()?;
        Some(write.at.0 + SEEN_BY_ALL)
    }

    fn staying(&self) -> impl Iterator<Item = &PodView> {
        let pods = self.observation.pods.iter();
        pods.filter(|pod| !pod.deleting && pod.ended.is_none())
    }

    fn revision_of<'b>(&self, pod: &'b PodView) -> Option<&'b str> {
        pod.admitted_by(&self.observation.admission.policy)
    }

    fn carries(&self, pod: &PodView) -> bool {
        self.revision_of(pod) == Some(&self.delivered.revision())
    }

    /// Whether a pod like this is given probes: its liveness probe alone guards its start, or what it was given.
    fn could_carry(&self, pod: &PodView) -> bool {
        let view = pod.containers.get(&self.template.name);
        view.is_some_and(|view| {
            view.liveness.is_some() && (view.startup.is_none() || self.revision_of(pod).is_some())
        })
    }

    /// Where a pod's successor comes up.
    fn place_of(&self, pod: &PodView) -> String {
        match self.workload.kind {
            TargetKind::DaemonSet => pod.node.clone().unwrap_or_else(|| pod.name.clone()),
            TargetKind::StatefulSet => pod.name.clone(),
            TargetKind::Deployment => String::new(),
        }
    }
}

/// The condition where not all do.
pub(super) fn behind(
    (carrying, all): (usize, usize),
    budget_seconds: u32,
) -> Option<ConditionState> {
    if carrying == all {
        return None;
    }
    let (about, carrying) = if all > COUNTED_ONE_BY_ONE {
        let tenth = all / 10;
        ("at least ", carrying / tenth * tenth)
    } else {
        ("", carrying)
    };
    let text = format!(
        "{about}{carrying} of {all} running pods carry the current probes, with a startup budget of {budget_seconds} s; the others get them when they are next created"
    );
    Some(ConditionState::new(Reason::PodsBehind, text))
}
