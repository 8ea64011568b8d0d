//! The command line: one variant and one file a command.
//!
//! A command returns its exit code. An error means that it could not do its work: it is printed and
//! the exit code is 2, as for a command line that cannot be understood.

use crate::{check, crd, explain, plan, recommend, run, simulate, uninstall};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Name under which kubectl finds the command as its plugin `probepilot`.
const PLUGIN: &str = "kubectl-probepilot";

/// Probe timings that follow the size of the cluster, and the arithmetic behind them.
#[derive(Debug, Parser)]
#[command(name = "probepilot", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Crd(crd::Args),
    Simulate(simulate::Args),
    Check(check::Args),
    Plan(plan::Args),
    Explain(explain::Args),
    Recommend(recommend::Args),
    Uninstall(uninstall::Args),
}

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    let result = match parse().command {
        Command::Run(args) => run::run(args),
        Command::Crd(args) => crd::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Recommend(args) => recommend::run(&args),
        Command::Uninstall(args) => uninstall::run(&args),
    };
    result.unwrap_or_else(|error| {
        // A closed pipe on stderr leaves nobody to tell.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::from(2)
    })
}

/// Under the name of a kubectl plugin, help and errors name the command as kubectl's users type it.
fn parse() -> Cli {
    let plugin = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .is_some_and(|path| path.file_stem().is_some_and(|name| name == PLUGIN));
    let command = if plugin {
        Cli::command().bin_name("kubectl probepilot")
    } else {
        Cli::command()
    };
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Where a command writes its result: a file, or standard output.
pub(crate) fn write_output(to: Option<&std::path::Path>, text: &str) -> anyhow::Result<()> {
    use anyhow::Context as _;
    match to {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
        None => match std::io::stdout().lock().write_all(text.as_bytes()) {
            // `probepilot ... | head` is not a failure.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot write to standard output"),
        },
    }
}
