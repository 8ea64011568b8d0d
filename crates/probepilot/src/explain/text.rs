//! Entries as text: one block a container, a line of totals.

use super::report::Entry;
use super::scene::Scene;
use crate::page::Page;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn page(scene: &Scene, entries: &[Entry]) -> String {
    let mut page = Page::default();
    for entry in entries {
        page.line(format!(
            "{} ({}): container {} of pod {} in namespace {}",
            entry.verdict, entry.confidence, entry.container, entry.pod, entry.namespace
        ));
        let mut label = "because";
        for sentence in &entry.evidence {
            page.entry(label, sentence);
            label = "";
        }
        let mut label = "to do";
        for advice in &entry.remedies {
            page.entry(label, &advice.text);
            page.entry("", format!("[{}; {}]", advice.rule, advice.source));
            label = "";
        }
        page.line("");
    }
    for note in &scene.notes {
        page.line(note);
    }
    page.line(totals(entries));
    page.finish()
}

/// `3 containers in 2 pods: 1 StartupKill, 2 Healthy`.
fn totals(entries: &[Entry]) -> String {
    let pods: BTreeSet<_> = entries
        .iter()
        .map(|entry| (&entry.namespace, &entry.pod))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        *counts.entry(&entry.verdict).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(verdict, count)| (*verdict == "Healthy", std::cmp::Reverse(*count)));
    let counts: Vec<_> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    format!(
        "{} in {}: {}",
        number(entries.len(), "container"),
        number(pods.len(), "pod"),
        counts.join(", ")
    )
}

fn number(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
