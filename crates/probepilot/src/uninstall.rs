//! `probepilot uninstall`: hands every workload back and takes the policies away, so that the operator and its API
//! can go. It works whether the operator runs or not: both read from the workload how far the other came.

mod leave;
mod report;
mod wish;

use crate::cluster::{block_on, reach_to_write};
use clap::ValueEnum;
use probepilot_api::OnDelete;
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use wish::Wish;

/// Hand workloads back to their owners and delete the policies.
///
/// For each policy what its apply.onDelete says: Keep leaves the probes and gives up their fields, Restore puts the
/// owner's probes back, which rolls the pods. Then the policy is deleted and its finalizer removed. Workloads whose
/// policy is gone already are let go as well. Nothing that the owner has changed meanwhile is touched, nor a workload
/// that is annotated probepilot.dev/ignore. It can be run again at any time and goes on where it was.
///
/// It works without a running operator. The user needs the rights to delete policies and to patch workloads.
///
/// Exit code 0: everything is handed back; 1: something was refused or failed, and stays as it is; 2: a cluster that
/// cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  What would happen?
    probepilot uninstall --dry-run
  Hand everything back, then delete the operator and its API:
    probepilot uninstall
    kubectl delete -k config/default
  One namespace, with the owners' own probes whatever the policies say:
    probepilot uninstall -n kube-system --restore
  A policy that cannot be deleted because the operator is gone already:
    probepilot uninstall -n kube-system --keep
  For a script:
    probepilot uninstall -o json | jq -r '.policies[] | select(.result == \"Refused\") | .message'

JSON: dryRun; policies (namespace, name, target, container, onDelete, result, message); workloads without a policy (the
same without name); summary (how many of each result); next (commands, once everything in the cluster is done). Results: Kept (the probes
stay), Returned (they are the owner's), Nothing (nothing there was probepilot's), Refused, Failed.")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Args {
    /// The namespace. Default: all.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Put the owners' probes back, whatever apply.onDelete says; also those that were kept before.
    #[arg(long, conflicts_with = "keep")]
    restore: bool,

    /// Leave the probes as they are, whatever apply.onDelete says.
    #[arg(long)]
    keep: bool,

    /// Put probes back also where, as the policy last knew, more is needed than they give: the next start would be killed.
    #[arg(long)]
    restore_anyway: bool,

    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,

    /// The form of the result.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,

    /// The kubeconfig to use. Default: KUBECONFIG, then ~/.kube/config, then the pod's ServiceAccount.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use. Default: its current context.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line a policy as it is done, and a summary.
    Text,
    /// One object.
    Json,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let wish = Wish {
        how: match (args.restore, args.keep) {
            (true, _) => Some(OnDelete::Restore),
            (false, true) => Some(OnDelete::Keep),
            (false, false) => None,
        },
        anyway: args.restore_anyway,
        dry_run: args.dry_run,
    };
    let report = block_on(work(args, wish))?;
    report.finish(args.output == Output::Json)?;
    Ok(if report.is_done() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

async fn work(args: &Args, wish: Wish) -> anyhow::Result<Report> {
    let client = reach_to_write(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let mut report = Report::new(
        args.dry_run,
        args.output == Output::Text,
        args.namespace.is_some(),
    );
    let namespace = args.namespace.as_deref();
    Box::pin(leave::everything(&client, namespace, wish, &mut report)).await?;
    Ok(report)
}
