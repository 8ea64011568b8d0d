//! The kubelet's probe rules as arithmetic and as a deterministic simulation.
//!
//! Source of every rule is k8s.io/kubernetes v1.36.3; the rules are numbered K1..K20 below and each
//! has a test in `tests/rules` that names it. Three levels, each checked against the next:
//!
//! 1. closed forms over one probe's timings ([`Timings`], [`KillWindow`]);
//! 2. [`start_outcome`] and [`sweep`]: what happens over *all* phases of the probe worker;
//! 3. [`simulate`]: one run of one container with everything fixed, as a [`Timeline`].
//!
//! This crate is pure: no client, clock, randomness or environment. Time comes in as an argument and
//! is counted in whole milliseconds (`_ms`) from the start of the first container. What the real
//! kubelet draws at random or what depends on the machine (worker phase, jitter, lag) is input.
//!
//! # The rules
//!
//! | rule | what the kubelet does | where |
//! |---|---|---|
//! | K1 | one worker per probe, made before the container starts; its parameters never change | [`simulate`] |
//! | K2 | a ticker whose phase the container does not know; first attempt at the first tick with whole seconds since `startedAt` >= `D`, and `startedAt` is cut to the second | [`Phases`], [`Scenario::wall_offset_ms`] |
//! | K3 | a young kubelet lets each worker sleep part of a period first | [`KubeletRestart`] |
//! | K4, K5, K6 | `D` counts from `startedAt`, also for liveness after a startup probe; order of checks; startup gates the others | `worker.rs` |
//! | K7, K9, K10 | a verdict takes `F` equal results; it puts the worker on hold; a new container does not reset the streak | `worker.rs` |
//! | K8 | a probe that errs is tried three times and then forgotten | [`Answer::Error`] |
//! | K11 | an attempt blocks its worker; one overdue tick fires at once | `ticker.rs` |
//! | K12 | kill: Killing event, preStop, SIGTERM, grace of at least 2 s, SIGKILL, restart | [`Container`], [`Kill`] |
//! | K13 | back-off, measured from the newest container that had exited *before* the kill | [`BackOff`] |
//! | K14 | 1.35 to 1.37: a restarted container inherits `started` by name | [`Kubelet::started_inherited_by_name`] |
//! | K15 | a kubelet restart forgets workers, streaks and back-off but keeps `started` | [`KubeletRestart`] |
//! | K16 | when the kill comes | [`KillWindow`] |
//! | K20 | a kubelet restart takes a starting container for started | [`Kubelet::starting_taken_for_started`] |

mod backoff;
mod behaviour;
mod container;
mod engine;
mod kubelet;
mod outcome;
mod scenario;
mod sweep;
mod ticker;
mod timeline;
mod timings;
mod window;
mod worker;

pub use backoff::BackOff;
pub use behaviour::{Answer, Answering, Behaviour, Life, OnSigterm, OwnExit, Reply, ReplyKind};
pub use container::{Container, Handler, Probe, ProbeKind, RestartPolicy};
pub use engine::simulate;
pub use kubelet::{BadVersion, Kubelet, Version};
pub use outcome::{Outcome, Start, StartOutcome, start_outcome};
pub use scenario::{KubeletRestart, Phases, Scenario};
pub use sweep::{Piece, PieceKill, sweep};
pub use timeline::{
    Event, EventKind, Exit, ExitCause, Kill, LifeRecord, ProbeResult, Stop, Timeline,
};
pub use timings::{StartGuard, Timings, guard};
pub use window::{Failing, KillWindow, first_attempt_ms};
