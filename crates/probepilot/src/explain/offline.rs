//! Objects from files.

use super::scene::{Objects, Scene};
use super::target::TargetRef;
use crate::manifest::{Node, Source, get, line, objects, read_sources, text_of, to_json};
use anyhow::{Context as _, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use probepilot_api::TargetKind;
use probepilot_policy::{Usage, Workload};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Fields that hold a time at which something was seen.
const TIMES: [&str; 9] = [
    "creationTimestamp",
    "eventTime",
    "finishedAt",
    "firstTimestamp",
    "lastObservedTime",
    "lastTimestamp",
    "lastTransitionTime",
    "startedAt",
    "startTime",
];

/// Reads files. The time of looking is the newest time in them: they may be old.
pub(super) fn look(
    files: &[PathBuf],
    target: Option<&TargetRef>,
    namespace: Option<&str>,
) -> anyhow::Result<Scene> {
    let sources = read_sources(files)?;
    let mut reader = Reader::default();
    for source in &sources {
        for node in objects(source)? {
            reader.read(source, node)?;
        }
    }
    let Reader {
        mut found,
        newest,
        others,
    } = reader;
    let names: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    if found.pods.is_empty() {
        let others = if others.is_empty() {
            "nothing".to_owned()
        } else {
            others.join(", ")
        };
        bail!(
            "no pod in {}: found {others}; give what `kubectl get pods,events,deployments -o yaml` prints",
            names.join(", ")
        );
    }
    let no_events = found.events.is_empty();
    found.keep(target, namespace);
    if found.pods.is_empty() {
        let what = target.map_or_else(|| "pods".to_owned(), |target| format!("pods of {target}"));
        let place = namespace.map_or_else(String::new, |name| format!(" in namespace {name}"));
        bail!("no {what}{place} in {}", names.join(", "));
    }
    let mut notes = Vec::new();
    if no_events {
        notes.push("There are no events in the input: only status and lengths of runs speak. `kubectl get events` keeps them for an hour.".to_owned());
    }
    Ok(Scene {
        now: newest.unwrap_or_default(),
        pods: found.pods(),
        notes,
    })
}

#[derive(Default)]
struct Reader {
    found: Objects,
    newest: Option<Timestamp>,
    others: Vec<String>,
}

impl Reader {
    fn read(&mut self, source: &Source, node: &Node) -> anyhow::Result<()> {
        let object = to_json(node);
        let kind = kind_of(node, &object);
        match kind.as_str() {
            "Pod" => {
                self.note_times(&object);
                self.found.pods.push(typed(source, node, object)?);
            }
            "Event" => {
                self.note_times(&object);
                self.found
                    .events
                    .push(typed(source, node, as_core_event(object))?);
            }
            "Deployment" => self.workload(source, node, TargetKind::Deployment, &object)?,
            "StatefulSet" => self.workload(source, node, TargetKind::StatefulSet, &object)?,
            "DaemonSet" => self.workload(source, node, TargetKind::DaemonSet, &object)?,
            "Node" => {
                let node: core::Node = typed(source, node, object)?;
                if let (Some(name), Some(sentence)) = (node.metadata.name.clone(), ailing(&node)) {
                    self.found.nodes.insert(name, sentence);
                }
            }
            "ProbePolicy" => self.found.policies.push(typed(source, node, object)?),
            "PodMetrics" => self.usage(&object),
            _ => {}
        }
        let kind = if kind.is_empty() {
            "an object without a kind".to_owned()
        } else {
            kind
        };
        if !self.others.contains(&kind) {
            self.others.push(kind);
        }
        Ok(())
    }

    fn workload(
        &mut self,
        source: &Source,
        node: &Node,
        kind: TargetKind,
        object: &Value,
    ) -> anyhow::Result<()> {
        let workload = Workload::parse(kind, object).with_context(|| place(source, node))?;
        self.found.workloads.push(workload);
        Ok(())
    }

    fn usage(&mut self, object: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let meta = &object["metadata"];
        let (namespace, pod) = (text(&meta["namespace"]), text(&meta["name"]));
        for (container, usage) in Usage::of_pod(object) {
            let key = (namespace.clone(), pod.clone(), container);
            self.found.usage.insert(key, usage);
        }
    }

    fn note_times(&mut self, object: &Value) {
        match object {
            Value::Array(items) => items.iter().for_each(|item| self.note_times(item)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    let time = value.as_str().filter(|_| TIMES.contains(&name.as_str()));
                    let time = time.and_then(|text| text.parse().ok());
                    self.newest = self.newest.max(time);
                    self.note_times(value);
                }
            }
            _ => {}
        }
    }
}

/// Its kind. Items of a PodList or EventList, as `kubectl cluster-info dump` prints them, do not
/// state theirs; they are told by what they have.
fn kind_of(node: &Node, object: &Value) -> String {
    text_of(get(node, "kind")).unwrap_or_else(|| {
        if object["spec"]["containers"].is_array() {
            "Pod".to_owned()
        } else if object["involvedObject"].is_object() || object["regarding"].is_object() {
            "Event".to_owned()
        } else {
            String::new()
        }
    })
}

fn typed<T: DeserializeOwned>(source: &Source, node: &Node, object: Value) -> anyhow::Result<T> {
    serde_json::from_value(object).with_context(|| place(source, node))
}

/// `FILE:LINE: this Pod cannot be read (NAME)`.
fn place(source: &Source, node: &Node) -> String {
    let kind = text_of(get(node, "kind")).unwrap_or_default();
    let name = get(node, "metadata")
        .and_then(|metadata| text_of(get(metadata, "name")))
        .unwrap_or_else(|| "unnamed".to_owned());
    format!(
        "{}:{}: this {kind} cannot be read ({name})",
        source.name,
        line(node)
    )
}

/// An event of events.k8s.io/v1 with the field names of the core group.
fn as_core_event(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), json!("v1"));
        for (new, old) in [
            ("note", "message"),
            ("regarding", "involvedObject"),
            ("deprecatedCount", "count"),
            ("deprecatedFirstTimestamp", "firstTimestamp"),
            ("deprecatedLastTimestamp", "lastTimestamp"),
            ("deprecatedSource", "source"),
        ] {
            if let Some(value) = fields.remove(new) {
                fields.entry(old).or_insert(value);
            }
        }
        fields.entry("involvedObject").or_insert_with(|| json!({}));
        fields.entry("metadata").or_insert_with(|| json!({}));
    }
    object
}

/// What is wrong with a node, as a sentence.
pub(super) fn ailing(node: &core::Node) -> Option<String> {
    let conditions = node.status.as_ref()?.conditions.as_deref()?;
    let bad: Vec<_> = conditions
        .iter()
        .filter(|condition| match condition.type_.as_str() {
            "Ready" => condition.status != "True",
            "MemoryPressure" | "DiskPressure" | "PIDPressure" => condition.status == "True",
            _ => false,
        })
        .map(|condition| format!("{}={}", condition.type_, condition.status))
        .collect();
    (!bad.is_empty()).then(|| {
        format!(
            "Its node {} has {}.",
            node.metadata.name.as_deref().unwrap_or_default(),
            bad.join(", ")
        )
    })
}
