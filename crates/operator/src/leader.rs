//! Leader election by a Lease: one replica works, the others stand by.
//!
//! # Numbers
//! The leader renews every 2 s and stops 5 s after it *sent* its last successful renewal. A standby
//! looks every second (give or take) and takes over when it has seen the same terms for 7 s by its
//! own monotonic clock, or at once when the lease was released. So a standby leads at most about
//! 1.1 + 7 s and one round trip after the leader vanished: under 10 s.
//!
//! # Why there is one leader at most
//! A renewal sent at S reaches the record at S or later, so a standby first sees it at S or later and
//! takes over at S + 7 s at the earliest. By S + 5 s the leader has stopped: its work is dropped and
//! [`Fence::holds`] says no, so that the client sends no write. The 2 s between are for requests that were already on their way. Times in
//! the record are for people; no two clocks are ever compared, only their rates matter. Of two
//! standbys that take over together one meets a conflict: every replace carries the resourceVersion.
//! A process that is frozen and thawed may still have one request in hand; such a write is refused
//! by its own resourceVersion guard when the next leader has written meanwhile.
//!
//! A lease that somebody deletes binds who has seen it until it would have expired; a replica that
//! has never seen it creates it at once.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::failure::Failure;
use crate::fence::Fence;
use crate::metrics::Metrics;

mod election;

use election::{Election, Next};

/// Intervals of the election; see the module's text for how they hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// What the record promises, and after which others take over.
    lease: Duration,
    /// The leader stops so long after it sent its last successful renewal.
    stop: Duration,
    /// Time between two renewals.
    renew: Duration,
    /// Time between two looks of a standby.
    look: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(7),
            stop: Duration::from_secs(5),
            renew: Duration::from_secs(2),
            look: Duration::from_secs(1),
        }
    }
}

/// Longest time for one request; two fit between a renewal and the stop.
const REQUEST: Duration = Duration::from_secs(2);

/// Which lease, and who stands for it.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// Namespace of the lease.
    pub namespace: String,
    /// Name of the lease.
    pub name: String,
    /// Unique to this process; see [`identity`].
    pub identity: String,
}

/// An identity that no other process has, not even the next one in the same pod: the host's or
/// pod's name for people, and random digits.
#[must_use]
pub fn identity(host: &str) -> String {
    format!("{host}_{:016x}", fastrand::u64(..))
}

/// Whether this replica leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does not; who does, as far as known.
    Standby {
        /// Holder of the lease.
        holder: Option<String>,
    },
    /// It does.
    Leading,
}

