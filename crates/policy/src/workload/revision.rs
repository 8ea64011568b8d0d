//! Which revision of the template new pods get, as far as the workload itself tells.
//!
//! Nothing here reads a ControllerRevision: that would be a right more, and the workload says enough.

use probepilot_api::TargetKind;

use super::raw;

/// The DaemonSet's count of template changes, which each of its pods carries as a label. The API server
/// and the controller still keep both in Kubernetes 1.36, although they are called deprecated.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// Which template new pods get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// Mark of the present template, which pods made from it carry: the controller revision of a
    /// StatefulSet, the template generation of a DaemonSet. `None` for Deployments, and while the
    /// controller has not seen the template yet.
    pub mark: Option<String>,
    /// Pods with a smaller ordinal than this stay on the revision before, even when they are created anew.
    pub kept_below: i64,
}

impl Revision {
    pub(super) fn new(kind: TargetKind, raw: &raw::Object) -> Self {
        let strategy = &raw.spec.update_strategy;
        match kind {
            TargetKind::Deployment => Self::default(),
            TargetKind::DaemonSet => Self {
                mark: raw.metadata.annotations.get(TEMPLATE_GENERATION).cloned(),
                kept_below: 0,
            },
            TargetKind::StatefulSet => {
                let seen = raw.status.observed_generation >= raw.metadata.generation;
                let partition = strategy.rolling_update.partition.max(0);
                let partitioned = partition > 0 && strategy.kind.as_deref() != Some("OnDelete");
                Self {
                    mark: raw.status.update_revision.clone().filter(|_| seen),
                    kept_below: if partitioned {
                        raw.spec.ordinals.start.saturating_add(partition)
                    } else {
                        0
                    },
                }
            }
        }
    }
}
