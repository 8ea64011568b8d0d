//! What becomes of a workload when its policy goes, against a real API server: who owns what, which probes are
//! there, and that the owner's next apply meets no conflict.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod crash;
mod keep;
mod moved;
mod observe;
mod restore;
mod seen;
mod uninstall;
