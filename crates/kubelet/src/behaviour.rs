//! What a container does over its life: how it answers probes, when it exits, what SIGTERM does.

use crate::container::{Handler, Probe};
use crate::timeline::ProbeResult;
use serde::{Deserialize, Serialize};

/// How the container answers an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// A good answer: 200, exit code 0, SERVING.
    Ok,
    /// An HTTP status. 200 to 399 is a success (a redirect to another host is a warning, which
    /// counts as one), everything else a failure (K8).
    Status(u16),
    /// Nobody listens on the port. For an exec probe: the command fails.
    Refused,
    /// The port is bound but nobody serves it yet. The connection waits in the listen queue, so an
    /// attempt that is still waiting when the container begins to serve is answered then.
    Hang,
    /// Packets vanish: the attempt always takes the whole timeout.
    Drop,
    /// The probe itself cannot be made (unknown port name, exec that could not run): tried three
    /// times, then forgotten, and the streak does not move (K8).
    Error,
}

/// From this moment of the life on the container answers like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answering {
    /// Milliseconds after the container's start.
    pub from_ms: u64,
    /// The answer.
    pub answer: Answer,
    /// Milliseconds until the answer is there (each try, for [`Answer::Error`]).
    #[serde(default)]
    pub latency_ms: u64,
}

/// The container ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnExit {
    /// Milliseconds after its start.
    pub at_ms: u64,
    /// Its exit code.
    pub code: i32,
}

/// What the container does with SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnSigterm {
    /// It exits after a while, unless the grace period is shorter.
    #[serde(rename_all = "camelCase")]
    Exits {
        /// Milliseconds from the signal to the exit.
        after_ms: u64,
        /// The exit code. Real controllers killed by a probe exit 0, 1, 137 and 143.
        code: i32,
    },
    /// Nothing: SIGKILL ends it when the grace period is over, exit code 137.
    Ignored,
}

/// One run of the container.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// How it answers, in order of `from_ms`. Before the first entry connections are refused.
    pub answers: Vec<Answering>,
    /// When it ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<OwnExit>,
    /// What SIGTERM does.
    pub on_sigterm: OnSigterm,
}

impl Default for Life {
    /// Healthy from the first moment, exits 0 at once on SIGTERM.
    fn default() -> Self {
        Self::starting(Some(0), Answer::Refused)
    }
}

impl Life {
    /// A life that answers `while_starting` until `healthy_after_ms`, then well. `None`: never well.
    #[must_use]
    pub fn starting(healthy_after_ms: Option<u64>, while_starting: Answer) -> Self {
        let entry = |from_ms, answer| Answering {
            from_ms,
            answer,
            latency_ms: 0,
        };
        let mut answers = vec![entry(0, while_starting)];
        match healthy_after_ms {
            Some(0) => answers = vec![entry(0, Answer::Ok)],
            Some(ms) => answers.push(entry(ms, Answer::Ok)),
            None => {}
        }
        Self {
            answers,
            exit: None,
            on_sigterm: OnSigterm::Exits {
                after_ms: 0,
                code: 0,
            },
        }
    }

    /// The same life, but it ends by itself at this moment.
    #[must_use]
    pub fn exiting(mut self, at_ms: u64, code: i32) -> Self {
        self.exit = Some(OwnExit { at_ms, code });
        self
    }

    /// The same life with this reaction to SIGTERM.
    #[must_use]
    pub fn on_sigterm(mut self, on_sigterm: OnSigterm) -> Self {
        self.on_sigterm = on_sigterm;
        self
    }

    /// Index of the entry of `answers` in force at this moment; `None` before the first.
    fn index_at(&self, at_ms: u64) -> Option<usize> {
        self.answers
            .partition_point(|entry| entry.from_ms <= at_ms)
            .checked_sub(1)
    }

