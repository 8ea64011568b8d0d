//! One configuration: the probes of a container and what the container does in each of its lives.

use probepilot_kubelet::{Answer, Container, Life, OnSigterm};
use serde::Serialize;

/// A pod to be predicted and run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Name of the pod.
    pub name: String,
    /// Probes, grace, sidecar or not.
    pub container: Container,
    /// What the container does, in every life alike.
    pub life: Life,
    /// The pod has been seen long enough once so many lives ended.
    pub lives: usize,
    /// It has been seen long enough so many seconds after its first start, whatever happened.
    pub observe_seconds: u32,
    /// A life that is older goes on for ever. Unit: seconds.
    pub longest_life_seconds: u32,
    /// Whether it runs in every test run, or only in a full one.
    pub every_run: bool,
}

impl Config {
    /// The command line of `probed` for this life. `Drop` and `Error` are beyond what a program can do.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        for entry in &self.life.answers {
            let answer = match entry.answer {
                Answer::Ok => probed::Answer::Status(200),
                Answer::Status(status) => probed::Answer::Status(status),
                Answer::Refused => probed::Answer::Refused,
                Answer::Hang | Answer::Drop | Answer::Error => probed::Answer::Hang,
            };
            let piece = probed::Piece {
                from: milliseconds(entry.from_ms),
                answer,
                latency: milliseconds(entry.latency_ms),
            };
            arguments.extend(["--answer".to_owned(), piece.to_string()]);
        }
        if let Some(exit) = self.life.exit {
            let exit = own_exit(exit.at_ms, exit.code);
            arguments.extend(["--exit".to_owned(), exit.to_string()]);
        }
        let on_sigterm = match self.life.on_sigterm {
            OnSigterm::Ignored => probed::OnSigterm::Ignore,
            OnSigterm::Exits { after_ms, code } => {
                probed::OnSigterm::Exit(own_exit(after_ms, code))
            }
        };
        arguments.extend(["--sigterm".to_owned(), on_sigterm.to_string()]);
        arguments
    }
}

fn milliseconds(ms: u64) -> std::time::Duration {
    std::time::Duration::from_millis(ms)
}

fn own_exit(after_ms: u64, code: i32) -> probed::OwnExit {
    probed::OwnExit {
        at: milliseconds(after_ms),
        code: u8::try_from(code).unwrap_or(u8::MAX),
    }
}
