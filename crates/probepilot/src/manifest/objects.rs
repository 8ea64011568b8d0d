//! The Kubernetes objects of a file, whether they stand alone or in a List.

use super::node::{Node, Value, get, text_of};
use super::read::{ManifestError, Source};

/// All objects of a file, in order. Empty documents are passed over, as rendered charts have them.
pub(crate) fn objects(source: &Source) -> Result<Vec<&Node>, ManifestError> {
    let mut found = Vec::new();
    for document in &source.documents {
        collect(source, document, &mut found)?;
    }
    Ok(found)
}

fn collect<'a>(
    source: &Source,
    node: &'a Node,
    found: &mut Vec<&'a Node>,
) -> Result<(), ManifestError> {
    if matches!(node.value, Value::Null) {
        return Ok(());
    }
    if !matches!(node.value, Value::Map(_)) {
        return Err(ManifestError::wrong(
            source,
            node,
            "document",
            "a Kubernetes object",
        ));
    }
    let kind = text_of(get(node, "kind")).unwrap_or_default();
    match get(node, "items").filter(|_| kind.is_empty() || kind.ends_with("List")) {
        Some(items) => {
            for item in list(source, items, "items")? {
                collect(source, item, found)?;
            }
        }
        None => found.push(node),
    }
    Ok(())
}

/// The items of a list.
pub(super) fn list<'n>(
    source: &Source,
    node: &'n Node,
    path: &str,
) -> Result<&'n [Node], ManifestError> {
    match &node.value {
        Value::List(items) => Ok(items),
        _ => Err(ManifestError::wrong(source, node, path, "a list")),
    }
}
