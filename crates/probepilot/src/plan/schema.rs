//! A tree held against the schema that the API server has, so that errors have a line.
//!
//! Rules in CEL are not for here: `validate_cel` of the API types evaluates them.

use crate::manifest::{ManifestError, Node, Source, Value, get, key_line};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray,
};

/// The first thing in `node` that the schema does not allow.
pub(super) fn check(
    source: &Source,
    node: &Node,
    schema: &JSONSchemaProps,
    path: &str,
) -> Result<(), ManifestError> {
    let wrong = |expected: &str| Err(ManifestError::wrong(source, node, path, expected));
    match (schema.type_.as_deref(), &node.value) {
        (Some("object"), Value::Map(entries)) => {
            let known = schema.properties.as_ref();
            for (key, value) in entries {
                let Some(field) = known.and_then(|known| known.get(&key.value)) else {
                    return Err(ManifestError::Field {
                        file: source.name.clone(),
                        line: key_line(node, &key.value),
                        path: path.to_owned(),
                        expected: expected(schema),
                        found: format!("the field {}", key.value),
                    });
                };
                let path = format!("{path}.{}", key.value);
                if !matches!(value.value, Value::Null) {
                    check(source, value, field, &path)?;
                }
            }
            required(source, node, schema, path)
        }
        (Some("array"), Value::List(items)) => {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            if outside(length, schema.min_items, schema.max_items) {
                return Err(ManifestError::Field {
                    file: source.name.clone(),
                    line: crate::manifest::line(node),
                    path: path.to_owned(),
                    expected: format!("{} items", bounds(schema.min_items, schema.max_items)),
                    found: length.to_string(),
                });
            }
            if let Some(JSONSchemaPropsOrArray::Schema(item_schema)) = &schema.items {
                for (position, item) in items.iter().enumerate() {
                    check(source, item, item_schema, &format!("{path}[{position}]"))?;
                }
            }
            Ok(())
        }
        (Some("integer"), Value::Integer(number)) => {
            let (least, most) = (whole(schema.minimum), whole(schema.maximum));
            let inside = i64::try_from(*number).is_ok_and(|number| !outside(number, least, most));
            if inside {
                Ok(())
            } else {
                wrong(&format!("a whole number, {}", bounds(least, most)))
            }
        }
        (Some("string"), Value::Text(text)) => {
            let values = values(schema);
            if !values.is_empty() && !values.contains(&text.as_str()) {
                return wrong(&one_of(&values));
            }
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if outside(length, schema.min_length, schema.max_length) {
                return wrong(&format!(
                    "{} characters",
                    bounds(schema.min_length, schema.max_length)
                ));
            }
            Ok(())
        }
        (Some("boolean"), Value::Bool(_)) | (None, _) => Ok(()),
        (Some(_), _) => wrong(&expected(schema)),
    }
}

fn required(
    source: &Source,
    node: &Node,
    schema: &JSONSchemaProps,
    path: &str,
) -> Result<(), ManifestError> {
    for name in schema.required.iter().flatten() {
        if get(node, name).is_none() {
            let field = schema
                .properties
                .as_ref()
                .and_then(|fields| fields.get(name));
            let expected = field.map_or_else(|| "a value".to_owned(), expected);
            let path = format!("{path}.{name}");
            return Err(ManifestError::missing(source, node, &path, &expected));
        }
    }
    Ok(())
}

fn outside(number: i64, least: Option<i64>, most: Option<i64>) -> bool {
    least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most)
}

/// Bounds of whole numbers are whole.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the schema's bounds are whole numbers up to 10^9"
)]
fn whole(bound: Option<f64>) -> Option<i64> {
    bound.map(|bound| bound as i64)
}

fn bounds(least: Option<i64>, most: Option<i64>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => "any number of".to_owned(),
    }
}

fn one_of(values: &[&str]) -> String {
    match values {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// What a field should be, in words.
fn expected(schema: &JSONSchemaProps) -> String {
    let values: Vec<&str> = values(schema);
    if !values.is_empty() {
        return one_of(&values);
    }
    let names: Vec<&str> = schema
        .properties
        .iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    if !names.is_empty() {
        return format!("a mapping of {}", one_of(&names));
    }
    article(schema.type_.as_deref().unwrap_or_default()).to_owned()
}

fn values(schema: &JSONSchemaProps) -> Vec<&str> {
    let values = schema.enum_.iter().flatten();
    values.filter_map(|value| value.0.as_str()).collect()
}

fn article(kind: &str) -> &'static str {
    match kind {
        "object" => "a mapping",
        "array" => "a list",
        "integer" => "a whole number without quotes",
        "boolean" => "true or false",
        _ => "a text",
    }
}
