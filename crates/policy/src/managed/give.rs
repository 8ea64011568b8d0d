//! Giving up ownership: JSON patches of `metadata.managedFields` (S6).
//!
//! The places of entries are those of one resourceVersion, by which the patch is guarded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{CONTAINERS, FieldOwner, ManagedProbes, Operation, ProbeField, Temper};
use crate::timing::TimingField;

/// Timings that were taken from a manager, so that a hand-back can give them back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Name of the field manager.
    pub manager: String,
    /// How it had written.
    pub operation: Operation,
    /// Timings of the liveness probe. Default: none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub liveness: BTreeSet<TimingField>,
    /// Timings of the startup probe. Default: none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub startup: BTreeSet<TimingField>,
}

impl Taken {
    /// Nothing of `owner` yet.
    pub(crate) fn nothing(owner: &FieldOwner) -> Self {
        Self {
            manager: owner.manager.clone(),
            operation: owner.operation,
            liveness: BTreeSet::new(),
            startup: BTreeSet::new(),
        }
    }

    /// Whether it is from this manager.
    pub(crate) fn is_from(&self, owner: &FieldOwner) -> bool {
        self.manager == owner.manager && self.operation == owner.operation
    }

    /// The timings of one probe.
    pub(crate) fn of(&mut self, probe: ProbeField) -> &mut BTreeSet<TimingField> {
        match probe {
            ProbeField::Liveness => &mut self.liveness,
            ProbeField::Startup => &mut self.startup,
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (ProbeField, TimingField)> {
        let liveness = self.liveness.iter().map(|one| (ProbeField::Liveness, *one));
        let startup = self.startup.iter().map(|one| (ProbeField::Startup, *one));
        liveness.chain(startup)
    }
}

impl ProbeField {
    fn in_fields(self) -> &'static str {
        match self {
            Self::Liveness => "f:livenessProbe",
            Self::Startup => "f:startupProbe",
        }
    }
}

impl ManagedProbes {
    /// Whether the operator's field manager owns any of the container's liveness and startup probe.
    #[must_use]
    pub fn ours(&self, container: &str) -> bool {
        let mut owners = self.of(container).iter();
        owners.any(|owner| owner.temper() == Temper::Ours)
    }
}

/// Puts timings that are the operator's now into the entries of those from whom they were taken. One that has
/// no entry with this probe any more gets nothing: then nobody owns the timing.
pub(crate) fn give_back(managers: &ManagedProbes, container: &str, taken: &[Taken]) -> Vec<Value> {
    let owners = managers.of(container);
    let ours = |probe, timing: TimingField| {
        let mut ours = owners.iter().filter(|one| one.temper() == Temper::Ours);
        ours.any(|owner| owner.owns(probe, timing.key()))
    };
    let mut operations = Vec::new();
    for taken in taken {
        let mut entries = owners.iter();
        let Some(owner) = entries.find(|owner| taken.is_from(owner)) else {
            continue;
        };
        for (probe, timing) in taken.pairs() {
            if owner.children(probe).is_empty() || !ours(probe, timing) {
                continue;
            }
            let steps = CONTAINERS.into_iter().map(str::to_owned).chain([
                item(container),
                probe.in_fields().to_owned(),
                format!("f:{}", timing.key()),
            ]);
            let steps: Vec<_> = steps.map(|step| escaped(&step)).collect();
            let path = format!(
                "/metadata/managedFields/{}/fieldsV1/{}",
                owner.entry,
                steps.join("/")
            );
            operations.push(json!({"op": "add", "path": path, "value": {}}));
        }
    }
    operations
}

/// Takes the container's probes out of the operator's entries; an entry with nothing but the operator's own
/// annotations left goes whole. Must come after [`give_back`] in one patch, because it moves entries.
pub(crate) fn let_go(managers: &ManagedProbes, container: &str) -> Vec<Value> {
    let mut operations = Vec::new();
    // From the last on, so that the places of the others stay what they are.
    for own in managers.own.iter().rev() {
        let path = format!("/metadata/managedFields/{}", own.entry);
        let mut fields = own.fields.clone();
        without_probes(&mut fields, &CONTAINERS, container);
        if !fields.contains_key("f:spec") {
            operations.push(json!({"op": "remove", "path": path}));
        } else if fields != own.fields {
            operations.push(
                json!({"op": "replace", "path": format!("{path}/fieldsV1"), "value": fields}),
            );
        }
    }
    operations
}

/// Removes the container's probes, and whatever is empty then: an empty map would claim the list item (S2).
fn without_probes(fields: &mut Map<String, Value>, way: &[&str], container: &str) {
    let step = match way.first() {
        Some(step) => (*step).to_owned(),
        None => item(container),
    };
    let Some(inner) = fields.get_mut(&step).and_then(Value::as_object_mut) else {
        return;
    };
    match way.split_first() {
        Some((_, rest)) => without_probes(inner, rest, container),
        None => {
            for probe in [ProbeField::Liveness, ProbeField::Startup] {
                inner.remove(probe.in_fields());
            }
        }
    }
    if inner.keys().all(|key| key == ".") {
        fields.remove(&step);
    }
}

/// A container as an item of managedFields.
fn item(container: &str) -> String {
    format!("k:{}", json!({"name": container}))
}

/// A step of a JSON pointer (RFC 6901, section 3).
fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}