    /// How an attempt that begins `at_ms` after the container's start ends.
    ///
    /// An answer that comes at the very moment of the timeout still counts. `redial_percent`: see
    /// [`Kubelet::redial_percents`](crate::Kubelet::redial_percents).
    #[must_use]
    pub fn reply(&self, probe: &Probe, redial_percent: u32, at_ms: u64) -> Reply {
        let index = self.index_at(at_ms);
        let deadline = at_ms.saturating_add(u64::from(probe.timings.timeout_seconds) * 1000);
        let reply = if probe.handler == Handler::Grpc && self.answer_of(index) == Answer::Refused {
            self.redialled(probe, redial_percent, at_ms, deadline)
        } else {
            self.reply_alive(probe, at_ms, deadline, index)
        };
        match self.exit {
            // The process is gone: its sockets are reset, its commands cannot be run.
            Some(exit) if at_ms >= exit.at_ms => Reply::from_the_dead(probe.handler, at_ms),
            Some(exit) if reply.ends_ms > exit.at_ms => Reply {
                ends_ms: exit.at_ms,
                result: ProbeResult::Failure,
                kind: ReplyKind::Cut,
                ..reply
            },
            _ => reply,
        }
    }

    fn reply_alive(&self, probe: &Probe, at_ms: u64, deadline: u64, index: Option<usize>) -> Reply {
        let entry = index.map_or(
            Answering {
                from_ms: 0,
                answer: Answer::Refused,
                latency_ms: 0,
            },
            |i| self.answers[i],
        );
        let answered = |from: u64, latency: u64, result, kind| {
            let ends = from.saturating_add(latency);
            if ends > deadline {
                Reply {
                    ends_ms: deadline,
                    result: ProbeResult::Failure,
                    kind: ReplyKind::TimedOut,
                    index,
                    redials: 0,
                }
            } else {
                Reply {
                    ends_ms: ends,
                    result,
                    kind,
                    index,
                    redials: 0,
                }
            }
        };
        let timed_out = || answered(deadline, 1, ProbeResult::Failure, ReplyKind::TimedOut);
        let at_once = |result| answered(at_ms, entry.latency_ms, result, ReplyKind::Answered);
        match (entry.answer, probe.handler) {
            (Answer::Ok, _) | (Answer::Status(_) | Answer::Hang, Handler::Tcp) => {
                at_once(ProbeResult::Success)
            }
            (Answer::Status(status), _) => at_once(status_result(status)),
            (Answer::Refused, Handler::Http | Handler::Tcp | Handler::Exec) => {
                at_once(ProbeResult::Failure)
            }
            (Answer::Hang, _) => self
                .answered_later(probe.handler, index)
                .map_or_else(timed_out, |(from, latency, result)| {
                    answered(from, latency, result, ReplyKind::AnsweredLate)
                }),
            // Refused for as long as it dials, see `redialled`.
            (Answer::Refused, Handler::Grpc) | (Answer::Drop, _) => timed_out(),
            (Answer::Error, _) => Reply {
                ends_ms: at_ms.saturating_add(entry.latency_ms.saturating_mul(TRIES)),
                result: ProbeResult::Errored,
                kind: ReplyKind::Answered,
                index,
                redials: 0,
            },
        }
    }

    /// A refused gRPC attempt: the client dials again until the deadline, after longer and longer waits.
    fn redialled(&self, probe: &Probe, percent: u32, at_ms: u64, deadline: u64) -> Reply {
        let index = self.index_at(at_ms);
        let (mut dial_ms, mut wait_ms, mut redials) = (at_ms, FIRST_REDIAL_MS, 0);
        loop {
            // The first wait alone has no jitter.
            let jitter = if redials == 0 { 100 } else { percent };
            dial_ms = dial_ms.saturating_add(wait_ms * u64::from(jitter) / 100);
            wait_ms = wait_ms * 8 / 5;
            if dial_ms > deadline {
                return Reply {
                    ends_ms: deadline,
                    result: ProbeResult::Failure,
                    kind: ReplyKind::TimedOut,
                    index,
                    redials,
                };
            }
            redials += 1;
            let then = self.index_at(dial_ms);
            if self.answer_of(then) != Answer::Refused {
                let reply = self.reply_alive(probe, dial_ms, deadline, then);
                let kind = match reply.kind {
                    ReplyKind::Answered => ReplyKind::AnsweredLate,
                    other => other,
                };
                return Reply {
                    kind,
                    index,
                    redials,
                    ..reply
                };
            }
        }
    }

