//! Tests against a real kubelet, and the story that the demo tells with the same steps.

pub mod controller;
pub mod policy;
pub mod rights;
pub mod story;
