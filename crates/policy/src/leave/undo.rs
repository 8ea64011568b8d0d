//! The command that takes kept probes away, for the workload's annotation.

use probepilot_api::{BASELINE_ANNOTATION, KEPT_ANNOTATION};
use serde_json::{Map, Value, json};

use crate::baseline::{Baseline, BaselineRecord};
use crate::patch::differing;
use crate::workload::Workload;

/// `kubectl patch` with everything that leads from the kept probes to their owner's; `None` where nothing is
/// kept. Names of objects and containers have no quotes, so the shell takes it as it is.
pub(crate) fn undo<'a>(
    workload: &Workload,
    kept: impl Iterator<Item = &'a BaselineRecord>,
) -> Option<String> {
    let kept: Vec<_> = kept.cloned().collect();
    let containers: Vec<_> = kept
        .iter()
        .filter_map(|record| container(workload, record))
        .collect();
    if containers.is_empty() {
        return None;
    }
    let mut annotations = Map::new();
    annotations.insert(KEPT_ANNOTATION.to_owned(), Value::Null);
    if kept.len() == workload.records.len() {
        annotations.insert(BASELINE_ANNOTATION.to_owned(), Value::Null);
    }
    let patch = json!({
        "metadata": {"annotations": annotations},
        "spec": {"template": {"spec": {"containers": containers}}},
    });
    Some(format!(
        "kubectl --namespace {} patch {} --type strategic --patch '{patch}'",
        workload.namespace,
        workload.display()
    ))
}

fn container(workload: &Workload, record: &BaselineRecord) -> Option<Map<String, Value>> {
    let current = workload.container(&record.container)?;
    // As it will be seen once nobody owns it.
    let released = BaselineRecord {
        released: true,
        ..record.clone()
    };
    let owners = workload.managers.of(&record.container);
    let owner = Baseline::of(current, std::slice::from_ref(&released), owners).probes;
    let mut fields = differing(current, &owner)?;
    fields.insert("name".to_owned(), json!(record.container));
    Some(fields)
}
