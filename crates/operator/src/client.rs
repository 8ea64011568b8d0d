//! The client that every module uses: deadlines, rationing in a storm, and counting of answers.
//!
//! kube's own retry (15 tries inside one call, out of sight of everybody else) is switched off: a
//! request is sent once, refusals are known to the whole process ([`Pace`]), and who asked decides
//! whether to ask again.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use thiserror::Error;
use tower::buffer::BufferLayer;
use tower::{BoxError, Layer, Service, ServiceExt};

use crate::fence::Fence;
use crate::pace::{Lane, Pace};

/// Longest time that any request but a running watch may take, waiting in the queue included.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(10);

/// Longest time for a TCP and TLS connection to the API server.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Requests that may wait between the layers; kube uses the same number.
const BUFFER: usize = 1024;

/// Why a request has no answer, besides what the API server itself said.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The server refuses requests, and this one's time passed in the queue.
    #[error(
        "the API server refuses requests (429 or 503); this one waited {} s and was given up",
        limit.as_secs_f64()
    )]
    HeldBack {
        /// How long it waited.
        limit: Duration,
    },
    /// This replica does not lead, so it may not write.
    #[error("this replica does not lead any more; the write was not sent")]
    Fenced,
    /// The server did not answer in time.
    #[error("the API server did not answer within {} s", limit.as_secs_f64())]
    Deadline {
        /// How long it was waited for.
        limit: Duration,
    },
}

/// What a request was for, as far as metrics tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// A read of one object or a list.
    Get,
    /// A watch.
    Watch,
    /// A create.
    Create,
    /// A replace.
    Update,
    /// A patch.
    Patch,
    /// A delete.
    Delete,
    /// Anything else.
    Other,
}

impl Verb {
    fn of(method: &Method, uri: &Uri) -> Self {
        match *method {
            Method::GET if is_watch(uri) => Self::Watch,
            Method::GET => Self::Get,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }

    fn lane(self) -> Lane {
        match self {
            Self::Watch => Lane::Watch,
            Self::Get => Lane::Read,
            Self::Create | Self::Update | Self::Patch | Self::Delete | Self::Other => Lane::Write,
        }
    }

    /// The verb in RBAC's words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

fn is_watch(uri: &Uri) -> bool {
    uri.query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

/// Hears of every request that ended.
pub trait Observer: Send + Sync {
    /// `code` is the answer's status; `None` when there was no answer.
    fn ended(&self, verb: Verb, code: Option<StatusCode>);
}

impl Observer for () {
    fn ended(&self, _: Verb, _: Option<StatusCode>) {}
}

/// The clients of the process.
#[derive(Clone)]
pub struct Clients {
    /// For everything but the lease. Rationed in a storm; writes nothing while `fence` is closed.
    pub api: Client,
    /// For the lease alone. Its requests are few by design (one each 2 s) and do not queue behind
    /// others: a storm that hits workloads but not leases must not cost the leadership.
    pub lease: Client,
    /// The queue behind `api`, for those who show the weather.
    pub pace: Arc<Pace>,
    /// Whether `api` may write. Closed at first: leadership opens it.
    pub fence: Fence,
}

/// Builds the clients for the API server that `config` names.
pub fn connect(mut config: Config, observer: Arc<dyn Observer>) -> Result<Clients, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_DEADLINE);
    config.headers.push((
        USER_AGENT,
        HeaderValue::from_static(concat!("probepilot/", env!("CARGO_PKG_VERSION"))),
    ));
    let (pace, fence) = (Arc::new(Pace::default()), Fence::default());
    let direct = ApiLayer::new(Arc::clone(&observer));
    let rationed = ApiLayer {
        pace: Some(Arc::clone(&pace)),
        fence: Some(fence.clone()),
        ..ApiLayer::new(observer)
    };
    Ok(Clients {
        api: build(ClientBuilder::try_from(config.clone())?, &rationed),
        lease: build(ClientBuilder::try_from(config)?, &direct),
        pace,
        fence,
    })
}

/// Puts `layer` in front of a service; mocks come in here too.
pub(crate) fn build<S, B>(builder: ClientBuilder<S>, layer: &ApiLayer) -> Client
where
    S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + Sync + 'static,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    // The buffer makes the service cloneable, so that a request can wait its turn in its own future.
    builder
        .with_layer(&BufferLayer::new(BUFFER))
        .with_layer(layer)
        .build()
}

