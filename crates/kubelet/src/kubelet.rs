//! The kubelet's version and settings, as far as probes care.

use crate::BackOff;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A Kubernetes version, `1.36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// The version whose source the rules were read in.
    pub const READ: Self = Self::new(1, 36);

    /// `major.minor`.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is not a Kubernetes version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a Kubernetes version; write it like 1.36 or v1.36.3")]
pub struct BadVersion(String);

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.to_owned());
        let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
        let mut number = || {
            parts
                .next()
                .and_then(|part| part.parse().ok())
                .ok_or_else(bad)
        };
        Ok(Self::new(number()?, number()?))
    }
}

/// What differs between kubelets. [`Kubelet::of`] gives a version's defaults.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one behaviour that a version has or has not"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kubelet {
    /// Its version.
    pub version: Version,
    /// K14: a running container inherits `started` from its predecessor by name. After a probe kill
    /// and a restart in one sync, liveness runs unguarded until the startup worker's next tick.
    /// k/k#141155: since 1.35, still in 1.36.3 and 1.37.2.
    pub started_inherited_by_name: bool,
    /// K15: `started` survives a restart of the kubelet (since 1.35).
    pub started_kept_on_kubelet_restart: bool,
    /// K20: a restarted kubelet takes a container for started whose startup probe has not succeeded yet: it writes
    /// the pod's status before it makes the workers, and only a worker tells it of the probe. `started` is kept
    /// then (K15), so the startup probe never runs again in that life and liveness runs unguarded. k/k#142305,
    /// fix proposed in #142303; read in 1.36.3. Kubelets before 1.35 put it right at the worker's first look.
    pub starting_taken_for_started: bool,
    /// k/k#140704, proposed for 1.38: workers start and stop with the container, so there is no
    /// phase to be unlucky with and no streak to inherit.
    pub container_scoped_workers: bool,
    /// Crash-loop back-off (K13).
    pub back_off: BackOff,
    /// Milliseconds until the workers see a change of the container's state: the pod lifecycle
    /// event generator and one pod sync. About 0 to 1000 on a real node.
    pub status_lag_ms: u64,
    /// Milliseconds from the decision to start a container to its start.
    pub start_cost_ms: u64,
    /// A sync that waits for a back-off comes up to half as late again (pod_workers.go, jitter
    /// factor 0.5): 0 to 50 percent.
    pub sync_jitter_percent: u32,
    /// Waits of a refused grpc probe before it dials a third time and more often, in percent of their nominal length: 80 to
    /// 120, drawn anew for each (grpc-go, jitter 0.2). Of the first, the second and all later lives.
    pub redial_percents: [u32; 3],
}

impl Kubelet {
    /// The defaults of this version on an ideally fast node.
    #[must_use]
    pub fn of(version: Version) -> Self {
        Self {
            version,
            started_inherited_by_name: (Version::new(1, 35)..Version::new(1, 38))
                .contains(&version),
            started_kept_on_kubelet_restart: version >= Version::new(1, 35),
            starting_taken_for_started: version >= Version::new(1, 35),
            container_scoped_workers: false,
            back_off: BackOff::default(),
            status_lag_ms: 0,
            start_cost_ms: 0,
            sync_jitter_percent: 0,
            redial_percents: [100; 3],
        }
    }

    /// How long a refused grpc probe waits in a life before it dials again, in percent of the nominal length.
    pub(crate) fn redial_percent(&self, life: usize) -> u32 {
        let [first, second, later] = self.redial_percents;
        match life {
            0 => first,
            1 => second,
            _ => later,
        }
    }
}

impl Default for Kubelet {
    fn default() -> Self {
        Self::of(Version::READ)
    }
}
