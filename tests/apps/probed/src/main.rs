//! `probed`: answers probes as its command line says, for the time that it says.

mod ask;
mod grpc;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use probed::{GRPC_PORT, HTTP_PORT, OnSigterm, OwnExit, Piece, Script};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};

/// Answers HTTP, TCP and gRPC health probes as told, on all addresses.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  probed --answer 0:hang:0 --answer 20000:200:0      silent for 20 s, then healthy
  probed --answer 0:200:0 --exit 7000:3              healthy, ends by itself after 7 s with code 3
  probed --sigterm ignore                            nobody listens, and SIGTERM does nothing
  probed ask                                         for exec probes: asks the program beside it")]
struct Arguments {
    /// From FROM_MS on attempts get ANSWER (refused, hang or an HTTP status) after LATENCY_MS; again for each change
    #[arg(long = "answer", value_name = "FROM_MS:ANSWER:LATENCY_MS")]
    answers: Vec<Piece>,
    /// End by itself so long after the start, with this code
    #[arg(long, value_name = "AT_MS:CODE")]
    exit: Option<OwnExit>,
    /// What SIGTERM does: `ignore`, or end so long after it with this code
    #[arg(long, value_name = "ignore|AFTER_MS:CODE", default_value = "0:0")]
    sigterm: OnSigterm,
    /// Port of HTTP
    #[arg(long, default_value_t = HTTP_PORT)]
    http_port: u16,
    /// Port of the gRPC health service
    #[arg(long, default_value_t = GRPC_PORT)]
    grpc_port: u16,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask the program's HTTP port; exit code 0 for a status from 200 to 399, else 1
    Ask {
        /// Port of HTTP
        #[arg(long, default_value_t = HTTP_PORT)]
        http_port: u16,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Some(Command::Ask { http_port }) => ask::ask(http_port),
        None => serve(arguments),
    };
    ended.unwrap_or_else(|error| {
        eprintln!("probed: {error:#}");
        ExitCode::FAILURE
    })
}

fn serve(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(live(arguments))
}

/// One life: whatever ends it first.
async fn live(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let born = Instant::now();
    // Before anything is bound, so that no SIGTERM finds the default action.
    let sigterm = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let script = Script::new(arguments.answers);
    let serve = |port, speaks| server::serve(port, speaks, script.clone(), born);
    tokio::select! {
        code = own_exit(arguments.exit, born) => Ok(ExitCode::from(code)),
        code = told_to_end(arguments.sigterm, sigterm) => Ok(ExitCode::from(code)),
        failed = serve(arguments.http_port, server::Speaks::Http) => Err(failed),
        failed = serve(arguments.grpc_port, server::Speaks::Grpc) => Err(failed),
    }
}

async fn own_exit(exit: Option<OwnExit>, born: Instant) -> u8 {
    match exit {
        Some(exit) => {
            sleep_until(born + exit.at).await;
            exit.code
        }
        None => std::future::pending().await,
    }
}

async fn told_to_end(on_sigterm: OnSigterm, mut sigterm: Signal) -> u8 {
    loop {
        if sigterm.recv().await.is_none() {
            return std::future::pending().await;
        }
        if let OnSigterm::Exit(OwnExit { at, code }) = on_sigterm {
            if at > Duration::ZERO {
                sleep(at).await;
            }
            return code;
        }
    }
}
