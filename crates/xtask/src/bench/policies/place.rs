//! Namespaces full of targets without pods and their policies, and the objects that their rules count.

use std::time::Duration;

use anyhow::Result;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_cluster::Progress;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_node::story::Story;
use serde_json::{Value, json};

/// Requests in flight while things are made.
const CONCURRENT: usize = 24;
/// Namespace of what is counted.
const COUNTED: &str = "counted";
/// Configmaps at which the second and the third rung begin.
const RUNGS: [u32; 2] = [100, 200];
/// Startup seconds of the rungs; the targets' own budget is 40 s.
const SECONDS: [u32; 3] = [30, 60, 120];
/// Longest time for anything.
const PATIENCE: Duration = Duration::from_mins(15);
/// Time between two counts of the operator.
const POLL: Duration = Duration::from_secs(30);

pub struct Place<'a> {
    story: &'a Story,
    progress: &'a Progress,
    policies: u32,
    namespaces: u32,
}

impl<'a> Place<'a> {
    pub fn new(story: &'a Story, progress: &'a Progress, policies: u32, namespaces: u32) -> Self {
        Self {
            story,
            progress,
            policies,
            namespaces,
        }
    }

    fn client(&self) -> Client {
        self.story.client().clone()
    }

    fn namespace(&self, index: u32) -> String {
        format!("team-{}", index % self.namespaces)
    }

