//! The time from a kill that the kubelet reports to the write that answers it.
//!
//! The API server and the operator are real, the pods are not: no node takes them, so their statuses
//! are this program's own. It tells each kill as a kubelet does, the Killing event first and the status
//! after it.
//!
//! Both ends are read from this process's monotonic clock: the beginning when the status update is
//! sent, the end when a watch shows the Deployment written. Each lies outside of what the API server
//! accepted (before and after it), so the figures are upper bounds, and no clock is compared with
//! another. The server's audit log, with its own times, would leave out what stands in its queues.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use probepilot_api::ProbePolicy;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Progress};
use probepilot_test_node::story::Story;
use serde_json::json;
use tokio::sync::Mutex;

mod figures;
mod objects;

use figures::Figures;
use objects::{event, kill, killing, policy, running, target, targets};

const CLUSTER: &str = "latency";
/// Namespace of everything that is measured.
const PLACE: &str = "bench";
/// Requests in flight while things are made.
const CONCURRENT: usize = 24;
/// The answer that is promised. Source: issue 5, section 3.
const ALLOWED: Duration = Duration::from_secs(1);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for everything to be in place.
const SETTLING: Duration = Duration::from_mins(5);

/// Measure the time from a kill to the write that answers it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench latency                    100 policies, 20,000 events; about 4 minutes
  cargo xtask bench latency --events 0         without other events in the namespace
  cargo xtask bench latency --rounds 4         each target is killed 4 times
It fails when 99 % of the answers do not come within 1 s. Other load on the machine counts in.")]
pub struct Latency {
    /// Policies in Enforce, each with its own Deployment
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    policies: u32,
    /// Events in their namespace
    #[arg(long, default_value_t = 20_000)]
    events: u32,
    /// Kills of each target, each under the budget that the last one asked for
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=4))]
    rounds: u32,
    /// Longest pause between two kills, in milliseconds; the shortest is a tenth of it
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=60_000))]
    pause: u32,
    /// Leave the cluster `latency` running
    #[arg(long)]
    keep: bool,
}

