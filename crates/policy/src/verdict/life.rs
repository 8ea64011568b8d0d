//! Why the life that ended last ended.

use jiff::{SignedDuration, Timestamp};
use probepilot_kubelet::StartGuard;

use super::clock;
use super::never::{last_complaint, never};
use super::{
    Confidence, Diagnosis, Finding, Hindrance, HowKnown, Judgement, OwnTimeout, ProbeKill,
    StartupError, Undecided, Verdict, Why,
};
use crate::evidence::{Quote, Said, StartupErrorKind};
use crate::pod::{ContainerView, FailedProbe, KillingEvent, Life, PodView};
use crate::window::LifeWindow;

/// How long after the end of a life a missing event may still arrive. Source: design, section 8.
const EVENT_PATIENCE: SignedDuration = SignedDuration::from_secs(10);
/// The kubelet writes the event before it stops the container; both stamps are whole seconds (K12).
const EVENT_SLACK: SignedDuration = SignedDuration::from_secs(1);
/// Restarts from which a container that nobody watched counts as looping. Source: design, section 8.
const LOOPING_RESTARTS: i32 = 3;
/// A run longer than this was no start: the kubelet itself forgets the back-off after it (K13).
const LONGEST_START: SignedDuration = SignedDuration::from_mins(10);
/// A run shorter than this was a start also where no probe tells: it is the default period of a probe.
const SHORT_RUN: SignedDuration = SignedDuration::from_secs(10);

/// Judges the container's last ended life.
#[must_use]
pub fn judge(pod: &PodView, container: &ContainerView, now: Timestamp) -> Finding {
    find(pod, container, now, EVENT_PATIENCE)
}

/// The same for those who look once: no event is waited for.
pub(super) fn judge_at_once(pod: &PodView, container: &ContainerView, now: Timestamp) -> Finding {
    find(pod, container, now, SignedDuration::MIN)
}

fn find(
    pod: &PodView,
    container: &ContainerView,
    now: Timestamp,
    patience: SignedDuration,
) -> Finding {
    let Some(life) = &container.last_life else {
        return Finding::None;
    };
    let judging = Judging {
        pod,
        view: container,
        life,
        window: LifeWindow::of(pod, container),
        was_ready: pod.was_ready(container, life),
        healthy: container.healthy_by(pod, now),
        patience,
    };
    match judging.diagnose(now) {
        Ok(diagnosis) => Finding::Judged(Judgement {
            diagnosis,
            finished_at: life.finished_at,
        }),
        Err(wait) => Finding::NotYet(wait),
    }
}

/// One life and what is asked about it again and again.
struct Judging<'a> {
    pod: &'a PodView,
    view: &'a ContainerView,
    life: &'a Life,
    window: Option<LifeWindow>,
    was_ready: bool,
    healthy: bool,
    patience: SignedDuration,
}

