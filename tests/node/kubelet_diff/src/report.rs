//! The table of predicted and observed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use probepilot_kubelet::{Handler, Probe, ProbeKind};
use serde_json::json;

use crate::Config;
use crate::judge::{Judged, Row, name};
use crate::manifest;
use crate::observe::Seen;
use crate::predict::Window;

/// One configuration that ran.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What ran.
    pub config: Config,
    /// What was seen.
    pub seen: Seen,
    /// What came of the comparison.
    pub judged: Judged,
}

/// The table, one line a life, and a summary.
#[must_use]
pub fn table(seed: u64, ran: &[Ran]) -> String {
    let mut text = format!(
        "seed {seed}; seconds after startedAt, predicted as [earliest..latest], `!` does not fit, `~` within the slack\n\n{:<24} {:<42} {:>4} {:<14} {:<28} {:<28} {:<24} code\n",
        "pod",
        "probes (delay/period/timeout/threshold)",
        "life",
        "end",
        "killed",
        "finished",
        "started again after"
    );
    for one in ran {
        for row in &one.judged.rows {
            let first = row.life == 1;
            let (pod, probes) = if first {
                (one.config.name.clone(), probes(&one.config))
            } else {
                (String::new(), String::new())
            };
            let _ = writeln!(text, "{pod:<24} {probes:<42} {}", line(row));
        }
        for mismatch in &one.judged.mismatches {
            let _ = writeln!(text, "{:<24} ! {mismatch}", one.config.name);
        }
    }
    let _ = write!(text, "\n{}\n", summary(ran));
    text
}

/// How many there were of what.
#[must_use]
pub fn summary(ran: &[Ran]) -> String {
    let rows = || ran.iter().flat_map(|one| &one.judged.rows);
    let killed = rows().filter(|row| row.killed.is_some()).count();
    let survived = ran
        .iter()
        .filter(|one| one.seen.kills.is_empty() && one.seen.restarts == 0)
        .count();
    let late: usize = rows().map(|row| row.late).sum();
    let moments: usize = rows()
        .map(|row| {
            usize::from(row.killed.is_some())
                + usize::from(row.end.is_some())
                + usize::from(row.until_next.is_some())
        })
        .sum();
    let wrong = ran.iter().filter(|one| !one.judged.fits()).count();
    format!(
        "{} runs, {} lives, {killed} kills, {survived} never killed; {moments} moments compared, {late} of them within the slack; {wrong} runs do not fit",
        ran.len(),
        rows().count(),
    )
}

fn line(row: &Row) -> String {
    let mark = if !row.mismatches.is_empty() {
        "!"
    } else if row.late > 0 {
        "~"
    } else {
        ""
    };
    let predicted = row.predicted.clone().unwrap_or_default();
    format!(
        "{:>4} {:<14} {:<28} {:<28} {:<24} {} {mark}",
        row.life,
        row.end.map_or("goes on", name),
        cell(row.killed, predicted.killed),
        cell(Some(row.lasted), predicted.finished),
        cell(row.until_next, predicted.until_next),
        row.code.map(|code| code.to_string()).unwrap_or_default(),
    )
}

fn cell(seen: Option<i64>, window: Option<Window>) -> String {
    let window = window.map(|window| {
        #[allow(clippy::cast_precision_loss, reason = "some ten thousand milliseconds")]
        let seconds = |ms: u64| ms as f64 / 1000.0;
        format!(
            " [{:.2}..{:.2}]",
            seconds(window.earliest_ms),
            seconds(window.latest_ms)
        )
    });
    seen.map(|seen| format!("{seen}{}", window.unwrap_or_default()))
        .unwrap_or_default()
}

fn probes(config: &Config) -> String {
    let shown = [ProbeKind::Startup, ProbeKind::Liveness]
        .into_iter()
        .filter_map(|kind| {
            let shown = shape(config.container.probe(kind)?);
            Some(format!("{} {shown}", kind.as_str()))
        });
    shown.collect::<Vec<_>>().join(", ")
}

fn shape(probe: &Probe) -> String {
    let handler = match probe.handler {
        Handler::Http => "http",
        Handler::Tcp => "tcp",
        Handler::Exec => "exec",
        Handler::Grpc => "grpc",
    };
    let timings = probe.timings;
    format!(
        "{handler} {}/{}/{}/{}",
        timings.initial_delay_seconds,
        timings.period_seconds,
        timings.timeout_seconds,
        timings.failure_threshold
    )
}

/// What is needed to try a configuration that did not fit again.
#[must_use]
pub fn replay(one: &Ran) -> String {
    let yaml = serde_saphyr::to_string(&manifest::pod(&one.config))
        .unwrap_or_else(|error| error.to_string());
    let mismatches: Vec<String> = one
        .judged
        .all_mismatches()
        .map(|text| format!("# {text}"))
        .collect();
    format!("{}\n# seen: {:?}\n{yaml}", mismatches.join("\n"), one.seen)
}

/// Writes `table.txt` and `table.json` below the workspace's `target/kubelet_diff`.
pub fn keep(seed: u64, ran: &[Ran]) -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here
        .ancestors()
        .nth(3)
        .unwrap_or(here)
        .join("target/kubelet_diff");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let entries: Vec<_> = ran
        .iter()
        .map(|one| json!({"config": one.config, "pod": manifest::pod(&one.config), "seen": one.seen, "judged": one.judged}))
        .collect();
    let json = serde_json::to_string_pretty(
        &json!({"seed": seed, "summary": summary(ran), "configurations": entries}),
    )?;
    for (file, content) in [("table.txt", table(seed, ran)), ("table.json", json)] {
        let path = folder.join(file);
        std::fs::write(&path, content)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(folder)
}
