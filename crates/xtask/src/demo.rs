//! `cargo xtask demo`: the main job on a real local cluster, told as it happens.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Progress};
use probepilot_test_node::story::{NAMESPACE, Story, metric, policy};

const CLUSTER: &str = "demo";

/// Show the main job on a real local cluster: a controller that its own liveness probe kills, and the policy that ends it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask demo                 with 10,000 pods; about 6 minutes once Kubernetes is built
  cargo xtask demo --pods 20000    a larger cluster
  cargo xtask demo --keep          leaves the cluster `demo` running, to look around in:
    cargo xtask cluster kubectl --name demo -- get pbp -A
    cargo xtask cluster down --name demo")]
pub struct Demo {
    /// Pods to fill the cluster with; the policy's second rung begins at 10,000
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(10_000..=100_000))]
    pods: u32,
    /// Leave the cluster `demo` running
    #[arg(long)]
    keep: bool,
}

impl Demo {
    /// Tells the story and ends the cluster, whatever came of it.
    pub async fn run(self) -> Result<ExitCode> {
        let name: ClusterName = CLUSTER.parse()?;
        let progress = Progress::stderr();
        let told = tokio::select! {
            told = self.tell(&name, &progress) => told,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        };
        if self.keep {
            progress
                .say("the cluster stays: cargo xtask cluster kubectl --name demo -- get pbp -A");
        } else {
            progress.say("stopping the cluster");
            Cluster::stop_named(&name).await?;
        }
        told?;
        Ok(ExitCode::SUCCESS)
    }

    async fn tell(&self, name: &ClusterName, progress: &Progress) -> Result<()> {
        let cluster = Cluster::start(&ClusterOptions::new(name.clone()), progress).await?;
        let story = Story::begin(cluster, progress.clone()).await?;
        with_beats(
            progress,
            "installing the operator",
            story.install_operator(),
        )
        .await?;
        let small = with_beats(
            progress,
            "measuring the operator in a small cluster",
            memory(&story),
        )
        .await?;

        let pods = usize::try_from(self.pods)?;
        with_beats(progress, "filling the cluster", story.fill(pods)).await?;
        with_beats(
            progress,
            "preparing the controller",
            story.deploy_controller(),
        )
        .await?;
        let before = probes(&story).await?;
        progress.say("the controller lists every pod before it answers /healthz; its chart's liveness probe waits 30 s and allows 2 failures");
        let kill = with_beats(progress, "waiting for the kubelet", story.killed()).await?;
        progress.say(format!("event: {kill}"));

        progress.say("policy.yaml (its windows are 0, so that nobody has to wait for them here):");
        for line in serde_json::to_string_pretty(&policy("Observe"))?.lines() {
            progress.say(line);
        }
        progress.say("$ kubectl apply -f policy.yaml        # mode: Observe");
        story.apply_policy("Observe").await?;
        let seen = story.status("the kill to be recognised", |status| {
            status.verdict.is_some()
        });
        with_beats(progress, "waiting for the verdict", seen).await?;
        show(&story, progress).await?;

        progress.say("$ kubectl apply -f policy.yaml        # mode: Enforce");
        story.apply_policy("Enforce").await?;
        let restarts = with_beats(progress, "waiting for the new pod", story.ready()).await?;
        progress.say(format!("the controller is Ready after {restarts} restarts"));
        with_beats(
            progress,
            "watching whether it stays so",
            story.stays_ready(Duration::from_secs(30)),
        )
        .await?;
        show(&story, progress).await?;

        progress.say(format!("probes before: {before}"));
        progress.say(format!("probes after:  {}", probes(&story).await?));
        let large = memory(&story).await?;
        progress.say(format!(
            "the operator's memory: {:.1} MiB with no pods, {:.1} MiB with {pods}; one count of all pods took {} bytes",
            small.resident_mib, large.resident_mib, large.poll_bytes
        ));
        Ok(())
    }
}

/// What the operator holds and what a count costs.
struct Memory {
    resident_mib: f64,
    poll_bytes: f64,
}

async fn memory(story: &Story) -> Result<Memory> {
    let text = story.metrics().await?;
    let resident = metric(&text, "process_resident_memory_bytes")
        .context("the operator does not tell its memory")?;
    // Nothing is counted before there is a policy.
    let poll_bytes = metric(&text, "probepilot_count_poll_bytes{").unwrap_or(0.0);
    Ok(Memory {
        resident_mib: resident / f64::from(1 << 20),
        poll_bytes,
    })
}

async fn probes(story: &Story) -> Result<String> {
    let (liveness, startup) = story.probes().await?;
    let show = |probe: Option<_>| serde_json::to_string(&probe);
    Ok(format!(
        "livenessProbe {} startupProbe {}",
        show(liveness)?,
        show(startup)?
    ))
}

async fn show(story: &Story, progress: &Progress) -> Result<()> {
    progress.say(format!("$ kubectl get pbp,pods -n {NAMESPACE}"));
    for line in story
        .kubectl(&["get", "pbp,pods", "-n", NAMESPACE])
        .await?
        .lines()
    {
        progress.say(line);
    }
    Ok(())
}

/// Waits for `work` and says every few seconds that it does.
async fn with_beats<T>(
    progress: &Progress,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(Duration::from_secs(5), &mut work).await {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => bail!("{what}: {error:#}"),
            Err(_) => progress.say(format!("... {what}")),
        }
    }
}
