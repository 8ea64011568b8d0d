//! What a reader is told about a range, and about one count.

use super::curve::{Curve, Measured};
use super::growth::Growth;
use super::operator::{Answer, Operator};
use super::point::{Point, Today};
use super::policy::PolicyFile;
use super::range::Range;
use serde::Serialize;

/// Whom it is about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The policy.
    pub(super) policy: String,
    /// The target's namespace.
    pub(super) namespace: String,
    /// `deployment/NAME`.
    pub(super) workload: String,
    /// The container.
    pub(super) container: String,
    /// What the rules count.
    pub(super) counted: Vec<String>,
    /// The probes as the files have them.
    pub(super) today: Today,
    /// They carry what the operator wrote before.
    pub(super) written_before: bool,
}

impl Subject {
    /// Whom this policy is about.
    pub(super) fn new(policy: &PolicyFile, operator: &Operator, container: &str) -> Self {
        Self {
            policy: policy.label(),
            namespace: operator.workload.namespace.clone(),
            workload: operator.workload.display(),
            container: container.to_owned(),
            counted: operator.counted(),
            today: operator.present(container),
            written_before: operator.written_before,
        }
    }

    /// `pods`, or `things` where nothing is counted.
    pub(super) fn unit(&self) -> String {
        if self.counted.is_empty() {
            "things".to_owned()
        } else {
            self.counted.join(" and ")
        }
    }
}

/// One count.
pub(super) struct At<'a> {
    /// Whom it is about.
    pub(super) subject: Subject,
    /// What the operator does.
    pub(super) answer: &'a Answer,
    /// How long starts take.
    pub(super) curve: Option<&'a Curve>,
    /// Up to which count such probes survive, where a curve is given.
    pub(super) survives: Option<Survives>,
}

impl<'a> At<'a> {
    /// What happens at this count.
    pub(super) fn new(
        policy: &PolicyFile,
        operator: &Operator,
        answer: &'a Answer,
        curve: Option<&'a Curve>,
    ) -> Self {
        let subject = Subject::new(policy, operator, &answer.container);
        let all = Range {
            from: 0,
            to: super::LARGEST_COUNT,
        };
        let up_to = |curve, budget| survives_up_to(curve, all, std::iter::once((0, budget)));
        let survives = curve.map(|curve| Survives {
            today: up_to(curve, subject.today.budget_seconds),
            policy: up_to(curve, answer.point.budget_seconds),
        });
        Self {
            subject,
            answer,
            curve,
            survives,
        }
    }
}

/// A range of counts.
pub(super) struct Over<'a> {
    /// Whom it is about.
    pub(super) subject: Subject,
    /// The counts.
    pub(super) range: Range,
    /// What the operator does.
    pub(super) growth: &'a Growth,
    /// The budget needed at counts over the range, for a drawing.
    pub(super) needs: Vec<(i64, u32)>,
    /// How long starts take.
    pub(super) curve: Option<&'a Curve>,
    /// Who survives, where a curve is given.
    pub(super) survives: Option<Survives>,
    /// What to know before it happens, each once.
    pub(super) notes: Vec<String>,
}

/// The largest count up to which no start is killed; `None` where the first one is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Survives {
    /// With the probes as the files have them.
    pub(super) today: Option<i64>,
    /// With what the policy writes on the way.
    pub(super) policy: Option<i64>,
}

/// A range as JSON has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Json<'a> {
    policy: &'a str,
    namespace: &'a str,
    workload: &'a str,
    container: &'a str,
    counted: &'a [String],
    from: i64,
    to: i64,
    today: Today,
    points: Vec<&'a Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    survives_up_to: Option<Survives>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<&'a [Measured]>,
    notes: &'a [String],
}

/// Samples between two breaks of a rule, for a drawing.
const SAMPLES: u32 = 60;

