//! Verdicts from whole objects: pods and events as the API server has them.
//!
//! [`captured`] holds objects of a real kubelet 1.36.3; the others are built with the strings of the
//! threads they name.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod builder;
mod captured;
mod ends;
mod field;
mod never;
mod properties;
mod rows;
