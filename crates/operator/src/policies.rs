//! What the operator holds of each policy between two reconciles.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use probepilot_api::{Delivery, ProbePolicy, ProbePolicySpec, ProbePolicyStatus, TargetRef};
use probepilot_policy::{ConditionState, ContainerProbes, Policy, Refusal, Workload};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

use crate::counts::{CountSet, Counts};
use crate::hand_back::Place;
use crate::target::{TargetSnapshot, TargetWatch, Targets};

/// A policy's address in the controller.
pub type PolicyRef = ObjectRef<ProbePolicy>;

/// Wakes the reconcile of a policy.
#[derive(Clone, Debug)]
pub struct Wake(mpsc::UnboundedSender<PolicyRef>);

impl Wake {
    /// The two ends: whoever wakes, and the controller's trigger.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<PolicyRef>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Asks for a reconcile soon. Nothing happens once the controller is gone.
    pub fn wake(&self, policy: PolicyRef) {
        let _ = self.0.send(policy);
    }
}

/// The entry of a policy that is gone.
pub type Gone = Arc<AsyncMutex<Entry>>;

/// Every policy's entry.
#[derive(Default)]
pub struct Policies(Mutex<HashMap<PolicyRef, Arc<AsyncMutex<Entry>>>>);

impl Policies {
    /// The policy's entry, begun from its status when it is new or was created again; then also what was
    /// held of the one before.
    pub async fn entry(&self, policy: &ProbePolicy) -> (Arc<AsyncMutex<Entry>>, Option<Gone>) {
        let key = ObjectRef::from_obj(policy);
        let known = self.lock().get(&key).cloned();
        if let Some(entry) = &known
            && entry.lock().await.uid == policy.uid()
        {
            return (Arc::clone(entry), None);
        }
        let entry = Arc::new(AsyncMutex::new(Entry::new(policy)));
        self.lock().insert(key, Arc::clone(&entry));
        (entry, known)
    }

    /// Drops whatever is held of a policy that is gone; its watches end with it.
    pub fn forget(&self, policy: &PolicyRef) -> Option<Gone> {
        self.lock().remove(policy)
    }

    /// How many policies are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PolicyRef, Arc<AsyncMutex<Entry>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new policy's target should be read by then; else its status says that it is being read.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// What is held of one policy.
pub struct Entry {
    uid: Option<String>,
    /// Since when it is held.
    since: Instant,
    /// The workload that the policy names, where it writes to its template.
    template_of: Option<TargetRef>,
    /// Where it may have written something.
    holds: Option<Place>,
    /// The status as it stands in memory; ahead of the API server's by what is not worth a write.
    pub status: ProbePolicyStatus,
    /// The status as the API server has it.
    pub written: ProbePolicyStatus,
    /// Failed reconciles in a row.
    pub failures: u32,
    /// The policy's generation that failed, and until when it is not tried again.
    pub resting: Option<(Option<i64>, Instant)>,
    /// Target's UID and generation as the last write left it: what is older was seen before it.
    pub left_at: Option<(String, i64)>,
    /// What the policy scales, as far as others were told.
    pub claim: Option<Claim>,
    /// A write that was refused.
    pub refused: Option<Refused>,
    sources: Option<Arc<Sources>>,
}

/// What a policy scales; a younger policy must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The workload.
    pub target: TargetRef,
    /// The container, once it is known.
    pub container: Option<String>,
}

/// A write that the API server refused.
pub struct Refused {
    /// The policy's generation.
    pub generation: i64,
    /// The target's UID and generation.
    pub target: (String, i64),
    /// The probes.
    pub probes: ContainerProbes,
    /// The InSync condition that says so.
    pub condition: ConditionState,
    /// When to ask again.
    pub until: Instant,
}

impl Entry {
    fn new(policy: &ProbePolicy) -> Self {
        let status = policy.status.clone().unwrap_or_default();
        let mut entry = Self {
            uid: policy.uid(),
            since: Instant::now(),
            template_of: template_of(&policy.spec),
            holds: None,
            written: status.clone(),
            status,
            failures: 0,
            resting: None,
            left_at: None,
            claim: None,
            refused: None,
            sources: None,
        };
        entry.holds = entry.place(&policy.namespace().unwrap_or_default());
        entry
    }

    /// How long a policy that nothing was reported of yet has still to wait for a first look at its target;
    /// `None` when something was, or when that takes too long. A thousand new policies then have their
    /// targets' watches at once, and each one status instead of two.
    #[must_use]
    pub fn first_look(&self) -> Option<Duration> {
        let unreported = self.written.observed_generation.is_none();
        let left = FIRST_LOOK.checked_sub(self.since.elapsed());
        left.filter(|left| unreported && !left.is_zero())
    }

