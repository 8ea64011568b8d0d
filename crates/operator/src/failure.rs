//! What kind of failure a call to the API server met, by type and never by text.

use kube::runtime::watcher;

use crate::client::TransportError;

/// Kinds of failed call, as far as callers act on them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// 403: the operator's role lacks the right.
    Forbidden,
    /// 404: no such object, or the resource is not served.
    NotFound,
    /// 409: somebody else was faster, or the object is another one by now.
    Conflict,
    /// 400 or 422: the request can never work as it is.
    Invalid,
    /// 410: the list's continue token or the watch's resource version is too old.
    Gone,
    /// 429 or 503, or given up in the queue that these cause.
    Refused,
    /// The write was not sent: this replica does not lead.
    Fenced,
    /// No answer in time.
    Deadline,
    /// No connection, or it broke.
    Unreachable,
    /// Anything else, a bug or a broken proxy among them.
    Other,
}

impl Failure {
    /// The kind of a client error.
    #[must_use]
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_code(status.code),
            kube::Error::Service(source) => match source.downcast_ref::<TransportError>() {
                Some(TransportError::HeldBack { .. }) => Self::Refused,
                Some(TransportError::Fenced) => Self::Fenced,
                Some(TransportError::Deadline { .. }) => Self::Deadline,
                None => Self::Unreachable,
            },
            kube::Error::HyperError(_) | kube::Error::ReadEvents(_) => Self::Unreachable,
            _ => Self::Other,
        }
    }

    /// The kind of a watch's error.
    #[must_use]
    pub fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(source)
            | watcher::Error::WatchStartFailed(source)
            | watcher::Error::WatchFailed(source) => Self::of(source),
            watcher::Error::WatchError(status) => Self::of_code(status.code),
            watcher::Error::NoResourceVersion => Self::Other,
        }
    }

    pub(crate) fn of_code(code: u16) -> Self {
        match code {
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            400 | 422 => Self::Invalid,
            410 => Self::Gone,
            429 | 503 => Self::Refused,
            504 => Self::Deadline,
            _ => Self::Other,
        }
    }

    /// Whether the same call may well work later without anybody doing anything.
    #[must_use]
    pub fn passes(self) -> bool {
        !matches!(self, Self::Forbidden | Self::NotFound | Self::Invalid)
    }
}