impl<'a> Over<'a> {
    /// What happens over the range.
    pub(super) fn new(
        policy: &PolicyFile,
        operator: &Operator,
        range: Range,
        growth: &'a Growth,
        curve: Option<&'a Curve>,
    ) -> Self {
        let subject = Subject::new(policy, operator, &growth.last.container);
        let mut reasons: Vec<&str> = Vec::new();
        let mut notes: Vec<String> = Vec::new();
        for step in &growth.steps {
            for note in &step.notes {
                if !reasons.contains(&note.reason.as_str()) {
                    reasons.push(&note.reason);
                    notes.push(format!("from {} on: {}", step.point.count, note.message));
                }
            }
        }
        let survives = curve.map(|curve| {
            let today = std::iter::once((range.from, subject.today.budget_seconds));
            Survives {
                today: survives_up_to(curve, range, today),
                policy: survives_up_to(curve, range, growth.budgets()),
            }
        });
        let mut counts: Vec<i64> = range
            .pieces(&operator.breaks())
            .into_iter()
            .flat_map(samples)
            .collect();
        counts.dedup();
        let needs = counts
            .into_iter()
            .filter_map(|count| Some((count, operator.need_seconds(count)?)))
            .collect();
        Self {
            subject,
            range,
            growth,
            needs,
            curve,
            survives,
            notes,
        }
    }

    /// The budget needed at a count, as far as the samples tell.
    pub(super) fn need_at(&self, count: i64) -> Option<u32> {
        let before = self.needs.iter().take_while(|(sample, _)| *sample <= count);
        before.last().map(|(_, seconds)| *seconds)
    }

    /// The rows: the first count, each write, and the last count.
    pub(super) fn rows(&self) -> Vec<&'a Answer> {
        let mut rows: Vec<&Answer> = self.growth.steps.iter().collect();
        if rows
            .last()
            .is_none_or(|row| row.point.count < self.growth.last.point.count)
        {
            rows.push(&self.growth.last);
        }
        rows
    }

    /// All of it for a script.
    pub(super) fn json(&self) -> Json<'_> {
        Json {
            policy: &self.subject.policy,
            namespace: &self.subject.namespace,
            workload: &self.subject.workload,
            container: &self.subject.container,
            counted: &self.subject.counted,
            from: self.range.from,
            to: self.range.to,
            today: self.subject.today,
            points: self.rows().into_iter().map(|row| &row.point).collect(),
            survives_up_to: self.survives,
            curve: self.curve.map(|curve| curve.measured.as_slice()),
            notes: &self.notes,
        }
    }
}

/// Counts of a piece that lie evenly on a logarithmic axis, its two ends among them.
fn samples(piece: Range) -> Vec<i64> {
    let (from, to) = (piece.from.max(1), piece.to.max(1));
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "counts are at most 10^9"
    )]
    let inner = (1..SAMPLES).map(|step| {
        let ratio = to as f64 / from as f64;
        (from as f64 * ratio.powf(f64::from(step) / f64::from(SAMPLES))) as i64
    });
    std::iter::once(piece.from)
        .chain(inner.filter(|count| (piece.from..=piece.to).contains(count)))
        .chain(std::iter::once(piece.to))
        .collect()
}

/// The count before the first one whose start the budget of its time does not cover. `budgets` says
/// from which count on there are so many seconds.
fn survives_up_to(
    curve: &Curve,
    range: Range,
    budgets: impl Iterator<Item = (i64, Option<u32>)>,
) -> Option<i64> {
    let budgets: Vec<_> = budgets.collect();
    let begins: Vec<i64> = budgets.iter().map(|(begin, _)| *begin).collect();
    let pieces = range.pieces(&begins);
    let first_killed = pieces
        .iter()
        .zip(&budgets)
        .find_map(|(piece, (_, budget))| {
            // Starts only grow with the count, and what is uncertain stays so.
            piece.first(|count| !curve.survives(count, *budget))
        });
    match first_killed {
        None => Some(range.to),
        Some(first) if first == range.from => None,
        Some(first) => Some(first - 1),
    }
}
