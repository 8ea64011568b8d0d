//! Traps for single requests: held, refused, or their sender killed before or after they are done.

use std::sync::{Arc, Mutex};

use http::StatusCode;
use tokio::sync::{oneshot, watch};

use super::Proxy;

/// Whether a request changes what the operator is there for: leases and events are not counted.
#[must_use]
pub fn mutates(line: &str) -> bool {
    let Some((method, uri)) = line.split_once(' ') else {
        return false;
    };
    let path = uri.split('?').next().unwrap_or_default();
    let besides = path.starts_with("/apis/coordination.k8s.io/")
        || path.split('/').any(|part| part == "events");
    matches!(method, "POST" | "PUT" | "PATCH" | "DELETE") && !besides
}

/// When the sender of a request is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The request never reaches the API server.
    Before,
    /// It was done and answered, and the sender does not hear of it.
    After,
}

/// A request that waits in the proxy.
pub struct Held {
    arrived: oneshot::Receiver<()>,
    go: oneshot::Sender<()>,
}

impl Held {
    /// Waits until the request is there. The caller bounds it.
    pub async fn arrived(&mut self) {
        (&mut self.arrived).await.expect("the proxy");
    }

    /// Lets it go on its way.
    pub fn release(self) {
        let _ = self.go.send(());
    }
}

/// Whether a kill has struck.
pub type Struck = watch::Receiver<bool>;

type Matches = Box<dyn Fn(&str) -> bool + Send>;
type Strike = Box<dyn FnOnce() + Send>;

enum Deed {
    Hold(oneshot::Sender<()>, oneshot::Receiver<()>),
    Refuse(StatusCode),
    Lose,
    Kill(Moment, Strike),
}

struct Trap {
    matches: Matches,
    /// Requests to let pass first.
    left: usize,
    /// Whether it stays for the next one.
    stays: bool,
    deed: Option<Deed>,
}

/// What becomes of a request.
pub(super) enum Way {
    On,
    Refused(StatusCode),
    /// It goes on, but its answer does not come back.
    Unanswered(Strike),
}

#[derive(Clone, Default)]
pub(super) struct Traps(Arc<Mutex<Vec<Trap>>>);

impl Traps {
    fn set(&self, trap: Trap) {
        self.0.lock().expect("the traps").push(trap);
    }

    pub(super) async fn meet(&self, line: &str) -> Way {
        match self.spring(line) {
            None => Way::On,
            Some(Deed::Hold(arrived, go)) => {
                let _ = arrived.send(());
                let _ = go.await;
                Way::On
            }
            Some(Deed::Refuse(status)) => Way::Refused(status),
            Some(Deed::Lose) => Way::Unanswered(Box::new(|| ())),
            Some(Deed::Kill(Moment::After, strike)) => Way::Unanswered(strike),
            Some(Deed::Kill(Moment::Before, strike)) => {
                strike();
                Way::Refused(StatusCode::BAD_GATEWAY)
            }
        }
    }

    fn spring(&self, line: &str) -> Option<Deed> {
        let mut traps = self.0.lock().expect("the traps");
        for trap in traps.iter_mut() {
            if trap.deed.is_none() || !(trap.matches)(line) {
                continue;
            }
            if trap.left > 0 {
                trap.left -= 1;
                continue;
            }
            return match &trap.deed {
                Some(Deed::Refuse(status)) if trap.stays => Some(Deed::Refuse(*status)),
                _ => trap.deed.take(),
            };
        }
        None
    }
}

impl Proxy {
    /// Holds the next request whose line `matches`.
    pub fn hold(&self, matches: impl Fn(&str) -> bool + Send + 'static) -> Held {
        let (arrived, told) = oneshot::channel();
        let (go, gone) = oneshot::channel();
        self.traps.set(Trap {
            matches: Box::new(matches),
            left: 0,
            stays: false,
            deed: Some(Deed::Hold(arrived, gone)),
        });
        Held { arrived: told, go }
    }

    /// Answers every request whose line `matches` with this status, until [`Self::spare_all`].
    pub fn refuse(&self, status: StatusCode, matches: impl Fn(&str) -> bool + Send + 'static) {
        self.traps.set(Trap {
            matches: Box::new(matches),
            left: 0,
            stays: true,
            deed: Some(Deed::Refuse(status)),
        });
    }

    /// Passes the next request on whose line `matches`, and loses the answer.
    pub fn lose_answer(&self, matches: impl Fn(&str) -> bool + Send + 'static) {
        self.traps.set(Trap {
            matches: Box::new(matches),
            left: 0,
            stays: false,
            deed: Some(Deed::Lose),
        });
    }

    /// Calls `kill` before or after the n-th request, from 1, that changes something (see [`mutates`]).
    /// `kill` returns when the sender is dead.
    pub fn strike(
        &self,
        nth: usize,
        moment: Moment,
        kill: impl FnOnce() + Send + 'static,
    ) -> Struck {
        let (tell, struck) = watch::channel(false);
        let strike = move || {
            kill();
            tell.send_replace(true);
        };
        self.traps.set(Trap {
            matches: Box::new(mutates),
            left: nth - 1,
            stays: false,
            deed: Some(Deed::Kill(moment, Box::new(strike))),
        });
        struck
    }

    /// Takes all traps away.
    pub fn spare_all(&self) {
        self.traps.0.lock().expect("the traps").clear();
    }
}

#[cfg(test)]
mod tests {
    use super::mutates;

    #[test]
    fn what_counts_as_a_change() {
        let cases = [
            (
                "PATCH /apis/apps/v1/namespaces/x/deployments/web?fieldManager=probepilot",
                true,
            ),
            (
                "PATCH /apis/probepilot.dev/v1alpha1/namespaces/x/probepolicies/web/status",
                true,
            ),
            ("DELETE /api/v1/namespaces/x/pods/web", true),
            ("GET /api/v1/pods?limit=1", false),
            ("POST /apis/events.k8s.io/v1/namespaces/x/events", false),
            (
                "PUT /apis/coordination.k8s.io/v1/namespaces/x/leases/probepilot",
                false,
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(mutates(line), expected, "{line}");
        }
    }
}
