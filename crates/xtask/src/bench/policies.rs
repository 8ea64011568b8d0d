//! What many policies cost: the operator's memory, its requests at rest and with a count that moves, the time until all
//! policies are decided and until all targets are written, and what comes after the API server was away.
//!
//! Operator and API server are real; the targets have no pods, so that what is measured is the operator. Requests are
//! counted in the API server's audit log, where a watch stands once, when it ends.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::Timestamp;
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Progress};
use probepilot_test_node::story::{Story, metric};

mod audit;
mod place;

use audit::Audit;
use place::Place;

const CLUSTER: &str = "policies";
/// How long requests are counted.
const WINDOW: Duration = Duration::from_mins(2);
/// Memory that changes by less within 15 s stands still.
const STEADY_MIB: f64 = 0.3;
/// What is aimed at. Source: issue 6, section 4.
const AIMS: Aims = Aims {
    resident_mib: 80.0,
    at_rest: 3.0,
    moving: 5.0,
    decided: Duration::from_secs(30),
    pods_mib: 10.0,
};

struct Aims {
    resident_mib: f64,
    at_rest: f64,
    moving: f64,
    decided: Duration,
    pods_mib: f64,
}

/// Measure what many policies cost
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench policies                       1,000 policies in 50 namespaces; about 20 minutes
  cargo xtask bench policies --policies 100 --namespaces 5 --pods 0
It fails when an aim is missed. Other load on the machine counts in.")]
pub struct Policies {
    /// Policies in Enforce, each with its own Deployment
    #[arg(long = "policies", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    count: u32,
    /// Namespaces that they are spread over
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    namespaces: u32,
    /// Pods of one more target, at the end; 0 leaves it out
    #[arg(long, default_value_t = 5_000)]
    pods: usize,
    /// Leave the cluster `policies` running
    #[arg(long)]
    keep: bool,
}

/// What was measured, line by line, and whether each aim was met.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    missed: bool,
}

impl Report {
    fn says(&mut self, what: impl Into<String>) {
        let line = what.into();
        println!("{line}");
        self.lines.push(line);
    }

    fn holds(&mut self, what: &str, value: f64, aim: f64, unit: &str) {
        let met = value <= aim;
        self.missed |= !met;
        let word = if met { "within" } else { "over" };
        self.says(format!("{what}: {value:.2} {unit}, {word} {aim} {unit}"));
    }
}

impl Policies {
    /// Measures and ends the cluster, whatever came of it.
    pub async fn run(self) -> Result<ExitCode> {
        if self.namespaces > self.count {
            bail!("--namespaces wants at most as many as there are --policies");
        }
        let name: ClusterName = CLUSTER.parse()?;
        let progress = Progress::stderr();
        let report = self.measure(&name, &progress).await;
        if !self.keep {
            progress.say("stopping the cluster");
            Cluster::stop_named(&name).await?;
        }
        let report = report?;
        println!("\n{}", report.lines.join("\n"));
        if let Ok(load) = std::fs::read_to_string("/proc/loadavg") {
            println!("load of the machine at the end (1, 5, 15 min): {load}");
        }
        Ok(ExitCode::from(u8::from(report.missed)))
    }

    async fn measure(&self, name: &ClusterName, progress: &Progress) -> Result<Report> {
        let cluster = Cluster::start(&ClusterOptions::new(name.clone()), progress).await?;
        let story = Story::begin(cluster, progress.clone()).await?;
        story.install_operator().await?;
        let mut report = Report::default();
        report.says(format!(
            "{} policies in {} namespaces",
            self.count, self.namespaces
        ));
        let place = Place::new(&story, progress, self.count, self.namespaces);
        story.stop_operator().await?;
        place.make().await?;

        story.start_operator(&["--max-parallel-rollouts=1"]).await?;
        place.all_decided().await?;
        let took = Timestamp::now().duration_since(story.operator_started().await?);
        let what = "all decided after a start of the process";
        report.holds(what, took.as_secs_f64(), AIMS.decided.as_secs_f64(), "s");

        progress.say("waiting for two minutes of rest");
        tokio::time::sleep(WINDOW).await;
        let from = Timestamp::now();
        tokio::time::sleep(WINDOW).await;
        let audit = Audit::read(story.cluster())?.since(from);
        report.holds("requests at rest", audit.rate(WINDOW), AIMS.at_rest, "/s");
        report.says(format!("  of them {}", audit.kinds()));
        let resident = resident_mib(&story).await?;
        report.holds(
            "resident memory at rest",
            resident,
            AIMS.resident_mib,
            "MiB",
        );

        let from = Timestamp::now();
        place.move_count(WINDOW).await?;
        let audit = Audit::read(story.cluster())?.since(from);
        let what = "requests with a count that moves at every poll";
        report.holds(what, audit.rate(WINDOW), AIMS.moving, "/s");

        self.jumps(&story, &place, &mut report).await?;

        let from = Timestamp::now();
        progress.say("restarting the API server");
        story.cluster().restart_apiserver().await?;
        let back = Instant::now();
        place.follows_again().await?;
        report.says(format!(
            "after a restart of the API server a changed policy is answered within {:.1} s",
            back.elapsed().as_secs_f64()
        ));
        let audit = Audit::read(story.cluster())?.since(from);
        report.says(format!(
            "  requests in the busiest second after it: {}",
            audit.busiest_second()
        ));

        if self.pods > 0 {
            progress.say("waiting for the memory to stand still");
            let before = steady_mib(&story).await?;
            place.large_target(self.pods).await?;
            let after = steady_mib(&story).await?;
            let what = format!("one target of {} pods", self.pods);
            report.holds(&what, after - before, AIMS.pods_mib, "MiB");
        }
        Ok(report)
    }

    /// Lets every target need more, twice: with one rollout at a time and with twenty.
    async fn jumps(&self, story: &Story, place: &Place<'_>, report: &mut Report) -> Result<()> {
        for (rung, parallel) in [(1, "1"), (2, "20")] {
            let flag = format!("--max-parallel-rollouts={parallel}");
            story.start_operator(&[&flag]).await?;
            place.all_decided().await?;
            let began = Instant::now();
            place.jump(rung).await?;
            place.all_written(rung).await?;
            report.says(format!(
                "all written after a jump of the count, {parallel} rollouts at a time: {:.0} s",
                began.elapsed().as_secs_f64()
            ));
        }
        Ok(())
    }
}

/// Resident memory once it stands still, or after two minutes: watches that broke come back one by one.
async fn steady_mib(story: &Story) -> Result<f64> {
    let mut last = resident_mib(story).await?;
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_secs(15)).await;
        let now = resident_mib(story).await?;
        if (now - last).abs() < STEADY_MIB {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

async fn resident_mib(story: &Story) -> Result<f64> {
    let bytes = metric(&story.metrics().await?, "process_resident_memory_bytes");
    Ok(bytes.context("the operator does not tell its memory")? / f64::from(1 << 20))
}
