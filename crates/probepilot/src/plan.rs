//! `probepilot plan`: what the operator would write at a count, or while a count grows.
//!
//! Every answer is the operator's own: [`operator`] asks `decide` of probepilot-policy.

mod axes;
mod curve;
mod drawing;
mod growth;
mod operator;
mod picture;
mod point;
mod policy;
mod range;
mod report;
mod schema;
mod target;
mod text;

use crate::cli::write_output;
use crate::manifest::Input;
use clap::ValueEnum;
use curve::Curve;
use operator::Operator;
use range::Range;
use report::{At, Over};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The largest count that a policy may name (the schema of atLeast).
const LARGEST_COUNT: i64 = 1_000_000_000;

/// Show what the operator would write at a count, or while a count grows.
///
/// Asks the operator's own decision function, without a cluster: mode Enforce, windows passed, and a
/// rollout allowed. Over a range the count grows one by one, and each write builds on the one before.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  What would the policy do as the cluster grows?
    probepilot plan -f policy.yaml -f deployment.yaml
  What would it write at 12000 pods, for a script?
    probepilot plan -f policy.yaml -f deployment.yaml --count 12000 -o json
  Up to which count do starts survive? starts.csv has the columns count,seconds,bound:
    probepilot plan -f policy.yaml -f deployment.yaml --from 100 --to 50000 --curve starts.csv
  What Git has, as a picture for a pull request:
    kubectl kustomize overlays/prod | probepilot plan -f - -o svg --out plan.svg
  What a chart renders, with one policy of several:
    helm template my-chart | probepilot plan -f policies.yaml -f - --policy my-policy

The curve: bound is exact or approx (measured), lower (it took at least so long) or upper (at most).
The curve is the fit with which the operator learns: 95 % of starts are expected within it; other columns are passed over.

JSON of one count: count, needSeconds, budgetSeconds, detectionSeconds, startupProbe, livenessProbe
and changed. JSON of a range: today's probes; in points one such object for the first and the last
count and for each count at which the operator writes; with a curve, in survivesUpTo the largest
count of the range up to which no start is killed by today's probes and by the policy's, or null
where the first count is too large already; and in notes what to know before applying it.")]
pub(crate) struct Args {
    #[command(flatten)]
    input: Input,

    /// The policy, where the files have several: NAME or NAMESPACE/NAME.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,

    /// The count to ask about; every rule of the policy is given it.
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "to"], value_parser = clap::value_parser!(i64).range(0..=LARGEST_COUNT))]
    count: Option<i64>,

    /// The first count of a range. Default: 0.
    #[arg(long, value_name = "A", value_parser = clap::value_parser!(i64).range(0..=LARGEST_COUNT))]
    from: Option<i64>,

    /// The last count of a range. Default: ten times the largest that the policy or the curve names.
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(i64).range(0..=LARGEST_COUNT))]
    to: Option<i64>,

    /// How long starts take: CSV with the columns count,seconds,bound; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,

    /// The form of the result.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,

    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table, and what to know before applying it.
    Text,
    /// One object.
    Json,
    /// A picture; light or dark as the reader's browser is.
    Svg,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.input.reads_stdin() && args.curve.as_deref() == Some(Path::new("-")) {
        anyhow::bail!("standard input can be read once: give -f or --curve a file");
    }
    let inventory = args.input.load()?;
    let policy = policy::find(&inventory.sources, args.policy.as_deref())?;
    let operator = Operator::new(&policy, target::find(&inventory, &policy)?)?;
    let curve = args.curve.as_deref().map(Curve::read).transpose()?;
    let text = if let Some(count) = args.count {
        let answer = operator.today(count)?;
        let at = At::new(&policy, &operator, &answer, curve.as_ref());
        match args.output {
            Output::Text => text::at(&at),
            Output::Json => serde_json::to_string_pretty(&at.answer.point)? + "\n",
            Output::Svg => picture::at(&at)?,
        }
    } else {
        let range = range(args, &operator, curve.as_ref())?;
        let growth = growth::over(&operator, range)?;
        let over = Over::new(&policy, &operator, range, &growth, curve.as_ref());
        match args.output {
            Output::Text => text::over(&over),
            Output::Json => serde_json::to_string_pretty(&over.json())? + "\n",
            Output::Svg => picture::over(&over)?,
        }
    };
    write_output(args.out.as_deref(), &text)?;
    Ok(ExitCode::SUCCESS)
}

fn range(args: &Args, operator: &Operator, curve: Option<&Curve>) -> anyhow::Result<Range> {
    let named = operator
        .breaks()
        .into_iter()
        .chain(curve.map(Curve::largest_count));
    Range::new(args.from, args.to, named)
}
