//! Sentences about writes.

use probepilot_api::{BudgetSource, RaiseSeries};

use crate::decision::{Cause, Event, Write};
use crate::kills::Kills;
use crate::learning::Unlearned;
use crate::need::{Ask, Asked};
use crate::verdict::Confidence;

/// What a write would do, as the beginning of a sentence.
pub(super) fn would(write: &Write) -> String {
    match write.cause {
        Cause::Kill | Cause::Raise => {
            format!(
                "needs a startup budget of {} s and has {} s",
                write.to_seconds, write.from_seconds
            )
        }
        Cause::Lower => format!(
            "could lower the startup budget from {} s to {} s",
            write.from_seconds, write.to_seconds
        ),
        Cause::Handler => {
            "the startup probe written by probepilot no longer matches the liveness probe"
                .to_owned()
        }
    }
}

/// Why a write is done, as a sentence for status and events.
pub(super) fn why(
    cause: Cause,
    rides: bool,
    from: u32,
    to: u32,
    asked: &Asked,
    kills: &Kills,
    series: Option<&RaiseSeries>,
) -> String {
    let follows = if rides {
        "; its handler follows the owner's liveness probe"
    } else {
        ""
    };
    let because = asked.ask().map_or_else(
        || "nothing asks for it any more".to_owned(),
        |ask| asks(ask, series),
    );
    match cause {
        Cause::Kill => {
            let killed = kills
                .killed_now
                .as_ref()
                .map_or_else(String::new, |killed| {
                    let sure = if killed.confidence == Confidence::Proven {
                        "was killed"
                    } else {
                        "was probably killed"
                    };
                    format!("; pod {} {sure} by its probe while it started", killed.pod)
                });
            format!("startup budget raised from {from} s to {to} s: {because}{killed}{follows}")
        }
        Cause::Raise => {
            format!("startup budget raised from {from} s to {to} s: {because}{follows}")
        }
        Cause::Lower => format!("startup budget lowered from {from} s to {to} s: {because}"),
        Cause::Handler => "startup probe made to match the owner's liveness probe".to_owned(),
    }
}

/// Who asks for how much.
pub(super) fn asks(ask: &Ask, series: Option<&RaiseSeries>) -> String {
    let need = ask.need_seconds;
    let at = at_count(ask.count);
    if ask.source == BudgetSource::Raise {
        let before = series.map_or(0, |series| series.raises);
        return if before > 0 {
            format!("a kill asks for {need} s; the raise before it made nothing better")
        } else {
            format!("a kill asks for {need} s")
        };
    }
    let who = if ask.source == BudgetSource::Learned {
        "the starts that were seen ask"
    } else {
        "the rules ask"
    };
    format!("{who} for {need} s{at}")
}

/// ` at a count of N`, or nothing where nothing is counted.
pub(super) fn at_count(count: Option<i64>) -> String {
    count.map_or_else(String::new, |count| format!(" at a count of {count}"))
}

/// A program of which no start is known takes the place of one with a recommendation.
pub(super) fn starts_over(why: Unlearned) -> Event {
    Event {
        warning: false,
        reason: "LearningStartsOver".to_owned(),
        message: why.sentence(),
    }
}

/// Somebody took away what was written, and it is written again.
pub(super) fn corrected(manager: &str) -> Event {
    let manager = if manager.is_empty() {
        "another manager"
    } else {
        manager
    };
    Event {
        warning: true,
        reason: "Corrected".to_owned(),
        message: format!(
            "{manager} changed nothing but the probe timings that were written; a second time within 24 hours, or a third within 7 days, ends the writing"
        ),
    }
}

/// The end of a series of raises.
pub(super) fn ended(raises: i64, budget_seconds: u32) -> Event {
    Event {
        warning: false,
        reason: "RaisesEnded".to_owned(),
        message: format!(
            "every pod is healthy with a startup budget of {budget_seconds} s; {raises} {} led there",
            if raises == 1 { "raise" } else { "raises" }
        ),
    }
}
