//! What comes from outside: the pod is deleted (K5), the kubelet restarts (K15, K20).

use super::lifecycle::Runtime;
use super::{Engine, Results};
use crate::timeline::{EventKind, Stop};
use crate::worker::Seen;

/// prober_manager.go: a container that started this long before the kubelet survived its restart.
const RESTART_GRACE_MS: i64 = 10_000;

impl Engine {
    /// K5: deletion stops the container and ends the startup and liveness workers.
    pub(super) fn step_deletion(&mut self) {
        if self.deleted_at_ms.is_none_or(|at| at > self.now_ms) {
            return;
        }
        self.deleted_at_ms = None;
        self.deleted = true;
        self.record(EventKind::PodDeleted);
        self.workers[0] = None;
        self.workers[1] = None;
        match &mut self.runtime {
            Runtime::Running { .. } => self.kill(Stop::Deletion),
            Runtime::Stopping { restarts, .. } => *restarts = false,
            _ => self.runtime = Runtime::Done,
        }
    }

    /// K15: a new kubelet finds the container running.
    pub(super) fn step_kubelet_restart(&mut self) {
        let Some(restart) = self
            .kubelet_restarts
            .front()
            .copied()
            .filter(|restart| restart.at_ms <= self.now_ms)
        else {
            return;
        };
        self.kubelet_restarts.pop_front();
        self.record(EventKind::KubeletRestarted);
        self.kubelet_started_ms = Some(self.now_ms);
        self.back_off = None;
        self.results = Results {
            readiness_passed: self.results.readiness_passed
                && self.kubelet.started_kept_on_kubelet_restart,
            ..Results::default()
        };
        let now = self.now_ms;
        if !self.deleted {
            self.create_workers(|kind| now.saturating_add(restart.phases.of(kind)));
        }
        if let Runtime::BackOff { retry_ms } = &mut self.runtime {
            *retry_ms = now;
        }
        if let Some(seen) = self.seen
            && seen.running
        {
            self.publish_found(seen);
        }
    }

    /// K20: the first status is made before the workers, so it knows of no startup probe.
    fn publish_found(&mut self, seen: Seen) {
        self.publish(seen);
        if self.kubelet.starting_taken_for_started {
            self.set_started(true);
            self.trigger_readiness();
        }
    }

    /// Whether the container in view ran well before the kubelet did (worker.go, `isRestart`).
    pub(super) fn survived_kubelet_restart(&self) -> bool {
        let Some(kubelet_started) = self.kubelet_started_ms else {
            return false;
        };
        self.kubelet.started_kept_on_kubelet_restart
            && self.seen.is_some_and(|seen| {
                seen.started_at_ms.saturating_add(RESTART_GRACE_MS) < kubelet_started.cast_signed()
            })
    }
}
