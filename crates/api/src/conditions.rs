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
    /// Whether the target's container is in a crash loop now.
    CrashLooping,
    /// Whether every count that the rules use was read lately.
    CountFresh,
}

impl ConditionType {
    /// Every condition type, in the order in which status lists them.
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::TargetFound,
        Self::InSync,
        Self::CrashLooping,
        Self::CountFresh,
    ];
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $condition:ident),+ $(,)?) => {
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

            /// What the reason means, as the reference page prints it.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// True: mode Enforce, and the spec works as written.
    Enforcing => Ready,
    /// True: mode Observe, and the spec works as written.
    Observing => Ready,
    /// False: the container has neither a liveness nor a startup probe, so no probe can end its start.
    NoProbe => Ready,
    /// False: several containers have such a probe; name one in containerName.
    AmbiguousContainer => Ready,
    /// False: the container is a sidecar in initContainers, which is not supported.
    SidecarContainer => Ready,
    /// False: an older policy names the same container.
    Duplicate => Ready,
    /// True: the target and its container exist.
    Found => TargetFound,
    /// False: the target does not exist in this namespace.
    NotFound => TargetFound,
    /// False: the target has no container of that name.
    ContainerNotFound => TargetFound,
    /// Unknown: the target was not read yet.
    Reading => TargetFound,
    /// True: the budget of the template covers the need.
    Covered => InSync,
    /// True: no rule says anything at this count.
    NothingAsked => InSync,
    /// True: what the rules ask is shorter than the owner's own probes; the owner's stay.
    WouldShorten => InSync,
    /// False: more is needed, and mode Observe writes nothing.
    ObserveOnly => InSync,
    /// False: more is needed, and the raise window has not passed.
    Stabilizing => InSync,
    /// False: more is needed, and the last write is too recent.
    MinInterval => InSync,
    /// False: more is needed, but a write would stop healthy pods before new ones run; it waits for a kill or the owner's next rollout.
    RestartNeeded => InSync,
    /// False: more is needed, and behavior.raise.policy OnKill waits for a kill.
    WaitingForKill => InSync,
    /// False: more is needed, and other rollouts come first.
    Queued => InSync,
    /// False: more is needed, and the target is rolling out.
    RollingOut => InSync,
    /// False: more is needed, and the target is paused.
    Paused => InSync,
    /// False: more is needed, and every timing that could give it is declared by a manager that would fight.
    Yielded => InSync,
    /// False: more is needed, and the target belongs to another controller, which would revert a write.
    OwnedByController => InSync,
    /// False: more is needed, and the workload or its namespace is annotated to be left alone.
    Ignored => InSync,
    /// False: more is needed, and the operator runs with --read-only.
    ReadOnly => InSync,
    /// False: more is needed, and the API server refused the write.
    WriteRefused => InSync,
    /// False: a write is on its way.
    Writing => InSync,
    /// Unknown: the need is not known yet, because a count is missing or the target cannot be judged.
    NeedUnknown => InSync,
    /// False: the container does not loop.
    NotLooping => CrashLooping,
    /// True: a pod waits in CrashLoopBackOff.
    BackOff => CrashLooping,
    /// True: two startup kills within 10 minutes.
    RepeatedKills => CrashLooping,
    /// True: every count was read lately.
    Counted => CountFresh,
    /// True: the policy has no rules, so nothing is counted.
    NoRules => CountFresh,
    /// Unknown: no count was read yet.
    CountPending => CountFresh,
    /// False: the operator's role may not list the resource; the message has the rule to add.
    CountForbidden => CountFresh,
    /// False: the API server does not serve the resource.
    NoSuchResource => CountFresh,
    /// False: the API server answered without a total, so the count is unknown.
    CountUnknown => CountFresh,
    /// False: the API server cannot be asked; the last value is kept.
    CountUnavailable => CountFresh,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
