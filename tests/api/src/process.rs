//! The operator as a process, for tests that kill it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::program::program;
use crate::stage::Stage;

/// A process of the operator; none is left behind.
#[derive(Clone, Default)]
pub struct Process(Arc<Mutex<Option<Child>>>);

impl Process {
    /// Starts it for the namespace of `stage`, behind its proxy. A value is not started yet, so that a trap can hold it before its
    /// first request.
    pub async fn start(&self, stage: &Stage) {
        let program = program().await;
        let kubeconfig = kubeconfig(stage);
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": stage.proxy.url()}}], "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": stage.scene.ns()}}]});
        fs::write(&kubeconfig, config.to_string()).expect("a kubeconfig");
        let mut child = self.0.lock().expect("the process");
        let started = Command::new(program)
            .args([
                "run",
                "--leader-elect=false",
                "--listen=127.0.0.1:0",
                "--count-interval=1s",
                "--instance=crash",
            ])
            .args(["--namespace", stage.scene.ns()])
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        *child = Some(started.expect("the operator"));
    }

    /// SIGKILL; returns when it is dead.
    pub fn kill(&self) {
        if let Some(mut child) = self.0.lock().expect("the process").take() {
            child.kill().expect("killed");
            child.wait().expect("dead");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) == 1 {
            self.kill();
        }
    }
}

/// Its kubeconfig.
#[must_use]
pub fn kubeconfig(stage: &Stage) -> PathBuf {
    std::env::temp_dir().join(format!("{}.kubeconfig", stage.scene.ns()))
}
