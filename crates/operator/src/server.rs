//! The operator's own health and metrics, over HTTP.
//!
//! | path | answers |
//! |---|---|
//! | `/livez` | 200 at once, always: it asks nothing and waits for nothing, so only a dead process fails it |
//! | `/readyz` | 200 `ok`, or 503 and a line for each part that is still pending |
//! | `/metrics` | OpenMetrics text |
//!
//! A replica that stands by is ready: it does what it is there for.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;

use crate::deadline::within;
use crate::metrics::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections that are still open so long after the end began are cut.
const GRACE: Duration = Duration::from_secs(2);

/// What must happen before the process is ready. Cloning is cheap and shares it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeSet<&'static str>>>);

impl Readiness {
    /// Adds a part that is pending from now on. `name` says what is waited for.
    #[must_use = "dropping the part unused leaves it pending"]
    pub fn part(&self, name: &'static str) -> Part {
        self.lock().insert(name);
        Part {
            readiness: self.clone(),
            name,
        }
    }

    /// The parts that are pending, in order of name.
    #[must_use]
    pub fn pending(&self) -> Vec<&'static str> {
        self.lock().iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that readiness waits for.
#[derive(Clone, Debug)]
pub struct Part {
    readiness: Readiness,
    name: &'static str,
}

impl Part {
    /// It is there.
    pub fn ready(&self) {
        self.readiness.lock().remove(self.name);
    }

    /// It is not, or no more.
    pub fn pending(&self) {
        self.readiness.lock().insert(self.name);
    }
}

/// A server that is bound and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

impl Server {
    /// Binds; port 0 takes a free one.
    pub async fn bind(
        address: SocketAddr,
        readiness: Readiness,
        metrics: Metrics,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz).with_state(readiness))
            .route("/metrics", get(scrape).with_state(metrics));
        Ok(Self {
            listener,
            address,
            router,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is over, and then until what was begun is answered, at most 2 s.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (ending, ended) = tokio::sync::oneshot::channel();
        let shutdown = async move {
            shutdown.await;
            let _ = ending.send(());
        };
        let serving = axum::serve(self.listener, self.router).with_graceful_shutdown(shutdown);
        let mut serving = std::pin::pin!(serving.into_future());
        tokio::select! {
            result = &mut serving => return result,
            _ = ended => {}
        }
        match within(GRACE, "ending the connections", serving).await {
            Ok(result) => result,
            Err(error) => {
                tracing::debug!("{error}");
                Ok(())
            }
        }
    }
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let pending = readiness.pending();
    if pending.is_empty() {
        return "ok\n".into_response();
    }
    let mut lines = String::new();
    for name in pending {
        lines.extend(["pending: ", name, "\n"]);
    }
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

async fn scrape(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn start(readiness: &Readiness) -> Running {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(loopback, readiness.clone(), Metrics::default());
        let server = server.await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.serve(async {
            let _ = stopped.await;
        }));
        Running {
            address,
            stop,
            task,
        }
    }

    async fn ask(address: SocketAddr, path: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        (code, head.to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn readiness_names_what_is_pending_and_liveness_does_not_care() {
        let readiness = Readiness::default();
        let policies = readiness.part("policies listed");
        let server = readiness.part("API server reached");
        let running = start(&readiness).await;
        let (code, _, body) = ask(running.address, "/readyz").await;
        assert_eq!(code, 503);
        assert_eq!(
            body,
            "pending: API server reached\npending: policies listed\n"
        );
        assert_eq!(ask(running.address, "/livez").await.0, 200);

        policies.ready();
        server.ready();
        let (code, _, body) = ask(running.address, "/readyz").await;
        assert_eq!((code, body.as_str()), (200, "ok\n"));
        policies.pending();
        assert_eq!(ask(running.address, "/readyz").await.0, 503);
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        let running = start(&Readiness::default()).await;
        let (code, head, body) = ask(running.address, "/metrics").await;
        assert_eq!(code, 200);
        assert!(head.contains("application/openmetrics-text"), "{head}");
        assert!(body.ends_with("# EOF\n"));
        assert_eq!(ask(running.address, "/nothing").await.0, 404);
    }

    #[tokio::test]
    async fn the_end_does_not_wait_for_an_idle_connection() {
        let running = start(&Readiness::default()).await;
        let mut idle = TcpStream::connect(running.address).await.unwrap();
        // Half a request: the server is in the middle of it when the end comes.
        idle.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
        assert_eq!(ask(running.address, "/livez").await.0, 200);
        running.stop.send(()).unwrap();
        let end = tokio::time::timeout(GRACE * 2, running.task).await;
        assert!(end.unwrap().unwrap().is_ok());
        assert!(TcpStream::connect(running.address).await.is_err());
    }
}
