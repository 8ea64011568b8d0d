//! grpc.health.v1.Health/Check, and no more of gRPC than its answer needs.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// A message uncompressed, 2 bytes long: field 1 (status), as varint (gRPC over HTTP2; health.proto, HealthCheckResponse).
const SERVING: [u8; 7] = [0, 0, 0, 0, 2, 0x08, 1];
const NOT_SERVING: [u8; 7] = [0, 0, 0, 0, 2, 0x08, 2];

/// Answers every call on this connection.
pub async fn answer(stream: TcpStream, serving: bool, latency: Duration) -> anyhow::Result<()> {
    let mut connection = h2::server::handshake(stream)
        .await
        .context("no HTTP/2 client")?;
    while let Some(call) = connection.accept().await {
        // A client that hangs up is one that gave up waiting.
        let Ok((_, respond)) = call else {
            return Ok(());
        };
        tokio::spawn(async move {
            if let Err(error) = check(respond, serving, latency).await {
                eprintln!("probed: {error:#}");
            }
        });
    }
    Ok(())
}

async fn check(
    mut respond: SendResponse<Bytes>,
    serving: bool,
    latency: Duration,
) -> anyhow::Result<()> {
    sleep(latency).await;
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .body(())?;
    let mut body = respond.send_response(head, false)?;
    let message = if serving { SERVING } else { NOT_SERVING };
    body.send_data(Bytes::copy_from_slice(&message), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    body.send_trailers(trailers)?;
    Ok(())
}
