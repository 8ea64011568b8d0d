//! A container as the prober sees it: its probes and how it may be ended.

use crate::Timings;
use serde::{Deserialize, Serialize};

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// Guards the start; idles once it has succeeded (K6).
    Startup,
    /// Kills a container that stopped answering.
    Liveness,
    /// Only takes the pod out of its Services; never kills.
    Readiness,
}

impl ProbeKind {
    /// The word the kubelet uses in its events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        }
    }
}

/// How the probe asks. It decides what a silent or closed port means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Handler {
    /// `httpGet`: refused fails at once, silence fails after the timeout.
    #[default]
    Http,
    /// `tcpSocket`: an accepted connection is a success, whether or not anything is served on it.
    Tcp,
    /// `exec`: the answer is the command's exit code.
    Exec,
    /// `grpc`: dials until the timeout, so a refused connection also takes the whole timeout
    /// (pkg/probe/grpc/grpc.go, `WithBlock`). Between two dials it waits 1 s, 1.6 s, 2.56 s, ..., so it may miss a server that
    /// began to serve before the timeout.
    Grpc,
}

/// One probe of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// How it asks.
    #[serde(default)]
    pub handler: Handler,
    /// When it asks and how often it may fail.
    #[serde(flatten)]
    pub timings: Timings,
    /// Successes in a row for a good verdict; must be 1 for startup and liveness (K7). Zero means 1.
    #[serde(default)]
    pub success_threshold: u32,
    /// `terminationGracePeriodSeconds` of the probe: replaces the pod's when this probe kills (K12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<u32>,
}

impl From<Timings> for Probe {
    fn from(timings: Timings) -> Self {
        Self {
            timings,
            success_threshold: 1,
            ..Self::default()
        }
    }
}

/// The pod's restartPolicy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Restart whatever the exit code.
    #[default]
    Always,
    /// Restart after a failure. A probe kill counts as one whatever the exit code (K12).
    OnFailure,
    /// Never restart.
    Never,
}

/// What the kubelet knows about one container: probes, grace, restart policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The startup probe, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    /// The liveness probe, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// The readiness probe, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// The pod's terminationGracePeriodSeconds; the API's default is 30.
    pub termination_grace_period_seconds: u32,
    /// How long the preStop hook runs, in milliseconds; `None` without a hook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_stop_ms: Option<u64>,
    /// The pod's restart policy.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    /// A sidecar: an init container with restartPolicy Always. It is always restarted, and its
    /// liveness is looked at only after its startup probe succeeded for this very container.
    #[serde(default)]
    pub sidecar: bool,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            startup: None,
            liveness: None,
            readiness: None,
            termination_grace_period_seconds: 30,
            pre_stop_ms: None,
            restart_policy: RestartPolicy::Always,
            sidecar: false,
        }
    }
}

impl Container {
    /// The probe of this kind.
    #[must_use]
    pub fn probe(&self, kind: ProbeKind) -> Option<&Probe> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
        }
    }

    /// The probe that guards the start (K6), or `None` where no probe can end it.
    #[must_use]
    pub fn start_guard(&self) -> Option<(ProbeKind, &Probe)> {
        self.startup
            .as_ref()
            .map(|probe| (ProbeKind::Startup, probe))
            .or_else(|| {
                self.liveness
                    .as_ref()
                    .map(|probe| (ProbeKind::Liveness, probe))
            })
    }

    /// Whether a container that exited by itself with this code is started again.
    pub(crate) fn restarts_after_exit(&self, code: i32) -> bool {
        self.sidecar
            || match self.restart_policy {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => code != 0,
                RestartPolicy::Never => false,
            }
    }

    /// Whether a container that a probe killed is started again; the exit code is not asked (K12).
    #[must_use]
    pub fn restarts_after_kill(&self) -> bool {
        self.sidecar || self.restart_policy != RestartPolicy::Never
    }
}
