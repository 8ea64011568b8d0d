//! What the operator writes to workloads, against a real API server: the exact probes, no generation
//! too many, conditions and events. The operator runs in the test's own process and namespace.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod brakes;
mod containers;
mod contests;
mod duplicates;
mod handlers;
mod owners;
mod restarts;
mod rollouts;
mod strategies;
mod targets;
