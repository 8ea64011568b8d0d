//! Developer commands. Each has a file of its own.

mod bench;
mod cluster;
mod demo;
mod r#gen;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of probepilot.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::Bench),
    Cluster(cluster::Cluster),
    Demo(demo::Demo),
    Gen(r#gen::Gen),
    Test(test::Test),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bench(command) => Box::pin(command.run()).await,
        Command::Cluster(command) => command.run().await,
        Command::Demo(command) => Box::pin(command.run()).await,
        Command::Gen(command) => command.run(),
        Command::Test(command) => command.run().await,
    };
    outcome.unwrap_or_else(|error| {
        // The sentence, without a backtrace: it says what to do next.
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
