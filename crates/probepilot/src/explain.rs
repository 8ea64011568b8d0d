//! `probepilot explain`: why containers restarted, and what would help.
//!
//! What is seen is read from files or from a cluster into the same [`Scene`]; the verdicts are those
//! of `probepilot-policy`, which the operator acts on.

mod offline;
mod online;
mod report;
mod scene;
mod target;
mod text;

use crate::cli::write_output;
use clap::ValueEnum;
use std::path::PathBuf;
use std::process::ExitCode;
use target::TargetRef;

/// Say why containers restarted and what would help.
///
/// The verdict of a container that was killed by its probe while it started is StartupKill: the only
/// one that a longer startup budget cures. Everything that a program said is quoted, bounded and escaped.
///
/// Exit code 0: explained, whatever the verdicts; 2: an input or a cluster that cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  Why does it restart?
    probepilot explain -n kube-system deployment/aws-load-balancer-controller
  One pod:
    probepilot explain -n kube-system pod/aws-load-balancer-controller-5d9c7-x2x4z
  From a support bundle, or what somebody sent:
    kubectl get pods,events,deployments -n kube-system -o yaml > seen.yaml
    probepilot explain -f seen.yaml
  Everything in the cluster that restarted, as a table:
    kubectl get pods,events -A -o json | probepilot explain -f - -o json | \\
      jq -r '.[] | select(.restarts > 0) | [.verdict, .namespace, .pod, .container] | @tsv'
  As a kubectl plugin: put a symlink to this program on the PATH
    ln -s \"$(command -v probepilot)\" /usr/local/bin/kubectl-probepilot
    kubectl probepilot explain -n kube-system deployment/aws-load-balancer-controller

Verdicts:
  StartupKill         a probe killed it before it was ever healthy; more time to start helps
  SteadyStateKill     liveness killed it after its start; more time to start does not help
  HandlerDrift        the startup probe that probepilot added asks something else than liveness
  ProbeNeverSucceeds  the probe that killed it asks something that is never answered (404, wrong port)
  OutOfMemory         it passed its memory limit
  SyncTimeout         it gave up waiting for its own caches
  LeaderLost          it lost its leadership
  StartupError        it ended itself with an error while it started
  NotStarted          the kubelet could not start it
  Unready             it runs and was never ready; nothing killed it
  Healthy             nothing is wrong
  Unknown             the evidence does not decide")]
pub(crate) struct Args {
    /// A workload or a pod: deployment/NAME, statefulset/NAME, daemonset/NAME or pod/NAME. With -f: only its pods.
    #[arg(value_name = "KIND/NAME", required_unless_present = "files")]
    target: Option<TargetRef>,

    /// Objects to read instead of a cluster, as `kubectl get pods,events,deployments -o yaml|json` prints them; `-` is standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,

    /// The namespace. Default: that of the kubeconfig's context; with -f: all of them.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// The form of the result.
    #[arg(short, long, value_enum, default_value = "text")]
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
    /// One block a container, for people.
    Text,
    /// A list with one object a container.
    Json,
}

impl Args {
    /// Files and target. `-f FILE KIND/NAME` gives both to `-f`, which takes several files: what is
    /// last, names a target and is no file is the target.
    fn told_apart(&self) -> (&[PathBuf], Option<TargetRef>) {
        if let (None, [files @ .., last]) = (&self.target, self.files.as_slice())
            && !files.is_empty()
            && !last.exists()
            && let Some(target) = last.to_str().and_then(|text| text.parse().ok())
        {
            return (files, Some(target));
        }
        (&self.files, self.target.clone())
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (files, target) = args.told_apart();
    let scene = match target {
        Some(target) if files.is_empty() => online::look(args, &target)?,
        target => offline::look(files, target.as_ref(), args.namespace.as_deref())?,
    };
    let entries = report::entries(&scene);
    let text = match args.output {
        Output::Text => text::page(&scene, &entries),
        Output::Json => serde_json::to_string_pretty(&entries)? + "\n",
    };
    write_output(None, &text)?;
    Ok(ExitCode::SUCCESS)
}
