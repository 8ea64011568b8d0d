//! Whether delivery Admission works: looked at for as long as a policy wants it.
//!
//! Two GETs and the server's version say whether anything changed since the last proof; then, and now and then
//! anyway, a dry-run pod proves it again ([`proof`]). Without a policy that wants it nothing is asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResourceList, ObjectMeta};
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource};
use probepilot_api::{ADMISSION_POLICY, CANARY_POLICY, Delivery, ProbePolicy};
use probepilot_policy::Support;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::policies::{PolicyRef, Wake};

mod proof;

/// What brings delivery Admission about.
const INSTALL: &str = "kubectl apply -k config/admission";
/// The API of such policies.
const GROUP_VERSION: &str = "admissionregistration.k8s.io/v1";

/// How often delivery Admission is looked at.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionPace {
    /// Between two looks whether anything changed.
    pub look: Duration,
    /// Between two proofs while nothing did.
    pub prove: Duration,
}

impl Default for AdmissionPace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(15),
            prove: Duration::from_mins(5),
        }
    }
}

/// What is known of delivery Admission, for all policies. The looking ends when it is dropped.
pub struct Admissions {
    shared: Arc<Shared>,
    looking: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    support: Mutex<Support>,
    wanted: Notify,
}

impl Admissions {
    /// Looks once a policy wants it. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(
        client: Client,
        pace: AdmissionPace,
        store: Store<ProbePolicy>,
        wake: Wake,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let looker = Looker {
            namespace: client.default_namespace().to_owned(),
            client,
            pace,
            store,
            wake,
            shared: Arc::clone(&shared),
            proved: None,
            failures: 0,
        };
        Self {
            shared,
            looking: tokio::spawn(looker.run()),
        }
    }

    /// What is known now; asking is wanting.
    #[must_use]
    pub fn support(&self) -> Support {
        self.shared.wanted.notify_one();
        self.shared.get()
    }
}

impl Drop for Admissions {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

impl Shared {
    fn get(&self) -> Support {
        let support = self.support.lock();
        support.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, support: Support) {
        *self.support.lock().unwrap_or_else(PoisonError::into_inner) = support;
    }
}

/// Whether this is the canary, which no user made and nothing is decided about.
#[must_use]
pub fn is_canary(client: &Client, policy: &PolicyRef) -> bool {
    policy.name == CANARY_POLICY && policy.namespace.as_deref() == Some(client.default_namespace())
}

/// What a proof holds for: the server's version and both objects as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Installed {
    server: String,
    objects: [(Option<String>, Option<i64>); 2],
    since: Timestamp,
}

struct Looker {
    client: Client,
    namespace: String,
    pace: AdmissionPace,
    store: Store<ProbePolicy>,
    wake: Wake,
    shared: Arc<Shared>,
    proved: Option<(Installed, Instant)>,
    failures: u32,
}

impl Looker {
    async fn run(mut self) {
        loop {
            if self.users().is_empty() {
                self.shared.wanted.notified().await;
                // Who wants it may not be in the store yet, or was the last one to leave it.
                if self.users().is_empty() {
                    tokio::time::sleep(self.pace.look.min(Duration::from_secs(1))).await;
                    continue;
                }
            }
            match self.look().await {
                Ok(Some(support)) => self.tell(support),
                Ok(None) => {}
                // What was known stands: an API server that cannot be asked admits no pod either.
                Err(error) => tracing::warn!("delivery Admission could not be looked at: {error}"),
            }
            tokio::time::sleep(self.pace.look).await;
        }
    }

    fn users(&self) -> Vec<PolicyRef> {
        let policies = self.store.state().into_iter();
        let wants = policies.filter(|policy| policy.spec.apply.delivery == Delivery::Admission);
        let names = wants.map(|policy| PolicyRef::from_obj(policy.as_ref()));
        names
            .filter(|policy| !is_canary(&self.client, policy))
            .collect()
    }

