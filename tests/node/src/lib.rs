//! Tests against a real kubelet.

pub mod rights;
