//! Log lines as zap writes them for the real controller: one JSON object a line, on stderr.

use serde_json::{Map, Value, json};

/// A line of level info.
pub(crate) fn info(logger: &str, message: &str, fields: &[(&str, Value)]) {
    let fields = fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    eprintln!("{}", line("info", logger, message, fields));
}

/// A line of level error.
pub(crate) fn error(logger: &str, message: &str, error: &str) {
    let field = ("error".to_owned(), Value::from(error));
    eprintln!("{}", line("error", logger, message, [field]));
}

fn line(
    level: &str,
    logger: &str,
    message: &str,
    fields: impl IntoIterator<Item = (String, Value)>,
) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let mut line: Map<_, _> = [
        ("level", json!(level)),
        ("ts", json!(now.to_string())),
        ("logger", json!(logger)),
        ("msg", json!(message)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect();
    line.extend(fields);
    Value::Object(line)
}
