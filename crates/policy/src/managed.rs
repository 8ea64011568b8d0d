//! Who owns which probe field, read from `metadata.managedFields`.
//!
//! What becomes of a timing that somebody else declares, by manager, operation and
//! `apply.onConflict`. An absent startup probe may be added whatever the table says: no tool removes
//! what it does not declare. Sources: facts on GitOps owners, section 1 and S1 to S7.
//!
//! | manager | operation | Auto | Take | Yield |
//! |---|---|---|---|---|
//! | `helm` (3, or 4 with client-side apply) | Update | taken | taken | left |
//! | `kubectl-client-side-apply`, `kubectl-create`, `kubectl-edit`, `kubectl-patch`, `kubectl-set`, `kubectl` | Update | taken | taken | left |
//! | `helm` (4, or 3 with server-side apply) | Apply | left | taken | left |
//! | `helm-controller` | Update, Apply | left | taken | left |
//! | `kustomize-controller` | Apply | left | taken | left |
//! | `argocd-controller` | Update, Apply | left | taken | left |
//! | `kubectl` and every other manager | Apply | left | taken | left |
//! | any other manager | Update | left | taken | left |
//! | `probepilot` | Update, Apply | ours | ours | ours |
//!
//! An Apply manager that applies a handler keeps all timings of that probe: a leaf of ours in it would
//! make dropping the probe a 422 for him (S4). Under Yield a timing that an Update manager owns counts
//! as declared when it differs from the API's default: client-side tools own what was defaulted, and
//! never put it back (S7).

use std::collections::{BTreeMap, BTreeSet};

use probepilot_api::FIELD_MANAGER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod give;
mod tool;

pub use give::Taken;
pub(crate) use give::{give_back, let_go};
pub use tool::Tool;
pub(crate) use tool::Wanted;

/// One manager's share of a container's probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldOwner {
    /// Name of the field manager.
    pub manager: String,
    /// How it wrote.
    pub operation: Operation,
    /// Place of its entry in managedFields.
    pub entry: usize,
    /// Direct children of `livenessProbe` that it owns: timings and the handler's key.
    pub liveness: BTreeSet<String>,
    /// Direct children of `startupProbe` that it owns.
    pub startup: BTreeSet<String>,
}

/// The operation of a managedFields entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Any other write.
    Update,
}

/// A probe of a container, as a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeField {
    /// `livenessProbe`.
    Liveness,
    /// `startupProbe`.
    Startup,
}

/// What a manager does when somebody else changes a field that it declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// The operator itself.
    Ours,
    /// Writes when a person or a pipeline runs it and never on a timer: its timings may be taken.
    Yields,
    /// Applies or corrects again and again, or fails on a conflict: its timings are left alone.
    Fights,
}

/// Update managers that write only when somebody runs them (facts section 1).
const ONE_SHOT: [&str; 7] = [
    "helm",
    "kubectl",
    "kubectl-client-side-apply",
    "kubectl-create",
    "kubectl-edit",
    "kubectl-patch",
    "kubectl-set",
];

/// Children of a probe that are no handler.
const NUMBERS: [&str; 6] = [
    "failureThreshold",
    "initialDelaySeconds",
    "periodSeconds",
    "successThreshold",
    "terminationGracePeriodSeconds",
    "timeoutSeconds",
];

impl FieldOwner {
    /// What this manager does when one of its fields is changed by somebody else.
    ///
    /// Every Apply manager fights: its next apply conflicts or forces. Of the Update managers only
    /// the known one-shot tools yield; an unknown one is taken for a controller.
    #[must_use]
    pub fn temper(&self) -> Temper {
        if self.manager == FIELD_MANAGER {
            return Temper::Ours;
        }
        match self.operation {
            Operation::Update if ONE_SHOT.contains(&self.manager.as_str()) => Temper::Yields,
            _ => Temper::Fights,
        }
    }

    /// Whether this manager owns the direct child `key` of `probe`.
    #[must_use]
    pub fn owns(&self, probe: ProbeField, key: &str) -> bool {
        self.children(probe).contains(key)
    }

    /// Whether this manager owns the handler of `probe` by server-side apply.
    #[must_use]
    pub fn applies_handler(&self, probe: ProbeField) -> bool {
        let mut children = self.children(probe).iter();
        self.operation == Operation::Apply && children.any(|key| !NUMBERS.contains(&key.as_str()))
    }

    fn children(&self, probe: ProbeField) -> &BTreeSet<String> {
        match probe {
            ProbeField::Liveness => &self.liveness,
            ProbeField::Startup => &self.startup,
        }
    }
}

/// Owners of the probes of every container of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManagedProbes {
    containers: BTreeMap<String, Vec<FieldOwner>>,
    /// The operator's own entries, whole.
    own: Vec<OwnEntry>,
}

/// An entry of the operator's field manager.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnEntry {
    /// Place in managedFields.
    entry: usize,
    fields: Map<String, Value>,
}

/// The way from an entry's root to its containers.
const CONTAINERS: [&str; 4] = ["f:spec", "f:template", "f:spec", "f:containers"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    manager: String,
    operation: Operation,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    fields_v1: Map<String, Value>,
}

#[derive(Deserialize)]
struct ItemKey {
    name: Option<String>,
}

impl ManagedProbes {
    /// Reads the `managedFields` list of a workload. Entries that cannot be read own nothing.
    #[must_use]
    pub fn parse(managed_fields: &[Value]) -> Self {
        let mut containers: BTreeMap<String, Vec<FieldOwner>> = BTreeMap::new();
        let mut own = Vec::new();
        for (place, value) in managed_fields.iter().enumerate() {
            let Ok(entry) = Entry::deserialize(value) else {
                continue;
            };
            if !entry.subresource.is_empty() {
                continue;
            }
            if entry.manager == FIELD_MANAGER {
                own.push(OwnEntry {
                    entry: place,
                    fields: entry.fields_v1.clone(),
                });
            }
            let Some(items) = descend(&entry.fields_v1, &CONTAINERS) else {
                continue;
            };
            for (key, fields) in items {
                let Some(name) = item_name(key) else { continue };
                let Some(fields) = fields.as_object() else {
                    continue;
                };
                let owner = FieldOwner {
                    manager: entry.manager.clone(),
                    operation: entry.operation,
                    entry: place,
                    liveness: children(fields, "f:livenessProbe"),
                    startup: children(fields, "f:startupProbe"),
                };
                if !owner.liveness.is_empty() || !owner.startup.is_empty() {
                    containers.entry(name).or_default().push(owner);
                }
            }
        }
        Self { containers, own }
    }

    /// The owners of one container's probes.
    #[must_use]
    pub fn of(&self, container: &str) -> &[FieldOwner] {
        self.containers
            .get(container)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

fn descend<'a>(
    mut fields: &'a Map<String, Value>,
    path: &[&str],
) -> Option<&'a Map<String, Value>> {
    for step in path {
        fields = fields.get(*step)?.as_object()?;
    }
    Some(fields)
}

fn item_name(key: &str) -> Option<String> {
    let key: ItemKey = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
    key.name
}

fn children(fields: &Map<String, Value>, probe: &str) -> BTreeSet<String> {
    let probe = fields.get(probe).and_then(Value::as_object);
    let keys = probe.into_iter().flat_map(|fields| fields.keys());
    keys.filter_map(|key| key.strip_prefix("f:").map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests;
