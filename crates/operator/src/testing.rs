//! The other end of the conversation with the API server, for unit tests.

use std::time::Duration;

use bytes::Bytes;
use futures::channel::mpsc as futures_mpsc;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tower::{BoxError, service_fn};

use crate::client::{ApiLayer, build};

type MockBody = UnsyncBoxBody<Bytes, BoxError>;

/// One request and the means to answer it.
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    /// The body as JSON; null when there is none.
    pub(crate) body: Value,
    reply: oneshot::Sender<Result<Response<MockBody>, BoxError>>,
}

impl Call {
    /// `GET /path?query`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    pub(crate) fn answer(self, body: &Value) {
        self.respond(StatusCode::OK, &[], body);
    }

    /// An API Status with `code`.
    pub(crate) fn refuse(self, code: u16, reason: &str) {
        self.refuse_with(code, reason, &[]);
    }

    pub(crate) fn refuse_with(self, code: u16, reason: &str, headers: &[(&str, &str)]) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "reason": reason, "message": format!("mock says {reason}"), "code": code});
        self.respond(StatusCode::from_u16(code).unwrap(), headers, &status);
    }

    fn respond(self, status: StatusCode, headers: &[(&str, &str)], body: &Value) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
        self.send(response.body(body.boxed_unsync()).unwrap());
    }

    /// Starts a watch; it lasts as long as the stream that is returned.
    pub(crate) fn watch(self) -> WatchStream {
        let (events, stream) = futures_mpsc::unbounded();
        let body = StreamBody::new(stream).boxed_unsync();
        self.send(Response::new(body));
        WatchStream(events)
    }

    /// The connection breaks before an answer.
    pub(crate) fn hang_up(self) {
        let _ = self.reply.send(Err("connection reset by mock".into()));
    }

    fn send(self, response: Response<MockBody>) {
        // The caller may have given up, which some tests are about.
        let _ = self.reply.send(Ok(response));
    }
}

/// A running watch.
pub(crate) struct WatchStream(futures_mpsc::UnboundedSender<Result<Frame<Bytes>, BoxError>>);

impl WatchStream {
    pub(crate) fn event(&self, kind: &str, object: &Value) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        let _ = self.0.unbounded_send(Ok(Frame::data(Bytes::from(line))));
    }

    /// Waits until the client has hung up.
    pub(crate) async fn closed(&self) {
        while !self.0.is_closed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The API server of a test.
pub(crate) struct MockServer(mpsc::UnboundedReceiver<Call>);

impl MockServer {
    /// The next request; fails the test when none comes.
    pub(crate) async fn next(&mut self) -> Call {
        tokio::time::timeout(Duration::from_mins(1), self.0.recv())
            .await
            .expect("a request within a minute")
            .expect("the client is still there")
    }

    /// The next request, which must be this one.
    pub(crate) async fn expect(&mut self, line: &str) -> Call {
        let call = self.next().await;
        assert_eq!(call.line(), line);
        call
    }

    /// Requests that wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.0.len()
    }
}

/// A client and the server that it talks to.
pub(crate) fn mock() -> (Client, MockServer) {
    mock_with(&ApiLayer::new(std::sync::Arc::new(())))
}

/// The same behind a layer of the test's choice.
pub(crate) fn mock_with(layer: &ApiLayer) -> (Client, MockServer) {
    let (calls, server) = mpsc::unbounded_channel();
    let service = service_fn(move |request: Request<Body>| {
        let calls = calls.clone();
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let (reply, answer) = oneshot::channel();
            let call = Call {
                method: head.method,
                target: head.uri.to_string(),
                headers: head.headers,
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                reply,
            };
            calls.send(call).map_err(|_| "the mock server is gone")?;
            answer.await.map_err(|_| "the mock dropped the call")?
        }
    });
    let client = build(ClientBuilder::new(service, "default"), layer);
    (client, MockServer(server))
}
