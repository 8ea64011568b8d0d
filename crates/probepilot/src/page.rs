//! Text with labels on its left, wrapped at words.

/// Columns of a text.
const TEXT: usize = 84;
/// Columns of the labels to its left.
const LABEL: usize = 12;

/// A screen that grows line by line.
#[derive(Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// A line as it is.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    /// A label and its text, wrapped at words.
    pub(crate) fn entry(&mut self, label: &str, text: impl AsRef<str>) {
        let mut label = label;
        let mut rest = text.as_ref();
        while !rest.is_empty() {
            let (now, later) = split(rest, TEXT);
            self.line(format!("  {label:<width$}{now}", width = LABEL - 2));
            label = "";
            rest = later;
        }
    }

    /// All of it.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// As many words as fit, and the rest.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let Some((limit, _)) = text.char_indices().nth(columns) else {
        return (text, "");
    };
    match text[..limit].rfind(' ').filter(|at| *at > 0) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => text.split_at(limit),
    }
}
