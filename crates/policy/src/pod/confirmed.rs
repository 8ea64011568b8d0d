//! Whether a start has happened of which `started` tells.
//!
//! A kubelet that restarts takes a container for started whose startup probe has not succeeded yet (K20), and a restarted
//! container may inherit `started` for a while (K14). Liveness runs unguarded then, so `started` alone proves no start: only
//! what was answered afterwards does.
//!
//! Times are counted from the beginning of the life, so that no status however strange overflows them.

use jiff::{SignedDuration, Timestamp};
use probepilot_kubelet::{StartGuard, Timings};

use super::{ContainerView, Life, PodView, SeenStart};
use crate::starts::MeasuredBy;

/// Times in a status are whole seconds.
const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// What a kill may take beyond its grace.
const KILL_SLACK: SignedDuration = SignedDuration::from_secs(2);

impl PodView {
    /// For how long the start of `view` that was seen could be known to be one: it was ready since, or liveness would have killed
    /// it by now had it never been answered. `None` where that is not known yet, or never will be.
    pub(crate) fn start_known_for(
        &self,
        view: &ContainerView,
        seen: &SeenStart,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let (at, by) = seen.healthy_at?;
        let since_healthy = now.duration_since(at);
        if by != MeasuredBy::Started {
            return Some(since_healthy);
        }
        let unanswered = unanswered(view, seen);
        let age = now.duration_since(seen.started_at);
        // Without a readiness probe a container is ready as soon as it is taken for started.
        if view.has_readiness && view.seen_ready.contains(&seen.started_at) {
            return Some(unanswered.map_or(since_healthy, |unanswered| age - unanswered));
        }
        let ended = view.last_life.as_ref();
        let ended = ended.filter(|life| life.started_at == seen.started_at);
        let lived = match ended {
            Some(life) => self.killed_after(view, life),
            None => age - self.longest_kill(),
        };
        let known = unanswered? + self.longest_kill();
        (lived > unanswered?).then(|| age - known)
    }

    /// Whether liveness may have killed this life without ever having been answered in it, though a startup probe was to hold it
    /// back until it could be.
    pub(crate) fn may_have_been_unguarded(&self, view: &ContainerView, life: &Life) -> bool {
        let (StartGuard::Startup(startup), Some(liveness)) = (view.guard(), view.liveness) else {
            return false;
        };
        let mut seen = view.seen.iter();
        let seen = seen.find(|seen| seen.started_at == life.started_at);
        let latest = seen
            .and_then(|seen| unanswered(view, seen))
            .unwrap_or_else(|| {
                // A startup probe that has not succeeded by then kills, unless it is taken for done.
                let guarded = seconds(startup.initial_delay_seconds) + detection(startup);
                latest_kill(liveness, guarded)
            });
        self.killed_after(view, life) <= latest && !self.was_ready(view, life)
    }

    /// How old a life was that has ended when it was killed, if it was: at the Killing event, or else as early as its end allows.
    fn killed_after(&self, view: &ContainerView, life: &Life) -> SignedDuration {
        let kills = view.kills.iter().flatten();
        let within = |at: &Timestamp| (life.started_at..=life.finished_at).contains(at);
        let told = kills.map(|kill| kill.last_at).filter(within).max();
        told.map_or(life.length() - self.longest_kill(), |at| {
            at.duration_since(life.started_at)
        })
    }

    /// How long a container may live on after the decision to kill it.
    fn longest_kill(&self) -> SignedDuration {
        seconds(self.grace_seconds) + KILL_SLACK
    }
}

/// The greatest age at which liveness kills a life that was seen to start and never answers it; `None` without liveness, or where
/// no start was seen.
fn unanswered(view: &ContainerView, seen: &SeenStart) -> Option<SignedDuration> {
    let (turned, _) = seen.healthy_at?;
    Some(latest_kill(
        view.liveness?,
        turned.duration_since(seen.started_at),
    ))
}

/// The latest kill by liveness of a container that answers nothing, when nothing but its own delay held liveness back from the age
/// `turned` on (K4, K16).
fn latest_kill(liveness: Timings, turned: SignedDuration) -> SignedDuration {
    turned.max(seconds(liveness.initial_delay_seconds)) + detection(liveness) + SECOND
}

fn detection(timings: Timings) -> SignedDuration {
    seconds(timings.detection_seconds())
}

fn seconds(seconds: u32) -> SignedDuration {
    SignedDuration::from_secs(seconds.into())
}
