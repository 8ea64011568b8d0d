//! The operator's resident memory and the bytes of a count, in a small and in a large cluster.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Progress};
use probepilot_test_node::story::{Story, metric};
use serde_json::json;

const CLUSTER: &str = "bench";
/// Counts that are waited for before the memory is read: enough for every buffer to have its size.
const POLLS: f64 = 60.0;
/// The difference that is allowed, in MiB.
const ALLOWED_MIB: f64 = 1.0;

/// Measure the operator's resident memory at several numbers of pods
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench memory                       at 1,000 and at 20,000 pods; about 6 minutes
  cargo xtask bench memory --pods 100,50000      at other numbers
It fails when the largest cluster costs over 1 MiB more than the smallest.")]
pub struct Memory {
    /// Numbers of pods, rising
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 20_000])]
    pods: Vec<usize>,
    /// Leave the cluster `bench` running
    #[arg(long)]
    keep: bool,
}

/// One line of the result.
struct Row {
    pods: usize,
    resident_mib: f64,
    poll_bytes: f64,
}

impl Memory {
    /// Measures and ends the cluster, whatever came of it.
    pub async fn run(self) -> Result<ExitCode> {
        if self.pods.is_empty() || !self.pods.is_sorted() {
            bail!("--pods wants rising numbers, such as --pods 1000,20000");
        }
        let name: ClusterName = CLUSTER.parse()?;
        let progress = Progress::stderr();
        let rows = self.measure(&name, &progress).await;
        if !self.keep {
            Cluster::stop_named(&name).await?;
        }
        let rows = rows?;
        println!("   pods   resident memory   bytes of one count");
        for row in &rows {
            println!(
                "{:>7}   {:>11.2} MiB   {:>18}",
                row.pods, row.resident_mib, row.poll_bytes
            );
        }
        let resident = rows.iter().map(|row| row.resident_mib);
        let apart = resident.clone().fold(f64::MIN, f64::max) - resident.fold(f64::MAX, f64::min);
        println!("{apart:.2} MiB apart; {ALLOWED_MIB} MiB is allowed");
        Ok(ExitCode::from(u8::from(apart > ALLOWED_MIB)))
    }

    async fn measure(&self, name: &ClusterName, progress: &Progress) -> Result<Vec<Row>> {
        let cluster = Cluster::start(&ClusterOptions::new(name.clone()), progress).await?;
        let story = Story::begin(cluster, progress.clone()).await?;
        story.install_operator().await?;
        story.count_every(Duration::from_secs(1)).await?;
        story.apply(&target_and_policy()).await?;
        story.settle(0).await?;
        let mut rows = Vec::new();
        for pods in &self.pods {
            // Pods that are there already are left as they are.
            story.crowd(*pods).await?;
            progress.say(format!("counting {POLLS} times"));
            rows.push(measure(&story, *pods).await?);
        }
        Ok(rows)
    }
}

/// Waits until the pods were counted often enough since now, and reads.
async fn measure(story: &Story, pods: usize) -> Result<Row> {
    let polls = |text: &str| metric(text, "probepilot_count_poll_seconds_count");
    let before = polls(&story.metrics().await?).unwrap_or(0.0);
    let look = || async {
        let text = story.metrics().await?;
        let counted = polls(&text).unwrap_or(0.0) - before;
        Ok::<_, anyhow::Error>(if counted >= POLLS {
            Seen::Done(text)
        } else {
            Seen::NotYet(format!("{counted} counts"))
        })
    };
    let every = Duration::from_secs(2);
    let text = wait::until_every(every, "the counts", Duration::from_mins(5), look).await?;
    Ok(Row {
        pods,
        resident_mib: metric(&text, "process_resident_memory_bytes")
            .context("the operator does not tell its memory")?
            / f64::from(1 << 20),
        poll_bytes: metric(&text, "probepilot_count_poll_bytes{")
            .context("the operator does not tell the bytes of a count")?,
    })
}

/// A policy that counts all pods, for a target without any.
fn target_and_policy() -> serde_json::Value {
    let labels = json!({"app": "web"});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"}, "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "probepilot.test/none:1",
                "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}]}}}},
        {"apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": "web", "namespace": "default"}, "spec": {
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "rules": [{"steps": [{"atLeast": 0, "startupSeconds": 60}]}]}},
    ]})
}
