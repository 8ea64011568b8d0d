//! One port over the program's life: closed, bound and silent, or answering.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context as _;
use probed::{Answer, Piece, Script};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::grpc;

/// What is spoken on a port.
#[derive(Clone, Copy, Debug)]
pub enum Speaks {
    /// HTTP/1.1.
    Http,
    /// gRPC's health service.
    Grpc,
}

/// Longer requests are none of a probe's.
const LONGEST_REQUEST: usize = 16 * 1024;
/// How long a silent client is listened to.
const PATIENCE: Duration = Duration::from_mins(1);

/// Follows the script. Returns only when the port cannot be had.
pub async fn serve(port: u16, speaks: Speaks, script: Script, born: Instant) -> anyhow::Error {
    match follow(port, speaks, &script, born).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn follow(
    port: u16,
    speaks: Speaks,
    script: &Script,
    born: Instant,
) -> anyhow::Result<Infallible> {
    let mut listener = None;
    loop {
        let (piece, until) = script.at(born.elapsed());
        let until = until.map(|until| born + until);
        if piece.answer == Answer::Refused {
            listener = None;
            wait(until).await;
            continue;
        }
        let bound = match listener.take() {
            Some(bound) => bound,
            None => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
                .await
                .with_context(|| format!("cannot bind port {port}"))?,
        };
        match piece.answer {
            Answer::Status(status) => accept(&bound, speaks, piece, status, until).await,
            Answer::Hang | Answer::Refused => wait(until).await,
        }
        listener = Some(bound);
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Answers whoever comes, and first whoever waited, until the next piece begins.
async fn accept(
    listener: &TcpListener,
    speaks: Speaks,
    piece: Piece,
    status: u16,
    until: Option<Instant>,
) {
    loop {
        let accepted = match until {
            Some(until) => match timeout_at(until, listener.accept()).await {
                Ok(accepted) => accepted,
                Err(_) => return,
            },
            None => listener.accept().await,
        };
        // A client that went away while it waited is no error of ours.
        let Ok((stream, _)) = accepted else { continue };
        tokio::spawn(async move {
            let answered = match speaks {
                Speaks::Http => http(stream, status, piece.latency).await,
                Speaks::Grpc => grpc::answer(stream, status == 200, piece.latency).await,
            };
            if let Err(error) = answered {
                eprintln!("probed: {error:#}");
            }
        });
    }
}

async fn http(mut stream: TcpStream, status: u16, latency: Duration) -> anyhow::Result<()> {
    let mut request = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = timeout_at(deadline, stream.read_buf(&mut request))
            .await
            .context("a client said nothing for too long")??;
        if read == 0 {
            // Whoever only connects, as a tcpSocket probe does, has got its answer.
            return Ok(());
        }
        anyhow::ensure!(request.len() < LONGEST_REQUEST, "too long a request");
    }
    sleep(latency).await;
    let answer =
        format!("HTTP/1.1 {status} As told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(())
}
