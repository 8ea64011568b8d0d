//! `podcache`: a controller that lists every pod of the cluster before it answers its health endpoint.
//!
//! It behaves as aws-load-balancer-controller does between `NewManager` and `mgr.Start` (its main.go, and
//! kubernetes-sigs/aws-load-balancer-controller#3902): the health port is bound at once, so the kubelet connects,
//! but nothing answers until the pod cache is filled. A SIGTERM in that time is answered with the two messages of the
//! real controller and exit code 1; later with exit code 0.
//!
//! What makes it slow is work alone: the number and the size of the pods, and the CPU limit of its container.
//! Nothing in here waits on a clock to look busy.

mod cache;
mod health;
mod log;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use kube::Client;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::cache::PodCache;

/// Lists every pod of the cluster, then answers /healthz and /readyz.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  podcache                          in a pod, with its service account
  KUBECONFIG=... podcache --measure outside, prints what the listing costs and ends")]
struct Arguments {
    /// Port of /healthz and /readyz, on all addresses; 61779 is that of aws-load-balancer-controller's chart.
    #[arg(long, default_value_t = 61779, value_name = "PORT")]
    health_port: u16,
    /// Fill the cache once, print one line of JSON (pods, seconds, cpuSeconds, bytes) and end. From it a CPU limit for this machine follows:
    /// cpuSeconds / wanted seconds.
    #[arg(long)]
    measure: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            log::error("setup", "unable to run", &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.measure {
        measure()
    } else {
        runtime()?.block_on(serve(arguments.health_port))
    }
}

/// A runtime of one thread. Two are in use: at a small CPU limit one that reads and decodes pages would not look at signals for many seconds.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn fill() -> anyhow::Result<PodCache> {
    runtime()?.block_on(async { Ok(PodCache::fill(&client().await?).await) })
}

fn measure() -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let cache = fill()?;
    println!(
        "{}",
        serde_json::json!({
            "pods": cache.len(),
            "seconds": begin.elapsed().as_secs_f64(),
            "cpuSeconds": cpu_time().as_secs_f64(),
            "bytes": cache.bytes(),
        })
    );
    Ok(ExitCode::SUCCESS)
}

async fn serve(port: u16) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot bind the health port {address}"))?;
    log::info("setup", "starting podInfo repo", &[]);
    let begin = Instant::now();
    let (done, filled) = oneshot::channel();
    std::thread::Builder::new()
        .name("podInfo".to_owned())
        // Nobody listens any more after a SIGTERM; then the process is about to end, and this thread with it.
        .spawn(move || drop(done.send(fill())))?;
    let cache = tokio::select! {
        cache = filled => cache.context("the thread that lists has ended")??,
        _ = terminate.recv() => {
            log::error("setup", "problem wait for podInfo repo sync", "timed out waiting for the condition");
            return Ok(ExitCode::FAILURE);
        }
    };
    log::info(
        "setup",
        "podInfo repo synced",
        &[
            ("pods", cache.len().into()),
            ("seconds", begin.elapsed().as_secs_f64().into()),
            ("cpuSeconds", cpu_time().as_secs_f64().into()),
        ],
    );
    health::serve(listener, async move {
        terminate.recv().await;
    })
    .await?;
    log::info("setup", "stopped", &[("pods", cache.len().into())]);
    Ok(ExitCode::SUCCESS)
}

async fn client() -> anyhow::Result<Client> {
    let mut config = kube::Config::infer()
        .await
        .context("neither a service account nor a kubeconfig was found")?;
    // A page may take long to arrive at a small CPU limit; cache.rs gives each its own deadline.
    config.read_timeout = None;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
