//! The policies that follow from the tables.

use probepilot_test_api::crd::full_policy;
use serde_json::{Value, json};

use crate::tables::{API_VERSION, LISTS, NUMBERS, REQUIRED, TEXTS, VALUES, rules};

/// `/spec/rules/0/steps` as the schema's walk names it: `spec.rules[].steps`.
pub(crate) fn schema_path(pointer: &str) -> String {
    path(pointer, |_| "[]".to_owned())
}

/// `/spec/rules/0/steps` as the API server names it: `spec.rules[0].steps`.
pub(crate) fn server_path(pointer: &str) -> String {
    path(pointer, |index| format!("[{index}]"))
}

pub(crate) fn path(pointer: &str, item: impl Fn(&str) -> String) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part == "*" || part.parse::<usize>().is_ok() {
            path.push_str(&item(part));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(part);
        }
    }
    path
}

/// The full policy with one field replaced.
pub(crate) fn with(pointer: &str, value: Value) -> Value {
    let mut policy = full_policy();
    *policy.pointer_mut(pointer).expect(pointer) = value;
    policy
}

pub(crate) fn without(pointer: &str) -> Value {
    let mut policy = full_policy();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = policy.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.remove(field).expect(pointer);
    policy
}

/// A list of `length` items that breaks nothing else.
pub(crate) fn list(pointer: &str, length: usize) -> Value {
    let item = |number: usize| match schema_path(pointer).as_str() {
        "spec.rules" => json!({"linear": {"baseSeconds": 1, "secondsPerThousand": 1}}),
        "spec.rules[].steps" => json!({"atLeast": number, "startupSeconds": 60}),
        "spec.rules[].interpolate" => json!({"count": number, "startupSeconds": 60}),
        other => panic!("{other} is a new list: say what its items look like"),
    };
    (0..length).map(item).collect()
}

pub(crate) struct Bad {
    pub(crate) name: String,
    pub(crate) policy: Value,
    pub(crate) field: String,
    pub(crate) sentence: String,
}

impl Bad {
    fn new(pointer: &str, value: Value, facet: &str, sentence: String) -> Self {
        Self {
            name: format!("{} {facet}", schema_path(pointer)),
            policy: with(pointer, value),
            field: server_path(pointer),
            sentence,
        }
    }
}

/// Every policy that is to be refused.
pub(crate) fn bad() -> Vec<Bad> {
    let mut bad = Vec::new();
    for &(pointer, low, high) in NUMBERS {
        let (first, second) = (pointer.replace('*', "0"), pointer.replace('*', "1"));
        let field = server_path(&first);
        let sentence = format!(
            "Invalid value: {}: {field} in body should be greater than or equal to {low}",
            low - 1
        );
        bad.push(Bad::new(&first, json!(low - 1), "minimum", sentence));
        let field = server_path(&second);
        let sentence = format!(
            "Invalid value: {}: {field} in body should be less than or equal to {high}",
            high + 1
        );
        bad.push(Bad::new(&second, json!(high + 1), "maximum", sentence));
    }
    let texts = TEXTS
        .iter()
        .copied()
        .chain([(API_VERSION.0, 0, API_VERSION.1)]);
    for (pointer, low, high) in texts {
        if low > 0 {
            let field = server_path(pointer);
            let sentence =
                format!("Invalid value: \"\": {field} in body should be at least {low} chars long");
            bad.push(Bad::new(pointer, json!(""), "minLength", sentence));
        }
        let sentence = format!("Too long: may not be more than {high} bytes");
        bad.push(Bad::new(
            pointer,
            json!("a".repeat(high + 1)),
            "maxLength",
            sentence,
        ));
    }
    for &(pointer, low, high) in LISTS {
        if low > 0 {
            let field = server_path(pointer);
            let few = low - 1;
            let sentence =
                format!("Invalid value: {few}: {field} in body should have at least {low} items");
            bad.push(Bad::new(pointer, list(pointer, few), "minItems", sentence));
        }
        let sentence = format!("Too many: {}: must have at most {high} items", high + 1);
        bad.push(Bad::new(
            pointer,
            list(pointer, high + 1),
            "maxItems",
            sentence,
        ));
    }
    for &(pointer, values) in VALUES {
        let quoted: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
        let sentence = format!(
            "Unsupported value: \"Other\": supported values: {}",
            quoted.join(", ")
        );
        bad.push(Bad::new(pointer, json!("Other"), "enum", sentence));
    }
    bad.extend(REQUIRED.iter().map(|pointer| Bad {
        name: format!("{} required", schema_path(pointer)),
        policy: without(pointer),
        field: server_path(pointer),
        sentence: "Required value".to_owned(),
    }));
    bad.extend(
        rules()
            .into_iter()
            .map(|(name, pointer, value, field, sentence)| Bad {
                name: name.to_owned(),
                policy: with(pointer, value),
                field: field.to_owned(),
                sentence: sentence.to_owned(),
            }),
    );
    bad
}