    fn tell(&self, support: Support) {
        if self.shared.get() == support {
            return;
        }
        tracing::info!(?support, "delivery Admission");
        self.shared.set(support);
        for policy in self.users() {
            self.wake.wake(policy);
        }
    }

    /// Looks whether anything changed, and proves it again if so or if it is time to.
    async fn look(&mut self) -> Result<Option<Support>, kube::Error> {
        let installed = match self.installed().await? {
            Ok(installed) => installed,
            Err(missing) => {
                self.proved = None;
                return Ok(Some(missing));
            }
        };
        let known = self
            .proved
            .as_ref()
            .filter(|(known, _)| *known == installed);
        if let Some((_, until)) = known
            && Instant::now() < *until
        {
            return Ok(None);
        }
        let support = proof::prove(&self.client, &self.namespace, installed.since).await?;
        self.failures = match support {
            Support::Ready { .. } => 0,
            _ => self.failures.saturating_add(1),
        };
        let wait = match self.failures {
            0 => self.pace.prove,
            failures => (self.pace.look * (1 << failures.min(8))).min(self.pace.prove),
        };
        self.proved = Some((installed, Instant::now() + wait));
        Ok(Some(support))
    }

    async fn installed(&self) -> Result<Result<Installed, Support>, kube::Error> {
        let policy = match self.metadata::<MutatingAdmissionPolicy>().await? {
            Ok(policy) => policy,
            Err(missing) => return Ok(Err(missing)),
        };
        let binding = match self.metadata::<MutatingAdmissionPolicyBinding>().await? {
            Ok(binding) => binding,
            Err(missing) => return Ok(Err(missing)),
        };
        let server = self.client.apiserver_version().await?.git_version;
        let since = changed_at(&policy).max(changed_at(&binding));
        let objects = [&policy, &binding].map(|meta| (meta.uid.clone(), meta.generation));
        Ok(Ok(Installed {
            server,
            objects,
            since: since.unwrap_or(Timestamp::UNIX_EPOCH),
        }))
    }

    /// One of the two objects, or what is wrong with it.
    async fn metadata<K>(&self) -> Result<Result<ObjectMeta, Support>, kube::Error>
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let kind = K::kind(&());
        match api.get_metadata(ADMISSION_POLICY).await {
            Ok(found) => Ok(Ok(found.metadata)),
            Err(error) => match Failure::of(&error) {
                Failure::NotFound if self.is_served().await? => Ok(Err(Support::Missing(format!(
                    "{kind} {ADMISSION_POLICY} is not installed: {INSTALL}"
                )))),
                Failure::NotFound => Ok(Err(Support::Missing(format!(
                    "the API server does not serve mutatingadmissionpolicies in {GROUP_VERSION}, which came with Kubernetes 1.36; upgrade it, or set spec.apply.delivery to Template"
                )))),
                Failure::Forbidden => Ok(Err(Support::Broken(format!(
                    "the operator's role does not allow it to get {kind} {ADMISSION_POLICY}; add apiGroups [admissionregistration.k8s.io], resources [{}], verbs [get]",
                    K::plural(&())
                )))),
                _ => Err(error),
            },
        }
    }

    async fn is_served(&self) -> Result<bool, kube::Error> {
        let list: APIResourceList = match self.client.list_api_group_resources(GROUP_VERSION).await
        {
            Ok(list) => list,
            Err(error) if Failure::of(&error) == Failure::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut resources = list.resources.iter();
        let plural = MutatingAdmissionPolicy::plural(&());
        Ok(resources.any(|resource| resource.name == plural))
    }
}

/// When an object was last changed by anybody, to the second.
fn changed_at(meta: &ObjectMeta) -> Option<Timestamp> {
    let managed = meta.managed_fields.iter().flatten();
    let times = managed.filter_map(|entry| entry.time.as_ref());
    times
        .chain(&meta.creation_timestamp)
        .map(|time| time.0)
        .max()
}
