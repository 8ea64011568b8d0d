//! `probepilot check`: a linter for probe arithmetic.
//!
//! Each rule has an id, a sentence with the workload's own numbers, a fix, and a real case that it
//! was made for. Rules live in one file a subject below `check/`.

mod budget;
mod misread;
mod output;
mod probes;
mod rules;
mod sarif;
mod start;

use crate::cli::write_output;
use crate::duration::parse_seconds;
use crate::manifest::{ContainerSpec, Input, Inventory, Source, Workload};
use clap::ValueEnum;
use probepilot_kubelet::ProbeKind;
use rules::RULES;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Find mistakes in the probe timings of manifests.
///
/// Exit code 0: nothing found; 1: findings; 2: an input that cannot be used.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  Check a chart as it is rendered:
    helm template my-chart | probepilot check -f -
  Check what runs in a cluster:
    kubectl get deployments,statefulsets,daemonsets -A -o yaml | probepilot check -f -
  In CI, with annotations on the pull request:
    kubectl kustomize overlays/prod | probepilot check -f - -o sarif --out probes.sarif
  The release is installed with `helm upgrade --wait --timeout 5m`:
    helm template my-chart | probepilot check -f - --helm-timeout 5m
  Which rules are there?
    probepilot check --list-rules")]
pub(crate) struct Args {
    #[command(flatten)]
    input: Option<Input>,

    /// The form of the result.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,

    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The timeout of `helm --wait`: budgets that pass it are found. Default: not looked at.
    #[arg(long, value_name = "DURATION", value_parser = parse_seconds)]
    helm_timeout: Option<u64>,

    /// The progress deadline of Deployments that do not state one.
    #[arg(long, value_name = "DURATION", default_value = "600s", value_parser = parse_seconds)]
    progress_deadline: u64,

    /// Leave this rule out; may be given more than once.
    #[arg(long, value_name = "RULE", value_parser = parse_rule)]
    ignore: Vec<&'static str>,

    /// Print all rules and what they say.
    #[arg(long, exclusive = true)]
    list_rules: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Findings by workload, with fixes.
    Text,
    /// A list with one object a finding.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

fn parse_rule(id: &str) -> Result<&'static str, String> {
    RULES
        .iter()
        .map(|rule| rule.id)
        .find(|known| *known == id)
        .ok_or_else(|| {
            format!("there is no rule `{id}`; `probepilot check --list-rules` prints them")
        })
}

/// What the rules are told beside the manifest.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    helm_timeout_seconds: Option<u64>,
    progress_deadline_seconds: u64,
    ignore: Vec<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            helm_timeout_seconds: None,
            progress_deadline_seconds: 600,
            ignore: Vec::new(),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Severity {
    /// The probe does not do what it is there for.
    Error,
    /// It will hurt some day.
    Warning,
    /// It costs something, or hides something.
    Note,
}

/// One mistake in one container.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    /// The rule's id.
    pub(crate) rule: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The workload's namespace.
    pub(crate) namespace: String,
    /// `deployment/NAME`.
    pub(crate) workload: String,
    /// The container.
    pub(crate) container: String,
    /// The probe.
    pub(crate) probe: ProbeKind,
    /// What is wrong, with the numbers.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) fix: String,
    /// The file.
    pub(crate) file: String,
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// The line that the workload begins on.
    #[serde(skip)]
    pub(crate) workload_line: usize,
}

/// What a rule looks at.
struct Subject<'a> {
    source: &'a Source,
    workload: &'a Workload,
    spec: &'a ContainerSpec,
    options: &'a Options,
}

/// What a rule says.
struct Remark {
    probe: ProbeKind,
    message: String,
    fix: String,
    /// Where, if not at the probe.
    line: Option<usize>,
}

impl Remark {
    fn new(probe: ProbeKind, message: String, fix: String) -> Self {
        Self {
            probe,
            message,
            fix,
            line: None,
        }
    }
}

/// All findings on one container.
pub(crate) fn check_container(
    inventory: &Inventory,
    workload: &Workload,
    spec: &ContainerSpec,
    options: &Options,
) -> Vec<Finding> {
    let Some(source) = inventory.sources.get(workload.source) else {
        return Vec::new();
    };
    let subject = Subject {
        source,
        workload,
        spec,
        options,
    };
    RULES
        .iter()
        .filter(|rule| !options.ignore.contains(&rule.id))
        .flat_map(|rule| {
            (rule.check)(&subject).into_iter().map(|remark| Finding {
                rule: rule.id,
                severity: rule.severity,
                namespace: workload.namespace.clone(),
                workload: workload.label(),
                container: spec.name.clone(),
                probe: remark.probe,
                message: remark.message,
                fix: remark.fix,
                file: source.name.clone(),
                line: remark
                    .line
                    .or_else(|| spec.probe(remark.probe).map(|probe| probe.line))
                    .unwrap_or(spec.line),
                workload_line: workload.line,
            })
        })
        .collect()
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.list_rules {
        write_output(args.out.as_deref(), &output::rules())?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(input) = &args.input else {
        anyhow::bail!("no input: give a manifest with -f FILE, or `-f -` for standard input");
    };
    let inventory = input.load()?;
    let options = Options {
        helm_timeout_seconds: args.helm_timeout,
        progress_deadline_seconds: args.progress_deadline,
        ignore: args.ignore.clone(),
    };
    let findings: Vec<Finding> = inventory
        .workloads
        .iter()
        .flat_map(|workload| {
            workload
                .containers
                .iter()
                .flat_map(|spec| check_container(&inventory, workload, spec, &options))
        })
        .collect();
    let text = match args.output {
        Output::Text => output::text(&inventory, &findings),
        Output::Json => serde_json::to_string_pretty(&findings)? + "\n",
        Output::Sarif => serde_json::to_string_pretty(&sarif::log(&findings))? + "\n",
    };
    write_output(args.out.as_deref(), &text)?;
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
