//! What tests, the demo and benchmarks need to run the program `podcache` in a local cluster (feature `kit`): its image, its manifest, and the
//! CPU limit that makes it as slow as wanted on this machine.
//!
//! The program itself is `main.rs` and uses nothing of this.

#[cfg(feature = "kit")]
mod kit;

#[cfg(feature = "kit")]
pub use kit::{Cost, IMAGE, NAME, Podcache, manifest};
