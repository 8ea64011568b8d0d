//! A source for Flux: a folder with manifests as a tar archive on loopback, as source-controllers serve theirs.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves one archive; it ends with this value.
pub struct Feed {
    address: SocketAddr,
    archive: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    pub async fn start() -> Self {
        let archive = Arc::new(Mutex::new(Vec::new()));
        let whole = |State(archive): State<Arc<Mutex<Vec<u8>>>>| async move {
            archive.lock().unwrap().clone()
        };
        let app = Router::new()
            .route("/{name}", get(whole))
            .with_state(Arc::clone(&archive));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            archive,
            task,
        }
    }

    /// Serves these manifests from now on. Gives status.artifact of the source that points here.
    pub fn offer(&self, revision: &str, manifests: &[Value]) -> Value {
        let folder = TempDir::new().unwrap();
        let documents: Vec<_> = manifests.iter().map(Value::to_string).collect();
        std::fs::write(folder.path().join("web.yaml"), documents.join("\n---\n")).unwrap();
        let archive = run(Command::new("tar")
            .args(["-cz", "-C"])
            .arg(folder.path())
            .arg("web.yaml"));
        let file = folder.path().join("archive.tar.gz");
        std::fs::write(&file, &archive).unwrap();
        let sum = String::from_utf8(run(Command::new("sha256sum").arg(&file))).unwrap();
        let digest = sum.split_whitespace().next().unwrap().to_owned();
        let bytes = archive.len();
        *self.archive.lock().unwrap() = archive;
        json!({
            "path": format!("{revision}.tar.gz"),
            "url": format!("http://{}/{revision}.tar.gz", self.address),
            "revision": format!("{revision}@sha256:{digest}"),
            "digest": format!("sha256:{digest}"),
            "lastUpdateTime": jiff::Timestamp::now(),
            "size": bytes,
        })
    }
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output.stdout
}
