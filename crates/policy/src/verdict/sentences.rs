//! Evidence as sentences, the most telling first.

use std::fmt::Write as _;

use jiff::SignedDuration;
use probepilot_kubelet::Timings;

use super::{Diagnosis, HowKnown, NeverBecause, OwnTimeout, ProbeKill, Subject, Undecided, Why};
use crate::evidence::{Complaint, Said, StartupErrorKind};
use crate::pod::{ContainerView, FailedProbe, Life, PodView};
use crate::window::LifeWindow;

impl Diagnosis {
    /// The evidence for this diagnosis of `subject` as sentences. What programs said in them is
    /// bounded and escaped.
    #[must_use]
    pub fn evidence(&self, subject: Subject<'_>) -> Vec<String> {
        let Subject { pod, view, .. } = subject;
        let mut lines = Vec::new();
        lines.extend(self.cause_says(subject));
        let about_last_life = !matches!(
            self.why,
            Why::NotStarted(_) | Why::Unready { .. } | Why::Healthy { .. }
        );
        if let Some(life) = view.last_life.as_ref() {
            if about_last_life {
                lines.push(run(life));
                lines.extend(self.probes_say(pod, view, life));
                lines.extend(words(self, life));
            } else if view.restart_count > 0 {
                lines.push(format!(
                    "It restarted {}; {}",
                    times(view.restart_count),
                    lower_first(&run(life))
                ));
            }
        }
        lines.extend(state(view).filter(|_| about_last_life));
        lines
    }

    fn cause_says(&self, subject: Subject<'_>) -> Vec<String> {
        let view = subject.view;
        match &self.why {
            Why::StartupKill(kill) | Why::SteadyStateKill(kill) => kill_says(kill, view),
            Why::HandlerDrift {
                kill,
                startup,
                liveness,
            } => {
                let mut lines = kill_says(kill, view);
                lines.push(format!(
                    "The startup probe that probepilot added asks {startup}, but liveness asks {liveness}."
                ));
                lines
            }
            Why::ProbeNeverSucceeds { kill, because } => {
                let mut lines = kill_says(kill, view);
                lines.push(never_says(kill, because));
                lines
            }
            Why::OutOfMemory { limit } => vec![match limit {
                Some(limit) => format!(
                    "The runtime gives the reason OOMKilled: the kernel ended it at its memory limit of {limit}."
                ),
                None => "The runtime gives the reason OOMKilled; the container has no memory limit, so the node's memory ran out or another limit was reached.".to_owned(),
            }],
            Why::SyncTimeout(timeout) => vec![timeout_says(timeout), NO_KILL.to_owned()],
            Why::LeaderLost { said } => vec![
                format!("It says that it lost its leadership: \"{said}\"."),
                NO_KILL.to_owned(),
            ],
            Why::StartupError(error) => {
                let mut lines = vec![match (&error.said, error.kind) {
                    (Some(said), StartupErrorKind::Unsaid) => format!("It ended itself with an error; its last words: \"{said}\"."),
                    (Some(said), kind) => format!("It could not start, {}: \"{said}\".", kind_says(kind)),
                    (None, _) => "It ended itself with an error and left no words.".to_owned(),
                }];
                if error.kind == StartupErrorKind::Unsaid {
                    lines.extend(LifeWindow::of(subject.pod, view).map(|window| {
                        format!("No probe can kill it before {}.", span(window.earliest))
                    }));
                }
                lines
            }
            Why::NotStarted(hindrance) => {
                let mut line = format!("It cannot be started: {}", hindrance.reason);
                if let Some(message) = &hindrance.message {
                    let _ = write!(line, ": {message}");
                }
                vec![line + "."]
            }
            Why::Unready {
                since,
                starting,
                complaint,
            } => {
                let what = if *starting {
                    "its startup probe has not succeeded yet"
                } else {
                    "it was never ready"
                };
                let mut lines = vec![format!("It runs since {since} and {what}; nothing has killed it.")];
                lines.extend(complaint.as_ref().map(complaint_says));
                lines
            }
            Why::Healthy { since } => vec![match since {
                Some(since) => format!("It runs since {since} and is ready."),
                None => "It has ended successfully.".to_owned(),
            }],
            Why::Unknown(why @ (Undecided::Unguarded(kill) | Undecided::Prolonged(kill))) => {
                let mut lines = kill_says(kill, view);
                lines.push(unknown_says(why));
                lines
            }
            Why::Unknown(why) => vec![unknown_says(why)],
        }
    }

