//! The operator: observe, decide, act, report.
//!
//! I/O lives here and nowhere else: watches, counts, patches, events, leadership, the health
//! server. What to do is decided by `probepilot-policy`; no rule about probes belongs in this crate.
//!
//! | module | does |
//! |---|---|
//! | [`client`], [`pace`], [`deadline`], [`failure`] | requests with deadlines, rationed in a storm, failures by type |
//! | [`counts`], [`discovery`] | shared pollers of cluster counts |
//! | [`target`], [`pods`], [`watch`], [`debounce`] | one workload and its pods, watched and projected on arrival |
//! | [`events`] | Killing events read on demand, the operator's own published |
//! | [`admission`] | whether new pods get their probes, tried with a canary |
//! | [`mod@hand_back`], [`farewell`] | what was written is let go, or the owner's probes are put back |
//! | [`leader`], [`fence`] | one replica works, the others stand by |
//! | [`run()`], [`kubeconfig`] | from start to shutdown |
//! | [`server`] | /livez, /readyz and /metrics |
//! | [`usage`] | what a pod in trouble uses, rationed |
//! | [`metrics`], [`memory`] | what the operator measures of itself |

pub mod act;
pub mod admission;
pub mod client;
pub mod context;
pub mod controller;
pub mod counts;
pub mod deadline;
pub mod debounce;
pub mod discovery;
pub mod events;
pub mod failure;
pub mod farewell;
mod feeds;
pub mod fence;
pub mod hand_back;
pub mod kubeconfig;
pub mod leader;
pub mod memory;
pub mod metrics;
pub mod namespaces;
pub mod observe;
pub mod pace;
pub mod pods;
pub mod policies;
pub mod reconcile;
mod run;
pub mod server;
pub mod target;
pub mod usage;
pub mod watch;
mod workloads;

pub use run::{LeaseName, Options, RunError, run};

#[cfg(test)]
mod testing;
