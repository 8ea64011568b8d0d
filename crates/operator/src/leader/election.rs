//! The rules of the election, without clock and without client.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

use super::Timing;
use crate::failure::Failure;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Nothing for so long.
    Wait(Duration),
    /// Read the lease.
    Read,
    /// Create the lease.
    Create(Box<Lease>),
    /// Replace the lease; its resourceVersion lets only one candidate win.
    Replace(Box<Lease>),
}

/// One candidate's view of the election.
#[derive(Debug)]
pub(super) struct Election {
    me: String,
    name: String,
    timing: Timing,
    seen: Option<Seen>,
    held: Option<Held>,
    plan: Plan,
    /// When the plan is due.
    due: Instant,
}

/// The lease as last read or written, and when its terms were first seen.
#[derive(Debug)]
struct Seen {
    lease: Lease,
    since: Instant,
}

/// Leadership, and until when it is certain that nobody else leads.
#[derive(Clone, Copy, Debug)]
struct Held {
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Look,
    Take,
}

impl Election {
    pub(super) fn new(name: &str, me: &str, timing: Timing, now: Instant) -> Self {
        Self {
            me: me.to_owned(),
            name: name.to_owned(),
            timing,
            seen: None,
            held: None,
            plan: Plan::Look,
            due: now,
        }
    }

    /// Until when this candidate leads.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held
            .map(|held| held.until)
            .filter(|until| now < *until)
    }

    /// Who holds the lease, as last seen.
    pub(super) fn holder(&self) -> Option<&str> {
        let spec = self.seen.as_ref()?.lease.spec.as_ref()?;
        spec.holder_identity
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }

    /// How often the lease has changed hands.
    pub(super) fn transitions(&self) -> i32 {
        let spec = self.seen.as_ref().and_then(|seen| seen.lease.spec.as_ref());
        spec.and_then(|spec| spec.lease_transitions).unwrap_or(0)
    }

    /// What to do now. `wall` only goes into the record, for people; no rule looks at it.
    pub(super) fn next(&mut self, now: Instant, wall: Timestamp) -> Next {
        if self.held.is_some() && self.held_until(now).is_none() {
            self.give_up(now);
        }
        if now < self.due {
            let until = self.held.map_or(self.due, |held| held.until.min(self.due));
            return Next::Wait(until - now);
        }
        match self.plan {
            Plan::Look => Next::Read,
            Plan::Take => self.claim(wall),
        }
    }

    /// The lease was read; `None` when there is none.
    pub(super) fn read(&mut self, now: Instant, lease: Option<Lease>, jitter: f64) {
        match lease {
            Some(lease) => self.see(now, lease),
            // Somebody deleted it. Whoever leads does not know yet, so what was seen still counts.
            None if self.held.is_some() => {
                self.give_up(now);
                self.forget_version();
            }
            None => self.forget_version(),
        }
        if self.held.is_some() {
            if self.is_mine() {
                // Only the version was old.
                self.plan(Plan::Take, now);
            } else {
                self.give_up(now);
                self.plan(Plan::Look, now + spread(self.timing.look, jitter));
            }
            return;
        }
        let expiry = self.expiry();
        if self.is_free() || self.is_mine() || now >= expiry {
            self.plan(Plan::Take, now);
        } else {
            let look = now + spread(self.timing.look, jitter);
            self.plan(Plan::Look, look.min(expiry));
        }
    }

    /// The API server took the claim that was sent at `sent`.
    pub(super) fn won(&mut self, sent: Instant, now: Instant, lease: Lease, jitter: f64) {
        self.see(now, lease);
        self.held = Some(Held {
            until: sent + self.timing.stop,
        });
        // Earlier than the interval, never later: half a second of spread for many electors.
        let renewal = sent
            + self
                .timing
                .renew
                .mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 10.0);
        self.plan(Plan::Take, renewal);
    }

    /// A read or a claim failed.
    pub(super) fn failed(&mut self, sent: Instant, now: Instant, failure: Failure, jitter: f64) {
        let contested = matches!(failure, Failure::Conflict | Failure::NotFound);
        match (self.held.is_some(), contested) {
            // Who holds it now? That cannot wait.
            (true, true) => self.plan(Plan::Look, now),
            // Unknown whether it was taken; the version may be old, the next claim will tell.
            (true, false) => self.due = now.max(sent + self.timing.renew),
            (false, _) => self.plan(Plan::Look, now + spread(self.timing.look, jitter)),
        }
    }

    /// The lease with nobody as its holder; `None` when there is nothing to release.
    pub(super) fn release(&mut self, wall: Timestamp) -> Option<Box<Lease>> {
        self.held.take()?;
        let mut lease = self.seen.as_ref()?.lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.renew_time = Some(MicroTime(wall));
        Some(Box::new(lease))
    }

    fn plan(&mut self, plan: Plan, due: Instant) {
        self.plan = plan;
        self.due = due;
    }

    fn give_up(&mut self, now: Instant) {
        self.held = None;
        self.plan(Plan::Look, now);
    }

    fn see(&mut self, now: Instant, lease: Lease) {
        // Another version with the same terms is not a sign of life: anybody may edit labels.
        let known = self
            .seen
            .as_ref()
            .filter(|seen| seen.lease.spec == lease.spec);
        let since = known.map_or(now, |seen| seen.since);
        self.seen = Some(Seen { lease, since });
    }

    /// The lease is gone; its terms still bind until they expire.
    fn forget_version(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.lease.metadata.resource_version = None;
        }
    }

    fn is_mine(&self) -> bool {
        // Identities are unique to a process, so nobody else can be meant.
        self.holder() == Some(self.me.as_str())
    }

    fn is_free(&self) -> bool {
        self.holder().is_none()
    }

    /// When the holder's terms have certainly ended: counted from when this candidate first saw
    /// them, by its own clock, for as long as the holder said.
    fn expiry(&self) -> Instant {
        let Some(seen) = &self.seen else {
            return self.due;
        };
        let said = seen
            .lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_duration_seconds);
        // A number out of all proportion must not keep everybody out for ever.
        let said = said.unwrap_or_default().clamp(1, 60);
        seen.since + Duration::from_secs(u64::from(said.unsigned_abs()))
    }

    fn claim(&self, wall: Timestamp) -> Next {
        let renewed = Some(MicroTime(wall));
        let duration = i32::try_from(self.timing.lease.as_secs()).ok();
        let Some(seen) = &self.seen else {
            let spec = LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: duration,
                acquire_time: renewed.clone(),
                renew_time: renewed,
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            };
            return Next::Create(Box::new(self.fresh(spec)));
        };
        let mut spec = seen.lease.spec.clone().unwrap_or_default();
        if !self.is_mine() {
            spec.lease_transitions = Some(self.transitions().saturating_add(1));
            spec.acquire_time.clone_from(&renewed);
            spec.holder_identity = Some(self.me.clone());
        }
        spec.lease_duration_seconds = duration;
        spec.renew_time = renewed;
        if seen.lease.metadata.resource_version.is_none() {
            return Next::Create(Box::new(self.fresh(spec)));
        }
        let mut lease = seen.lease.clone();
        lease.spec = Some(spec);
        Next::Replace(Box::new(lease))
    }

    fn fresh(&self, spec: LeaseSpec) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        }
    }
}

/// Up to a tenth more, so that candidates do not march in step.
fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 10.0)
}

#[cfg(test)]
mod tests;
