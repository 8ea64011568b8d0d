//! The strategic-merge patch that turns a container's present probes into the wanted ones.
//!
//! It owns leaves and no list item (S3), and carries the workload's uid and resourceVersion as
//! guards (S10), so a workload that changed or was created again refuses it.

use probepilot_api::BASELINE_ANNOTATION;
use serde_json::{Map, Value, json};

use crate::baseline::BaselineRecord;
use crate::timing::TimingField;
use crate::workload::{ContainerProbes, Probe, Workload};

/// The patch, or `None` where nothing differs. `record` goes into the workload's annotation, beside
/// those of other containers; where the owner's own probes are put back it goes away, and the
/// annotation with the last one.
#[must_use]
pub fn patch(
    workload: &Workload,
    wanted: &ContainerProbes,
    record: &BaselineRecord,
) -> Option<Value> {
    let current = workload.container(&wanted.name)?;
    let mut container = Map::new();
    let probes = [
        ("startupProbe", &current.startup, &wanted.startup),
        ("livenessProbe", &current.liveness, &wanted.liveness),
    ];
    for (key, from, to) in probes {
        if let Some(change) = change(from.as_ref(), to.as_ref()) {
            container.insert(key.to_owned(), change);
        }
    }
    if container.is_empty() {
        return None;
    }
    container.insert("name".to_owned(), json!(wanted.name));
    let others = workload.records.iter();
    let mut records: Vec<_> = others
        .filter(|other| other.container != record.container)
        .collect();
    if record.written != record.baseline {
        records.push(record);
    }
    records.sort_by_key(|record| &record.container);
    let annotation = (!records.is_empty()).then(|| json!(records).to_string());
    Some(json!({
        "metadata": {
            "uid": workload.uid,
            "resourceVersion": workload.resource_version,
            "annotations": { BASELINE_ANNOTATION: annotation },
        },
        "spec": { "template": { "spec": { "containers": [container] } } },
    }))
}

fn change(from: Option<&Probe>, to: Option<&Probe>) -> Option<Value> {
    match (from, to) {
        (None, None) => None,
        (Some(_), None) => Some(Value::Null),
        (None, Some(to)) => Some(whole(to).into()),
        (Some(from), Some(to))
            if from.handler == to.handler && from.grace_seconds == to.grace_seconds =>
        {
            let differing = TimingField::ALL
                .into_iter()
                .filter(|field| field.get(from.timings) != field.get(to.timings));
            let leaves: Map<_, _> = differing.map(|field| leaf(field, to)).collect();
            (!leaves.is_empty()).then(|| leaves.into())
        }
        (Some(_), Some(to)) => {
            // Another kind of handler beside the old one would be two handlers, which is refused (S5).
            let mut probe = whole(to);
            probe.insert("$patch".to_owned(), json!("replace"));
            Some(probe.into())
        }
    }
}

fn whole(probe: &Probe) -> Map<String, Value> {
    let mut json = probe.handler.clone();
    json.extend(TimingField::ALL.into_iter().map(|field| leaf(field, probe)));
    if let Some(seconds) = probe.grace_seconds {
        json.insert("terminationGracePeriodSeconds".to_owned(), json!(seconds));
    }
    json
}

fn leaf(field: TimingField, probe: &Probe) -> (String, Value) {
    (field.key().to_owned(), json!(field.get(probe.timings)))
}

#[cfg(test)]
mod tests;
