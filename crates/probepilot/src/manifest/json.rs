//! Trees to JSON, for what reads objects as the API server has them.

use super::node::{Node, Value};
use serde_json::{Map, Number};

/// The value as JSON. A key with an explicit null goes away, as the API server drops it.
pub(crate) fn to_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(number) => {
            Number::from_i128(*number).map_or(serde_json::Value::Null, Into::into)
        }
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .iter()
            .filter(|(_, value)| !matches!(value.value, Value::Null))
            .map(|(key, value)| (key.value.clone(), to_json(value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}
