//! `cargo xtask bench`: what is claimed of speed and size, measured.

mod latency;
mod memory;
mod policies;
mod rescue;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Measure what is claimed of speed and size
#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    Latency(latency::Latency),
    Memory(memory::Memory),
    Policies(policies::Policies),
    Rescue(rescue::Rescue),
}

impl Bench {
    /// Runs one benchmark.
    pub async fn run(self) -> Result<ExitCode> {
        match self.which {
            Which::Latency(latency) => Box::pin(latency.run()).await,
            Which::Memory(memory) => Box::pin(memory.run()).await,
            Which::Policies(policies) => Box::pin(policies.run()).await,
            Which::Rescue(rescue) => Box::pin(rescue.run()).await,
        }
    }
}
