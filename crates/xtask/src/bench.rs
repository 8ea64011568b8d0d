//! `cargo xtask bench`: what is claimed of speed and size, measured.

mod memory;

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
    Memory(memory::Memory),
}

impl Bench {
    /// Runs one benchmark.
    pub async fn run(self) -> Result<ExitCode> {
        match self.which {
            Which::Memory(memory) => memory.run().await,
        }
    }
}
