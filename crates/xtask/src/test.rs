//! `cargo xtask test`: everything that can be tested, with the real cluster that it needs.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, OwnerTools, Progress};

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
        // Here, where its progress is seen, and not in the test that needs it.
        let tested = OwnerTools::build(&Progress::stderr())
            .map_err(Into::into)
            .and_then(|_| self.tests());
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
    /// Runs all tests, and once more the targets that failed: real kubelets on shared machines miss a deadline now and then;
    /// what fails twice is a failure.
    fn tests(&self) -> Result<()> {
        let failed = match self.cargo_test(&[])? {
            Tested::Passed => return Ok(()),
            Tested::Failed(targets) => targets,
        };
        if self.once || failed.is_empty() {
            bail!("cargo test failed");
        }
        let mut twice = Vec::new();
        for target in failed {
            eprintln!(
                "==> {} failed; once more (--once does not)",
                target.join(" ")
            );
            if let Tested::Failed(_) = self.cargo_test(&target)? {
                twice.push(target.join(" "));
            }
        }
        if !twice.is_empty() {
            bail!("failed twice: {}", twice.join(", "));
        }
        Ok(())
    }

    /// `cargo test` of the workspace, or of the targets that these options choose. Always of the whole workspace, so that no
    /// dependency is built again with other features.
    fn cargo_test(&self, target: &[String]) -> Result<Tested> {
        let what = format!("cargo test --workspace {}", target.join(" "));
        eprintln!("==> {}", what.trim_end());
        let started = Instant::now();
        let mut command = Command::new("cargo");
        command
            .args(["test", "--workspace", "--locked", "--no-fail-fast"])
            .args(target)
            .args(&self.args)
            .stderr(Stdio::piped());
        if self.full {
            command.env(FULL_VAR, "1");
        }
        let cannot = || format!("cannot run {what}");
        let mut cargo = command.spawn().with_context(cannot)?;
        let mut failed = Vec::new();
        for line in BufReader::new(cargo.stderr.take().with_context(cannot)?).lines() {
            let line = line.with_context(cannot)?;
            failed.extend(failed_target(&line));
            eprintln!("{line}");
        }
        let status = cargo.wait().with_context(cannot)?;
        let seconds = started.elapsed().as_secs();
        if status.success() {
            eprintln!("    {}: passed in {seconds} s", what.trim_end());
            return Ok(Tested::Passed);
        }
        eprintln!(
            "    {}: failed after {seconds} s ({status})",
            what.trim_end()
        );
        Ok(Tested::Failed(failed))
    }
}

/// What came of a run of the tests.
enum Tested {
    Passed,
    /// The targets that failed, as options of `cargo test`; none when something did not compile.
    Failed(Vec<Vec<String>>),
}

/// The options that choose a failed target, without its package. At its end cargo lists what failed in the form in which it
/// takes it: a line of ``    `-p PACKAGE --test NAME` ``.
fn failed_target(line: &str) -> Option<Vec<String>> {
    let options = line.strip_prefix("    `-p ")?.strip_suffix('`')?;
    let words = options.split(' ').skip(1).map(str::to_owned);
    Some(words.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_targets_are_read_off_cargos_list() {
        let read = |line| failed_target(line).map(|words| words.join(" "));
        let cases = [
            (
                "    `-p probepilot-test-node --test main_job`",
                Some("--test main_job"),
            ),
            ("    `-p probepilot-api --lib`", Some("--lib")),
            (
                "    `-p probepilot --bin probepilot`",
                Some("--bin probepilot"),
            ),
            ("error: 2 targets failed:", None),
            (
                "error: test failed, to rerun pass `-p probepilot-test-node --test main_job`",
                None,
            ),
        ];
        for (line, wanted) in cases {
            assert_eq!(read(line).as_deref(), wanted, "{line}");
        }
    }
}
