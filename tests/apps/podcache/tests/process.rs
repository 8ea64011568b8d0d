//! The program from outside: silent while it lists, two log lines and exit code 1 on a SIGTERM in that time, exit code 0 on a later one.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use probepilot_test_cluster::wait::{self, Seen};
use probepilot_test_cluster::{Cluster, PodFleet, TestNamespace};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn start(kubeconfig: &Path, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_podcache"))
        .args(["--health-port", &port.to_string()])
        .env("KUBECONFIG", kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn connect(port: u16) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait::until("the health port to be bound", SOON, || async {
        TcpStream::connect(address).await.map(Seen::Done)
    })
    .await
    .unwrap()
}

/// A probe: the answer, or `None` when there is none within the time.
async fn probe(port: u16, path: &str, within: Duration) -> Option<String> {
    let mut stream = connect(port).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = timeout(within, stream.read_to_string(&mut answer)).await;
    read.ok().map(|_| answer)
}

async fn terminate(child: Child) -> Output {
    let pid = child.id().expect("it runs");
    let killed = Command::new("kill")
        .args(["-TERM", &pid.to_string()])
        .status()
        .await
        .unwrap();
    assert!(killed.success());
    timeout(SOON, child.wait_with_output())
        .await
        .expect("it ends")
        .unwrap()
}

/// Level, message and error of each log line.
fn log(output: &Output) -> Vec<(String, String, String)> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    let lines = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
        assert!(
            text("ts").parse::<jiff::Timestamp>().is_ok(),
            "no time in {line}"
        );
        (text("level"), text("msg"), text("error"))
    });
    lines.collect()
}

fn line(level: &str, message: &str, error: &str) -> (String, String, String) {
    (level.to_owned(), message.to_owned(), error.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_while_it_lists_is_told_in_the_words_of_the_real_controller() {
    // An API server that takes requests and never answers one: the list never ends.
    let api = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": format!("http://{}", api.local_addr().unwrap())}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {}}],
    });
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    let port = free_port();
    let child = start(&kubeconfig, port);

    let (mut asked, _) = timeout(SOON, api.accept())
        .await
        .expect("a request")
        .unwrap();
    let mut request = vec![0; 1024];
    let length = timeout(SOON, asked.read(&mut request))
        .await
        .unwrap()
        .unwrap();
    let request = String::from_utf8_lossy(&request[..length]);
    assert!(
        request.starts_with("GET /api/v1/pods?") && request.contains("limit=500"),
        "{request}"
    );
    let answer = probe(port, "/healthz", Duration::from_millis(500)).await;
    assert_eq!(
        answer, None,
        "it neither answers nor refuses while it lists"
    );

    let output = terminate(child).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        log(&output),
        [
            line("info", "starting podInfo repo", ""),
            line(
                "error",
                "problem wait for podInfo repo sync",
                "timed out waiting for the condition"
            ),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_once_it_has_listed_every_pod_of_a_real_cluster() {
    let cluster = Cluster::shared().await.unwrap();
    let client = cluster.client().await.unwrap();
    let namespace = TestNamespace::create(&client, "podcache").await.unwrap();
    cluster.add_fake_nodes(5).await.unwrap();
    // More than a page.
    cluster
        .create_pods(&PodFleet::new(namespace.name(), 620))
        .await
        .unwrap();
    let port = free_port();
    let child = start(cluster.kubeconfig(), port);
    for path in ["/healthz", "/readyz"] {
        let answer = probe(port, path, SOON).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
    let output = terminate(child).await;
    assert_eq!(output.status.code(), Some(0));
    let messages: Vec<_> = log(&output)
        .into_iter()
        .map(|(_, message, _)| message)
        .collect();
    assert_eq!(
        messages,
        ["starting podInfo repo", "podInfo repo synced", "stopped"]
    );
    let text = String::from_utf8(output.stderr).unwrap();
    let synced: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert!(
        synced["pods"].as_u64().unwrap() >= 620,
        "pages after the first are listed too: {synced}"
    );
    namespace.delete().await.unwrap();
}
