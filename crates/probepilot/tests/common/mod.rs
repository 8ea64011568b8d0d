//! Runs the real binary on the fixtures.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test helper fails by panicking"
)]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs `probepilot` in the folder of the fixtures.
pub fn probepilot(args: &[&str]) -> Ran {
    with_input(args, "")
}

/// The same, with this on standard input.
pub fn with_input(args: &[&str], input: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_probepilot"))
        .args(args)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    // The command may have ended already, complaining about its arguments.
    let _ = child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(input.as_bytes());
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().expect("it was started");
    Ran {
        code: status.code().expect("no signal ended it"),
        stdout: String::from_utf8(stdout).expect("text"),
        stderr: String::from_utf8(stderr).expect("text"),
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The output as JSON; the run must have ended with this code.
    #[track_caller]
    pub fn json(&self, code: i32) -> serde_json::Value {
        assert_eq!(self.code, code, "{}", self.stderr);
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}