/// A running candidacy. Dropping it ends the renewals without a release: the lease expires.
#[derive(Debug)]
pub struct Leadership {
    standing: watch::Receiver<Standing>,
    fence: Fence,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Leadership {
    /// Stands for the lease, with `client` for its requests; opens and closes `fence`. Must be
    /// called within a tokio runtime.
    #[must_use]
    pub fn seek(client: Client, candidacy: Candidacy, fence: Fence, metrics: Metrics) -> Self {
        let (news, standing) = watch::channel(Standing::Standby { holder: None });
        let (stop, stopped) = oneshot::channel();
        let Candidacy {
            namespace,
            name,
            identity,
        } = candidacy;
        let now = Instant::now();
        let clerk = Clerk {
            leases: Api::namespaced(client, &namespace),
            election: Election::new(&name, &identity, Timing::default(), now),
            name,
            news,
            fence: fence.clone(),
            metrics,
            trouble: None,
        };
        Self {
            standing,
            fence,
            stop: Some(stop),
            task: tokio::spawn(clerk.run(stopped)),
        }
    }

    /// Follows whether this replica leads.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until this replica leads.
    pub async fn won(&mut self) {
        let leads = |standing: &Standing| *standing == Standing::Leading;
        if self.standing.wait_for(leads).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this replica does not lead.
    pub async fn lost(&mut self) {
        // An error means that the task is gone, and with it the renewals.
        let _ = self
            .standing
            .wait_for(|standing| *standing != Standing::Leading)
            .await;
    }

    /// Runs `work` each time this replica leads and drops it when it no longer does. Ends when
    /// `work` ends by itself.
    pub async fn lead<T, W: Future<Output = T>>(&mut self, mut work: impl FnMut() -> W) -> T {
        loop {
            self.won().await;
            tokio::select! {
                biased;
                () = self.lost() => {}
                result = work() => return result,
            }
        }
    }

    /// Gives the lease back so that a standby takes over at its next look. The work must have
    /// ended before.
    pub async fn release(mut self) {
        self.fence.close();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
            // Ends by itself: the one request that is left has a deadline.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.task.abort();
        self.fence.close();
    }
}

/// Does what the election says.
struct Clerk {
    leases: Api<Lease>,
    name: String,
    election: Election,
    news: watch::Sender<Standing>,
    fence: Fence,
    metrics: Metrics,
    trouble: Option<Failure>,
}

impl Clerk {
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        loop {
            // A step is never cut off in the middle: what a request did must be known for a release.
            let wait = self.step().await;
            self.tell();
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.release().await;
    }

    /// Takes one step and says how long to wait before the next.
    async fn step(&mut self) -> Duration {
        let sent = Instant::now();
        let next = self.election.next(sent, Timestamp::now());
        let create = PostParams::default();
        let request = async {
            match next {
                Next::Wait(wait) => Ok(Done::Nothing(wait)),
                Next::Read => self.leases.get_opt(&self.name).await.map(Done::Read),
                Next::Create(lease) => self.leases.create(&create, &lease).await.map(Done::Wrote),
                Next::Replace(lease) => self
                    .leases
                    .replace(&self.name, &create, &lease)
                    .await
                    .map(Done::Wrote),
            }
        };
        // A leader that is cut off stops on time, request or not.
        let mut limit = sent + REQUEST;
        if let Some(until) = self.election.held_until(sent) {
            limit = limit.min(until);
        }
        let outcome = tokio::time::timeout_at(limit, request).await;
        let (now, jitter) = (Instant::now(), fastrand::f64());
        match outcome {
            Ok(Ok(Done::Nothing(wait))) => return wait,
            Ok(Ok(Done::Read(lease))) => {
                self.trouble = None;
                self.election.read(now, lease, jitter);
            }
            Ok(Ok(Done::Wrote(lease))) => {
                self.trouble = None;
                self.election.won(sent, now, lease, jitter);
            }
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                self.note(failure, &error.to_string());
                self.election.failed(sent, now, failure, jitter);
            }
            Err(_) => {
                self.note(Failure::Deadline, "no answer in time");
                self.election.failed(sent, now, Failure::Deadline, jitter);
            }
        }
        Duration::ZERO
    }

    fn note(&mut self, failure: Failure, message: &str) {
        // A conflict is how an election is lost, not trouble.
        if failure != Failure::Conflict && self.trouble != Some(failure) {
            tracing::warn!(lease = self.name, "the lease cannot be kept: {message}");
            self.trouble = Some(failure);
        }
    }

    fn tell(&mut self) {
        let until = self.election.held_until(Instant::now());
        match until {
            Some(until) => self.fence.open_until(until),
            None => self.fence.close(),
        }
        let standing = if until.is_some() {
            Standing::Leading
        } else {
            let holder = self.election.holder().map(str::to_owned);
            Standing::Standby { holder }
        };
        let (lease, transitions) = (&self.name, self.election.transitions());
        self.news.send_if_modified(|known| {
            if *known == standing {
                return false;
            }
            match (&*known, &standing) {
                (_, Standing::Leading) => tracing::info!(lease, transitions, "leading"),
                (Standing::Leading, Standing::Standby { .. }) => {
                    tracing::warn!(lease, "leadership lost; all work stops");
                }
                (_, Standing::Standby { holder }) => {
                    let holder = holder.as_deref().unwrap_or("nobody");
                    tracing::info!(lease, holder, "standing by");
                }
            }
            self.metrics.leading(standing == Standing::Leading);
            *known = standing;
            true
        });
    }

    async fn release(&mut self) {
        self.fence.close();
        self.metrics.leading(false);
        let holder = None;
        self.news.send_replace(Standing::Standby { holder });
        let Some(lease) = self.election.release(Timestamp::now()) else {
            return;
        };
        let params = PostParams::default();
        let releasing = self.leases.replace(&self.name, &params, &lease);
        match tokio::time::timeout(REQUEST, releasing).await {
            Ok(Ok(_)) => tracing::info!(lease = self.name, "lease released"),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, "the lease was not released: {error}");
            }
            Err(_) => tracing::warn!(lease = self.name, "the lease was not released in time"),
        }
    }
}

enum Done {
    Nothing(Duration),
    Read(Option<Lease>),
    Wrote(Lease),
}

#[cfg(test)]
mod tests;
