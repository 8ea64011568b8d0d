//! What an API server does with a strategic-merge patch of a workload.

use serde_json::{Value, json};

/// Applies a strategic-merge patch as the API server does: guards, list map by name, `$patch:
/// replace`, null removes, ownership of what changed goes to `manager`, and the generation moves.
pub fn apply(object: &mut Value, patch: &Value, manager: &str) {
    for guard in ["uid", "resourceVersion"] {
        assert_eq!(
            patch["metadata"][guard], object["metadata"][guard],
            "{guard} guards the write"
        );
    }
    let before = probe_fields(object);
    merge(object, patch);
    let after = probe_fields(object);
    let changed = after
        .iter()
        .filter(|(path, value)| before.get(*path) != Some(value));
    let changed: Vec<_> = changed.map(|(path, _)| path.clone()).collect();
    let gone: Vec<_> = before
        .keys()
        .filter(|path| !after.contains_key(*path))
        .cloned()
        .collect();
    for path in changed.iter().chain(&gone) {
        disown(object, path);
    }
    for path in &changed {
        own(object, manager, path);
    }
    let metadata = &mut object["metadata"];
    let version: u64 = metadata["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    metadata["resourceVersion"] = json!((version + 1).to_string());
    metadata["generation"] = json!(metadata["generation"].as_i64().unwrap() + 1);
    object["status"]["observedGeneration"] = object["metadata"]["generation"].clone();
}

/// Applies a JSON patch as the API server does: guards, and ownership as the patch leaves it.
pub fn apply_json(object: &mut Value, operations: &[Value]) {
    let version = object["metadata"]["resourceVersion"].clone();
    let operations: json_patch::Patch = serde_json::from_value(json!(operations)).unwrap();
    let template = object["spec"].clone();
    json_patch::patch(object, &operations).expect("a patch that fits");
    assert_eq!(object["metadata"]["resourceVersion"], version, "the guard");
    assert_eq!(object["spec"], template, "no pod is replaced");
    let version: u64 = version.as_str().unwrap().parse().unwrap();
    object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}

/// Container, probe and direct child.
type FieldPath = (String, String, String);

fn probe_fields(object: &Value) -> std::collections::BTreeMap<FieldPath, Value> {
    let containers = object["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    let mut fields = std::collections::BTreeMap::new();
    for container in containers {
        for probe in ["startupProbe", "livenessProbe"] {
            let Some(children) = container.get(probe).and_then(Value::as_object) else {
                continue;
            };
            for (child, value) in children {
                let name = container["name"].as_str().unwrap().to_owned();
                fields.insert((name, probe.to_owned(), child.clone()), value.clone());
            }
        }
    }
    fields
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if fields.get("$patch") == Some(&json!("replace")) {
        let mut whole = fields.clone();
        whole.remove("$patch");
        *target = whole.into();
        return;
    }
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        let map = target.as_object_mut().unwrap();
        if value.is_null() {
            map.remove(key);
        } else if key == "containers" {
            let items = map[key].as_array_mut().unwrap();
            for change in value.as_array().unwrap() {
                let mut named = items
                    .iter_mut()
                    .filter(|item| item["name"] == change["name"]);
                merge(named.next().expect("the container exists"), change);
            }
        } else {
            merge(map.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn owned_probe<'a>(entry: &'a mut Value, path: &FieldPath) -> &'a mut Value {
    let item = format!("k:{}", json!({"name": path.0}));
    &mut entry["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"][item]
        [format!("f:{}", path.1)]
}

fn disown(object: &mut Value, path: &FieldPath) {
    for entry in object["metadata"]["managedFields"].as_array_mut().unwrap() {
        if let Some(children) = owned_probe(entry, path).as_object_mut() {
            children.remove(&format!("f:{}", path.2));
        }
    }
}

fn own(object: &mut Value, manager: &str, path: &FieldPath) {
    let entries = object["metadata"]["managedFields"].as_array_mut().unwrap();
    let ours = |entry: &Value| entry["manager"] == manager && entry["operation"] == "Update";
    if !entries.iter().any(ours) {
        entries.push(json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {}}));
    }
    let entry = entries.iter_mut().find(|entry| ours(entry)).unwrap();
    owned_probe(entry, path)[format!("f:{}", path.2)] = json!({});
}
