//! Delivery Admission: what new pods get as they are created, and how a pod tells that it got it.
//!
//! The workload is never written, so its template is the owner's baseline. What new pods get is that and
//! `status.desired`, put together by the MutatingAdmissionPolicy in config/admission; [`given`] and
//! [`desired`] are the two directions of the same sum.

use jiff::Timestamp;
use probepilot_api::{ProbePair, ProbeTimings};
use probepilot_kubelet::Timings;

use crate::need::lengthened;
use crate::pod::PodView;
use crate::workload::{ContainerProbes, Probe};

/// What is known of delivery Admission when a policy is decided about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Name of the policy, as pods' annotations have it.
    pub policy: String,
    /// Whether new pods get their probes.
    pub support: Support,
}

/// Whether new pods get their probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Support {
    /// Not tried yet.
    #[default]
    Untried,
    /// A canary got them.
    Ready {
        /// Since when config/admission is as it was when that was tried.
        since: Timestamp,
    },
    /// The API server has no such policies, or this one is not installed: a sentence that says what to do.
    Missing(String),
    /// A canary did not get them: a sentence that says what was seen.
    Broken(String),
}

/// The probes of a new pod: those of the template and what is desired on top.
#[must_use]
pub fn given(template: &ContainerProbes, desired: &ProbePair) -> ContainerProbes {
    let mut given = template.clone();
    // A startup probe of the owner is never touched, nor is anything beside it.
    let (None, Some(liveness)) = (&template.startup, &mut given.liveness) else {
        return given;
    };
    let own = liveness.clone();
    if let Some(timings) = desired.liveness_probe {
        liveness.timings = lengthened(own.timings, timings);
    }
    given.startup = desired.startup_probe.map(|timings| Probe {
        timings: Timings::from(timings),
        ..own
    });
    given
}

/// What has to be desired for these probes: the startup probe whole, and of liveness what differs from the
/// template, so that an owner who changes his timings is not held to the old ones.
#[must_use]
pub fn desired(template: &ContainerProbes, wanted: &ContainerProbes) -> ProbePair {
    if template.startup.is_some() {
        return ProbePair::default();
    }
    let all = wanted.timings();
    let own = template.timings().liveness_probe.unwrap_or_default();
    let differing = all.liveness_probe.map(|wanted| {
        let differs = |wanted: Option<i32>, own| wanted.filter(|_| wanted != own);
        ProbeTimings {
            initial_delay_seconds: differs(wanted.initial_delay_seconds, own.initial_delay_seconds),
            period_seconds: differs(wanted.period_seconds, own.period_seconds),
            timeout_seconds: differs(wanted.timeout_seconds, own.timeout_seconds),
            failure_threshold: differs(wanted.failure_threshold, own.failure_threshold),
        }
    });
    ProbePair {
        liveness_probe: differing.filter(|timings| *timings != ProbeTimings::default()),
        ..all
    }
}

impl PodView {
    /// The revision that this pod was given by that policy.
    #[must_use]
    pub fn admitted_by(&self, policy: &str) -> Option<&str> {
        let mut given = self.admitted.as_deref()?.split(',');
        given.find_map(|one| one.strip_prefix(policy)?.strip_prefix(':'))
    }
}

#[cfg(test)]
mod tests;
