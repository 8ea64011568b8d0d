//! A case in the cluster: what is seen of it, and what must be.

use std::convert::Infallible;
use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_policy::{PodView, Subject, Verdict, diagnose};
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::Value;

use crate::case::{BUDGET, CONTAINER, Case, End};
use crate::common::reason;

/// An owner that does not fight: whatever he declares may be taken from him.
pub const OWNER: &str = "kubectl-client-side-apply";
/// How long nothing must happen where nothing can be waited for.
const QUIET: Duration = Duration::from_secs(40);
const PATIENCE: Duration = Duration::from_mins(4);

/// A case in its namespace.
pub struct Stage<'a> {
    case: &'a Case,
    /// The Deployment as it was created.
    created: Deployment,
    pub deployments: Api<Deployment>,
    policies: Api<ProbePolicy>,
    pods: Api<Pod>,
    events: Api<Event>,
}

/// A pod that is not being deleted.
#[derive(Debug, PartialEq, Eq)]
pub struct Running {
    pub uid: String,
    pub ready: bool,
    pub restarts: i32,
}

impl Running {
    pub fn never_failed(&self) -> bool {
        self.ready && self.restarts == 0
    }
}

impl<'a> Stage<'a> {
    /// Creates policy and Deployment.
    pub async fn set(client: &Client, namespace: &str, case: &'a Case) -> Self {
        let deployments = Api::namespaced(client.clone(), namespace);
        let policies = Api::namespaced(client.clone(), namespace);
        let create = PostParams {
            field_manager: Some(OWNER.to_owned()),
            ..PostParams::default()
        };
        policies.create(&create, &case.policy()).await.unwrap();
        let created = deployments
            .create(&create, &case.deployment())
            .await
            .unwrap();
        Self {
            case,
            created,
            deployments,
            policies,
            pods: Api::namespaced(client.clone(), namespace),
            events: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Waits for the end and checks what was written, and what was not.
    pub async fn plays(&self) {
        match self.case.end {
            End::Rescued { raises } => {
                let raised = self.raised(raises).await;
                self.rolled_out(1 + raises).await;
                self.only_a_budget_was_written(&raised).await;
            }
            End::Exhausted { budget_seconds } => {
                let seen = self
                    .status("exhaustion", |status| {
                        reason(status, "Exhausted") == "MaxStartup"
                    })
                    .await;
                let budget = seen.startup.as_ref().unwrap().budget_seconds;
                assert_eq!(budget, Some(budget_seconds), "{}", self.case.name);
                self.restarted(2).await;
                self.only_a_budget_was_written(&seen).await;
                assert_eq!(self.generation().await, 2, "one write, and then no more");
            }
            End::LeftAlone { verdict, restarts } => {
                let shown = |status: &ProbePolicyStatus| {
                    status.verdict.as_deref() == Some(&verdict.to_string())
                };
                self.status(&format!("{verdict}"), shown).await;
                self.restarted(restarts).await;
                let seen = self.get().await;
                assert!(shown(&seen), "{}: {seen:?}", self.case.name);
                if verdict != Verdict::SyncTimeout {
                    // Of earlier runs only the policy knows.
                    self.explained(verdict).await;
                }
                self.untouched(&self.get().await).await;
            }
            End::NothingEnded { is } => {
                self.explained(is).await;
                let look = || async {
                    let seen = self.get().await;
                    let idle = seen.verdict.is_none() && seen.raises.is_none();
                    if idle {
                        Ok(())
                    } else {
                        Err(format!("{seen:?}"))
                    }
                };
                let what = format!("{} to be left alone", self.case.name);
                wait::holds(what, QUIET, look).await.unwrap();
                let seen = self.get().await;
                assert_eq!(reason(&seen, "TargetFound"), "Found", "{}", self.case.name);
                self.explained(is).await;
                self.untouched(&seen).await;
            }
        }
    }

    /// Waits for so many raises because of startup kills.
    pub async fn raised(&self, raises: i64) -> ProbePolicyStatus {
        let what = format!("{raises} raises");
        let seen = self
            .status(&what, |status| status.raises >= Some(raises))
            .await;
        let name = self.case.name;
        assert_eq!(seen.raises, Some(raises), "{name}");
        assert_eq!(seen.verdict.as_deref(), Some("StartupKill"), "{name}");
        seen
    }

    /// Waits until every pod that there should be is of the current template and ready, and none of them was ever restarted.
    pub async fn rolled_out(&self, generation: i64) {
        let wanted = Some(self.case.replicas);
        self.until("a finished rollout", || async {
            let deployment = self.deployments.get(self.case.name).await.unwrap();
            let status = deployment.status.unwrap_or_default();
            let observed = status.observed_generation == deployment.metadata.generation;
            let numbers = [
                status.replicas,
                status.updated_replicas,
                status.ready_replicas,
            ];
            if observed && numbers.iter().all(|number| *number == wanted) {
                Ok(())
            } else {
                Err(format!("{numbers:?}"))
            }
        })
        .await;
        let pods = self.running().await;
        let whole = pods.iter().all(Running::never_failed);
        assert!(whole, "{}: {pods:?}", self.case.name);
        self.status("a budget that covers", |status| {
            reason(status, "InSync") == "Covered"
        })
        .await;
        let written = self.generation().await;
        assert_eq!(written, generation, "{}: generation", self.case.name);
    }

    /// Whatever was written, it was a startup probe that asks what liveness asks, with a larger budget.
    pub async fn only_a_budget_was_written(&self, status: &ProbePolicyStatus) {
        let name = self.case.name;
        let write = self.get().await.last_write.expect("the write is on record");
        let floor = status
            .memory
            .as_ref()
            .and_then(|memory| memory.floor.as_ref());
        assert!(write.to_seconds >= BUDGET + 8, "{name}: {write:?}");
        assert!(floor.unwrap().seconds >= 2 * BUDGET, "{name}: {floor:?}");

        let mut before = serde_json::to_value(&self.created.spec).unwrap();
        let current = self.deployments.get(name).await.unwrap();
        let mut after = serde_json::to_value(current.spec).unwrap();
        let [_, probe] = [&mut before, &mut after].map(take_startup_probe);
        assert_eq!(after, before, "{name}: nothing else changed");
        let liveness = &before["template"]["spec"]["containers"][0]["livenessProbe"];
        assert_eq!(probe["httpGet"], liveness["httpGet"], "{name}");
    }

    /// Nothing was written, and no need is remembered.
    pub async fn untouched(&self, status: &ProbePolicyStatus) {
        let name = self.case.name;
        assert_eq!(self.generation().await, 1, "{name}: nothing is written");
        assert_eq!((status.raises, &status.last_write), (None, &None), "{name}");
        let floor = status
            .memory
            .as_ref()
            .and_then(|memory| memory.floor.as_ref());
        assert_eq!(floor, None, "{name}");
    }

    /// Waits until the case's pod is diagnosed so from what the API server has of it, as `probepilot explain` does.
    async fn explained(&self, verdict: Verdict) {
        self.until("its explanation", || async {
            let Some(pod) = self.listed().await.into_iter().next() else {
                return Err("no pod".to_owned());
            };
            let about = format!("involvedObject.uid={}", pod.uid().unwrap());
            let events = self
                .events
                .list(&ListParams::default().fields(&about))
                .await
                .unwrap();
            let mut pod = PodView::project(&pod);
            pod.hear(&events.items);
            let subject = Subject {
                pod: &pod,
                name: CONTAINER,
                view: &pod.containers[CONTAINER],
            };
            let diagnosis = diagnose(subject, Timestamp::now());
            let evidence = diagnosis.evidence(subject).join("\n");
            if diagnosis.verdict() == verdict && evidence.contains(self.case.says) {
                Ok(())
            } else {
                Err(format!("{}: {evidence}", diagnosis.verdict()))
            }
        })
        .await;
    }

    pub async fn get(&self) -> ProbePolicyStatus {
        let policy = self.policies.get(self.case.name).await.unwrap();
        policy.status.unwrap_or_default()
    }

    pub async fn generation(&self) -> i64 {
        let deployment = self.deployments.get(self.case.name).await.unwrap();
        deployment.metadata.generation.unwrap()
    }

    pub async fn listed(&self) -> Vec<Pod> {
        let mine = ListParams::default().labels(&format!("app={}", self.case.name));
        let mut pods = self.pods.list(&mine).await.unwrap().items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods
    }

    /// Its pods whose container has a status.
    pub async fn running(&self) -> Vec<Running> {
        let pods = self.listed().await;
        let running = pods.iter().filter_map(|pod| {
            let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
            let status = statuses.first()?;
            Some(Running {
                uid: pod.uid()?,
                ready: status.ready,
                restarts: status.restart_count,
            })
        });
        running.collect()
    }

    async fn restarted(&self, restarts: i32) {
        self.until("so many restarts", || async {
            let pods = self.running().await;
            if pods.iter().any(|pod| pod.restarts >= restarts) {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            }
        })
        .await;
    }

    async fn status(
        &self,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        self.until(what, || async {
            let status = self.get().await;
            if wanted(&status) {
                Ok(status)
            } else {
                Err(format!("{status:?}"))
            }
        })
        .await
    }

    pub async fn until<T: Debug, F: Future<Output = Result<T, String>>>(
        &self,
        what: &str,
        look: impl Fn() -> F,
    ) -> T {
        let look = || async {
            Ok::<_, Infallible>(match look().await {
                Ok(seen) => Seen::Done(seen),
                Err(instead) => Seen::NotYet(instead),
            })
        };
        let what = format!("{}: {what}", self.case.name);
        let every = Duration::from_millis(500);
        wait::until_every(every, what, PATIENCE, look)
            .await
            .unwrap()
    }
}

fn take_startup_probe(spec: &mut Value) -> Value {
    let container = &mut spec["template"]["spec"]["containers"][0];
    let probe = container.as_object_mut().unwrap().remove("startupProbe");
    probe.unwrap_or_default()
}
