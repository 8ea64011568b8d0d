//! The generated schema: every field is bounded and explained, and every default is the types' own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};
use probepilot_api::{ConditionType, ProbePolicySpec, Reason, crd, crd_yaml, reference_markdown};
use serde_json::{Value, json};

/// Fields of `spec` and `status` with their paths; the API's own metadata is not ours to bound.
fn fields() -> Vec<(String, JSONSchemaProps)> {
    let crd = crd();
    let [version] = crd.spec.versions.as_slice() else {
        panic!("one version")
    };
    let root = version.schema.clone().unwrap().open_api_v3_schema.unwrap();
    let mut found = Vec::new();
    for (name, schema) in root.properties.unwrap() {
        if name == "spec" || name == "status" {
            walk(&name, schema, &mut found);
        }
    }
    found
}

fn walk(path: &str, schema: JSONSchemaProps, found: &mut Vec<(String, JSONSchemaProps)>) {
    found.push((path.to_owned(), schema.clone()));
    for (name, field) in schema.properties.into_iter().flatten() {
        walk(&format!("{path}.{name}"), field, found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = schema.items {
        walk(&format!("{path}[]"), *item, found);
    }
}

fn kind(schema: &JSONSchemaProps) -> &str {
    schema.type_.as_deref().unwrap_or("none")
}

#[test]
fn the_walk_sees_both_halves_and_lists() {
    let paths: BTreeSet<_> = fields().into_iter().map(|(path, _)| path).collect();
    for path in [
        "spec.targetRef.name",
        "spec.rules[].steps[].livenessProbe.failureThreshold",
        "spec.rules[].interpolate[].count",
        "status.memory.judged[].podUid",
        "status.memory.pendingRaise.counts[].value",
        "status.conditions[].reason",
    ] {
        assert!(paths.contains(path), "{path} is not in {paths:?}");
    }
}

#[test]
fn every_number_is_bounded() {
    for (path, schema) in fields() {
        match kind(&schema) {
            "integer" => {}
            "number" => panic!("{path}: counts and seconds are integers"),
            _ => continue,
        }
        assert!(schema.minimum.is_some(), "{path} has no minimum");
        let in_spec = path.starts_with("spec");
        assert!(
            !in_spec || schema.maximum.is_some(),
            "{path} has no maximum"
        );
    }
}

#[test]
fn every_string_is_bounded() {
    for (path, schema) in fields() {
        if kind(&schema) == "string" {
            let bounded =
                schema.max_length.is_some() || schema.enum_.is_some() || schema.format.is_some();
            assert!(bounded, "{path} has no maxLength, enum or format");
        }
    }
}

#[test]
fn every_list_is_bounded() {
    for (path, schema) in fields() {
        if kind(&schema) == "array" {
            assert!(schema.max_items.is_some(), "{path} has no maxItems");
        }
        assert!(
            schema.additional_properties.is_none(),
            "{path}: a map has no bound"
        );
    }
}

#[test]
fn every_field_is_explained() {
    for (path, schema) in fields() {
        if path.ends_with("[]") {
            continue;
        }
        let text = schema.description.unwrap_or_default();
        assert!(text.len() > 10, "{path}: {text:?}");
        assert!(
            text.ends_with('.') || text.contains(". ") || text.contains('\n'),
            "{path} has no sentence: {text:?}"
        );
    }
}

#[test]
fn every_leaf_of_the_spec_names_its_default_and_every_number_its_unit() {
    for (path, schema) in fields() {
        let leaf = schema.properties.is_none() && schema.items.is_none();
        if !path.starts_with("spec.") || path.ends_with("[]") {
            continue;
        }
        let text = schema.description.clone().unwrap_or_default();
        let says = text.contains("Default: ") || text.contains("No default.");
        assert!(!leaf || says, "{path} does not name its default: {text:?}");
        let number = kind(&schema) == "integer";
        assert!(
            !number || text.contains("Unit: "),
            "{path} does not name its unit: {text:?}"
        );
    }
}

/// `oneOf` and its like would make errors unreadable and cost the API server CEL budget.
#[test]
fn the_schema_is_plain() {
    for (path, schema) in fields() {
        let mixed = [&schema.one_of, &schema.any_of, &schema.all_of]
            .into_iter()
            .flatten()
            .count();
        assert_eq!((mixed, schema.not.is_some()), (0, false), "{path}");
        assert_ne!(
            schema.nullable,
            Some(true),
            "{path}: an explicit null must mean no value"
        );
    }
}

#[test]
fn every_refusal_is_advice() {
    let mut rules = 0;
    for (path, schema) in fields() {
        for rule in schema.x_kubernetes_validations.into_iter().flatten() {
            rules += 1;
            let message = rule.message.unwrap_or_default();
            assert!(message.len() > 20, "{path}: {} has no message", rule.rule);
        }
    }
    assert!(rules >= 10, "{rules} rules");
}

/// What the API server fills in is what the types fill in.
#[test]
fn defaults_of_the_schema_are_those_of_the_types() {
    let least = json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}});
    let spec: ProbePolicySpec = serde_json::from_value(least.clone()).unwrap();
    let filled = serde_json::to_value(&spec).unwrap();
    let mut defaulted = least;
    for (path, schema) in fields() {
        let Some(default) = schema.default else {
            continue;
        };
        let Some(path) = path.strip_prefix("spec.") else {
            continue;
        };
        if path.contains("[]") {
            continue;
        }
        let pointer = format!("/{}", path.replace('.', "/"));
        let parent = pointer.rsplit_once('/').unwrap().0.to_owned();
        let key = pointer.rsplit_once('/').unwrap().1.to_owned();
        if let Some(parent) = defaulted
            .pointer_mut(&parent)
            .and_then(Value::as_object_mut)
        {
            parent.entry(key).or_insert(default.0);
        }
    }
    assert_eq!(defaulted, filled);
    let again: ProbePolicySpec = serde_json::from_value(defaulted).unwrap();
    assert_eq!(again, spec);
}

#[test]
fn reasons_are_a_closed_list() {
    let names: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
    let distinct: BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "a reason is there twice");
    for reason in Reason::ALL {
        let text = reason.description();
        assert!(text.ends_with('.') && text.len() > 10, "{reason}: {text:?}");
        assert!(!text.contains("  "), "{reason}: {text:?}");
    }
    for kind in ConditionType::ALL {
        let mut of_it = Reason::ALL
            .iter()
            .filter(|reason| reason.condition() == kind);
        assert!(of_it.next().is_some(), "{kind} has no reason");
    }
}

#[test]
fn the_reference_has_a_line_for_every_field_and_reason() {
    let page = reference_markdown();
    for (path, _) in fields() {
        if !path.ends_with("[]") {
            assert!(page.contains(&format!("| `{path}` |")), "{path}");
        }
    }
    for reason in Reason::ALL {
        assert!(page.contains(&format!("| `{reason}` |")), "{reason}");
    }
}

#[test]
fn the_yaml_is_the_schema() {
    let yaml: Value = serde_saphyr::from_str(&crd_yaml().unwrap()).unwrap();
    assert_eq!(yaml, serde_json::to_value(crd()).unwrap());
}
