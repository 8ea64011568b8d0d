//! Probe timings without a handler.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Timings of one probe; a field left out keeps the workload owner's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeTimings {
    /// Seconds after the container started before the first attempt. Unit: seconds. Default: the owner's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub initial_delay_seconds: Option<i32>,
    /// Seconds between attempts. Unit: seconds. Default: the owner's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: Option<i32>,
    /// Seconds after which an attempt without an answer has failed. Unit: seconds. Default: the owner's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<i32>,
    /// Failures in a row before the kubelet restarts the container. Unit: attempts. Default: the owner's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub failure_threshold: Option<i32>,
}
