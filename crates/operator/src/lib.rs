//! The operator: observe, decide, act, report.
//!
//! I/O lives here and nowhere else: watches, counts, patches, events, leadership, the health
//! server. What to do is decided by `probepilot-policy`; no rule about probes belongs in this crate.
//!
//! | module | does |
//! |---|---|
//! | [`client`], [`pace`], [`deadline`], [`failure`] | requests with deadlines, rationed in a storm, failures by type |

pub mod client;
pub mod counts;
pub mod deadline;
pub mod discovery;
pub mod failure;
pub mod memory;
pub mod metrics;
pub mod pace;

#[cfg(test)]
mod testing;
