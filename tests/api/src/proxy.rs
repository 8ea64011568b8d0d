//! A small proxy in front of the API server that can be told to refuse requests, and to trap single
//! ones on their way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER};
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;
use kube::{Client, Config};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod trap;

pub use trap::{Held, Moment, Struck, mutates};
use trap::{Traps, Way};

/// What the proxy does with requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Passes everything on.
    Calm,
    /// Refuses everything: 429 with Retry-After and 503 in turn.
    Storm,
    /// As `Storm`, but spares leases, as a server does that has a priority level of their own for
    /// them, and patches of status, so that what they say can be seen.
    Overload,
}

/// One request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it came.
    pub at: Instant,
    /// Method and path with query.
    pub line: String,
}

/// A running proxy on loopback; it ends with this value.
pub struct Proxy {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    seen: Arc<Mutex<Vec<Seen>>>,
    traps: Traps,
    stubs: Stubs,
    task: JoinHandle<()>,
}

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

/// Answers that are given in the API server's place, by the beginning of the path.
type Stubs = Arc<Mutex<Vec<(String, StatusCode, Value)>>>;

#[derive(Clone)]
struct Desk {
    upstream: Client,
    mood: watch::Receiver<Mood>,
    seen: Arc<Mutex<Vec<Seen>>>,
    traps: Traps,
    stubs: Stubs,
}

impl Proxy {
    /// Listens on a free port and passes requests on with `upstream`'s rights.
    pub async fn start(upstream: Client) -> Self {
        let (mood, moods) = watch::channel(Mood::Calm);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let desk = Desk {
            upstream,
            mood: moods,
            seen: Arc::clone(&seen),
            traps: Traps::default(),
            stubs: Stubs::default(),
        };
        let (traps, stubs) = (desk.traps.clone(), Arc::clone(&desk.stubs));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(pass).with_state(desk);
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the proxy");
        });
        Self {
            address,
            mood,
            seen,
            traps,
            stubs,
            task,
        }
    }

    /// How to reach the API server through it.
    #[must_use]
    pub fn config(&self, namespace: &str) -> Config {
        let uri: Uri = format!("http://{}", self.address).parse().expect("a URI");
        let mut config = Config::new(uri);
        namespace.clone_into(&mut config.default_namespace);
        config
    }

    /// Where it listens, for a kubeconfig.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes its mood. A change also ends all running answers, watches among them.
    pub fn feel(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// From now on answers requests whose path begins so itself, as an aggregated API would; the last answer for a path counts.
    pub fn stub(&self, path: &str, status: StatusCode, body: Value) {
        let mut stubs = self.stubs.lock().expect("the stubs");
        stubs.insert(0, (path.to_owned(), status, body));
    }

    /// The requests that came since `from`.
    #[must_use]
    pub fn since(&self, from: Instant) -> Vec<Seen> {
        let seen = self.seen.lock().expect("the log");
        seen.iter().filter(|one| one.at >= from).cloned().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(mut desk): State<Desk>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    let number = {
        let mut seen = desk.seen.lock().expect("the log");
        seen.push(Seen {
            at: Instant::now(),
            line: line.clone(),
        });
        seen.len()
    };
    let way = desk.traps.meet(&line).await;
    if let Way::Refused(status) = way {
        return (status, "refused by the test").into_response();
    }
    let mood = *desk.mood.borrow();
    let path = request.uri().path();
    let of_status = request.method() == Method::PATCH && path.ends_with("/status");
    let spared = of_status || path.starts_with("/apis/coordination.k8s.io/");
    if mood == Mood::Storm || (mood == Mood::Overload && !spared) {
        return refuse(number);
    }
    let stub = {
        let stubs = desk.stubs.lock().expect("the stubs");
        let found = stubs.iter().find(|(of, ..)| path.starts_with(of));
        found.map(|(_, status, body)| (*status, [JSON], body.to_string()))
    };
    if let Some(stub) = stub {
        return stub.into_response();
    }
    let (mut head, body) = request.into_parts();
    let target = head.uri.path_and_query().expect("a path").clone();
    head.uri = Uri::from(target);
    head.headers.remove(HOST);
    head.headers.remove(AUTHORIZATION);
    let bytes = body.collect().await.expect("a body").to_bytes();
    let request = http::Request::from_parts(head, kube::client::Body::from(bytes.to_vec()));
    let answer = desk.upstream.send(request).await;
    if let Way::Unanswered(strike) = way {
        strike();
        return (StatusCode::BAD_GATEWAY, "the answer was lost by the test").into_response();
    }
    match answer {
        Ok(answer) => {
            let (head, body) = answer.into_parts();
            let cut = async move {
                let _ = desk.mood.wait_for(|now| *now != mood).await;
            };
            let body = body.into_data_stream().take_until(Box::pin(cut));
            Response::from_parts(head, Body::from_stream(body))
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

fn refuse(number: usize) -> Response {
    if number.is_multiple_of(2) {
        let wait = [(RETRY_AFTER, "1")];
        (StatusCode::TOO_MANY_REQUESTS, wait, "too many requests").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable").into_response()
    }
}
