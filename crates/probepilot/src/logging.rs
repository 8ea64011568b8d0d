//! What the operator says while it runs.

use anyhow::Context as _;
use clap::ValueEnum;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Starts logging to standard error. `RUST_LOG` chooses what is logged, as `tracing` reads it.
pub(crate) fn start(format: LogFormat) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) => EnvFilter::try_new(&filter)
            .with_context(|| format!("RUST_LOG is `{filter}`, which is no filter"))?,
        // kube logs each failed request of its own accord; the operator says what it means.
        Err(_) => EnvFilter::new("info,kube_client=off,kube_runtime=off"),
    };
    let terminal = std::io::stderr().is_terminal();
    // `target` in a line is a policy's target; the module that logs is nobody's business.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Auto if !terminal => lines.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Text => lines.with_ansi(terminal).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
