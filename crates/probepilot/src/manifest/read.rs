//! Files to trees, with errors that say where and what was expected.

use super::node::{Node, line};
use serde_saphyr::DuplicateKeyPolicy;
use std::io::Read;
use std::path::{Path, PathBuf};

/// One file, read and parsed.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name as the user gave it; `<stdin>` for standard input.
    pub(crate) name: String,
    /// Its lines, for the comments in them.
    pub(crate) lines: Vec<String>,
    /// Its documents.
    pub(crate) documents: Vec<Node>,
}

/// An input that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not YAML or JSON.
    #[error("{file}:{line}: not YAML: {problem}{hint}")]
    Syntax {
        /// Its name.
        file: String,
        /// The line, counted from 1.
        line: u64,
        /// What the parser expected.
        problem: String,
        /// What the user may have meant.
        hint: &'static str,
    },
    /// A field has the wrong form.
    #[error("{file}:{line}: {path}: expected {expected}, found {found}")]
    Field {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The field.
        path: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl ManifestError {
    /// A value that is not what it should be.
    pub(crate) fn wrong(source: &Source, node: &Node, path: &str, expected: &str) -> Self {
        Self::Field {
            file: source.name.clone(),
            line: line(node),
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: node.value.describe(),
        }
    }

    /// A field that `node` should have and does not.
    pub(crate) fn missing(source: &Source, node: &Node, path: &str, expected: &str) -> Self {
        Self::Field {
            file: source.name.clone(),
            line: line(node),
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: "nothing".to_owned(),
        }
    }
}

/// Reads and parses all files; `-` is standard input.
pub(crate) fn read_sources(files: &[PathBuf]) -> Result<Vec<Source>, ManifestError> {
    files.iter().map(|file| read_source(file)).collect()
}

fn read_source(file: &Path) -> Result<Source, ManifestError> {
    let stdin = file.as_os_str() == "-";
    let name = if stdin {
        "<stdin>".to_owned()
    } else {
        file.display().to_string()
    };
    let mut bytes = Vec::new();
    let read = if stdin {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(file).map(|content| bytes = content)
    };
    read.map_err(|source| ManifestError::Unreadable {
        file: name.clone(),
        source,
    })?;
    parse(name, &String::from_utf8_lossy(&bytes))
}

pub(super) fn parse(name: String, text: &str) -> Result<Source, ManifestError> {
    // Rendered charts repeat keys now and then; kubectl takes the last one, so do we. The files
    // are the user's own, so there is no budget to protect.
    let options = serde_saphyr::options! {
        budget: None,
        duplicate_keys: DuplicateKeyPolicy::LastWins,
    };
    let lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_saphyr::from_multiple_with_options::<Node>(text, options) {
        Ok(documents) => Ok(Source {
            name,
            lines,
            documents,
        }),
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            let at = usize::try_from(line).unwrap_or(1).saturating_sub(1);
            Err(ManifestError::Syntax {
                file: name,
                line,
                problem: problem(error.without_snippet()),
                hint: hint(lines.get(at).map_or("", String::as_str)),
            })
        }
    }
}

/// The parser's words without the place, which stands at the head of the line already.
fn problem(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

fn hint(line: &str) -> &'static str {
    if line.contains("{{") {
        " (this is a Helm template: render it first, `helm template CHART | probepilot ... -f -`)"
    } else if line.starts_with('\t') || line.trim_start_matches(' ').starts_with('\t') {
        " (YAML is indented with spaces)"
    } else {
        ""
    }
}
