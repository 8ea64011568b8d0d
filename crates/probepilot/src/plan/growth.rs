//! The operator's writes while a count grows one by one.

use super::operator::{Answer, Operator};
use super::range::Range;

/// What happens while the count grows.
#[derive(Debug)]
pub(super) struct Growth {
    /// The answer at the first count, then each write, by count. Never empty.
    pub(super) steps: Vec<Answer>,
    /// The answer at the last count.
    pub(super) last: Answer,
}

impl Growth {
    /// The startup budget that the target has at each count: from which count on, and how many
    /// seconds; `None` where nothing can kill the start.
    pub(super) fn budgets(&self) -> impl Iterator<Item = (i64, Option<u32>)> {
        self.steps
            .iter()
            .map(|step| (step.point.count, step.point.budget_seconds))
    }

    /// The startup budget at a count, in seconds; `None` where nothing can kill the start.
    pub(super) fn budget_at(&self, count: i64) -> Option<u32> {
        let before = self.budgets().take_while(|(begin, _)| *begin <= count);
        before.last().or_else(|| self.budgets().next())?.1
    }
}

/// Lets the count grow over the range. Each write builds on the target as the one before left it.
pub(super) fn over(operator: &Operator, range: Range) -> anyhow::Result<Growth> {
    let breaks = operator.breaks();
    let mut workload = operator.workload.clone();
    let first = operator.look(&workload, range.from)?;
    if let Some(write) = &first.write {
        workload = operator.after(&workload, write);
    }
    let mut at = range.from;
    let mut steps = vec![first];
    while at < range.to {
        let rest = Range {
            from: at + 1,
            to: range.to,
        };
        let next = rest.pieces(&breaks).into_iter().find_map(|piece| {
            // Where a rung asks for less, a policy that lowers writes at its first count or not at all.
            if operator.writes(&workload, piece.from) {
                return Some(piece.from);
            }
            piece.first(|count| operator.writes(&workload, count))
        });
        let Some(count) = next else { break };
        let step = operator.look(&workload, count)?;
        if let Some(write) = &step.write {
            workload = operator.after(&workload, write);
        }
        steps.push(step);
        at = count;
    }
    let last = operator.look(&workload, range.to)?;
    Ok(Growth { steps, last })
}

#[cfg(test)]
mod tests;
