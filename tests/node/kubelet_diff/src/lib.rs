//! The simulated kubelet against the real one.
//!
//! Pods are generated from a seed, predicted by `probepilot-kubelet` and run on the local node. What the real kubelet
//! did, as the API shows it (Killing events, container statuses), must be among what was predicted:
//!
//! 1. [`generate`]: a seed gives configurations ([`Config`]: probes and what the container does);
//! 2. [`predict`]: a configuration gives, for each history of a pod, how the next life may end and when;
//! 3. [`observe`]: the pod runs, a watch collects every life of its container;
//! 4. [`judge`]: prediction and observation side by side, and what does not fit;
//! 5. [`report`]: the table, kept as a test artifact.
//!
//! What may not go in: rules of the kubelet. Where the real one disagrees, the simulation in `crates/kubelet` is wrong and
//! is to be changed there.

pub mod class;
pub mod config;
pub mod generate;
pub mod judge;
pub mod manifest;
pub mod observe;
pub mod predict;
pub mod report;

pub use config::Config;

/// When set, all configurations run and not only those of every run: what `cargo xtask test --full` sets.
pub const FULL_VAR: &str = "PROBEPILOT_TEST_FULL";
/// The seed, to be given another.
pub const SEED_VAR: &str = "PROBEPILOT_TEST_SEED";
/// A part of the names of the configurations to run, to replay one.
pub const ONLY_VAR: &str = "PROBEPILOT_TEST_ONLY";
