//! What kills by a probe may do to the budget.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens when a probe kills the target's start although the budget covers what rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CrashLoop {
    /// Whether kills raise the budget beyond what rules ask. Kills make a write urgent either way. Default: true.
    pub enabled: bool,

    /// How much longer than the killed life the next budget is. Unit: percent of the life. Default: 100.
    #[schemars(range(min = 10, max = 900))]
    pub raise_percent: i32,

    /// Raises in a row without a healthy start between them; then the budget stays, and the condition Exhausted says so. Unit: raises. Default: 4.
    #[schemars(range(min = 1, max = 16))]
    pub max_raises: i32,
}

impl Default for CrashLoop {
    fn default() -> Self {
        Self {
            enabled: true,
            raise_percent: 100,
            max_raises: 4,
        }
    }
}
