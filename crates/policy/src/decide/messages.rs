//! Sentences about writes.

use crate::decision::{Cause, Write};
use crate::kills::Kills;
use crate::need::Asked;
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
) -> String {
    let follows = if rides {
        "; its handler follows the owner's liveness probe"
    } else {
        ""
    };
    let because = asked.ask().map_or_else(
        || "no rule asks for it any more".to_owned(),
        |ask| {
            format!(
                "the rules ask for {} s at a count of {}",
                ask.need_seconds, ask.count
            )
        },
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
