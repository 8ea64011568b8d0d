//! The closed list of condition types and reasons.

use std::fmt;

/// The conditions of a ProbePolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// False only when the spec can never work as written; waiting is shown by the others.
    Ready,
    /// Whether the target and its container exist.
    TargetFound,
    /// Whether the target's template guarantees the budget that is needed.
    InSync,
    /// Whether delivery Admission works; other policies have no such condition.
    Delivery,
    /// Whether the target's container is in a crash loop now.
    CrashLooping,
    /// Whether somebody takes away again and again what is written, so that nothing is written any more.
    Contested,
    /// Whether kills go on although the budget may grow no further.
    Exhausted,
    /// Whether every count that the rules use was read lately.
    CountFresh,
}

impl ConditionType {
    /// Every condition type, in the order in which status lists them.
    pub const ALL: [Self; 8] = [
        Self::Ready,
        Self::TargetFound,
        Self::InSync,
        Self::Delivery,
        Self::CrashLooping,
        Self::Contested,
        Self::Exhausted,
        Self::CountFresh,
    ];
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Status of a condition, as metav1.Condition spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said.
    Unknown,
}

impl fmt::Display for ConditionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $condition:ident $status:ident),+ $(,)?) => {
        /// Why a condition has its status: the closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, grouped by condition.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The condition that may carry this reason.
            #[must_use]
            pub fn condition(self) -> ConditionType {
                match self { $(Self::$name => ConditionType::$condition,)+ }
            }

            /// The status that the condition has with this reason.
            #[must_use]
            pub fn status(self) -> ConditionStatus {
                match self { $(Self::$name => ConditionStatus::$status,)+ }
            }

            /// What the reason means, as the reference page prints it.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// Mode Enforce, and the spec works as written.
    Enforcing => Ready True,
    /// Mode Observe, and the spec works as written.
    Observing => Ready True,
    /// The container has neither a liveness nor a startup probe, so no probe can end its start.
    NoProbe => Ready False,
    /// Several containers have such a probe; name one in containerName.
    AmbiguousContainer => Ready False,
    /// The container is a sidecar in initContainers, which is not supported.
    SidecarContainer => Ready False,
    /// The spec cannot be read as written; the message says which field.
    InvalidSpec => Ready False,
    /// An older policy names the same container.
    Duplicate => Ready False,
    /// The target and its container exist.
    Found => TargetFound True,
    /// The target does not exist in this namespace.
    NotFound => TargetFound False,
    /// The target has no container of that name.
    ContainerNotFound => TargetFound False,
    /// The target was not read yet.
    Reading => TargetFound Unknown,
    /// The budget of the template covers the need.
    Covered => InSync True,
    /// No rule says anything at this count.
    NothingAsked => InSync True,
    /// What the rules ask is shorter than the owner's own probes; the owner's stay.
    WouldShorten => InSync True,
    /// More is needed, and mode Observe writes nothing.
    ObserveOnly => InSync False,
    /// More is needed, and the raise window has not passed.
    Stabilizing => InSync False,
    /// More is needed, and the last write is too recent.
    MinInterval => InSync False,
    /// More is needed, but a write would stop healthy pods before new ones run; it waits for a kill or the owner's next rollout.
    RestartNeeded => InSync False,
    /// More is needed, and behavior.raise.policy OnKill waits for a kill.
    WaitingForKill => InSync False,
    /// More is needed, and other rollouts come first.
    Queued => InSync False,
    /// More is needed, and the target is rolling out.
    RollingOut => InSync False,
    /// More is needed, or a killed pod waits for its new probes, and the target is paused.
    Paused => InSync False,
    /// More is needed, and every timing that could give it is declared by a manager that would fight.
    Yielded => InSync False,
    /// More is needed, and the target belongs to another controller, which would revert a write.
    OwnedByController => InSync False,
    /// More is needed, and the Contested condition holds.
    GivenUp => InSync False,
    /// More is needed, and somebody rolled the target back to an older template; it is written after the next startup kill.
    RolledBack => InSync False,
    /// More is needed, and the workload or its namespace is annotated to be left alone.
    Ignored => InSync False,
    /// More is needed, and the operator runs with --read-only.
    ReadOnly => InSync False,
    /// More is needed, and the API server refused the write.
    WriteRefused => InSync False,
    /// The policy is being deleted, and the owner's probes are put back.
    Restoring => InSync False,
    /// The policy is being deleted with onDelete Restore, and more is needed than the owner's probes give, or the need is not known; the message says how to go on.
    RestoreRefused => InSync False,
    /// The policy is being deleted with onDelete Restore, and an annotation or --read-only forbids to write.
    RestoreHeld => InSync False,
    /// A write is on its way.
    Writing => InSync False,
    /// The template covers the need; a killed pod that no rollout replaces is deleted, so that a new one gets it.
    ReplacingPod => InSync False,
    /// The template covers the need, but the StatefulSet's partition keeps a killed pod on the template before.
    Partitioned => InSync False,
    /// The template covers the need, but a new pod would differ from the killed one by more than the operator wrote.
    OwnerChangePending => InSync False,
    /// The template covers the need, but a killed pod is not deleted; the message says why.
    PodKept => InSync False,
    /// More is needed, and the owner's own startup probe gives too little; delivery Admission never changes one.
    OwnerStartupProbe => InSync False,
    /// More is needed, and delivery Admission does not work; the Delivery condition says why.
    NotDelivered => InSync False,
    /// New pods get what is needed, and not all running pods carry it; the message says how many do.
    PodsBehind => InSync False,
    /// The need is not known yet, because a count is missing or the target cannot be judged.
    NeedUnknown => InSync Unknown,
    /// A dry-run pod in the operator's namespace got the probes of a canary policy.
    AdmissionReady => Delivery True,
    /// Delivery Admission was not tried yet.
    AdmissionUntried => Delivery Unknown,
    /// The API server has no MutatingAdmissionPolicy v1, or config/admission is not installed; the message says what to do.
    AdmissionMissing => Delivery False,
    /// The canary, or the target's own new pods, did not get the probes.
    AdmissionBroken => Delivery False,
    /// The container does not loop.
    NotLooping => CrashLooping False,
    /// A pod waits in CrashLoopBackOff.
    BackOff => CrashLooping True,
    /// Two startup kills within 10 minutes.
    RepeatedKills => CrashLooping True,
    /// Nobody takes away what is written.
    NotContested => Contested False,
    /// Somebody changed only what was written, twice within 24 hours or three times within 7 days.
    CorrectedAgain => Contested True,
    /// The budget may still grow after a kill.
    RaisesLeft => Exhausted False,
    /// crashLoop.enabled is false, so kills raise nothing.
    RaisesDisabled => Exhausted False,
    /// The start was killed again after crashLoop.maxRaises raises.
    MaxRaises => Exhausted True,
    /// The start was killed again, and limits.maxStartupSeconds allows no larger budget.
    MaxStartup => Exhausted True,
    /// Every count was read lately.
    Counted => CountFresh True,
    /// The policy has no rules; all pods are counted, and starts are held against that.
    NoRules => CountFresh True,
    /// No count was read yet.
    CountPending => CountFresh Unknown,
    /// The operator's role may not list the resource; the message has the rule to add.
    CountForbidden => CountFresh False,
    /// The API server does not serve the resource.
    NoSuchResource => CountFresh False,
    /// The API server answered without a total, so the count is unknown.
    CountUnknown => CountFresh False,
    /// The API server cannot be asked; the last value is kept.
    CountUnavailable => CountFresh False,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
