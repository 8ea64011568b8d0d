//! The program from outside: closed, silent and answering ports at the times it was told, exec, gRPC, its own end and SIGTERM.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::Request;
use probepilot_test_cluster::wait::{self, Seen};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

struct Program {
    child: Child,
    http: u16,
    grpc: u16,
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn start(arguments: &[&str]) -> Program {
    let (http, grpc) = (free_port(), free_port());
    let child = Command::new(env!("CARGO_BIN_EXE_probed"))
        .args(["--http-port", &http.to_string()])
        .args(["--grpc-port", &grpc.to_string()])
        .args(arguments)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    Program { child, http, grpc }
}

impl Program {
    /// The status of a probe, or `None` when there is none within the time.
    async fn get(&self, within: Duration) -> Option<u16> {
        let mut stream = connect(self.http).await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        let read = timeout(within, stream.read_to_string(&mut answer)).await;
        read.ok()?.unwrap();
        Some(answer.split(' ').nth(1).unwrap().parse().unwrap())
    }

    async fn exit_code(&mut self) -> Option<i32> {
        let status = timeout(SOON, self.child.wait()).await.unwrap().unwrap();
        status.code()
    }

    fn sigterm(&self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").arg(pid).status();
        assert!(sent.unwrap().success());
    }
}

async fn connect(port: u16) -> TcpStream {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    wait::until("the port to be bound", SOON, || async {
        TcpStream::connect(address).await.map(Seen::Done)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn the_answers_follow_the_clock() {
    let program = start(&["--answer", "0:hang:0", "--answer", "2000:503:0"]);
    assert_eq!(program.get(Duration::from_millis(300)).await, None);
    // Whoever waits is answered once somebody serves.
    assert_eq!(program.get(SOON).await, Some(503));
}

#[tokio::test]
async fn nobody_listens_before_the_first_answer_and_after_a_refusal() {
    let program = start(&["--answer", "0:200:0", "--answer", "2000:refused:0"]);
    assert_eq!(program.get(SOON).await, Some(200));
    wait::until("the port to be closed", SOON, || async {
        let address = (Ipv4Addr::LOCALHOST, program.http);
        Ok::<_, std::io::Error>(match TcpStream::connect(address).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Seen::Done(()),
            other => Seen::NotYet(format!("{other:?}")),
        })
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_answer_takes_its_time() {
    let program = start(&["--answer", "0:200:700"]);
    drop(connect(program.http).await);
    let asked = Instant::now();
    assert_eq!(program.get(SOON).await, Some(200));
    assert!(asked.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn ask_exits_as_the_status_says() {
    for (status, code) in [("200", 0), ("302", 0), ("404", 1), ("503", 1)] {
        let program = start(&["--answer", &format!("0:{status}:0")]);
        drop(connect(program.http).await);
        assert_eq!(ask(program.http).await, Some(code), "{status}");
    }
    assert_eq!(ask(free_port()).await, Some(1), "nobody listens");
}

async fn ask(port: u16) -> Option<i32> {
    let mut asking = Command::new(env!("CARGO_BIN_EXE_probed"));
    asking.args(["ask", "--http-port", &port.to_string()]);
    let output = timeout(SOON, asking.output()).await.unwrap().unwrap();
    output.status.code()
}

#[tokio::test]
async fn grpc_says_serving_or_not() {
    for (status, serving) in [("200", 1), ("503", 2)] {
        let program = start(&["--answer", &format!("0:{status}:0")]);
        let answer = timeout(SOON, check(program.grpc)).await.unwrap();
        assert_eq!(answer.as_ref(), [0, 0, 0, 0, 2, 8, serving], "{status}");
    }
}

/// Calls grpc.health.v1.Health/Check and returns the framed message.
async fn check(port: u16) -> Bytes {
    let stream = connect(port).await;
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("http://x/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let mut response = response.await.unwrap().into_body();
    let mut message = BytesMut::new();
    while let Some(data) = response.data().await {
        message.extend_from_slice(&data.unwrap());
    }
    let trailers = response.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    connection.abort();
    message.freeze()
}

#[tokio::test]
async fn it_ends_by_itself_when_told() {
    let started = Instant::now();
    let mut program = start(&["--exit", "1000:3"]);
    assert_eq!(program.exit_code().await, Some(3));
    assert!(started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn sigterm_does_what_was_told() {
    let mut obeys = start(&["--answer", "0:200:0", "--sigterm", "500:143"]);
    drop(connect(obeys.http).await);
    let sent = Instant::now();
    obeys.sigterm();
    assert_eq!(obeys.exit_code().await, Some(143));
    assert!(sent.elapsed() >= Duration::from_millis(500));

    let mut ignores = start(&[
        "--answer",
        "0:200:0",
        "--sigterm",
        "ignore",
        "--exit",
        "2500:9",
    ]);
    drop(connect(ignores.http).await);
    ignores.sigterm();
    assert_eq!(ignores.exit_code().await, Some(9));
}