    /// Takes in what the policy names now.
    pub fn names(&mut self, spec: &ProbePolicySpec) {
        self.template_of = template_of(spec);
    }

    /// The container that is scaled, as far as it was found out.
    #[must_use]
    pub fn container(&self) -> Option<String> {
        self.status.container.clone()
    }

    /// Where the policy has, or had, something written.
    #[must_use]
    pub fn place(&self, namespace: &str) -> Option<Place> {
        let target = self.template_of.clone()?;
        let same = self.status.target.as_ref() == Some(&target.display());
        Some(Place {
            namespace: namespace.to_owned(),
            container: self.container().filter(|_| same)?,
            target,
        })
    }

    /// Where the policy may have written something and has no business any more: it names another target or
    /// container by now, or delivers by Admission. Said once.
    pub fn left(&mut self, namespace: &str) -> Option<Place> {
        let now = self.place(namespace);
        let held = self.holds.as_ref();
        let unknown = now.is_none() && held.map(|held| &held.target) == self.template_of.as_ref();
        if unknown {
            return None;
        }
        let before = std::mem::replace(&mut self.holds, now);
        before.filter(|before| self.holds.as_ref() != Some(before))
    }

    /// Whether the target is seen as it was before the last write, which its watch has not told yet.
    #[must_use]
    pub fn precedes_our_write(&self, workload: &Workload) -> bool {
        let written = self.left_at.as_ref();
        written.is_some_and(|(uid, generation)| {
            *uid == workload.uid && workload.generation < *generation
        })
    }

    /// The refusal that still stands for this generation of policy and target.
    #[must_use]
    pub fn refusal(&self, generation: i64, workload: &Workload) -> Option<Refusal> {
        let refused = self.refused.as_ref()?;
        let same = refused.generation == generation
            && refused.target.0 == workload.uid
            && refused.target.1 == workload.generation;
        let left = refused.until.checked_duration_since(Instant::now());
        let retry_in = left.and_then(|left| left.try_into().ok())?;
        same.then(|| Refusal {
            probes: refused.probes.clone(),
            condition: refused.condition.clone(),
            retry_in,
        })
    }

    /// Follows what the policy names and counts, and wakes its reconcile when any of it changes.
    pub fn follow(
        &mut self,
        from: &Followed<'_>,
        key: &PolicyRef,
        policy: &Policy,
    ) -> Arc<Sources> {
        if let Some(sources) = &self.sources
            && sources.follows(policy)
        {
            return Arc::clone(sources);
        }
        // The old ones end after this: watches and counts that both have go on without a gap.
        let sources = Arc::new(Sources::start(from, key, policy));
        self.sources = Some(Arc::clone(&sources));
        sources
    }
}

fn template_of(spec: &ProbePolicySpec) -> Option<TargetRef> {
    let template = spec.apply.delivery == Delivery::Template;
    template.then(|| spec.target_ref.clone())
}

/// Where targets and counts come from.
pub struct Followed<'a> {
    /// All target watches.
    pub targets: &'a Targets,
    /// All counts.
    pub counts: &'a Counts,
    /// Who is woken.
    pub wake: &'a Wake,
}

/// The watches and counts of one policy.
pub struct Sources {
    policy: Policy,
    target: TargetWatch,
    counts: CountSet,
    forward: JoinHandle<()>,
}

impl Sources {
    fn start(from: &Followed<'_>, key: &PolicyRef, policy: &Policy) -> Self {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        let target = from.targets.watch(namespace, &policy.target);
        let mut counts = CountSet::new(from.counts.clone());
        counts.set(&policy.counted());
        let (mut target_changes, mut count_changes) = (target.clone(), counts.clone());
        let (wake, key) = (from.wake.clone(), key.clone());
        let forward = async move {
            loop {
                tokio::select! {
                    () = target_changes.changed() => {}
                    () = count_changes.changed() => {}
                }
                wake.wake(key.clone());
            }
        };
        Self {
            policy: policy.clone(),
            target,
            counts,
            forward: tokio::spawn(forward.in_current_span()),
        }
    }

    fn follows(&self, policy: &Policy) -> bool {
        self.policy.target == policy.target && self.policy.counted() == policy.counted()
    }

    /// What is known of the target now.
    #[must_use]
    pub fn target(&self) -> TargetSnapshot {
        self.target.snapshot()
    }

    /// The counts of the policy's rules, or of all pods where there are none.
    #[must_use]
    pub fn counts(&self) -> &CountSet {
        &self.counts
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.forward.abort();
    }
}
