//! `cargo xtask demo`: the main job on a real local cluster, told as it happens.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use k8s_openapi::api::core::v1::Probe;
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Progress};
use probepilot_test_node::controller::{Controller, Owner};
use probepilot_test_node::policy::StoryPolicy;
use probepilot_test_node::story::{Story, metric};

/// The controller's namespace.
const NAMESPACE: &str = "load-balancer";
/// How long the controller is watched after it is Ready.
const WATCHED: Duration = Duration::from_secs(30);
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
        let install = story.install_operator();
        with_beats(progress, "installing the operator", install).await?;
        let measure = memory(&story);
        let small = with_beats(
            progress,
            "measuring the operator in an empty cluster",
            measure,
        );
        let small = small.await?;

        let controller = self.killed(&story, progress).await?;
        let before = controller.probes().await?;
        rescued(&story, &controller, progress).await?;
        let after = controller.probes().await?;

        progress.say("the probes, as timings and the startup budget that they guarantee:");
        for line in [
            HEAD.to_owned(),
            row("before", &before),
            row("after", &after),
        ] {
            progress.say(line.trim_end());
        }
        let large = memory(&story).await?;
        progress.say(format!(
            "the operator's memory: {:.1} MiB before there were pods, {:.1} MiB with {}; one count of all pods took {} bytes",
            small.resident_mib, large.resident_mib, self.pods, large.poll_bytes
        ));
        Ok(())
    }

    /// The problem: a large cluster, and a controller that is killed while it starts.
    async fn killed(&self, story: &Story, progress: &Progress) -> Result<Controller> {
        let pods = usize::try_from(self.pods)?;
        let fill = async {
            story.settle(0).await?;
            story.crowd(pods).await
        };
        with_beats(progress, "filling the cluster", fill).await?;
        let prepare = async {
            let podcache = story.load_controller().await?;
            story.slow_enough(&podcache).await
        };
        let millicpu = with_beats(progress, "preparing the controller", prepare).await?;
        progress.say("the controller lists every pod before it answers /healthz; its chart's liveness probe waits 30 s and allows 2 failures");
        let controller = story.deploy(NAMESPACE, Owner::Kubectl, millicpu).await?;
        let kill = with_beats(progress, "waiting for the kubelet", controller.killed()).await?;
        progress.say(format!("event: {kill}"));
        Ok(controller)
    }
}

/// What probepilot does about it: first only said, then done.
async fn rescued(story: &Story, controller: &Controller, progress: &Progress) -> Result<()> {
    progress.say(
        "$ cat policy.yaml        # its windows are 0, so that nobody has to wait for them here",
    );
    let policy = StoryPolicy::timings("Observe");
    let yaml = serde_saphyr::to_string(&policy.object(NAMESPACE))?;
    yaml.lines().for_each(|line| progress.say(line));
    progress.say("$ kubectl apply -f policy.yaml        # mode: Observe");
    controller.apply_policy(&policy).await?;
    let seen = controller.status("the kill to be recognised", |status| {
        status.verdict.is_some()
    });
    with_beats(progress, "waiting for the verdict", seen).await?;
    show(story, progress).await?;

    progress.say("$ kubectl apply -f policy.yaml        # mode: Enforce");
    controller
        .apply_policy(&StoryPolicy::timings("Enforce"))
        .await?;
    let covered = controller.status("the write", |status| status.last_write.is_some());
    with_beats(progress, "waiting for the write", covered).await?;
    let restarts = with_beats(progress, "waiting for the new pod", controller.ready()).await?;
    progress.say(format!("the controller is Ready after {restarts} restarts"));
    let stays = controller.stays_ready(WATCHED);
    with_beats(progress, "watching whether it stays so", stays).await?;
    show(story, progress).await
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

const HEAD: &str = "        probe     initialDelay  period  timeout  failureThreshold  budget";

/// One line for each probe there is.
fn row(when: &str, (liveness, startup): &(Option<Probe>, Option<Probe>)) -> String {
    let probes = [("startup", startup), ("liveness", liveness)];
    let lines = probes.iter().filter_map(|(name, probe)| {
        let probe = probe.as_ref()?;
        let delay = probe.initial_delay_seconds.unwrap_or(0);
        let period = probe.period_seconds.unwrap_or(10);
        let failures = probe.failure_threshold.unwrap_or(3);
        Some(format!(
            "{when:<8}{name:<10}{delay:<14}{period:<8}{:<9}{failures:<18}{} s",
            probe.timeout_seconds.unwrap_or(1),
            delay + (failures - 1) * period
        ))
    });
    lines.collect::<Vec<_>>().join("\n")
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
