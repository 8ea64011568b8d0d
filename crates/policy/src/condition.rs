//! Conditions as decisions produce them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use probepilot_api::{ConditionType, Reason};

/// Longest message of a condition; the schema of metav1.Condition allows 32768.
const LONGEST_MESSAGE: usize = 1024;

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionState {
    /// Why; it names the condition too.
    pub reason: Reason,
    /// One sentence for a person.
    pub message: String,
}

impl ConditionState {
    /// The condition that `reason` belongs to, and whose status the closed list gives.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((cut, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
            message.truncate(cut);
        }
        Self { reason, message }
    }

    /// The condition's type.
    #[must_use]
    pub fn kind(&self) -> ConditionType {
        self.reason.condition()
    }

    /// The condition as status has it; the transition time moves only with the status.
    #[must_use]
    pub fn render(&self, prior: &[Condition], generation: i64, now: Timestamp) -> Condition {
        let kind = self.kind().to_string();
        let before = prior.iter().find(|condition| condition.type_ == kind);
        let status = self.reason.status().to_string();
        let since = before
            .filter(|condition| condition.status == status)
            .map_or(Time(now), |condition| {
                condition.last_transition_time.clone()
            });
        Condition {
            type_: kind,
            status,
            reason: self.reason.to_string(),
            message: self.message.clone(),
            observed_generation: Some(generation),
            last_transition_time: since,
        }
    }

    /// Whether `prior` says the same, whatever its message.
    #[must_use]
    pub fn is_news(&self, prior: &[Condition]) -> bool {
        let kind = self.kind().to_string();
        let reason = self.reason.to_string();
        !prior
            .iter()
            .any(|condition| condition.type_ == kind && condition.reason == reason)
    }
}
