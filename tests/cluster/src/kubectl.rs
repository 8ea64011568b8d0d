//! kubectl, as a user would run it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::command::{show, tail};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::tools::Tools;

/// The longest a call may take unless [`Kubectl::within`] says otherwise.
const DEADLINE: Duration = Duration::from_mins(1);

/// The built kubectl with a cluster's kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    deadline: Duration,
}

impl Kubectl {
    pub(crate) fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self {
            program,
            kubeconfig,
            deadline: DEADLINE,
        }
    }

    /// The built kubectl without a cluster, for what asks none, like `kubectl kustomize`. It is built where it is
    /// not there yet.
    pub fn offline(progress: &Progress) -> Result<Self> {
        let tools = Tools::build(progress)?;
        Ok(Self::new(
            tools.program("kubectl"),
            PathBuf::from("/dev/null"),
        ))
    }

    /// With another deadline for each call.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The bare command, to which arguments are added; for calls that go on for long or whose output is watched.
    #[must_use]
    pub fn command(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }

    /// The objects of `kubectl kustomize`.
    pub async fn kustomize(&self, directory: &Path) -> Result<Vec<Value>> {
        let text = self
            .run([OsStr::new("kustomize"), directory.as_os_str()])
            .await?;
        serde_saphyr::from_multiple(&text).map_err(|cause| Error::Yaml {
            path: directory.to_owned(),
            cause: cause.to_string(),
        })
    }

    /// Runs kubectl to its end and returns what it printed on standard output. A failure quotes what it said.
    pub async fn run<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        self.run_with_input(arguments, "").await
    }

    /// As [`Kubectl::run`], with text on standard input, for `apply -f -`.
    pub async fn run_with_input<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Result<String> {
        let mut command = self.command();
        command.args(arguments);
        let line = show(&command);
        let failed = |cause| Error::Io {
            action: "run",
            path: self.program.clone(),
            cause,
        };
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdin = child.stdin.take();
        let talk = async {
            if let Some(mut stdin) = stdin {
                // A kubectl that fails early does not read its input: its own message says more than a broken pipe.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        let Ok(output) = tokio::time::timeout(self.deadline, talk).await else {
            return Err(Error::Deadline {
                action: format!("run `{line}`"),
                seconds: self.deadline.as_secs(),
            });
        };
        let output = output.map_err(failed)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
        Err(Error::Command {
            command: line,
            status: output.status.to_string(),
            output: tail(said.trim(), 4000).to_owned(),
        })
    }
}
