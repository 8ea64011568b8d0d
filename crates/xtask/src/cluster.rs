//! `cargo xtask cluster`: a real Kubernetes on this machine.

use std::os::unix::process::CommandExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use probepilot_test_cluster::{Cluster as Local, ClusterName, ClusterOptions, Error, Progress};

/// Run a real Kubernetes on this machine: control plane, one node, and kwok for fake nodes.
#[derive(Debug, Args)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start a cluster; one that runs and is well is left as it is.
    #[command(after_help = "\
Examples:
  cargo xtask cluster up
  cargo xtask cluster up --name fast --max-container-restart-period 10

The first time builds Kubernetes from source, which takes minutes. Needs root, Go and, on Debian, nothing else: missing packages are installed.")]
    Up {
        #[command(flatten)]
        name: Name,
        /// Cap the kubelet's pause between two restarts of a container, in seconds. Without it the kubelet's default: 10 s, doubling to 5 min.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=300))]
        max_container_restart_period: Option<u64>,
    },
    /// Stop a cluster and remove all it made: processes, mounts, interfaces, cgroups, files.
    #[command(after_help = "\
Examples:
  cargo xtask cluster down
  cargo xtask cluster down --name fast

Works on whatever is left after a crash, and says nothing is there when nothing is.")]
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Say what runs, where its logs are and what is unhealthy. Exits with 1 unless all is well.
    #[command(after_help = "\
Examples:
  cargo xtask cluster status
  cargo xtask cluster status --name fast")]
    Status {
        #[command(flatten)]
        name: Name,
    },
    /// Run kubectl against a cluster.
    #[command(after_help = "\
Examples:
  cargo xtask cluster kubectl -- get pods --all-namespaces
  cargo xtask cluster kubectl --name fast -- apply -f policy.yaml")]
    Kubectl {
        #[command(flatten)]
        name: Name,
        /// What kubectl is told.
        #[arg(last = true, required = true, value_name = "ARGS")]
        arguments: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
struct Name {
    /// The cluster's name. Clusters of different names can run at once.
    #[arg(long, default_value = "dev")]
    name: ClusterName,
}

impl Cluster {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Up {
                name,
                max_container_restart_period,
            } => up(name.name, max_container_restart_period).await,
            Action::Down { name } => down(name.name).await,
            Action::Status { name } => status(name.name).await,
            Action::Kubectl { name, arguments } => kubectl(&name.name, &arguments),
        }
    }
}

async fn up(name: ClusterName, restart_seconds: Option<u64>) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let mut options = ClusterOptions::new(name.clone());
    options.max_container_restart_period = restart_seconds.map(Duration::from_secs);
    let cluster = Local::start(&options, &Progress::stderr()).await?;
    println!(
        "cluster {name} is up after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    println!("  API server  {}", cluster.layout().api_url());
    println!("  kubeconfig  {}", cluster.kubeconfig().display());
    println!("  logs        {}", cluster.layout().logs().display());
    println!("  try         cargo xtask cluster kubectl --name {name} -- get nodes");
    Ok(ExitCode::SUCCESS)
}

async fn down(name: ClusterName) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    if Local::stop_named(&name).await? {
        println!(
            "cluster {name} is gone after {:.1} s",
            begin.elapsed().as_secs_f64()
        );
    } else {
        println!("cluster {name} was not there");
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(name: ClusterName) -> anyhow::Result<ExitCode> {
    let cluster = match Local::attach(&name) {
        Err(Error::NotRunning(_)) => {
            println!(
                "cluster {name} is not running; start it with: cargo xtask cluster up --name {name}"
            );
            return Ok(ExitCode::FAILURE);
        }
        attached => attached?,
    };
    let health = cluster.health().await;
    println!(
        "cluster {name} is {}",
        if health.is_healthy() {
            "healthy"
        } else {
            "unhealthy"
        }
    );
    println!("  API server  {}", cluster.layout().api_url());
    println!("  kubeconfig  {}", cluster.kubeconfig().display());
    println!("  audit log   {}", cluster.audit_log().display());
    print!("\n{}", health.table());
    if health.is_healthy() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nProblems:");
    for problem in &health.problems {
        println!("  {problem}");
    }
    Ok(ExitCode::FAILURE)
}

/// Becomes kubectl, so that signals, terminal and exit code are its own.
fn kubectl(name: &ClusterName, arguments: &[std::ffi::OsString]) -> anyhow::Result<ExitCode> {
    let cluster = Local::attach(name)?;
    let mut command = cluster.kubectl()?.command();
    Err(command.args(arguments).exec().into())
}
