//! Conditions that need no gate: what was found, what is counted, what is covered.

use jiff::Timestamp;
use probepilot_api::{Exhaustion, Memory, Mode, RaiseSeries, Reason};

use super::messages::at_count;
use crate::baseline::Baseline;
use crate::condition::ConditionState;
use crate::decision::Cause;
use crate::kills::Kills;
use crate::managed::{ProbeField, Tool, Wanted};
use crate::need::Ask;
use crate::observation::{CountFailureKind, Observation, Retry};
use crate::policy::Policy;
use crate::probes::{Held, budget};
use crate::timing::TimingField;
use crate::workload::{ContainerProbes, Workload};

fn state(reason: Reason, message: impl Into<String>) -> ConditionState {
    ConditionState::new(reason, message)
}

pub(super) fn unread(policy: &Policy) -> Vec<ConditionState> {
    vec![
        mode(policy),
        state(
            Reason::Reading,
            format!("{} was not read yet", policy.target.display()),
        ),
        need_unknown(),
        not_looping(),
        none_used(),
    ]
}

pub(super) fn missing(policy: &Policy) -> Vec<ConditionState> {
    vec![
        mode(policy),
        state(
            Reason::NotFound,
            format!(
                "there is no {} in this namespace; create it, or correct spec.targetRef",
                policy.target.display()
            ),
        ),
        need_unknown(),
        not_looping(),
        none_used(),
    ]
}

/// `problem` belongs to Ready or to TargetFound; the other one is filled in.
pub(super) fn no_container(
    policy: &Policy,
    workload: &Workload,
    problem: ConditionState,
) -> Vec<ConditionState> {
    let other = if problem.reason == Reason::ContainerNotFound {
        mode(policy)
    } else {
        found(workload)
    };
    vec![other, problem, need_unknown(), not_looping(), none_used()]
}

pub(super) fn duplicate(other: &str) -> Vec<ConditionState> {
    let text =
        format!("policy {other} is older and names the same container; delete one of the two");
    vec![state(Reason::Duplicate, text), need_unknown(), none_used()]
}

pub(super) fn found(workload: &Workload) -> ConditionState {
    state(Reason::Found, format!("{} exists", workload.display()))
}

pub(super) fn need_unknown() -> ConditionState {
    state(
        Reason::NeedUnknown,
        "the needed budget is not known yet; see the other conditions",
    )
}

fn mode(policy: &Policy) -> ConditionState {
    match policy.mode {
        Mode::Observe => state(Reason::Observing, "measures and recommends; writes nothing"),
        Mode::Enforce => state(
            Reason::Enforcing,
            "rewrites probes when their budget does not cover the need",
        ),
    }
}

pub(super) fn ready(policy: &Policy, workload: &Workload, baseline: &Baseline) -> ConditionState {
    if baseline.probes.liveness.is_none() && baseline.probes.startup.is_none() {
        let text = format!(
            "container {} of {} has neither a liveness nor a startup probe, so no probe can end its start; there is nothing to scale",
            baseline.probes.name,
            workload.display()
        );
        return state(Reason::NoProbe, text);
    }
    mode(policy)
}

pub(super) fn looping(kills: &Kills) -> ConditionState {
    if kills.backing_off {
        state(Reason::BackOff, "a pod waits in CrashLoopBackOff")
    } else if kills.repeated {
        state(
            Reason::RepeatedKills,
            "a probe killed the start at least twice within 10 minutes",
        )
    } else {
        not_looping()
    }
}