    /// What the pod's own probes allow, and whether it was ready.
    fn probes_say(&self, pod: &PodView, view: &ContainerView, life: &Life) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(kill) = self.why.kill() else {
            return lines;
        };
        let timings = match kill.probe {
            FailedProbe::Startup => view.startup,
            FailedProbe::Liveness => view.liveness,
        };
        if let (Some(timings), Some(handler)) = (timings, view.handler(kill.probe)) {
            lines.push(format!(
                "The {} probe asks {handler} ({}).",
                probe(kill.probe),
                timings_say(timings)
            ));
        }
        if let Some(window) = LifeWindow::of(pod, view) {
            let position = if window.contains(life) {
                "fits"
            } else {
                "does not fit"
            };
            lines.push(format!(
                "A probe that kills the start ends a run between {} and {} after its beginning; this run of {} {position}.",
                span(window.earliest), span(window.latest), span(life.length())
            ));
        }
        if pod.was_ready(view, life) {
            lines.push("It was ready in that run before it was killed.".to_owned());
        }
        lines
    }
}

/// Said of every verdict that is not a probe's doing.
const NO_KILL: &str = "No event says that a probe killed this run.";

fn kill_says(kill: &ProbeKill, view: &ContainerView) -> Vec<String> {
    let name = probe(kill.probe);
    let mut lines = vec![match kill.known {
        HowKnown::Event { at } => {
            format!(
                "The kubelet wrote at {at}, during this run, that the {name} probe failed and the container is killed."
            )
        }
        HowKnown::EarlierEvent { at } => format!(
            "The kubelet wrote at {at} that the {name} probe killed an earlier run; after about six such events it writes no more, and this run has the same mark: it was never healthy and its length fits."
        ),
        HowKnown::Length(_) if view.restart_count >= 3 => format!(
            "No event is left, but it restarted {} and was never healthy, and the length of the last run fits a kill by the {name} probe.",
            times(view.restart_count)
        ),
        HowKnown::Length(_) => format!(
            "No event is left, but it was never healthy and the length of the run fits a kill by the {name} probe."
        ),
    }];
    lines.extend(kill.complaint.as_ref().map(complaint_says));
    lines
}

fn complaint_says(complaint: &Complaint) -> String {
    format!(
        "The {} probe got: \"{}\" ({}, last at {}).",
        complaint.probe,
        complaint.output,
        times(complaint.count),
        complaint.last_at
    )
}

fn never_says(kill: &ProbeKill, because: &NeverBecause) -> String {
    let name = probe(kill.probe);
    match because {
        NeverBecause::Answer => format!(
            "That is an answer to a wrong question: the {name} probe cannot succeed however long it waits."
        ),
        NeverBecause::ServesElsewhere(said) => format!(
            "Nobody listens where the {name} probe asks, though the program says that it serves: \"{said}\"."
        ),
        NeverBecause::ReadyElsewhere(readiness) => format!(
            "Nobody listens where the {name} probe asks, though the readiness probe was answered at {readiness}."
        ),
    }
}

fn timeout_says(timeout: &OwnTimeout) -> String {
    match timeout {
        OwnTimeout::Said(said) => {
            format!("It says that it gave up waiting for its caches: \"{said}\".")
        }
        OwnTimeout::Clock { seconds, of } => {
            format!("It ended itself just after {seconds} s, the timeout of {of}.")
        }
        OwnTimeout::Constant { length, runs } => format!(
            "Its last {runs} runs all ended after {}, so a clock of its own ends them.",
            span(*length)
        ),
    }
}

fn kind_says(kind: StartupErrorKind) -> &'static str {
    match kind {
        StartupErrorKind::Forbidden => "a right is missing",
        StartupErrorKind::MissingKind => "a custom resource definition is missing",
        StartupErrorKind::Certificate => "a certificate is missing or not valid",
        StartupErrorKind::Flag => "a flag or its configuration is wrong",
        StartupErrorKind::Port => "its port is taken",
        StartupErrorKind::Unsaid => "it does not say why",
    }
}

