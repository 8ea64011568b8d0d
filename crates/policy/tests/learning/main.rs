//! Learning: what starts seen so far recommend, against the field, against known curves and against
//! the rules that people use without it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of a test"
)]

mod benchmark;
mod chance;
mod coverage;
mod field;
mod properties;
mod stationary;
mod world;
