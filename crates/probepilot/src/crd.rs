//! `probepilot crd`: the CustomResourceDefinition that this version works with.

use crate::cli::write_output;
use anyhow::Context as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the ProbePolicy CustomResourceDefinition.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  Install it:
    probepilot crd | kubectl apply --server-side -f -
  What would change in the cluster?
    probepilot crd | kubectl diff -f -")]
pub(crate) struct Args {
    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Prints the definition.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let yaml = probepilot_api::crd_yaml().context("the definition cannot be written as YAML")?;
    write_output(args.out.as_deref(), &yaml)?;
    Ok(ExitCode::SUCCESS)
}
