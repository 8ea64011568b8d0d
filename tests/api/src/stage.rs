//! A target, its policy and the whole operator, in a namespace of their own behind a [`Proxy`].

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Config, ResourceExt};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_operator::admission::AdmissionPace;
use probepilot_operator::context::PolicyOptions;
use probepilot_operator::{Options, RunError};
use probepilot_test_cluster::wait::{self, Seen};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Scene;
use crate::crd::install_own;
use crate::proxy::{Proxy, Seen as Request, mutates};

mod killed;
mod shown;
mod started;
mod stuck;

pub use killed::{Killed, get};
pub use shown::{Shown, chart_liveness, deployment, shown, web};
pub use stuck::{daemon, stateful, threshold, uid};

/// How long anything may take that should come at once. Far below the operator's own retries of minutes.
pub const PATIENCE: Duration = Duration::from_secs(50);

/// Time between two counts of the operator in the test's own process.
const COUNTS: Duration = Duration::from_millis(400);

/// Where a test plays.
pub struct Stage {
    /// Cluster and namespace.
    pub scene: Scene,
    /// Between the operator and the API server.
    pub proxy: Proxy,
}

/// A running operator; [`Operator::stop`] ends it as SIGTERM would.
pub struct Operator {
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

/// Waits until `look` is done; fails the test after [`PATIENCE`].
pub async fn until<T, E: Display, F: Future<Output = Result<Seen<T>, E>>>(
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    within(PATIENCE, what, look).await
}

/// As [`until`], with another patience.
pub async fn within<T, E: Display, F: Future<Output = Result<Seen<T>, E>>>(
    patience: Duration,
    what: &str,
    look: impl FnMut() -> F,
) -> T {
    let waited = wait::until(what, patience, look).await;
    waited.unwrap_or_else(|error| panic!("{error}"))
}

/// The reason of a condition; empty without it.
#[must_use]
pub fn reason(status: &ProbePolicyStatus, kind: &str) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == kind);
    found
        .map(|condition| condition.reason.clone())
        .unwrap_or_default()
}

/// Status and reason of Ready, as `False Duplicate`.
#[must_use]
pub fn ready(status: &ProbePolicyStatus) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == "Ready");
    found.map_or_else(String::new, |ready| {
        format!("{} {}", ready.status, ready.reason)
    })
}

/// The message of InSync.
#[must_use]
pub fn sync_message(status: &ProbePolicyStatus) -> String {
    let mut conditions = status.conditions.iter();
    let found = conditions.find(|condition| condition.type_ == "InSync");
    found
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}

impl Stage {
    /// A namespace whose name begins with `prefix`, with the CRD served.
    pub async fn new(prefix: &str) -> Self {
        let scene = Scene::new(prefix).await;
        install_own(&scene.admin).await;
        let proxy = Proxy::start(scene.admin.clone()).await;
        Self { scene, proxy }
    }

    /// Starts the operator for this namespace, in this process.
    #[must_use]
    pub fn start(&self) -> Operator {
        self.start_with(false, ([127, 0, 0, 1], 0).into())
    }

    /// The same, with its metrics at this address.
    #[must_use]
    pub fn start_serving(&self, listen: SocketAddr) -> Operator {
        self.start_with(false, listen)
    }

    /// The same with `--read-only`.
    #[must_use]
    pub fn start_read_only(&self) -> Operator {
        self.start_with(true, ([127, 0, 0, 1], 0).into())
    }

    fn start_with(&self, read_only: bool, listen: SocketAddr) -> Operator {
        let config = self.proxy.config(self.scene.ns());
        self.start_as(config, read_only, listen)
    }

    /// The same with this way to the API server, and whose rights it has there.
    #[must_use]
    pub fn start_as(&self, config: Config, read_only: bool, listen: SocketAddr) -> Operator {
        let (stop, stopped) = oneshot::channel::<()>();
        let options = Options {
            policies: PolicyOptions {
                namespace: Some(self.scene.ns().to_owned()),
                read_only,
                max_parallel_rollouts: 1,
                count_interval: COUNTS,
                admission: AdmissionPace {
                    look: COUNTS,
                    prove: Duration::from_secs(5),
                },
            },
            listen,
            lease: None,
            instance: "stage".to_owned(),
        };
        let running = tokio::spawn(probepilot_operator::run(config, options, async {
            let _ = stopped.await;
        }));
        Operator { stop, running }
    }

    /// The policy `name` for Deployment `target`: Enforce, 60 s from the first configmap of the namespace
    /// and 600 s from the tenth (there is always one), no windows; with `fields` of spec on top.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
    pub fn policy(&self, name: &str, target: &str, fields: Value) -> Value {
        let mut spec = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "mode": "Enforce",
            "rules": [{"count": {"resource": "configmaps", "namespace": self.scene.ns()}, "steps": [
                {"atLeast": 0, "startupSeconds": 60}, {"atLeast": 10, "startupSeconds": 600}]}],
            "behavior": {"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}}});
        for (key, value) in fields.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        json!({"apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": name}, "spec": spec})
    }

