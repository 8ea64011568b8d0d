//! What the user wants, and what follows for one container.

use super::report::Outcome;
use probepilot_api::{BudgetSource, OnDelete, ProbePolicyStatus};
use probepilot_policy::{PutBack, Step, Workload, step};

/// What the user wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// How to leave; `None`: as each policy says.
    pub(super) how: Option<OnDelete>,
    /// Put back also where more is needed.
    pub(super) anyway: bool,
    /// Do nothing.
    pub(super) dry_run: bool,
}

/// What is there to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing there is ours.
    Nothing(String),
    /// Let go, or put back: what comes of it, and in words.
    Do(Outcome, String),
    /// Not while more is needed than the owner's probes give.
    Refuse(String),
}

/// What there is to do for a container, as far as the policy last knew its need.
pub(super) fn plan(
    workload: &Workload,
    container: &str,
    how: OnDelete,
    need: Option<&ProbePolicyStatus>,
) -> Plan {
    let target = workload.display();
    match step(workload, container, how) {
        Step::Done => Plan::Nothing(format!(
            "nothing of container {container} of {target} is probepilot's"
        )),
        Step::PutBack(back) => match need.and_then(|status| needs_more(status, &back)) {
            Some(need) => Plan::Refuse(format!(
                "{need} s were needed when the policy looked last, and the owner's own probes give {} s: the next start would be killed; use --keep, or --restore-anyway",
                back.to_seconds
            )),
            None => Plan::Do(
                Outcome::Returned,
                format!(
                    "puts the owner's probes of {target} back, which rolls its pods: a startup budget of {}, after {}",
                    seconds(back.to_seconds),
                    seconds(back.from_seconds)
                ),
            ),
        },
        Step::LetGo(end) if end.command.is_some() => Plan::Do(
            Outcome::Kept,
            format!(
                "leaves the probes of {target} as they are, with a startup budget of {}, and gives up their fields",
                seconds(end.budget_seconds)
            ),
        ),
        Step::LetGo(_) => Plan::Do(
            Outcome::Returned,
            format!("gives up what is left on {target}, whose probes are the owner's"),
        ),
    }
}

fn needs_more(status: &ProbePolicyStatus, back: &PutBack) -> Option<i64> {
    let startup = status.startup.as_ref()?;
    let need = startup.need_seconds?;
    (startup.source != Some(BudgetSource::Owner) && need > i64::from(back.to_seconds))
        .then_some(need)
}

fn seconds(seconds: u32) -> String {
    if seconds == u32::MAX {
        "no limit".to_owned()
    } else {
        format!("{seconds} s")
    }
}
