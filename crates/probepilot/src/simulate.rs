//! `probepilot simulate`: will these probes kill a container that needs so long to start, and when?

mod advice;
mod picture;
mod report;
mod story;
mod text;

use crate::check::{self, Options};
use crate::cli::write_output;
use crate::duration::parse_seconds;
use crate::manifest::{ContainerSpec, Input, Inventory, Workload};
use anyhow::bail;
use clap::ValueEnum;
use probepilot_kubelet::{Answer, Kubelet, Start, Version, start_outcome};
use report::Report;
use std::path::PathBuf;
use std::process::ExitCode;
use story::Story;

/// Longer starts than this are a mistake in the command line.
const LONGEST_START_SECONDS: u64 = 7 * 24 * 3600;

/// Show whether and when the kubelet kills a container while it starts.
///
/// Runs the kubelet's own probe loop over every phase of the probe worker, so the answer is exact:
/// Survives, MayBeKilled or Killed, with the first and the last moment of the kill.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  What do these probes allow at all?
    probepilot simulate -f deployment.yaml
  It needs 63 s to start and is silent until then:
    probepilot simulate -f deployment.yaml --start 63 --while-starting hang
  What a chart renders, one container, as JSON:
    helm template my-chart | probepilot simulate -f - --container manager --start 2m -o json
  What runs in the cluster, as a picture for a pull request:
    kubectl get deployment my-app -o yaml | probepilot simulate -f - --start 63 -o svg --out start.svg")]
pub(crate) struct Args {
    #[command(flatten)]
    input: Input,

    /// Only this container; default: all containers and sidecars.
    #[arg(long, value_name = "NAME")]
    container: Option<String>,

    /// How long the container needs until it is healthy, from its start: seconds, `90s`, `2m` or `never`.
    #[arg(long, value_name = "SECONDS|never", default_value = "never", value_parser = parse_start)]
    start: StartTime,

    /// How it answers until then: `refused` (port closed), `hang` (port open, nobody answers), or an HTTP status.
    #[arg(long, value_name = "refused|hang|STATUS", default_value = "refused", value_parser = parse_answer)]
    while_starting: Answer,

    /// The kubelet's version.
    #[arg(long, value_name = "VERSION", default_value = "1.36")]
    kubelet: Version,

    /// The form of the result.
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,

    /// Write to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One screen a container.
    Text,
    /// A list with one object a container.
    Json,
    /// A picture; light or dark as the reader's browser is.
    Svg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartTime(Option<u64>);

fn parse_start(text: &str) -> Result<StartTime, String> {
    if text == "never" {
        return Ok(StartTime(None));
    }
    let seconds = parse_seconds(text).map_err(|error| format!("{error}, or `never`"))?;
    if seconds > LONGEST_START_SECONDS {
        return Err("more than a week; use `never`".to_owned());
    }
    Ok(StartTime(Some(seconds)))
}

fn parse_answer(text: &str) -> Result<Answer, String> {
    match text {
        "refused" => Ok(Answer::Refused),
        "hang" => Ok(Answer::Hang),
        _ => text
            .parse()
            .ok()
            .filter(|status| (100..600).contains(status))
            .map(Answer::Status)
            .ok_or_else(|| {
                format!("`{text}` is neither `refused` nor `hang` nor an HTTP status like 503")
            }),
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let inventory = args.input.load()?;
    let kubelet = Kubelet::of(args.kubelet);
    let start = Start::new(
        args.start.0.map(|seconds| seconds * 1000),
        args.while_starting,
    );
    let chosen = choose(&inventory, args.container.as_deref())?;
    let cases: Vec<Case<'_>> = chosen
        .into_iter()
        .map(|(workload, spec)| {
            let findings = check::check_container(&inventory, workload, spec, &Options::default());
            let outcome = start_outcome(&spec.container, &kubelet, &start);
            Case {
                spec,
                report: Report::new(workload, spec, &outcome, findings),
                story: Story::new(&spec.container, &kubelet, &start, outcome.kill),
                start,
            }
        })
        .collect();
    let text = match args.output {
        Output::Text => cases
            .iter()
            .map(text::screen)
            .collect::<Vec<_>>()
            .join("\n"),
        Output::Json => {
            let reports: Vec<&Report> = cases.iter().map(|case| &case.report).collect();
            serde_json::to_string_pretty(&reports)? + "\n"
        }
        Output::Svg => picture::draw(&cases)?,
    };
    write_output(args.out.as_deref(), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// One container, asked about.
struct Case<'a> {
    spec: &'a ContainerSpec,
    report: Report,
    story: Story,
    start: Start,
}

fn choose<'a>(
    inventory: &'a Inventory,
    name: Option<&str>,
) -> anyhow::Result<Vec<(&'a Workload, &'a ContainerSpec)>> {
    let all = || {
        inventory.workloads.iter().flat_map(|workload| {
            workload
                .containers
                .iter()
                .map(move |container| (workload, container))
        })
    };
    let Some(name) = name else {
        return Ok(all().collect());
    };
    let found: Vec<_> = all().filter(|(_, spec)| spec.name == name).collect();
    if found.is_empty() {
        let mut names: Vec<&str> = all().map(|(_, spec)| spec.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        bail!(
            "no container is called {name}; there are: {}",
            names.join(", ")
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_times_and_answers() {
        assert_eq!(parse_start("never"), Ok(StartTime(None)));
        assert_eq!(parse_start("63"), Ok(StartTime(Some(63))));
        assert_eq!(parse_start("2m"), Ok(StartTime(Some(120))));
        assert!(parse_start("soon").is_err());
        assert!(parse_start("8000000").is_err());
        assert_eq!(parse_answer("hang"), Ok(Answer::Hang));
        assert_eq!(parse_answer("503"), Ok(Answer::Status(503)));
        assert!(parse_answer("99").is_err());
        assert!(parse_answer("slow").is_err());
    }
}