    /// Fields of a policy whose rule asks for liveness timings of 60/10/30/6, as people set them by hand today.
    #[must_use]
    pub fn rung(&self) -> Value {
        json!({"rules": [{"count": {"resource": "configmaps", "namespace": self.scene.ns()}, "steps": [
            {"atLeast": 0, "livenessProbe": {"initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}}]}]})
    }

    /// Creates a policy for Deployment `web`, of that name.
    pub async fn enforce(&self, fields: Value) -> ProbePolicy {
        self.create_policy(self.policy("web", "web", fields)).await
    }

    /// Creates a policy; the API may be served some moments after its definition was taken.
    pub async fn create_policy(&self, policy: Value) -> ProbePolicy {
        let policy: ProbePolicy = serde_json::from_value(policy).expect("a policy");
        let create = || async {
            let made = self
                .scene
                .api()
                .create(&PostParams::default(), &policy)
                .await;
            made.map(Seen::Done)
        };
        until("the ProbePolicy API", create).await
    }

    /// Merges `fields` into a policy's spec.
    pub async fn edit_policy(&self, name: &str, fields: Value) {
        let patch = Patch::Merge(json!({"spec": fields}));
        let api = self.scene.api::<ProbePolicy>();
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .expect("edited");
    }

    /// Patches Deployment `name` as a person would with kubectl edit.
    pub async fn edit(&self, name: &str, patch: Value) -> Deployment {
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        let api = self.scene.api::<Deployment>();
        api.patch(name, &params, &Patch::Strategic(patch))
            .await
            .expect("edited")
    }

    /// Fills the namespace with configmaps, so that the second rung is reached.
    pub async fn grow(&self) {
        for index in 0..10 {
            let map = json!({"metadata": {"name": format!("map-{index}")}});
            self.scene.create::<ConfigMap>(map).await;
        }
    }

    /// kubectl with standard input, in this namespace.
    pub async fn kubectl(&self, words: &[&str], input: &Value) -> Result<String, String> {
        let kubectl = self.scene.cluster.kubectl().expect("kubectl");
        let mut all = vec!["--namespace", self.scene.ns()];
        all.extend(words);
        let run = kubectl.run_with_input(all, &input.to_string()).await;
        run.map_err(|error| error.to_string())
    }

    /// Runs the command of the annotation `probepilot.dev/kept` as a person who copies it.
    pub async fn run(&self, command: &str) {
        let (words, patch) = command.split_once(" --patch '").expect("a patch");
        let mut words: Vec<_> = words.split(' ').skip(1).collect();
        words.extend(["--patch", patch.strip_suffix('\'').expect("its end")]);
        self.kubectl(&words, &Value::Null).await.expect("patched");
    }

    /// Server-side apply by a manager, without force, as a GitOps controller would.
    pub async fn apply(&self, manager: &str, object: &Value) -> Result<Deployment, kube::Error> {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let params = PatchParams::apply(manager);
        let api = self.scene.api::<Deployment>();
        api.patch(name, &params, &Patch::Apply(object)).await
    }

    /// Deployment `name` as it is.
    pub async fn get(&self, name: &str) -> Deployment {
        self.scene.api().get(name).await.expect("the deployment")
    }

    /// The probes of container `a` of `web`.
    pub async fn shown(&self) -> Shown {
        Shown::of(&self.get("web").await, "a")
    }

    /// Waits until the probes of container `a` of `web` are these, by a write of policy `web` that its
    /// status has.
    pub async fn until_shown(&self, expected: Shown) -> ProbePolicyStatus {
        let generation = expected.generation;
        self.until_probes(expected).await;
        self.written("web", generation).await
    }

    /// Waits until the probes of container `a` of `web` are these.
    pub async fn until_probes(&self, expected: Shown) {
        let look = || async {
            let now = self.shown().await;
            Ok::<_, std::convert::Infallible>(if now == expected {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("{now:?}"))
            })
        };
        until(&format!("{expected:?}"), look).await;
    }

    /// Waits until the status of policy `name` answers its generation and satisfies `wanted`.
    pub async fn status(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        self.status_within(PATIENCE, name, what, wanted).await
    }

    /// As [`Self::status`], with another patience.
    pub async fn status_within(
        &self,
        patience: Duration,
        name: &str,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        let look = || async {
            let policy = self.scene.api::<ProbePolicy>().get(name).await?;
            let generation = policy.metadata.generation;
            let status = policy.status.unwrap_or_default();
            let done = status.observed_generation == generation && wanted(&status);
            Ok::<_, kube::Error>(if done {
                Seen::Done(status)
            } else {
                Seen::NotYet(format!("{status:?}"))
            })
        };
        within(patience, &format!("{name}: {what}"), look).await
    }

    /// Waits until InSync of policy `name` has this reason, with no write under way.
    pub async fn in_sync(&self, name: &str, expected: &str) -> ProbePolicyStatus {
        let what = format!("InSync {expected}");
        let settled = |status: &ProbePolicyStatus| {
            let memory = status.memory.as_ref();
            let intent = memory.and_then(|memory| memory.intent.as_ref());
            reason(status, "InSync") == expected && intent.is_none()
        };
        self.status(name, &what, settled).await
    }

    /// Waits until policy `name` is in sync after a write that left its target at this generation.
    pub async fn written(&self, name: &str, generation: i64) -> ProbePolicyStatus {
        let what = format!("a write that gives generation {generation}");
        let settled = |status: &ProbePolicyStatus| {
            let written = status
                .last_write
                .as_ref()
                .and_then(|write| write.generation);
            let memory = status.memory.as_ref();
            let intent = memory.and_then(|memory| memory.intent.as_ref());
            written == Some(generation) && intent.is_none() && reason(status, "InSync") == "Covered"
        };
        self.status(name, &what, settled).await
    }

    /// Waits until the count was read twice more: whatever was to come has come. Fails the test when
    /// anything was written meanwhile.
    pub async fn quiet(&self) {
        let seen = self.two_counts().await;
        let written: Vec<_> = seen.into_iter().filter(|one| mutates(&one.line)).collect();
        assert!(written.is_empty(), "{written:#?}");
    }

    /// Waits until the count was read twice more; gives all requests of that time.
    pub async fn two_counts(&self) -> Vec<Request> {
        let from = Instant::now();
        let look = || async {
            let seen = self.proxy.since(from);
            let counts = seen.iter().filter(|one| one.line.contains("limit=1"));
            let counts = counts.count();
            // The first may have begun before whatever is waited for.
            Ok::<_, std::convert::Infallible>(if counts >= 3 {
                Seen::Done(seen)
            } else {
                Seen::NotYet(format!("{counts} counts"))
            })
        };
        until("two counts", look).await
    }

    /// The notes of events with this reason, as `Kind: note`, once there are so many.
    pub async fn told(&self, reason: &str, least: usize) -> Vec<String> {
        let look = || async {
            let told = self.told_so_far(reason).await?;
            Ok::<_, kube::Error>(if told.len() < least {
                Seen::NotYet(format!("{told:?}"))
            } else {
                Seen::Done(told)
            })
        };
        until(&format!("{least} events {reason}"), look).await
    }

    /// The same as it is now.
    pub async fn told_so_far(&self, reason: &str) -> Result<Vec<String>, kube::Error> {
        let list = self
            .scene
            .api::<Event>()
            .list(&ListParams::default())
            .await?;
        let of_us = list.items.into_iter().filter(|event| {
            event.reason.as_deref() == Some(reason)
                && event.reporting_controller.as_deref() == Some("probepilot.dev/operator")
        });
        let mut told: Vec<_> = of_us
            .map(|event| {
                let kind = event.regarding.and_then(|regarding| regarding.kind);
                let note = event.note.unwrap_or_default();
                format!("{}: {note}", kind.unwrap_or_default())
            })
            .collect();
        told.sort();
        Ok(told)
    }

    /// How often the operator patched workloads since `from`.
    #[must_use]
    pub fn patches_since(&self, from: Instant) -> usize {
        let seen = self.proxy.since(from);
        seen.iter()
            .filter(|one| patches_workload(&one.line))
            .count()
    }

    /// Deletes a policy and waits until it is gone.
    pub async fn delete_policy(&self, name: &str) {
        let api = self.scene.api::<ProbePolicy>();
        api.delete(name, &DeleteParams::default())
            .await
            .expect("deleted");
        let look = || async {
            let left = api.get_opt(name).await?;
            Ok::<_, kube::Error>(match left {
                None => Seen::Done(()),
                Some(left) => Seen::NotYet(left.name_any()),
            })
        };
        until("the end of the policy", look).await;
    }

    /// Deletes the namespace.
    pub async fn end(self) {
        self.scene.end().await;
    }
}

/// Whether a request patches a workload.
#[must_use]
pub fn patches_workload(line: &str) -> bool {
    line.starts_with("PATCH /apis/apps/v1/")
}

/// Whether a request writes a policy's status.
#[must_use]
pub fn writes_status(line: &str) -> bool {
    line.starts_with("PATCH /apis/probepilot.dev/")
}

impl Operator {
    /// Ends it and waits for its end.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        let ended = tokio::time::timeout(Duration::from_secs(15), self.running).await;
        ended
            .expect("a shutdown in time")
            .expect("no panic")
            .expect("a clean end");
    }
}
