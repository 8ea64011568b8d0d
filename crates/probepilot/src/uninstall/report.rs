//! What was done: a line as each thing is done, a summary, or one JSON object.

use crate::cli::write_output;
use probepilot_api::OnDelete;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What became of a policy or a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Outcome {
    /// The probes stay and are nobody's.
    Kept,
    /// The probes are the owner's.
    Returned,
    /// Nothing there was probepilot's.
    Nothing,
    /// It was not done, on purpose.
    Refused,
    /// It was not done.
    Failed,
}

/// A policy, or a workload without one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) container: Option<String>,
    pub(super) on_delete: OnDelete,
    pub(super) result: Outcome,
    pub(super) message: String,
}

/// Everything that was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    dry_run: bool,
    policies: Vec<Line>,
    workloads: Vec<Line>,
    /// Print each line at once.
    #[serde(skip)]
    telling: bool,
    /// Only one namespace was left, so that the operator and its API may be needed elsewhere.
    #[serde(skip)]
    partly: bool,
}

/// What is left to do once everything is handed back.
const NEXT: [&str; 3] = [
    "kubectl delete -k config/default",
    "kubectl delete namespace probepilot-system",
    "kubectl delete crd probepolicies.probepilot.dev",
];

impl Report {
    pub(super) fn new(dry_run: bool, telling: bool, partly: bool) -> Self {
        Self {
            dry_run,
            policies: Vec::new(),
            workloads: Vec::new(),
            telling,
            partly,
        }
    }

    /// A policy is done with.
    pub(super) fn policy(&mut self, line: Line) -> anyhow::Result<()> {
        let name = line.name.clone().unwrap_or_default();
        self.tell(&format!("policy {}/{name}", line.namespace), &line)?;
        self.policies.push(line);
        Ok(())
    }

    /// A workload without a policy is done with.
    pub(super) fn workload(&mut self, line: Line) -> anyhow::Result<()> {
        let name = format!("{} in namespace {}", line.target, line.namespace);
        self.tell(&name, &line)?;
        self.workloads.push(line);
        Ok(())
    }

    fn tell(&self, name: &str, line: &Line) -> anyhow::Result<()> {
        if !self.telling {
            return Ok(());
        }
        let result = format!("{:?}", line.result).to_lowercase();
        write_output(None, &format!("{result:<9} {name}: {}\n", line.message))
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.policies.iter().chain(&self.workloads)
    }

    /// Whether nothing was refused and nothing failed.
    pub(super) fn is_done(&self) -> bool {
        let stays = [Outcome::Refused, Outcome::Failed];
        !self.lines().any(|line| stays.contains(&line.result))
    }

    fn summary(&self) -> BTreeMap<Outcome, usize> {
        let mut summary = BTreeMap::new();
        for line in self.lines() {
            *summary.entry(line.result).or_default() += 1;
        }
        summary
    }

    fn next(&self) -> &'static [&'static str] {
        if self.is_done() && !self.dry_run && !self.partly {
            &NEXT
        } else {
            &[]
        }
    }

    /// Prints the end: the summary, or everything as JSON.
    pub(super) fn finish(&self, json: bool) -> anyhow::Result<()> {
        let text = if json {
            let mut value = serde_json::to_value(self)?;
            let summary = self.summary().into_iter();
            let summary: BTreeMap<_, _> = summary
                .map(|(outcome, count)| (format!("{outcome:?}").to_lowercase(), count))
                .collect();
            value["summary"] = serde_json::to_value(summary)?;
            value["next"] = serde_json::to_value(self.next())?;
            serde_json::to_string_pretty(&value)? + "\n"
        } else {
            self.text()
        };
        write_output(None, &text)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let counted = |lines: &[Line], one: &str, many: &str| {
            format!(
                "{} {}",
                lines.len(),
                if lines.len() == 1 { one } else { many }
            )
        };
        let summary = self.summary().into_iter();
        let summary: Vec<_> = summary
            .map(|(outcome, count)| format!("{count} {}", format!("{outcome:?}").to_lowercase()))
            .collect();
        let _ = writeln!(
            text,
            "{}{}, {}{}{}",
            if self.dry_run { "would do: " } else { "" },
            counted(&self.policies, "policy", "policies"),
            counted(
                &self.workloads,
                "workload without a policy",
                "workloads without a policy"
            ),
            if summary.is_empty() { "" } else { ": " },
            summary.join(", ")
        );
        if !self.is_done() {
            text.push_str(
                "What was refused or failed stays as it is; run it again once that is settled.\n",
            );
        }
        if let [all, namespace, crd] = self.next() {
            let _ = write!(
                text,
                "\nNow the operator and its API can go:\n  {all}\nor without its files:\n  {namespace}\n  {crd}\n"
            );
        }
        text
    }
}
