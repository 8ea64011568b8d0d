//! The probepilot command: operator, CRD and offline tools.

mod check;
mod cli;
mod cluster;
mod crd;
mod duration;
mod explain;
mod logging;
mod manifest;
mod page;
mod picture;
mod plan;
mod recommend;
mod run;
mod scale;
mod simulate;
mod uninstall;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
