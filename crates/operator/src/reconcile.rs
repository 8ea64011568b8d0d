//! Reconcile of one policy: observe, decide, act, report.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::controller::Action as Next;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use probepilot_api::{Delivery, ProbePolicy, ProbePolicyStatus, Reason};
use probepilot_policy::{
    Action, Brake, ConditionState, Decision, Event, Observation, Policy, Support, Target, decide,
    status, worth_writing,
};
use tokio::time::Instant;

use crate::act::write_status;
use crate::admission::is_canary;
use crate::context::{Context, key};
use crate::events::{Notice, NoticeType};
use crate::hand_back::HandBackError;
use crate::namespaces;
use crate::observe::observe;
use crate::policies::{Claim, Entry, PolicyRef, Sources};

mod leave;
mod replace;
mod tally;
mod write;

/// Everything is looked at again after so long, whatever was heard meanwhile.
const RESYNC: Duration = Duration::from_mins(5);
/// After a write, or one that came too late, the watches bring news within a moment.
const SOON: Duration = Duration::from_secs(1);
/// A refused write is tried again after so long; somebody has to change something first.
const REFUSED_RETRY: Duration = Duration::from_mins(1);
/// Waits after failed reconciles double up to this. The whole process is slowed down together when
/// the API server refuses requests, and everything must be back within 30 s after that.
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Why a reconcile did not come to its end. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy's status could not be written.
    #[error("writing the status failed: {0}")]
    Status(#[source] kube::Error),
    /// The target's probes could not be written, and it is not known whether they were.
    #[error("writing the probes of {target} failed: {source}")]
    Probes {
        /// The target, as kubectl addresses it.
        target: String,
        /// What happened.
        source: kube::Error,
    },
    /// The target could not be let go, or not to the end.
    #[error("letting {target} go failed: {source}")]
    HandBack {
        /// The target, as kubectl addresses it.
        target: String,
        /// What happened.
        source: Box<HandBackError>,
    },
    /// The policy's finalizer could not be changed.
    #[error("changing the policy's finalizer failed: {0}")]
    Finalizer(#[source] kube::Error),
    /// A pod could not be deleted, and it is not known whether it was.
    #[error("deleting pod {pod} failed: {source}")]
    Pod {
        /// The pod.
        pod: String,
        /// What happened.
        source: kube::Error,
    },
    /// The namespace could not be read.
    #[error("reading namespace {namespace} for its ignore annotation failed: {source}")]
    Namespace {
        /// The namespace.
        namespace: String,
        /// What happened.
        source: kube::Error,
    },
}

/// A reconcile that failed, and how long to wait before the next.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Failed {
    #[source]
    error: Error,
    wait: Duration,
}

/// How a reconcile ended, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Kept,
    Wrote,
    Replaced,
    Outdated,
    Refused,
    Invalid,
    HandedBack,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Wrote => "wrote",
            Self::Replaced => "replaced",
            Self::Outdated => "outdated",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
            Self::HandedBack => "handed_back",
        }
    }

    fn next(self, look_again: Option<SignedDuration>) -> Next {
        let wait = match self {
            Self::Kept | Self::Invalid | Self::HandedBack => RESYNC,
            Self::Wrote | Self::Replaced | Self::Outdated => SOON,
            Self::Refused => REFUSED_RETRY,
        };
        let asked = look_again.map(|wait| Duration::try_from(wait).unwrap_or_default().max(SOON));
        Next::requeue(asked.map_or(wait, |asked| asked.min(wait)))
    }
}

/// One reconcile.
///
/// # Errors
/// When the API server cannot be asked or fails; what was not done is decided anew.
#[tracing::instrument(skip_all, name = "policy", fields(
    policy = %format_args!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
    target = %object.spec.target_ref.display(),
))]
pub async fn reconcile(object: Arc<ProbePolicy>, context: Arc<Context>) -> Result<Next, Failed> {
    let started = Instant::now();
    if is_canary(&context.clients.api, &ObjectRef::from_obj(object.as_ref())) {
        return Ok(Next::await_change());
    }
    let (entry, before) = context.policies.entry(&object).await;
    if let Some(before) = before {
        context.bid_farewell(&ObjectRef::from_obj(object.as_ref()), before);
    }
    let mut entry = entry.lock().await;
    context.metrics.policies(context.policies.len());
    // A failure may have written status, which wakes this reconcile: that must not cut its wait short.
    if let Some((generation, until)) = entry.resting
        && generation == object.metadata.generation
        && let Some(rest) = until.checked_duration_since(started)
    {
        return Ok(Next::requeue(rest));
    }
    let turn = Turn {
        context: &context,
        object: &object,
        key: ObjectRef::from_obj(object.as_ref()),
    };
    let result = turn.take(&mut entry).await;
    let outcome = result
        .as_ref()
        .map_or("failed", |(outcome, _)| outcome.as_str());
    context.metrics.reconciled(outcome, started.elapsed());
    match result {
        Ok((outcome, look_again)) => {
            entry.failures = 0;
            entry.resting = None;
            Ok(outcome.next(look_again))
        }
        Err(error) => {
            entry.failures = entry.failures.saturating_add(1);
            let wait = SOON.saturating_mul(1 << entry.failures.min(6));
            let wait = wait.min(LONGEST_BACKOFF);
            entry.resting = Some((object.metadata.generation, Instant::now() + wait));
            Err(Failed { error, wait })
        }
    }
}

