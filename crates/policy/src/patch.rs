//! The strategic-merge patch that turns a container's present probes into the wanted ones.
//!
//! It owns leaves and no list item (S3), and carries the workload's uid and resourceVersion as
//! guards (S10), so a workload that changed or was created again refuses it.

use probepilot_api::{BASELINE_ANNOTATION, KEPT_ANNOTATION};
use serde_json::{Map, Value, json};

use crate::baseline::BaselineRecord;
use crate::leave::undo;
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
    let kept = (record.written != record.baseline).then_some(record);
    whole_patch(workload, wanted, kept)
}

/// As [`patch`], but the record stays whatever it says: the next step needs it.
pub(crate) fn patch_with_record(
    workload: &Workload,
    wanted: &ContainerProbes,
    record: &BaselineRecord,
) -> Option<Value> {
    whole_patch(workload, wanted, Some(record))
}

fn whole_patch(
    workload: &Workload,
    wanted: &ContainerProbes,
    record: Option<&BaselineRecord>,
) -> Option<Value> {
    let mut container = differing(workload.container(&wanted.name)?, wanted)?;
    container.insert("name".to_owned(), json!(wanted.name));
    let records = records_with(workload, &wanted.name, record);
    let mut annotations = Map::new();
    annotations.insert(BASELINE_ANNOTATION.to_owned(), annotation(&records).into());
    if workload.annotated.kept {
        // The probes of this container are the operator's again.
        let others = records.iter().filter(|other| {
            let let_go = other.released && !workload.managers.ours(&other.container);
            let_go && other.container != wanted.name
        });
        let kept = undo(workload, others.copied()).map_or(Value::Null, Value::from);
        annotations.insert(KEPT_ANNOTATION.to_owned(), kept);
    }
    Some(json!({
        "metadata": {
            "uid": workload.uid,
            "resourceVersion": workload.resource_version,
            "annotations": annotations,
        },
        "spec": { "template": { "spec": { "containers": [container] } } },
    }))
}

/// The workload's records with that of one container replaced, or removed. Those of containers that are there no more go as well.
pub(crate) fn records_with<'a>(
    workload: &'a Workload,
    container: &str,
    record: Option<&'a BaselineRecord>,
) -> Vec<&'a BaselineRecord> {
    let others = workload.records.iter();
    let mut records: Vec<_> = others
        .filter(|other| other.container != container)
        .filter(|other| workload.container(&other.container).is_some())
        .chain(record)
        .collect();
    records.sort_by_key(|record| &record.container);
    records
}

/// Records as the annotation has them; nothing without any.
pub(crate) fn annotation(records: &[&BaselineRecord]) -> Option<String> {
    (!records.is_empty()).then(|| json!(records).to_string())
}

/// The fields of a container that lead from one set of probes to another, without its name.
pub(crate) fn differing(
    current: &ContainerProbes,
    wanted: &ContainerProbes,
) -> Option<Map<String, Value>> {
    let probes = [
        ("startupProbe", &current.startup, &wanted.startup),
        ("livenessProbe", &current.liveness, &wanted.liveness),
    ];
    let mut container = Map::new();
    for (key, from, to) in probes {
        if let Some(change) = change(from.as_ref(), to.as_ref()) {
            container.insert(key.to_owned(), change);
        }
    }
    (!container.is_empty()).then_some(container)
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
