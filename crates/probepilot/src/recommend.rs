//! `probepilot recommend`: measure first, then set.
//!
//! What the operator saw of a target's starts stands in the policy's status. Here it becomes a rule to commit, by the fit of
//! `probepilot-policy` that the operator learns with.

mod measured;
mod page;
mod source;

use crate::cli::write_output;
use clap::ValueEnum;
use measured::Measured;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print a ready-to-commit ProbePolicy from the starts that the operator has measured.
///
/// The policy stays as it is but for its rules: one rule with the measured curve, which goes on beyond the counts that were seen.
/// The measurements stand beside it as comments. A policy in mode Observe measures too, so begin with one and commit this when
/// enough starts were seen.
///
/// Exit code 0: printed; 2: no start was seen yet, or an input or a cluster that cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  From a policy that has measured for a while:
    probepilot recommend -n kube-system aws-load-balancer-controller > policy.yaml
  What would change in the cluster?
    probepilot recommend -n kube-system aws-load-balancer-controller | kubectl diff -f -
  Without a cluster, from what somebody sent:
    kubectl get pbp aws-load-balancer-controller -n kube-system -o yaml > seen.yaml
    probepilot recommend -f seen.yaml
  The budget for the present count, for a script:
    probepilot recommend -n kube-system aws-load-balancer-controller -o json | jq .recommendedSeconds

JSON: policy (the ProbePolicy), count (the present one), recommendedSeconds (the budget at that count, headroom included),
points (count and seconds of the rule), starts (as status.starts has them) and reason (how they were read, one sentence each).")]
pub(crate) struct Args {
    /// Name of the policy.
    #[arg(value_name = "NAME", required_unless_present = "files")]
    name: Option<String>,

    /// Policies to read instead of a cluster, as `kubectl get pbp -o yaml|json` prints them; `-` is standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The namespace. Default: that of the kubeconfig's context; with -f: any.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// The form of the result.
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Output,

    /// The kubeconfig to use. Default: KUBECONFIG, then ~/.kube/config, then the pod's ServiceAccount.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use. Default: its current context.
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    context: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A policy to commit, with what was measured as comments.
    Yaml,
    /// One object.
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let policy = match &args.name {
        Some(name) if args.files.is_empty() => source::from_cluster(args, name)?,
        name => source::from_files(&args.files, args.namespace.as_deref(), name.as_deref())?,
    };
    let measured = Measured::of(&policy)?;
    let text = match args.output {
        Output::Yaml => page::yaml(&policy, &measured)?,
        Output::Json => page::json(&policy, &measured)?,
    };
    write_output(None, &text)?;
    Ok(ExitCode::SUCCESS)
}