fn unknown_says(why: &Undecided) -> String {
    match why {
        Undecided::PodDeleted => "The pod is being deleted, which ends its containers; that is no restart.".to_owned(),
        Undecided::PodEnded(ended) => format!("The pod was ended as a whole: {ended}."),
        Undecided::Lost(reason) => format!(
            "The runtime gives the reason {reason}: the container was lost with its node or runtime, and nothing tells how it ended."
        ),
        Undecided::NoRecord => "It restarted, but how its last run ended is not recorded any more.".to_owned(),
        Undecided::NoStatus => "Its status does not tell anything yet.".to_owned(),
        Undecided::OwnTimeoutInWindow { seconds, window } => format!(
            "The length of the run fits a kill by its probe (between {} and {}) and a timeout of its own after {seconds} s alike, and no event decides.",
            span(window.earliest), span(window.latest)
        ),
        Undecided::WasReady => "The length of the run fits a kill during the start, but it was ready in that run, and no event says what ended it.".to_owned(),
        Undecided::HealthyNow => "The length of the run fits a kill during the start, but no event says so, and it is healthy now.".to_owned(),
        Undecided::Unguarded(_) => "Nothing shows that liveness was ever answered in that run: it may have hung just after its start, or its start was never guarded, as when the kubelet restarts meanwhile and takes it for started.".to_owned(),
        Undecided::Prolonged(_) => "It was never ready in that run, but liveness killed it later than it kills a start: it may have hung later, or the kubelet restarted meanwhile, which begins the count of failures anew.".to_owned(),
        Undecided::EndedItself { window } => match window {
            Some(window) => format!(
                "No event says that a probe killed it, and its run does not have the length of a kill during the start ({} to {}).",
                span(window.earliest), span(window.latest)
            ),
            None => "It has neither a liveness nor a startup probe, so no probe killed it; what did is not said.".to_owned(),
        },
        Undecided::EndedEarly { window } => match window {
            Some(window) => format!(
                "It ended before a probe can kill it ({} at the earliest), and not with an error of its own.",
                span(window.earliest)
            ),
            None => "It ended at once and not with an error; it has neither a liveness nor a startup probe.".to_owned(),
        },
    }
}

fn run(life: &Life) -> String {
    let reason = if life.reason.is_empty() {
        String::new()
    } else {
        format!(", reason {}", crate::evidence::Quote::new(&life.reason))
    };
    format!(
        "The last run lasted {}, from {} to {}, and ended with exit code {}{reason}.",
        span(life.length()),
        life.started_at,
        life.finished_at,
        life.exit_code
    )
}

/// Last words that the cause has not told already.
fn words(diagnosis: &Diagnosis, life: &Life) -> Option<String> {
    let told = matches!(
        diagnosis.why,
        Why::SyncTimeout(OwnTimeout::Said(_)) | Why::LeaderLost { .. } | Why::StartupError(_)
    );
    if told {
        return None;
    }
    let last = match life.words.said() {
        Some(
            Said::LeaderLost(said) | Said::CachesNeverSynced(said) | Said::CannotStart(_, said),
        ) => said,
        None => life.words.last_line()?,
    };
    Some(format!("Its last words: \"{last}\"."))
}

fn state(view: &ContainerView) -> Option<String> {
    if let Some(reason) = &view.waiting_reason {
        return Some(format!(
            "Now it waits: {}; it restarted {} so far.",
            crate::evidence::Quote::new(reason),
            times(view.restart_count)
        ));
    }
    let since = view.running_since?;
    let how = if view.startup.is_none() && !view.has_readiness {
        "; it has no readiness probe that could tell whether it is healthy"
    } else if view.healthy() {
        " and is ready"
    } else if view.started == Some(false) {
        " and is still starting"
    } else {
        " and is not ready"
    };
    Some(format!("Now it runs again since {since}{how}."))
}

fn timings_say(timings: Timings) -> String {
    format!(
        "delay {}, period {}, timeout {}, threshold {}: at least {} s",
        timings.initial_delay_seconds,
        timings.period_seconds,
        timings.timeout_seconds,
        timings.failure_threshold,
        timings.budget_seconds()
    )
}

fn probe(probe: FailedProbe) -> &'static str {
    match probe {
        FailedProbe::Startup => "startup",
        FailedProbe::Liveness => "liveness",
    }
}

/// A length in seconds; in minutes where that is long enough to be read so.
fn span(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    if seconds < 600 {
        format!("{seconds} s")
    } else {
        format!("{} min", seconds / 60)
    }
}

fn times(count: i32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

fn lower_first(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().collect::<String>() + characters.as_str()
    })
}
