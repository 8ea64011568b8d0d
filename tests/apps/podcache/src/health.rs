//! /healthz and /readyz, on a port that was bound long before.

use std::net::TcpListener;

use axum::Router;
use axum::routing::get;

/// Answers until `stop` is done. Connections that came while nothing was served are taken first.
pub(crate) async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let ok = || async { "ok" };
    let routes = Router::new()
        .route("/healthz", get(ok))
        .route("/readyz", get(ok));
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    async fn ask(address: std::net::SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        stream
    }

    #[tokio::test]
    async fn a_bound_port_connects_and_is_silent_until_served() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut early = ask(address).await;
        let mut byte = [0];
        let silent = timeout(Duration::from_millis(300), early.read(&mut byte)).await;
        assert!(
            silent.is_err(),
            "an A-hang controller neither answers nor refuses: {silent:?}"
        );

        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(listener, async {
            stopped.await.unwrap();
        }));
        for (case, mut stream) in [("early", early), ("late", ask(address).await)] {
            let mut answer = String::new();
            timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
                .await
                .unwrap()
                .unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{case}: {answer}");
        }
        stop.send(()).unwrap();
        timeout(Duration::from_secs(5), server)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}