    /// Makes namespaces, targets and policies.
    pub async fn make(&self) -> Result<()> {
        // Rules may count what an administrator lets them.
        let counter = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": "count-configmaps", "labels": {"probepilot.dev/aggregate-to-counter": "true"}},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
        self.story.apply(&counter).await?;
        let names = (0..self.namespaces).map(|index| self.namespace(index));
        let namespaces: Api<Namespace> = Api::all(self.client());
        for name in names.chain([COUNTED.to_owned()]) {
            let made = serde_json::from_value(json!({"metadata": {"name": name}}))?;
            namespaces.create(&PostParams::default(), &made).await?;
        }
        self.progress
            .say(format!("making {} targets and policies", self.policies));
        let making = stream::iter(0..self.policies)
            .map(async |index| {
                let (namespace, name) = (self.namespace(index), format!("web-{index}"));
                let targets: Api<Deployment> = Api::namespaced(self.client(), &namespace);
                let params = PostParams::default();
                let made = serde_json::from_value(target(&name, 0))?;
                targets.create(&params, &made).await?;
                let policies: Api<ProbePolicy> = Api::namespaced(self.client(), &namespace);
                let made = serde_json::from_value(policy(&name))?;
                policies.create(&params, &made).await?;
                Ok::<_, anyhow::Error>(())
            })
            .buffer_unordered(CONCURRENT);
        making.try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Waits until so many policies satisfy `done`.
    async fn all(&self, what: &str, done: impl Fn(&ProbePolicyStatus) -> bool) -> Result<()> {
        let api: Api<ProbePolicy> = Api::all(self.client());
        let wanted = usize::try_from(self.policies)?;
        let look = || async {
            let list = api.list(&ListParams::default()).await?;
            let statuses = list.iter().filter_map(|policy| policy.status.as_ref());
            let met = statuses.filter(|status| done(status)).count();
            Ok::<_, kube::Error>(if met >= wanted {
                Seen::Done(())
            } else {
                self.progress.say(format!("{met} of {wanted}: {what}"));
                Seen::NotYet(format!("{met} of {wanted}"))
            })
        };
        let pause = Duration::from_secs(2);
        Ok(wait::until_every(pause, what, PATIENCE, look).await?)
    }

    /// Waits until each policy has a decision for its target.
    pub async fn all_decided(&self) -> Result<()> {
        let what = "decided";
        self.all(what, |status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|one| one.type_ == "InSync" && one.status == "True")
        })
        .await
    }

    /// Waits until each target has the budget of a rung.
    pub async fn all_written(&self, rung: usize) -> Result<()> {
        let seconds = SECONDS[rung];
        self.all("written", |status| {
            let startup = status.startup.as_ref();
            let budget = startup.and_then(|startup| startup.budget_seconds);
            let mut conditions = status.conditions.iter();
            budget.is_some_and(|budget| budget >= i64::from(seconds))
                && conditions.any(|one| one.type_ == "InSync" && one.status == "True")
        })
        .await
    }

    /// Fills what is counted up to a rung.
    pub async fn jump(&self, rung: usize) -> Result<()> {
        self.fill(RUNGS[rung - 1]).await
    }

    async fn fill(&self, to: u32) -> Result<()> {
        let api: Api<ConfigMap> = Api::namespaced(self.client(), COUNTED);
        let metadata = ListParams::default();
        let there = api.list_metadata(&metadata).await?.items.len();
        for index in u32::try_from(there)?..to {
            let made =
                serde_json::from_value(json!({"metadata": {"name": format!("map-{index}")}}))?;
            api.create(&PostParams::default(), &made).await?;
        }
        Ok(())
    }

    /// Lets each count of the operator differ from the one before, below the second rung.
    pub async fn move_count(&self, window: Duration) -> Result<()> {
        self.progress.say("moving the count");
        let mut there = 2;
        for _ in 0..window.as_secs() / POLL.as_secs() {
            there += 10;
            self.fill(there).await?;
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Changes one policy and waits for the answer.
    pub async fn follows_again(&self) -> Result<()> {
        let api: Api<ProbePolicy> = Api::namespaced(self.client(), &self.namespace(0));
        let patch = Patch::Merge(json!({"spec": {"limits": {"minStartupSeconds": 11}}}));
        let changed = api.patch("web-0", &PatchParams::default(), &patch).await?;
        let wanted = changed.metadata.generation;
        let look = || async {
            let status = api.get("web-0").await?.status.unwrap_or_default();
            Ok::<_, kube::Error>(if status.observed_generation == wanted {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("{:?}", status.observed_generation))
            })
        };
        Ok(wait::until("the operator to answer", PATIENCE, look).await?)
    }

    /// Makes one more target of so many pods, none of which a node takes, and waits until the operator has seen it.
    pub async fn large_target(&self, pods: usize) -> Result<()> {
        self.progress.say(format!("making a target of {pods} pods"));
        let namespace = self.namespace(0);
        let params = PostParams::default();
        let targets: Api<Deployment> = Api::namespaced(self.client(), &namespace);
        let made = serde_json::from_value(target("large", pods))?;
        targets.create(&params, &made).await?;
        let look = || async {
            let status = targets.get("large").await?.status.unwrap_or_default();
            let made = usize::try_from(status.replicas.unwrap_or(0)).unwrap_or(0);
            Ok::<_, kube::Error>(if made >= pods {
                Seen::Done(())
            } else {
                self.progress.say(format!("{made} of {pods} pods"));
                Seen::NotYet(format!("{made} pods"))
            })
        };
        let pause = Duration::from_secs(4);
        wait::until_every(pause, "the pods", PATIENCE, look).await?;
        let policies: Api<ProbePolicy> = Api::namespaced(self.client(), &namespace);
        policies
            .create(&params, &serde_json::from_value(policy("large"))?)
            .await?;
        let look = || async {
            let status = policies.get("large").await?.status.unwrap_or_default();
            Ok::<_, kube::Error>(if status.startup.is_some() {
                Seen::Done(())
            } else {
                Seen::NotYet("no decision".to_owned())
            })
        };
        Ok(wait::until("the decision for it", PATIENCE, look).await?)
    }
}

/// A Deployment as a chart writes it, with this many pods that no node takes.
fn target(name: &str, replicas: usize) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "schedulingGates": [{"name": "probepilot.test/never"}],
            "containers": [{"name": "web", "image": "probepilot.test/none:1",
                "env": (0..20).map(|index| json!({"name": format!("NAME_{index}"), "value": "x".repeat(60)})).collect::<Value>(),
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 61779}, "initialDelaySeconds": 30,
                    "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 2}}]}}}})
}

fn policy(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "mode": "Enforce",
        "rules": [{"count": {"resource": "configmaps", "namespace": COUNTED}, "steps": [
            {"atLeast": 0, "startupSeconds": SECONDS[0]},
            {"atLeast": RUNGS[0], "startupSeconds": SECONDS[1]},
            {"atLeast": RUNGS[1], "startupSeconds": SECONDS[2]}]}],
        "behavior": {"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}}}})
}