impl Judging<'_> {
    /// The strongest evidence first: the runtime, the event of this life, the program's own words,
    /// clocks, and last the length of the life. `Err` is how long to wait for more.
    fn diagnose(&self, now: Timestamp) -> Result<Diagnosis, SignedDuration> {
        if let Some(said) = self.runtime_says() {
            return Ok(said);
        }
        let kills = self.view.kills.as_deref().ok_or(SignedDuration::ZERO)?;
        if let Some(kill) = kills.iter().find(|kill| kill.falls_into(self.life)) {
            let known = HowKnown::Event { at: kill.last_at };
            return Ok(self.killed(kill.probe, known, Confidence::Proven));
        }
        if let Some(lost) = self.lost() {
            return Ok(lost);
        }
        let waited = now.duration_since(self.life.finished_at);
        let in_window = self.in_window().is_some();
        if in_window && !self.healthy && !self.looping() && waited < self.patience {
            return Err(SignedDuration::from_secs(if waited.as_secs() < 3 {
                1
            } else {
                3
            }));
        }
        let said = self.program_says();
        let could_not_start =
            matches!(&said, Some(said) if said.verdict() == Verdict::StartupError);
        if let Some(kill) = self.earlier_kill(kills).filter(|_| !could_not_start) {
            let known = HowKnown::EarlierEvent { at: kill.last_at };
            return Ok(self.killed(kill.probe, known, Confidence::Proven));
        }
        if let Some(said) = said {
            return Ok(said);
        }
        Ok(match self.in_window() {
            Some(window) => self.fits_a_kill(window),
            None => self.ended_itself(),
        })
    }

    /// A kill of an earlier life that speaks for this one too: Killing events stop after about six.
    /// SIGTERM makes programs say that they lost their leadership or their caches, so such words do
    /// not count against it.
    fn earlier_kill<'k>(&self, kills: &'k [KillingEvent]) -> Option<&'k KillingEvent> {
        let alike = self.looping() && self.in_window().is_some() && !self.healthy;
        kills
            .iter()
            .rev()
            .find(|kill| alike && kill.last_at < self.life.started_at)
    }

    fn looping(&self) -> bool {
        self.view.restart_count >= LOOPING_RESTARTS
    }

    fn in_window(&self) -> Option<LifeWindow> {
        self.window.filter(|window| window.contains(self.life))
    }

    /// What the runtime proves without any event.
    fn runtime_says(&self) -> Option<Diagnosis> {
        let cause = match self.life.reason.as_str() {
            "OOMKilled" => Why::OutOfMemory {
                limit: self.view.memory_limit,
            },
            "StartError" | "ContainerCannotRun" => Why::NotStarted(Hindrance {
                reason: Quote::new(&self.life.reason),
                message: self.life.words.last_line(),
            }),
            _ => return None,
        };
        Some(Diagnosis::new(cause, Confidence::Proven))
    }

    /// Ends that are nobody's fault in the container.
    fn lost(&self) -> Option<Diagnosis> {
        if let Some(ended) = &self.pod.ended {
            return Some(Diagnosis::unknown(Undecided::PodEnded(ended.clone())));
        }
        matches!(
            self.life.reason.as_str(),
            "Unknown" | "ContainerStatusUnknown"
        )
        .then(|| Diagnosis::unknown(Undecided::Lost(Quote::new(&self.life.reason))))
    }

    /// What the program's last words explain, of a life without a Killing event.
    fn program_says(&self) -> Option<Diagnosis> {
        let cause = match self.life.words.said()? {
            Said::LeaderLost(said) => Why::LeaderLost { said },
            Said::CachesNeverSynced(said) => Why::SyncTimeout(OwnTimeout::Said(said)),
            Said::CannotStart(kind, said) if self.was_a_start() => {
                Why::StartupError(StartupError {
                    kind,
                    said: Some(said),
                })
            }
            Said::CannotStart(..) => return None,
        };
        Some(Diagnosis::new(cause, Confidence::Inferred))
    }

    fn was_a_start(&self) -> bool {
        !self.was_ready && self.life.length() <= LONGEST_START
    }

    /// A life without an event whose length a kill during the start can give.
    fn fits_a_kill(&self, window: LifeWindow) -> Diagnosis {
        if self.healthy {
            return Diagnosis::unknown(Undecided::HealthyNow);
        }
        if self.was_ready {
            return Diagnosis::unknown(Undecided::WasReady);
        }
        if let Some(clock) = clock::known(self.view, self.life) {
            return Diagnosis::unknown(Undecided::OwnTimeoutInWindow {
                seconds: clock.seconds,
                window,
            });
        }
        let confidence = if self.looping() {
            Confidence::InferredTwice
        } else {
            Confidence::Inferred
        };
        let probe = match self.view.guard() {
            StartGuard::Startup(_) => FailedProbe::Startup,
            StartGuard::Liveness(_) | StartGuard::None => FailedProbe::Liveness,
        };
        self.killed(probe, HowKnown::Length(window), confidence)
    }

    /// A life whose length no kill during the start gives.
    fn ended_itself(&self) -> Diagnosis {
        let window = self.window;
        let signalled = self.life.exit_code == 0 || self.life.exit_code > 128;
        let inferred = |cause| Diagnosis::new(cause, Confidence::Inferred);
        if !signalled && !self.was_ready {
            let often = self.view.restart_count >= 2;
            if let Some(clock) = clock::known(self.view, self.life).filter(|_| often) {
                return inferred(Why::SyncTimeout(OwnTimeout::Clock {
                    seconds: clock.seconds,
                    of: clock.of,
                }));
            }
            if let Some(runs) = clock::constant(self.view, self.life) {
                return inferred(Why::SyncTimeout(OwnTimeout::Constant {
                    length: self.life.length(),
                    runs,
                }));
            }
        }
        let early = match window {
            Some(window) => window.is_after(self.life) && self.was_a_start(),
            None => self.life.length() < SHORT_RUN,
        };
        if early && !signalled {
            return inferred(Why::StartupError(StartupError {
                kind: StartupErrorKind::Unsaid,
                said: self.life.words.last_line(),
            }));
        }
        Diagnosis::unknown(if early {
            Undecided::EndedEarly { window }
        } else {
            Undecided::EndedItself { window }
        })
    }

    /// A probe was the killer: during the start, after it, or a probe that cannot succeed.
    fn killed(&self, probe: FailedProbe, known: HowKnown, confidence: Confidence) -> Diagnosis {
        let complaint = last_complaint(self.view, probe, self.life);
        let kill = ProbeKill {
            probe,
            known,
            complaint: complaint.cloned(),
        };
        let cause = if let Some((startup, liveness)) = self.drift(probe) {
            Why::HandlerDrift {
                kill,
                startup: startup.clone(),
                liveness: liveness.clone(),
            }
        } else if let Some(because) = self
            .may_be_never(probe)
            .then(|| never(self.pod, self.view, probe, self.life, complaint))
            .flatten()
        {
            Why::ProbeNeverSucceeds { kill, because }
        } else if self.during_start(probe) {
            Why::StartupKill(kill)
        } else if self.pod.may_have_been_unguarded(self.view, self.life) {
            return Diagnosis::unknown(Undecided::Unguarded(kill));
        } else if self.may_be_prolonged(probe) {
            return Diagnosis::unknown(Undecided::Prolonged(kill));
        } else {
            Why::SteadyStateKill(kill)
        };
        Diagnosis::new(cause, confidence)
    }

    /// The startup probe only runs during the start. Liveness runs from the start where nothing
    /// else guards it; then the length of the life and its readiness tell.
    fn during_start(&self, probe: FailedProbe) -> bool {
        match (probe, self.view.guard()) {
            (FailedProbe::Startup, _) => true,
            (FailedProbe::Liveness, StartGuard::Liveness(_)) => {
                self.in_window().is_some() && !self.was_ready
            }
            (FailedProbe::Liveness, _) => false,
        }
    }

    /// Whether this may be a start that a restart of the kubelet prolonged, for it forgets failures (K15): later than a kill of a
    /// start, and never ready.
    fn may_be_prolonged(&self, probe: FailedProbe) -> bool {
        let guard = matches!(self.view.guard(), StartGuard::Liveness(_));
        let later = self
            .window
            .is_some_and(|window| self.life.length() > window.latest);
        guard
            && probe == FailedProbe::Liveness
            && later
            && self.life.length() <= LONGEST_START
            && self.pod.was_never_ready_in(self.view, self.life)
    }

    /// Whether the probe may never have succeeded in this life: it would have been killed earlier,
    /// or later, if it had. A startup probe that asks the same has succeeded for liveness.
    fn may_be_never(&self, probe: FailedProbe) -> bool {
        match (probe, self.view.guard()) {
            (FailedProbe::Startup, _) => true,
            (FailedProbe::Liveness, StartGuard::Liveness(_)) => self.in_window().is_some(),
            (FailedProbe::Liveness, _) => {
                let latest = self
                    .window
                    .zip(self.view.liveness)
                    .map(|(start, liveness)| {
                        start.latest
                            + SignedDuration::from_secs(liveness.detection_seconds().into())
                    });
                self.view.startup_handler != self.view.liveness_handler
                    && latest.is_some_and(|latest| self.life.length() <= latest)
            }
        }
    }

    /// Our startup probe asks something else than liveness.
    fn drift(
        &self,
        probe: FailedProbe,
    ) -> Option<(&crate::evidence::Handler, &crate::evidence::Handler)> {
        let ours = probe == FailedProbe::Startup && self.view.startup_is_ours;
        let startup = self.view.startup_handler.as_ref().filter(|_| ours)?;
        let liveness = self.view.liveness_handler.as_ref()?;
        (startup != liveness).then_some((startup, liveness))
    }
}

impl KillingEvent {
    /// Whether its last sighting lies in this life.
    fn falls_into(&self, life: &Life) -> bool {
        self.last_at >= life.started_at
            && self.last_at.duration_since(life.finished_at) <= EVENT_SLACK
    }
}