impl Latency {
    /// Measures and ends the cluster, whatever came of it.
    pub async fn run(self) -> Result<ExitCode> {
        let name: ClusterName = CLUSTER.parse()?;
        let progress = Progress::stderr();
        let figures = self.measure(&name, &progress).await;
        if !self.keep {
            progress.say("stopping the cluster");
            Cluster::stop_named(&name).await?;
        }
        let figures = figures?;
        println!(
            "{} policies, {} events in their namespace, {} kills one after another",
            self.policies,
            self.events,
            figures.len()
        );
        println!("{figures}");
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            println!("load of the machine at the end (1, 5, 15 min): {load}");
        }
        let p99 = figures.percentile(99);
        if p99 > ALLOWED {
            println!("p99 is over {} ms", ALLOWED.as_millis());
            return Ok(ExitCode::FAILURE);
        }
        println!("p99 is within {} ms", ALLOWED.as_millis());
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, name: &ClusterName, progress: &Progress) -> Result<Figures> {
        let cluster = Cluster::start(&ClusterOptions::new(name.clone()), progress).await?;
        let story = Story::begin(cluster, progress.clone()).await?;
        story.install_operator().await?;
        let place = Place::new(story.client().clone(), progress.clone());
        story
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}}))
            .await?;
        let names: Vec<_> = targets(self.policies).collect();
        place.fill(self.events).await?;
        place.deploy(&names).await?;
        let watching = place.watch_writes().await?;
        let mut figures = Figures::default();
        for round in 1..=self.rounds {
            progress.say(format!("round {round}: starting {} pods", names.len()));
            let mut pods = place.start(&names, round).await?;
            place.settled(names.len()).await?;
            fastrand::shuffle(&mut pods);
            let mut told = Instant::now();
            for (index, pod) in pods.iter().enumerate() {
                if told.elapsed() > Duration::from_secs(5) {
                    progress.say(format!("round {round}: {index} kills answered"));
                    told = Instant::now();
                }
                self.pause().await;
                figures.push(place.kill(pod, round, &watching).await?);
            }
        }
        watching.task.abort();
        Ok(figures)
    }

    /// Kubelets do not wait for each other, nor for the operator's own timers.
    async fn pause(&self) {
        let pause = u64::from(fastrand::u32(self.pause / 10..=self.pause));
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Generations of Deployments as a watch shows them, and since when.
type Shown = Arc<Mutex<HashMap<String, (i64, Instant)>>>;

struct Writes {
    shown: Shown,
    task: tokio::task::JoinHandle<()>,
}

/// A pod of a target.
struct Running {
    target: String,
    name: String,
    uid: String,
    /// The Deployment's generation.
    generation: i64,
}

/// The namespace of everything that is measured.
struct Place {
    client: Client,
    progress: Progress,
}

impl Place {
    fn new(client: Client, progress: Progress) -> Self {
        Self { client, progress }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), PLACE)
    }

    /// Makes events of other pods.
    async fn fill(&self, events: u32) -> Result<()> {
        let api: Api<Event> = self.api();
        self.progress.say(format!("making {events} events"));
        let made = std::sync::atomic::AtomicU32::new(0);
        let making = stream::iter(0..events)
            .map(async |index| {
                let event = serde_json::from_value(event(PLACE, index))?;
                api.create(&PostParams::default(), &event).await?;
                let made = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                if made.is_multiple_of(5_000) {
                    self.progress.say(format!("{made} events"));
                }
                Ok::<_, anyhow::Error>(())
            })
            .buffer_unordered(CONCURRENT);
        making.try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Makes the targets and their policies.
    async fn deploy(&self, names: &[String]) -> Result<()> {
        self.progress
            .say(format!("making {} targets and policies", names.len()));
        let (targets, policies): (Api<Deployment>, Api<ProbePolicy>) = (self.api(), self.api());
        let making = stream::iter(names)
            .map(async |name| {
                let params = PostParams::default();
                let made = serde_json::from_value(target(PLACE, name))?;
                targets.create(&params, &made).await?;
                let made = serde_json::from_value(policy(PLACE, name))?;
                policies.create(&params, &made).await?;
                Ok::<_, anyhow::Error>(())
            })
            .buffer_unordered(CONCURRENT);
        making.try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Waits for a pod of each target's newest template and lets it run. A rolling update keeps the
    /// pods before it, which go on waiting for their start.
    async fn start(&self, names: &[String], round: u32) -> Result<Vec<Running>> {
        let api: Api<Pod> = self.api();
        let all = ListParams::default();
        let per_target = usize::try_from(round)?;
        let look = || async {
            let mut newest: HashMap<String, Pod> = HashMap::new();
            let pods = api.list(&all).await?.items;
            let made = pods.len();
            for pod in pods {
                let target = pod.labels().get("app").cloned().unwrap_or_default();
                let before = newest.get(&target);
                if before
                    .is_none_or(|before| before.creation_timestamp() < pod.creation_timestamp())
                {
                    newest.insert(target, pod);
                }
            }
            Ok::<_, kube::Error>(if made == names.len() * per_target {
                Seen::Done(newest)
            } else {
                Seen::NotYet(format!("{made} pods"))
            })
        };
        let pause = Duration::from_secs(1);
        let what = "a pod of each target's newest template";
        let newest = wait::until_every(pause, what, SETTLING, look).await?;
        let deployments: Api<Deployment> = self.api();
        let mut started = Vec::new();
        for (target, pod) in newest {
            let name = pod.name_any();
            let status = Patch::Merge(running(round, Timestamp::now()));
            api.patch_status(&name, &PatchParams::default(), &status)
                .await?;
            let generation = deployments.get(&target).await?.metadata.generation;
            started.push(Running {
                generation: generation.context("a Deployment has a generation")?,
                uid: pod.uid().context("a pod has a UID")?,
                target,
                name,
            });
        }
        Ok(started)
    }

    /// Waits until the operator is done with so many policies and nothing is being written.
    async fn settled(&self, policies: usize) -> Result<()> {
        let api: Api<ProbePolicy> = self.api();
        let look = || async {
            let list = api.list(&ListParams::default()).await?;
            let covered = list.iter().filter(|policy| {
                let mut conditions = policy.status.iter().flat_map(|status| &status.conditions);
                conditions.any(|one| one.type_ == "InSync" && one.reason == "Covered")
            });
            let covered = covered.count();
            Ok::<_, kube::Error>(if covered == policies {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("{covered} of {policies} are in sync"))
            })
        };
        let pause = Duration::from_secs(1);
        Ok(wait::until_every(pause, "the operator", SETTLING, look).await?)
    }

    /// Watches all Deployments from now on.
    async fn watch_writes(&self) -> Result<Writes> {
        let api: Api<Deployment> = self.api();
        let list = api.list(&ListParams::default().limit(1)).await?;
        let version = list.metadata.resource_version.context("a version")?;
        let shown = Shown::default();
        let (seen, progress) = (Arc::clone(&shown), self.progress.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = follow(&api, version, &seen).await {
                progress.say(format!("the watch of Deployments ended: {error:#}"));
            }
        });
        Ok(Writes { shown, task })
    }

    /// Kills the pod's start, and waits until its Deployment is written.
    async fn kill(&self, pod: &Running, round: u32, writes: &Writes) -> Result<Duration> {
        let now = Timestamp::from_second(Timestamp::now().as_second())?;
        let event = serde_json::from_value(killing(PLACE, round, (&pod.name, &pod.uid), now))?;
        let events: Api<Event> = self.api();
        events.create(&PostParams::default(), &event).await?;
        let pods: Api<Pod> = self.api();
        // Longer than the budget of any round.
        let life = SignedDuration::from_secs(i64::from(60 << (round - 1)));
        let status = Patch::Merge(kill(round, now - life, now));
        let sent = Instant::now();
        pods.patch_status(&pod.name, &PatchParams::default(), &status)
            .await?;
        while sent.elapsed() < PATIENCE {
            let shown = writes.shown.lock().await.get(&pod.target).copied();
            if let Some((generation, at)) = shown
                && generation > pod.generation
            {
                ensure!(at >= sent, "{} was written before its kill", pod.target);
                return Ok(at - sent);
            }
            ensure!(!writes.task.is_finished(), "nobody watches any more");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!(
            "{} was not written within {} s after a kill",
            pod.target,
            PATIENCE.as_secs()
        )
    }
}

/// Notes when each generation was first shown, until the watch ends; it is begun again where the API
/// server ended it.
async fn follow(api: &Api<Deployment>, mut version: String, shown: &Shown) -> Result<()> {
    loop {
        let params = WatchParams::default().timeout(290);
        let mut events = api.watch(&params, &version).await?.boxed();
        while let Some(event) = events.try_next().await? {
            let at = Instant::now();
            match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = object.resource_version().context("a version")?;
                    let generation = object.metadata.generation.unwrap_or_default();
                    let mut shown = shown.lock().await;
                    let before = shown.get(&object.name_any());
                    if before.is_none_or(|(before, _)| *before < generation) {
                        shown.insert(object.name_any(), (generation, at));
                    }
                }
                WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                WatchEvent::Deleted(_) => {}
                WatchEvent::Error(status) => bail!("{}", status.message),
            }
        }
    }
}