    /// The answer of this entry; before the first nobody listens.
    fn answer_of(&self, index: Option<usize>) -> Answer {
        index.map_or(Answer::Refused, |index| self.answers[index].answer)
    }

    /// Who answers an attempt that waits: the first later entry that says anything.
    fn answered_later(
        &self,
        handler: Handler,
        index: Option<usize>,
    ) -> Option<(u64, u64, ProbeResult)> {
        let later = index.map_or(0, |i| i + 1);
        for entry in self.answers.get(later..)? {
            let result = match entry.answer {
                Answer::Hang => continue,
                Answer::Refused if handler == Handler::Grpc => continue,
                Answer::Drop | Answer::Error => return None,
                Answer::Refused => ProbeResult::Failure,
                Answer::Ok => ProbeResult::Success,
                Answer::Status(status) => status_result(status),
            };
            return Some((entry.from_ms, entry.latency_ms, result));
        }
        None
    }
}

/// grpc-go dials again 1 s after a refusal, and each further wait is 1.6 times the one before (backoff.go v1.79.3).
const FIRST_REDIAL_MS: u64 = 1000;

/// prober.go: maxProbeRetries.
const TRIES: u64 = 3;

fn status_result(status: u16) -> ProbeResult {
    if (200..400).contains(&status) {
        ProbeResult::Success
    } else {
        ProbeResult::Failure
    }
}

/// How an attempt ended. Times count from the container's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// When it ended.
    pub ends_ms: u64,
    /// What the prober makes of it.
    pub result: ProbeResult,
    /// Why it ended.
    pub kind: ReplyKind,
    /// Index of the [`Answering`] in force when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// How often a refused gRPC attempt dialled again (K8).
    #[serde(default)]
    pub redials: u32,
}

impl Reply {
    /// An attempt on a process that is gone but that the kubelet still takes for running: nobody
    /// listens, and a command cannot be run at all.
    pub(crate) fn from_the_dead(handler: Handler, at_ms: u64) -> Self {
        Self {
            ends_ms: at_ms,
            result: match handler {
                Handler::Exec => ProbeResult::Errored,
                Handler::Http | Handler::Tcp | Handler::Grpc => ProbeResult::Failure,
            },
            kind: ReplyKind::Cut,
            index: None,
            redials: 0,
        }
    }
}

/// Why an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReplyKind {
    /// The container answered, or refused.
    Answered,
    /// The attempt waited and the container began to serve meanwhile.
    AnsweredLate,
    /// `timeoutSeconds` passed.
    TimedOut,
    /// The container ended during the attempt.
    Cut,
}

/// The lives of a container, in order; the last one repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Behaviour(Vec<Life>);

impl Behaviour {
    /// Every life is like this one.
    #[must_use]
    pub fn always(life: Life) -> Self {
        Self(vec![life])
    }

    /// These lives in order, then the last one again and again. An empty list is a healthy container.
    #[must_use]
    pub fn lives(lives: Vec<Life>) -> Self {
        Self(lives)
    }

    /// The life of the n-th container, counted from 0.
    pub(crate) fn life(&self, n: usize) -> Option<&Life> {
        self.0.get(n).or_else(|| self.0.last())
    }

    pub(crate) fn or_healthy(&self) -> Self {
        if self.0.is_empty() {
            Self::always(Life::default())
        } else {
            self.clone()
        }
    }
}
