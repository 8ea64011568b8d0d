//! Leaving a workload: what was written there is let go, or the owner's own probes are put back.
//!
//! Where that is, is read from the workload alone, so whoever does it may be stopped between two steps, and
//! another one goes on. Putting back takes two (S6): the values by a patch, which leaves the operator their
//! owner, then the ownership. Values that are somebody else's by now are not touched in either.

use probepilot_api::{BASELINE_ANNOTATION, KEPT_ANNOTATION, OnDelete};
use serde_json::{Value, json};

use crate::baseline::{Baseline, BaselineRecord};
use crate::managed::{give_back, let_go};
use crate::patch::{annotation, patch_with_record, records_with};
use crate::probes::budget;
use crate::workload::{ContainerProbes, Workload};

mod undo;

pub(crate) use undo::undo;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing: what is there is the owner's, or was let go.
    Done,
    /// The owner's values go back into the template, which rolls the pods.
    PutBack(PutBack),
    /// The operator's field manager gives up the container's probes; no pod is replaced.
    LetGo(LetGo),
}

/// The owner's values.
#[derive(Clone, Debug, PartialEq)]
pub struct PutBack {
    /// A strategic-merge patch, guarded by uid and resourceVersion.
    pub patch: Value,
    /// Startup budget before, in seconds.
    pub from_seconds: u32,
    /// The owner's own startup budget, in seconds.
    pub to_seconds: u32,
}

/// The end of ownership.
#[derive(Clone, Debug, PartialEq)]
pub struct LetGo {
    /// A JSON patch, guarded by uid and resourceVersion.
    pub operations: Vec<Value>,
    /// Startup budget, in seconds; `u32::MAX` where nothing can kill the start.
    pub budget_seconds: u32,
    /// The command that takes away what stays; `None` where nothing of the operator's does.
    pub command: Option<String>,
}

/// What is to be done next to let `container` of `workload` go, or to put its owner's probes back.
#[must_use]
pub fn step(workload: &Workload, container: &str, how: OnDelete) -> Step {
    let record = workload.record(container);
    let held = workload.managers.ours(container);
    let Some(current) = workload.container(container) else {
        // It was removed or renamed, and what was written went with it.
        return forget(workload, container, held, 0);
    };
    let owners = workload.managers.of(container);
    let owner = Baseline::of(current, &workload.records, owners).probes;
    match record.filter(|_| owner != *current) {
        None => forget(workload, container, held, budget(current)),
        Some(record) if how == OnDelete::Keep => keep(workload, record, held, budget(current)),
        Some(record) => put_back(workload, record, current, &owner),
    }
}

/// Nothing there is the operator's value; perhaps it still holds fields, or has a record.
fn forget(workload: &Workload, container: &str, held: bool, budget_seconds: u32) -> Step {
    let record = workload.record(container);
    if record.is_none() && !held {
        return Step::Done;
    }
    let taken = record.map(|record| record.taken.as_slice());
    let back = give_back(&workload.managers, container, taken.unwrap_or_default());
    Step::LetGo(LetGo {
        operations: operations(workload, container, None, back).0,
        budget_seconds,
        command: None,
    })
}

fn keep(workload: &Workload, record: &BaselineRecord, held: bool, budget_seconds: u32) -> Step {
    if record.released && !held {
        return Step::Done;
    }
    let released = BaselineRecord {
        released: true,
        ..record.clone()
    };
    let (operations, command) =
        operations(workload, &record.container, Some(&released), Vec::new());
    Step::LetGo(LetGo {
        operations,
        budget_seconds,
        command,
    })
}

fn put_back(
    workload: &Workload,
    record: &BaselineRecord,
    current: &ContainerProbes,
    owner: &ContainerProbes,
) -> Step {
    let record = BaselineRecord {
        baseline: owner.timings(),
        written: owner.timings(),
        released: false,
        ..record.clone()
    };
    // Something differs, so there is a patch.
    patch_with_record(workload, owner, &record).map_or(Step::Done, |patch| {
        Step::PutBack(PutBack {
            patch,
            from_seconds: budget(current),
            to_seconds: budget(owner),
        })
    })
}

/// The JSON patch that ends ownership of a container's probes and leaves `record` of it, and the command that
/// takes away whatever is kept in the workload then.
fn operations(
    workload: &Workload,
    container: &str,
    record: Option<&BaselineRecord>,
    back: Vec<Value>,
) -> (Vec<Value>, Option<String>) {
    let records = records_with(workload, container, record);
    let let_go_now = |one: &BaselineRecord| one.container == container;
    let kept = records
        .iter()
        .filter(|one| one.released && (let_go_now(one) || !workload.managers.ours(&one.container)));
    let command = undo(workload, kept.copied());
    let annotated = workload.annotated;
    let mut operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": workload.uid}),
        // Replaced by itself: another one in the cluster is a conflict, as for any other patch.
        json!({"op": "replace", "path": "/metadata/resourceVersion", "value": workload.resource_version}),
    ];
    operations.extend(back);
    operations.extend(let_go(&workload.managers, container));
    if !annotated.any {
        operations.push(json!({"op": "add", "path": "/metadata/annotations", "value": {}}));
    }
    let annotations = [
        (
            BASELINE_ANNOTATION,
            annotated.baseline,
            annotation(&records),
        ),
        (KEPT_ANNOTATION, annotated.kept, command.clone()),
    ];
    for (name, there, value) in annotations {
        let path = format!("/metadata/annotations/{}", name.replace('/', "~1"));
        match value {
            Some(value) => operations.push(json!({"op": "add", "path": path, "value": value})),
            None if there => operations.push(json!({"op": "remove", "path": path})),
            None => {}
        }
    }
    (operations, command)
}

#[cfg(test)]
mod tests;
