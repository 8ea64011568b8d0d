//! What every reconcile shares.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::Store;
use probepilot_api::{ProbePolicy, TargetRef};
use probepilot_policy::{PolicyKey, RolloutQueue};

use crate::admission::{AdmissionPace, Admissions};
use crate::client::Clients;
use crate::counts::Counts;
use crate::events::{PodEvents, Publisher};
use crate::farewell::Farewells;
use crate::hand_back::Place;
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::policies::{Followed, Gone, Policies, PolicyRef, Wake};
use crate::target::Targets;
use crate::usage::Usages;

/// How the operator works on policies.
#[derive(Clone, Debug)]
pub struct PolicyOptions {
    /// Namespace whose policies are worked on; `None` is all.
    pub namespace: Option<String>,
    /// Write nothing to any workload.
    pub read_only: bool,
    /// Proactive rollouts at a time.
    pub max_parallel_rollouts: usize,
    /// Time between two reads of one count.
    pub count_interval: Duration,
    /// How often delivery Admission is looked at.
    pub admission: AdmissionPace,
}

/// What every reconcile shares.
pub struct Context {
    /// Clients.
    pub clients: Clients,
    /// Options.
    pub options: PolicyOptions,
    /// What the operator measures of itself.
    pub metrics: Metrics,
    /// All policies, as the controller's cache has them.
    pub store: Store<ProbePolicy>,
    /// What is held of each policy.
    pub policies: Policies,
    /// Target watches.
    pub targets: Targets,
    /// Count pollers.
    pub counts: Counts,
    /// Namespaces that are annotated to be left alone.
    pub namespaces: Namespaces,
    /// Reads pods' events.
    pub pod_events: PodEvents,
    /// Reads what pods in trouble use.
    pub usages: Usages,
    /// Whether delivery Admission works.
    pub admissions: Admissions,
    /// Publishes events.
    pub publisher: Publisher,
    /// Wakes reconciles.
    pub wake: Wake,
    /// Workloads to let go.
    pub farewells: Farewells,
    queue: Mutex<RolloutQueue>,
}

impl Context {
    /// Wires everything to `clients`; nothing is asked of the API server yet. Must be called within a tokio
    /// runtime.
    #[must_use]
    pub fn new(
        clients: Clients,
        options: PolicyOptions,
        metrics: Metrics,
        store: Store<ProbePolicy>,
        publisher: Publisher,
        wake: Wake,
        farewells: Farewells,
    ) -> Self {
        let client = clients.api.clone();
        Self {
            admissions: Admissions::start(
                client.clone(),
                options.admission,
                store.clone(),
                wake.clone(),
            ),
            targets: Targets::new(client.clone()),
            counts: Counts::new(client.clone(), metrics.clone(), options.count_interval),
            namespaces: Namespaces::new(client.clone()),
            pod_events: PodEvents::new(client.clone()),
            usages: Usages::new(client),
            policies: Policies::default(),
            queue: Mutex::new(RolloutQueue::new(options.max_parallel_rollouts)),
            clients,
            options,
            metrics,
            store,
            publisher,
            wake,
            farewells,
        }
    }

    /// Where a policy's targets and counts come from.
    #[must_use]
    pub fn followed(&self) -> Followed<'_> {
        Followed {
            targets: &self.targets,
            counts: &self.counts,
            wake: &self.wake,
        }
    }

    /// The rollout queue. The guard must not be held over an await.
    pub fn queue(&self) -> MutexGuard<'_, RolloutQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those whose turn it is by now.
    pub fn wake_next(&self) {
        let next = self.queue().next();
        for (namespace, name) in next {
            self.wake.wake(PolicyRef::new(&name).within(&namespace));
        }
    }

    /// Drops whatever is held of a policy that is gone.
    pub fn forget(&self, policy: &PolicyRef) {
        if let Some(gone) = self.policies.forget(policy) {
            self.bid_farewell(policy, gone);
        }
        self.queue().leave(&key(policy));
        let namespace = policy.namespace.as_deref().unwrap_or_default();
        self.metrics.forget_policy(namespace, &policy.name);
        self.metrics.policies(self.policies.len());
        self.wake_next();
        self.wake_others(policy, |_| true);
    }

    /// Lets go what a policy that is gone had written.
    pub fn bid_farewell(&self, policy: &PolicyRef, gone: Gone) {
        // A reconcile may hold the entry still.
        let namespace = policy.namespace.clone().unwrap_or_default();
        self.farewells.policy(namespace, gone);
    }

    /// Lets go a container to which a policy had written that writes elsewhere now, or nowhere.
    pub fn leave_place(&self, place: Place) {
        self.farewells.place(place);
    }

    /// Gives back a slot of the rollout queue that is not used, to whoever is next.
    pub fn give_back(&self, policy: &PolicyRef) {
        self.queue().settle(&key(policy), false);
        self.wake_next();
    }

    /// Wakes the other policies of the namespace whose target is `concerned`: one that was a
    /// duplicate may take over, another may have become one.
    pub fn wake_others(&self, policy: &PolicyRef, concerned: impl Fn(&TargetRef) -> bool) {
        for other in self.store.state() {
            let name = PolicyRef::from_obj(other.as_ref());
            let another = name.namespace == policy.namespace && name.name != policy.name;
            if another && concerned(&other.spec.target_ref) {
                self.wake.wake(name);
            }
        }
    }
}

/// A policy's key in the rollout queue.
#[must_use]
pub fn key(policy: &PolicyRef) -> PolicyKey {
    (
        policy.namespace.clone().unwrap_or_default(),
        policy.name.clone(),
    )
}