/// The layer behind [`connect`].
#[derive(Clone)]
pub(crate) struct ApiLayer {
    pub(crate) pace: Option<Arc<Pace>>,
    pub(crate) fence: Option<Fence>,
    observer: Arc<dyn Observer>,
    deadline: Duration,
}

impl ApiLayer {
    /// Deadlines only: no rationing, no fence.
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self {
            pace: None,
            fence: None,
            observer,
            deadline: REQUEST_DEADLINE,
        }
    }
}

impl<S> Layer<S> for ApiLayer {
    type Service = ApiService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApiService {
            inner,
            layer: self.clone(),
        }
    }
}

/// The service behind [`connect`].
#[derive(Clone)]
pub(crate) struct ApiService<S> {
    inner: S,
    layer: ApiLayer,
}

type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;

impl<S, B> Service<Request<Body>> for ApiService<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Readiness is awaited after the queue, for the clone that is used.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (inner, layer) = (self.inner.clone(), self.layer.clone());
        Box::pin(async move {
            let verb = Verb::of(request.method(), request.uri());
            let answer = layer.ask(inner, request, verb).await;
            let code = answer.as_ref().ok().map(Response::status);
            layer.observer.ended(verb, code);
            answer
        })
    }
}

impl ApiLayer {
    async fn ask<S, B>(
        &self,
        inner: S,
        request: Request<Body>,
        verb: Verb,
    ) -> Result<Response<AnswerBody>, BoxError>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let limit = self.deadline;
        // What an aggregated API answers says nothing of the API server.
        let own = !request.uri().path().starts_with(crate::usage::PATH);
        let end = tokio::time::Instant::now() + limit;
        if let Some(pace) = &self.pace {
            tokio::time::timeout_at(end, pace.admitted(verb.lane()))
                .await
                .map_err(|_| TransportError::HeldBack { limit })?;
        }
        // Asked last, right before the request goes: it may have waited in the queue.
        if verb.lane() == Lane::Write && self.fence.as_ref().is_some_and(|fence| !fence.holds()) {
            return Err(TransportError::Fenced.into());
        }
        let exchange = async {
            let response = inner.oneshot(request).await.map_err(Into::into)?;
            if own {
                self.tell(&response, verb.lane());
            }
            let (head, body) = response.into_parts();
            // A watch's body goes on for minutes; kube's watcher bounds its silence. Any other
            // body is read under the same deadline as the head.
            let body = if verb == Verb::Watch && head.status.is_success() {
                body.map_err(Into::into).boxed_unsync()
            } else {
                let bytes = body.collect().await.map_err(Into::into)?.to_bytes();
                Full::new(bytes)
                    .map_err(|never| match never {})
                    .boxed_unsync()
            };
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout_at(end, exchange).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                if let Some(pace) = &self.pace {
                    pace.refused(verb.lane(), None);
                }
                Err(error)
            }
            // Slow is not refused: one slow read must not hold up everybody else.
            Err(_) => Err(TransportError::Deadline { limit }.into()),
        }
    }

    fn tell<B>(&self, response: &Response<B>, lane: Lane) {
        let Some(pace) = &self.pace else { return };
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                pace.refused(lane, retry_after(response.headers()));
            }
            _ => pace.answered(lane),
        }
    }
}

/// The header's seconds. Kubernetes sends seconds only; a date is taken as no advice.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