/// When to try a failed reconcile again.
#[must_use]
pub fn after_failure(object: &ProbePolicy, failed: &Failed, context: &Context) -> Next {
    let policy = format!(
        "{}/{}",
        object.namespace().unwrap_or_default(),
        object.name_any()
    );
    tracing::warn!(policy, "reconcile failed and is tried again: {failed}");
    context.give_back(&ObjectRef::from_obj(object));
    Next::requeue(failed.wait)
}

/// One policy's turn.
struct Turn<'a> {
    context: &'a Context,
    object: &'a ProbePolicy,
    key: PolicyRef,
}

type Ended = (Outcome, Option<SignedDuration>);

impl Turn<'_> {
    async fn take(&self, entry: &mut Entry) -> Result<Ended, Error> {
        entry.names(&self.object.spec);
        let policy = match Policy::try_from(&self.object.spec) {
            Ok(policy) => policy,
            Err(error) => {
                if let Some(ended) = self.leave_unread(entry).await? {
                    return Ok(ended);
                }
                return self.refuse(entry, &error.to_string()).await;
            }
        };
        let sources = entry.follow(&self.context.followed(), &self.key, &policy);
        let mut observation = observe(self.context, self.object, &policy, entry, &sources).await;
        if self.is_no_news(entry, &policy, &observation, &sources) {
            return Ok((Outcome::Kept, None));
        }
        if observation.target == Target::Unread
            && let Some(left) = entry.first_look()
        {
            let left = SignedDuration::try_from(left).ok();
            return Ok((Outcome::Kept, left));
        }
        if let Target::Found(workload) = &observation.target {
            if entry.precedes_our_write(workload) {
                return Ok((Outcome::Kept, Some(SignedDuration::ZERO)));
            }
            self.settle(entry, workload).await;
            self.settle_pod(entry, workload, &observation.pods).await;
        }
        let now = Timestamp::now();
        let prior = entry.status.clone();
        let decision = self.decide(&policy, &mut observation, &prior, now).await?;
        let mut next = status(&policy, &decision, &prior, observation.generation, now);
        let look_again = decision.look_again;
        if let Some(outcome) = self.leave(entry, &mut next, &decision, now).await? {
            return Ok((outcome, look_again));
        }
        let acted = match (&decision.action, &observation.target) {
            (Action::Write(write), Target::Found(workload)) => {
                self.act(entry, next, workload, write, now).await
            }
            (Action::Admit(write), Target::Found(workload)) => {
                self.admit(entry, next, workload, write, now).await
            }
            (Action::Replace(replace), Target::Found(workload)) => {
                self.replace(entry, next, workload, replace, now).await
            }
            _ => {
                entry.status = next;
                Ok(Outcome::Kept)
            }
        };
        tally::tally(&self.context.metrics, &decision, &prior, &entry.status);
        let outcome = acted?;
        self.report(entry, &decision.events, now).await?;
        let container = entry.status.container.clone();
        let target = policy.target;
        self.claim(entry, Some(Claim { target, container }));
        let namespace = self.object.namespace().unwrap_or_default();
        if let Some(left) = entry.left(&namespace) {
            self.context.leave_place(left);
        }
        Ok((outcome, look_again))
    }

    /// A target or a count that is being read, or a delivery that is being tried, is no news: what was reported of the same stands until
    /// it is known, so that neither a restart nor a new watch writes any status.
    fn is_no_news(
        &self,
        entry: &Entry,
        policy: &Policy,
        observation: &Observation,
        sources: &Sources,
    ) -> bool {
        let status = &entry.status;
        let reported = status.startup.is_some() && status.target == Some(policy.target.display());
        let counting = status.observed_generation == self.object.metadata.generation
            && !sources.counts().read();
        let trying = policy.delivery == Delivery::Admission
            && observation.admission.support == Support::Untried;
        reported && (observation.target == Target::Unread || counting || trying)
    }

    /// Tells others when what this policy scales is not what they know.
    fn claim(&self, entry: &mut Entry, claim: Option<Claim>) {
        if entry.claim == claim {
            return;
        }
        let before = std::mem::replace(&mut entry.claim, claim);
        let claims = [&before, &entry.claim];
        self.context.wake_others(&self.key, |target| {
            let mut claims = claims.into_iter().flatten();
            claims.any(|claim| claim.target == *target)
        });
    }

    /// Decides, and asks the rollout queue where the decision wants a slot. The namespace's ignore
    /// annotation is looked up only when there is something to write.
    async fn decide(
        &self,
        policy: &Policy,
        observation: &mut Observation,
        prior: &ProbePolicyStatus,
        now: Timestamp,
    ) -> Result<Decision, Error> {
        let key = key(&self.key);
        observation.slot = self.context.queue().slot(&key, now);
        let mut decision = decide(policy, observation, prior, now);
        let touches = decision.action != Action::None || decision.leave.hand_back.is_some();
        if touches && observation.brake.is_none() {
            observation.brake = self.namespace_brake().await?;
            decision = decide(policy, observation, prior, now);
        }
        if let Action::Queue(priority) = decision.action {
            let slot = {
                let mut queue = self.context.queue();
                queue.ask(key.clone(), priority);
                queue.slot(&key, now)
            };
            observation.slot = slot;
            decision = decide(policy, observation, prior, now);
        }
        if decision.action == Action::None {
            if observation.brake == Some(Brake::NamespaceIgnored) {
                // Nobody tells when the annotation goes.
                let again = SignedDuration::try_from(namespaces::FRESH).ok();
                decision.look_again = decision.look_again.or(again).min(again);
            }
            let rolling = matches!(&observation.target, Target::Found(workload) if workload.rollout.in_progress);
            self.context.queue().settle(&key, rolling);
            self.context.wake_next();
        }
        Ok(decision)
    }

    async fn namespace_brake(&self) -> Result<Option<Brake>, Error> {
        let namespace = self.object.namespace().unwrap_or_default();
        let ignored = self.context.namespaces.ignored(&namespace).await;
        let ignored = ignored.map_err(|source| Error::Namespace { namespace, source })?;
        Ok(ignored.then_some(Brake::NamespaceIgnored))
    }

    fn publish(&self, regarding: ObjectReference, related: Option<ObjectReference>, event: &Event) {
        self.context.publisher.publish(Notice {
            regarding,
            related,
            type_: if event.warning {
                NoticeType::Warning
            } else {
                NoticeType::Normal
            },
            reason: event.reason.clone(),
            action: "Reconcile".to_owned(),
            note: event.message.clone(),
        });
    }

    /// A spec that cannot be read is a condition, not a crash loop.
    async fn refuse(&self, entry: &mut Entry, problem: &str) -> Result<Ended, Error> {
        let now = Timestamp::now();
        let state = ConditionState::new(Reason::InvalidSpec, problem);
        self.context.give_back(&self.key);
        self.claim(entry, None);
        let generation = self.object.metadata.generation.unwrap_or_default();
        let news = state.is_news(&entry.status.conditions);
        entry.status = ProbePolicyStatus {
            observed_generation: Some(generation),
            conditions: vec![state.render(&entry.status.conditions, generation, now)],
            memory: entry.status.memory.clone(),
            last_write: entry.status.last_write.clone(),
            ..ProbePolicyStatus::default()
        };
        let event = Event {
            warning: true,
            reason: Reason::InvalidSpec.to_string(),
            message: problem.to_owned(),
        };
        self.report(
            entry,
            if news {
                std::slice::from_ref(&event)
            } else {
                &[]
            },
            now,
        )
        .await?;
        Ok((Outcome::Invalid, None))
    }

    /// Publishes what is news, and writes the status where that is worth a write.
    async fn report(
        &self,
        entry: &mut Entry,
        events: &[Event],
        now: Timestamp,
    ) -> Result<(), Error> {
        let startup = entry.status.startup.as_ref();
        let need = startup.and_then(|startup| startup.need_seconds);
        let budget = startup.and_then(|startup| startup.budget_seconds);
        let namespace = self.object.namespace().unwrap_or_default();
        self.context
            .metrics
            .policy(&namespace, &self.object.name_any(), need, budget);
        for event in events {
            tracing::info!(
                reason = event.reason,
                warning = event.warning,
                "{}",
                event.message
            );
            self.publish(self.object.object_ref(&()), None, event);
        }
        if worth_writing(&entry.written, &entry.status, now) {
            self.persist(entry, entry.status.clone()).await?;
        }
        Ok(())
    }

    async fn persist(
        &self,
        entry: &mut Entry,
        status: ProbePolicyStatus,
    ) -> Result<ProbePolicy, Error> {
        let after = write_status(&self.context.clients.api, self.object, &status).await;
        let after = after.map_err(Error::Status)?;
        entry.written = status.clone();
        entry.status = status;
        Ok(after)
    }
}
