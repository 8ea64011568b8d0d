//! `cargo xtask test`: everything that can be tested, with the real cluster that it needs.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Progress};

/// The cluster that all tests share.
const CLUSTER: &str = "test";
/// Asks tests/node/kubelet_diff for all configurations (its `FULL_VAR`).
const FULL_VAR: &str = "PROBEPILOT_TEST_FULL";

/// Run all tests: format, lints, generated files, unit tests, and tests on a real API server and a real kubelet
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask test                     everything, as CI runs it
  cargo xtask test --full              every generated pod on the real kubelet too: about 5 minutes more
  cargo xtask test --keep              and leave the cluster `test` running, so that the next run starts sooner
  cargo xtask test -- decide::         only tests whose name contains decide::")]
pub struct Test {
    /// Run all generated configurations on the real kubelet, not only some of each kind
    #[arg(long)]
    full: bool,
    /// Leave the cluster `test` running
    #[arg(long)]
    keep: bool,
    /// Do not run the tests a second time when some failed
    #[arg(long)]
    once: bool,
    /// Passed to cargo test, for example a part of a test's name
    #[arg(last = true)]
    args: Vec<String>,
}

impl Test {
    /// Runs every step; the first that fails ends the run, after the cluster was stopped.
    pub async fn run(self) -> Result<ExitCode> {
        let started = Instant::now();
        let cluster: ClusterName = CLUSTER.parse()?;
        // What needs no cluster fails first.
        for (what, program, args) in CHECKS {
            step(what, Command::new(program).args(*args))?;
        }
        let options = ClusterOptions::new(cluster.clone());
        eprintln!("==> starting cluster {CLUSTER}");
        Cluster::start(&options, &Progress::stderr()).await?;
        let mut tested = self.tests();
        if tested.is_err() && !self.once {
            // Real kubelets on shared machines miss a deadline now and then; what fails twice is a failure.
            eprintln!("==> tests failed; running them once more (--once does not)");
            tested = self.tests();
        }
        if !self.keep {
            eprintln!("==> stopping cluster {CLUSTER}");
            Cluster::stop_named(&cluster).await?;
        }
        tested?;
        eprintln!("==> all passed in {} s", started.elapsed().as_secs());
        Ok(ExitCode::SUCCESS)
    }
}

impl Test {
    fn tests(&self) -> Result<()> {
        let mut command = Command::new("cargo");
        command
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .args(&self.args);
        if self.full {
            command.env(FULL_VAR, "1");
        }
        step("cargo test --workspace", &mut command)
    }
}

/// Name, program and arguments of the steps before the tests.
const CHECKS: &[(&str, &str, &[&str])] = &[
    ("cargo fmt", "cargo", &["fmt", "--all", "--check"]),
    (
        "cargo clippy",
        "cargo",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
    ),
    (
        "cargo xtask gen --check",
        "cargo",
        &["xtask", "gen", "--check"],
    ),
];

fn step(what: &str, command: &mut Command) -> Result<()> {
    let started = Instant::now();
    eprintln!("==> {what}");
    let status = command
        .status()
        .with_context(|| format!("cannot run {what}"))?;
    if !status.success() {
        bail!(
            "{what} failed after {} s ({status})",
            started.elapsed().as_secs()
        );
    }
    eprintln!("    {what}: passed in {} s", started.elapsed().as_secs());
    Ok(())
}
