//! What a container runs, as far as it decides how long a start takes.

use probepilot_api::CountSelector;
use serde_json::Value;

use super::raw;
use crate::evidence::Quantity;
use crate::starts::{ProgramSum, StartKey};

/// Image, command, arguments and CPU limit of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The image as the template names it.
    pub image: String,
    /// Command; empty where the image's own is used.
    pub command: Vec<String>,
    /// Arguments; empty where the image's own are used.
    pub args: Vec<String>,
    /// CPU limit.
    pub cpu_limit: Option<Quantity>,
}

impl Program {
    /// The key under which its starts are compared where `counted` is counted. `known` are the keys there are.
    #[must_use]
    pub fn key<'a>(
        &self,
        counted: &CountSelector,
        known: impl IntoIterator<Item = &'a StartKey>,
    ) -> StartKey {
        let sum = ProgramSum::of(&self.image, &self.command, &self.args).counted(counted);
        StartKey::with_sum(sum, self.cpu_limit.map(Quantity::milli), known)
    }
}

impl From<&raw::Container> for Program {
    fn from(raw: &raw::Container) -> Self {
        Self {
            image: raw.image.clone(),
            command: raw.command.clone(),
            args: raw.args.clone(),
            cpu_limit: raw.resources.limits.get("cpu").and_then(quantity),
        }
    }
}

/// A quantity as a manifest may have it: a string, or a bare number.
fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}
