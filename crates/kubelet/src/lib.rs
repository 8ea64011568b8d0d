//! The kubelet's probe rules as arithmetic and as a deterministic simulation.
//!
//! Source of every rule is k8s.io/kubernetes v1.36.3; the rules are numbered K1..K19 in the
//! project's facts on kubelet probes and tests name the rule they prove.
//!
//! This crate is pure: no client, clock, randomness or environment. Time comes in as an argument.

mod timings;

pub use timings::{StartGuard, Timings, guard};
