//! Findings as text.

use super::{Finding, RULES, Severity};
use crate::manifest::Inventory;
use std::fmt::Write as _;

/// Findings by workload, then a summary.
pub(super) fn text(inventory: &Inventory, findings: &[Finding]) -> String {
    let mut page = String::new();
    let mut touched = 0;
    let mut last = None;
    for finding in findings {
        let workload = (&finding.file, finding.workload_line);
        if last != Some(workload) {
            if last.is_some() {
                page.push('\n');
            }
            touched += 1;
            last = Some(workload);
            let _ = writeln!(
                page,
                "{} in namespace {} ({}:{})",
                finding.workload, finding.namespace, finding.file, finding.workload_line
            );
        }
        let _ = writeln!(
            page,
            "  {:<7}  {}, container {}, line {}",
            severity(finding.severity),
            finding.rule,
            finding.container,
            finding.line
        );
        let _ = writeln!(page, "           {}", finding.message);
        let _ = writeln!(page, "           fix: {}", finding.fix);
    }
    if !findings.is_empty() {
        page.push('\n');
    }
    let containers: usize = inventory
        .workloads
        .iter()
        .map(|workload| workload.containers.len())
        .sum();
    let checked = format!(
        "{} and {} checked",
        count(inventory.workloads.len(), "workload"),
        count(containers, "container")
    );
    let _ = if findings.is_empty() {
        writeln!(page, "{checked}: nothing found")
    } else {
        writeln!(
            page,
            "{checked}: {} in {}",
            count(findings.len(), "finding"),
            count(touched, "workload")
        )
    };
    page
}

/// The table of rules.
pub(super) fn rules() -> String {
    let mut page = String::new();
    for rule in RULES {
        let _ = writeln!(page, "{} ({})", rule.id, severity(rule.severity));
        let _ = writeln!(page, "  {}", rule.summary);
        let _ = writeln!(page, "  seen in: {}\n", rule.case);
    }
    page
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
