//! `probepilot run`: the operator.

use crate::duration::parse_seconds;
use crate::logging::{self, LogFormat};
use anyhow::Context as _;
use clap::ArgAction;
use probepilot_operator::admission::AdmissionPace;
use probepilot_operator::context::PolicyOptions;
use probepilot_operator::{LeaseName, Options, kubeconfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Two threads are plenty: the operator waits for the API server most of its time.
const THREADS: usize = 2;

/// Run the operator until SIGTERM or SIGINT.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  In a cluster (config/ does this):
    probepilot run
  From a workstation, looking only, one namespace:
    probepilot run --read-only --namespace kube-system --leader-elect=false --listen 127.0.0.1:8080
  What does it wait for?
    curl http://127.0.0.1:8080/readyz")]
pub(crate) struct Args {
    /// Work on the policies of this namespace only. Default: all namespaces.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Write nothing to any workload, whatever policies say; status and events still tell what would be done.
    #[arg(long)]
    read_only: bool,

    /// How many rollouts of healthy targets may be under way at a time.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=100))]
    max_parallel_rollouts: u16,

    /// Time between two counts of the same thing: seconds, `30s` or `5m`.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_interval)]
    count_interval: Duration,

    /// Where to serve /livez, /readyz and /metrics; port 0 takes a free one and logs it.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,

    /// Let one replica work and the others stand by.
    #[arg(
        long, value_name = "BOOL", default_value = "true", default_missing_value = "true",
        action = ArgAction::Set, num_args = 0..=1, require_equals = true
    )]
    leader_elect: bool,

    /// Namespace of the Lease. Default: the pod's own, or the kubeconfig context's.
    #[arg(long, value_name = "NAMESPACE")]
    lease_namespace: Option<String>,

    /// Name of the Lease.
    #[arg(long, value_name = "NAME", default_value = "probepilot")]
    lease_name: String,

    /// Name of this replica in the Lease and in events. Default: the host's name.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    instance: Option<String>,

    /// The form of log lines; auto is text on a terminal and JSON otherwise. RUST_LOG chooses what is logged.
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "auto")]
    log_format: LogFormat,

    /// The kubeconfig to use. Default: KUBECONFIG, then ~/.kube/config, then the pod's ServiceAccount.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use. Default: its current context.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

/// Runs until a signal comes.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    logging::start(args.log_format)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(operate(args))?;
    Ok(ExitCode::SUCCESS)
}

async fn operate(args: Args) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let config = kubeconfig::load(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let version = env!("CARGO_PKG_VERSION");
    let cluster = config.cluster_url.to_string();
    tracing::info!(
        version,
        cluster,
        read_only = args.read_only,
        "probepilot starts"
    );
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(probepilot_operator::run(config, args.options(), shutdown).await?)
}

impl Args {
    fn options(self) -> Options {
        let lease = LeaseName {
            namespace: self.lease_namespace,
            name: self.lease_name,
        };
        Options {
            policies: PolicyOptions {
                namespace: self.namespace,
                read_only: self.read_only,
                max_parallel_rollouts: usize::from(self.max_parallel_rollouts),
                count_interval: self.count_interval,
                admission: AdmissionPace::default(),
            },
            listen: self.listen,
            lease: self.leader_elect.then_some(lease),
            instance: self.instance.unwrap_or_else(host_name),
        }
    }
}

/// The kernel's name of this host, which in a pod is the pod's name.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "probepilot" } else { name }.to_owned()
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds = parse_seconds(text)?;
    if (1..=3600).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(format!("`{text}` is not between 1s and 1h"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("run").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.args.options())
    }

    #[test]
    fn defaults_are_those_of_a_pod() {
        let options = parse("--instance me").unwrap();
        assert_eq!(options.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(options.policies.namespace, None);
        assert!(!options.policies.read_only);
        assert_eq!(options.policies.max_parallel_rollouts, 1);
        assert_eq!(options.policies.count_interval, Duration::from_secs(30));
        let lease = options.lease.unwrap();
        assert_eq!((lease.name.as_str(), lease.namespace), ("probepilot", None));
    }

    #[test]
    fn leader_election_is_on_unless_it_is_switched_off() {
        for (line, elects) in [
            ("", true),
            ("--leader-elect", true),
            ("--leader-elect=true", true),
            ("--leader-elect=false", false),
        ] {
            assert_eq!(parse(line).unwrap().lease.is_some(), elects, "{line}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for line in [
            "--count-interval 0",
            "--count-interval 2h",
            "--max-parallel-rollouts 0",
            "--listen 8080",
            "--log-format xml",
            "--leader-elect=maybe",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        let options = parse("--count-interval 5m --read-only --namespace team").unwrap();
        assert_eq!(options.policies.count_interval, Duration::from_mins(5));
        assert_eq!(options.policies.namespace.as_deref(), Some("team"));
        assert!(options.policies.read_only);
    }
}
