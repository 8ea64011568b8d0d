//! How the kubelet stops a container (K12).

use super::Engine;
use super::lifecycle::Runtime;
use crate::behaviour::OnSigterm;
use crate::timeline::{EventKind, Exit, ExitCause, Kill, Stop};

/// kuberuntime_manager.go: minimumGracePeriodInSeconds.
const MINIMUM_GRACE_SECONDS: u32 = 2;

impl Engine {
    /// The decision to stop the running container.
    pub(super) fn kill(&mut self, stop: Stop) {
        let Some(life) = self.current_life() else {
            return;
        };
        let restarts = matches!(stop, Stop::Probe(_)) && self.container.restarts_after_kill();
        let mut grace = self.grace_seconds(stop);
        let mut sigterm_ms = self.now_ms;
        if let Some(hook_ms) = self.container.pre_stop_ms.filter(|_| grace > 0) {
            let hook_ms = hook_ms.min(u64::from(grace) * 1000);
            sigterm_ms = sigterm_ms.saturating_add(hook_ms);
            grace = grace.saturating_sub(u32::try_from(hook_ms / 1000).unwrap_or(u32::MAX));
        }
        let grace_seconds = grace.max(MINIMUM_GRACE_SECONDS);
        let kill = Kill {
            at_ms: self.now_ms,
            stop,
            sigterm_ms,
            grace_seconds,
            restarts,
        };
        if let Some(record) = self.timeline.lives.get_mut(life) {
            record.kill = Some(kill);
        }
        self.record(EventKind::Kill(kill));
        match self.runtime {
            // It had ended, unnoticed: the sync only has to start it again.
            Runtime::Gone { .. } => {
                let snapshot_ms = self.finished_before(life);
                if restarts {
                    self.restart_after_kill(snapshot_ms);
                } else {
                    self.runtime = Runtime::Done;
                }
            }
            _ => {
                self.runtime = Runtime::Stopping {
                    life,
                    sigterm_ms: Some(sigterm_ms),
                    exit: self.exit_after(life, kill),
                    restarts,
                    snapshot_ms: self.last_finished_ms,
                };
            }
        }
    }

    fn finished_before(&self, life: usize) -> Option<u64> {
        let before = life.checked_sub(1)?;
        Some(self.timeline.lives.get(before)?.exit?.at_ms)
    }

    fn grace_seconds(&self, stop: Stop) -> u32 {
        let of_probe = match stop {
            Stop::Probe(kind) => self
                .container
                .probe(kind)
                .and_then(|probe| probe.termination_grace_period_seconds),
            Stop::Deletion => None,
        };
        of_probe.unwrap_or(self.container.termination_grace_period_seconds)
    }

    /// How a container ends that is being stopped: by itself, by SIGTERM, or by SIGKILL.
    fn exit_after(&self, life: usize, kill: Kill) -> Exit {
        let behaviour = self.behaviour.life(life);
        let sigkill_ms = kill
            .sigterm_ms
            .saturating_add(u64::from(kill.grace_seconds) * 1000);
        let mut exit = Exit {
            at_ms: sigkill_ms,
            code: 137,
            cause: ExitCause::Sigkill,
        };
        if let Some(OnSigterm::Exits { after_ms, code }) =
            behaviour.map(|behaviour| behaviour.on_sigterm)
        {
            let at_ms = kill.sigterm_ms.saturating_add(after_ms);
            if at_ms <= exit.at_ms {
                exit = Exit {
                    at_ms,
                    code,
                    cause: ExitCause::Sigterm,
                };
            }
        }
        if let Runtime::Running { exits_ms, .. } = self.runtime
            && exits_ms < exit.at_ms
        {
            let code = behaviour
                .and_then(|behaviour| behaviour.exit)
                .map_or(0, |own| own.code);
            exit = Exit {
                at_ms: exits_ms,
                code,
                cause: ExitCause::Own,
            };
        }
        exit
    }
}
