//! Kubernetes Events: the kubelet's, read on demand, and the operator's own.
//!
//! Reading: the API server scans all events of a namespace to find those of one pod, so nothing is
//! watched; [`PodEvents`] reads one pod's at a time, one read in flight a namespace.
//! Writing: [`Publisher`] hands events to one task, so that no reconcile waits for them.

mod heard;
mod publish;

pub use heard::PodEvents;
pub use publish::{Notice, NoticeType, Publisher};