/// Whether kills go on although the budget may grow no further.
pub(super) fn exhausted(
    policy: &Policy,
    series: Option<&RaiseSeries>,
    current: &ContainerProbes,
    retry: Option<&Retry>,
    now: Timestamp,
) -> ConditionState {
    let Some(raise) = policy.kills else {
        let text = "spec.crashLoop.enabled is false: kills raise nothing";
        return state(Reason::RaisesDisabled, text);
    };
    let raises = series.map_or(0, |series| series.raises);
    let asked = match retry {
        Some(Retry::NoTime(value)) => format!(
            " (its present value `{value}` is no time and is ignored: write one as {})",
            now.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
        Some(Retry::From(since)) if *since > now => {
            format!(" (its present value {since} is still to come)")
        }
        Some(Retry::From(_)) | None => String::new(),
    };
    let again = format!(
        "find out why it does not become healthy; annotate the policy probepilot.dev/retry with the present time to try again{asked}"
    );
    let present = budget(current);
    match series.and_then(|series| series.exhausted) {
        None => {
            let text = format!("{raises} of {} raises in a row are used", raise.most);
            state(Reason::RaisesLeft, text)
        }
        Some(Exhaustion::MaxRaises) => {
            let text = format!(
                "killed with a startup budget of {present} s, after {raises} raises made nothing better; the budget stays: {again}"
            );
            state(Reason::MaxRaises, text)
        }
        Some(Exhaustion::MaxStartup) => {
            let text = format!(
                "killed with a startup budget of {present} s, and limits.maxStartupSeconds {} allows no more; the budget stays: raise the limit, or {again}",
                policy.limits.max_seconds
            );
            state(Reason::MaxStartup, text)
        }
    }
}

/// Whether somebody takes away again and again what is written.
pub(super) fn contested(memory: &Memory, policy: &Policy) -> ConditionState {
    let Some(since) = &memory.contested else {
        return state(
            Reason::NotContested,
            "nobody takes away what is written again and again",
        );
    };
    let mut managers: Vec<_> = memory
        .corrections
        .iter()
        .map(|correction| correction.manager.as_str())
        .filter(|manager| !manager.is_empty())
        .collect();
    managers.dedup();
    let who = if managers.is_empty() {
        "another manager".to_owned()
    } else {
        managers.join(", ")
    };
    state(
        Reason::CorrectedAgain,
        format!(
            "{who} changed nothing but the probe timings of {} that were written, again and again; nothing is written since {}: let {who} stop declaring them, or set apply.onConflict to Yield; then annotate the policy probepilot.dev/retry with the present time",
            policy.target.display(),
            since.0.strftime("%Y-%m-%dT%H:%M:%SZ"),
        ),
    )
}

/// Why nothing is written although it is asked for, after somebody took away what was there.
pub(super) fn held_back(memory: &Memory, summary: &str, cause: Cause) -> Option<ConditionState> {
    if memory.contested.is_some() {
        let text = format!(
            "{summary}, but somebody takes it away again and again; see the Contested condition"
        );
        return Some(state(Reason::GivenUp, text));
    }
    memory
        .rolled_back
        .as_ref()
        .filter(|_| cause != Cause::Handler)?;
    let text = format!(
        "{summary}, but somebody rolled the target back to a template without it; it is written after the next startup kill, or once the policy is annotated probepilot.dev/retry with the present time"
    );
    Some(state(Reason::RolledBack, text))
}

/// Before anything is known of kills.
fn none_used() -> ConditionState {
    state(Reason::RaisesLeft, "no raise is used")
}

fn not_looping() -> ConditionState {
    state(Reason::NotLooping, "no pod is in a crash loop")
}

/// In sync: nothing is asked, or the present budget is enough.
pub(super) fn covered(
    current: &ContainerProbes,
    baseline: &Baseline,
    ask: Option<&Ask>,
) -> ConditionState {
    let Some(present) = current.guard().budget_seconds() else {
        return state(Reason::Covered, "no probe can end the start");
    };
    let Some(ask) = ask else {
        return state(
            Reason::NothingAsked,
            format!("no rule asks for a budget; the present {present} s stay"),
        );
    };
    let owner = budget(&baseline.probes);
    let (needed, at) = (ask.need_seconds, at_count(ask.count));
    if baseline.probes == *current && needed < owner {
        let text = format!(
            "the rules ask for {needed} s{at}, less than the {owner} s of the owner's probes, which stay"
        );
        return state(Reason::WouldShorten, text);
    }
    state(
        Reason::Covered,
        format!("the startup budget of {present} s covers the {needed} s needed{at}"),
    )
}

/// Every way to the need is declared by a manager to whom it is left. `free` are the probes that would
/// be written if nobody held anything.
pub(super) fn yielded(
    workload: &Workload,
    current: &ContainerProbes,
    free: &ContainerProbes,
    ask: &Ask,
    held: &Held,
) -> ConditionState {
    let (field, timing, name, from, to) = if current.startup.is_some() {
        (
            ProbeField::Startup,
            TimingField::FailureThreshold,
            "startupProbe",
            &current.startup,
            &free.startup,
        )
    } else {
        (
            ProbeField::Liveness,
            TimingField::InitialDelay,
            "livenessProbe",
            &current.liveness,
            &free.liveness,
        )
    };
    let holder = held.holder(field, timing);
    let manager = holder.map_or("another manager", |holder| holder.manager.as_str());
    let tool = holder.map_or(Tool::Other, |holder| holder.tool);
    let advice = from.as_ref().zip(to.as_ref()).map(|(from, to)| {
        let wanted = Wanted {
            workload,
            container: &current.name,
            probe: name,
            from,
            to,
        };
        format!(": {}", wanted.advice(tool))
    });
    let text = format!(
        "needs a startup budget of {} s and has {} s, but {manager} declares the {name}, which is left to it{}",
        ask.need_seconds,
        budget(current),
        advice.unwrap_or_default(),
    );
    state(Reason::Yielded, text)
}

/// One condition for all counts: the worst answers.
pub(super) fn counts(policy: &Policy, observation: &Observation) -> Vec<ConditionState> {
    let mut pending = false;
    for selector in policy.counted() {
        let count = observation
            .counts
            .iter()
            .find(|count| count.selector == selector);
        match count.and_then(|count| Some((count, count.failure.as_ref()?))) {
            Some((count, failure)) => {
                let reason = match failure.kind {
                    CountFailureKind::Forbidden => Reason::CountForbidden,
                    CountFailureKind::NoSuchResource => Reason::NoSuchResource,
                    CountFailureKind::UnknownTotal => Reason::CountUnknown,
                    CountFailureKind::Unavailable => Reason::CountUnavailable,
                };
                let kept = count.last.map_or_else(
                    || "; no earlier value is known, so this rule says nothing".to_owned(),
                    |sample| {
                        format!(
                            "; the last value, {} at {}, is kept",
                            sample.value,
                            sample.at.strftime("%H:%M:%SZ")
                        )
                    },
                );
                return vec![state(reason, format!("{}{kept}", failure.message))];
            }
            None => pending |= count.is_none_or(|count| count.last.is_none()),
        }
    }
    if pending {
        return vec![state(Reason::CountPending, "a count was not read yet")];
    }
    if policy.rules.is_empty() {
        return vec![state(
            Reason::NoRules,
            "the policy has no rules; all pods are counted, and starts are held against that",
        )];
    }
    vec![state(Reason::Counted, "every count was read lately")]
}
