//! Measured starts from a CSV file.
//!
//! The first line names the columns `count`, `seconds` and, if it likes, `bound`, in any order and
//! among others. A line of numbers alone is taken in that order. `#` begins a comment.

use super::{Bound, Measured};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::io::Read;
use std::path::Path;

/// The schema of a policy's curve allows no larger count; no start takes longer than 30 years.
const LARGEST: i64 = 1_000_000_000;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CurveError {
    /// It cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not CSV.
    #[error("{file}:{line}: not CSV: {source}")]
    Syntax {
        /// Its name.
        file: String,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong.
        source: csv::Error,
    },
    /// It has no column of that name.
    #[error(
        "{file}:{line}: no column `{column}`: expected the columns count,seconds,bound, found {found}"
    )]
    NoColumn {
        /// Its name.
        file: String,
        /// The line of the header.
        line: u64,
        /// The column.
        column: &'static str,
        /// The columns there are.
        found: String,
    },
    /// A value is not what it should be.
    #[error("{file}:{line}: {column}: expected {expected}, found `{found}`")]
    Value {
        /// Its name.
        file: String,
        /// The line, counted from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// There is no point in it.
    #[error(
        "{file}: no points: expected a header count,seconds,bound and at least one line like 1000,63,exact"
    )]
    Empty {
        /// Its name.
        file: String,
    },
}

/// Reads a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Vec<Measured>, CurveError> {
    let stdin = path.as_os_str() == "-";
    let file = if stdin {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    };
    let mut bytes = Vec::new();
    let read = if stdin {
        std::io::stdin().lock().read_to_end(&mut bytes).map(|_| ())
    } else {
        std::fs::read(path).map(|content| bytes = content)
    };
    match read {
        Ok(()) => parse(&file, &bytes),
        Err(source) => Err(CurveError::Unreadable { file, source }),
    }
}

pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Vec<Measured>, CurveError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(bytes);
    let mut columns = None;
    let mut points = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|source| CurveError::Syntax {
            file: file.to_owned(),
            line: source.position().map_or(1, csv::Position::line),
            source,
        })?;
        let line = record.position().map_or(1, |at| first_line(bytes, at));
        let row = Row { file, line, record };
        match &columns {
            None if row.is_header() => columns = Some(Columns::named(&row)?),
            None => {
                let bare = Columns::BARE;
                points.push(row.point(&bare)?);
                columns = Some(bare);
            }
            Some(columns) => points.push(row.point(columns)?),
        }
    }
    if points.is_empty() {
        return Err(CurveError::Empty {
            file: file.to_owned(),
        });
    }
    Ok(points)
}

/// The line that a record begins on: its position counts blank lines and comments before it in.
fn first_line(bytes: &[u8], position: &csv::Position) -> u64 {
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or_default();
    let passed_over = rest
        .split(|byte| *byte == b'\n')
        .take_while(|line| line.starts_with(b"#") || line.trim_ascii().is_empty())
        .count();
    position.line() + u64::try_from(passed_over).unwrap_or(0)
}

/// Which column is which.
#[derive(Clone, Copy)]
struct Columns {
    count: usize,
    seconds: usize,
    bound: Option<usize>,
}

impl Columns {
    /// Without a header.
    const BARE: Self = Self {
        count: 0,
        seconds: 1,
        bound: Some(2),
    };

    fn named(header: &Row<'_>) -> Result<Self, CurveError> {
        let find = |name: &str| header.record.iter().position(|found| found == name);
        let must = |column| {
            find(column).ok_or_else(|| CurveError::NoColumn {
                file: header.file.to_owned(),
                line: header.line,
                column,
                found: header.record.iter().collect::<Vec<_>>().join(","),
            })
        };
        Ok(Self {
            count: must("count")?,
            seconds: must("seconds")?,
            bound: find("bound"),
        })
    }
}

struct Row<'a> {
    file: &'a str,
    line: u64,
    record: StringRecord,
}

impl Row<'_> {
    /// A header has no number in its first column.
    fn is_header(&self) -> bool {
        let first = self.record.get(0).unwrap_or_default();
        !first.starts_with(|letter: char| letter.is_ascii_digit())
    }

    /// A range counts for its worst: the smaller count, and the longer start unless it is a lower bound.
    fn point(&self, columns: &Columns) -> Result<Measured, CurveError> {
        let given = columns
            .bound
            .and_then(|at| self.record.get(at))
            .unwrap_or_default();
        let bound = match given {
            "exact" | "" => Bound::Exact,
            "approx" => Bound::Approx,
            "lower" => Bound::Lower,
            "upper" => Bound::Upper,
            _ => return Err(self.wrong("bound", "exact, approx, lower or upper", given)),
        };
        let (smaller_count, _) =
            self.range(columns.count, "count", "a whole number like 1000", |text| {
                text.parse::<i64>()
                    .ok()
                    .filter(|count| (0..=LARGEST).contains(count))
            })?;
        let (shorter, longer) = self.range(
            columns.seconds,
            "seconds",
            "seconds like 63 or 48.9",
            |text| {
                #[expect(clippy::cast_precision_loss, reason = "10^9 is exact")]
                let most = LARGEST as f64;
                text.parse::<f64>()
                    .ok()
                    .filter(|seconds| (0.0..=most).contains(seconds))
            },
        )?;
        Ok(Measured {
            count: smaller_count,
            seconds: if bound == Bound::Lower {
                shorter
            } else {
                longer
            },
            bound,
        })
    }

    /// A number, or two of them joined by a hyphen, the smaller one first.
    fn range<T: Copy + PartialOrd>(
        &self,
        at: usize,
        column: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<(T, T), CurveError> {
        let text = self.record.get(at).unwrap_or_default();
        let ends = text.split_once('-').unwrap_or((text, text));
        match (parse(ends.0.trim()), parse(ends.1.trim())) {
            (Some(first), Some(last)) if first <= last => Ok((first, last)),
            _ => Err(self.wrong(column, expected, text)),
        }
    }

    fn wrong(&self, column: &'static str, expected: &'static str, found: &str) -> CurveError {
        CurveError::Value {
            file: self.file.to_owned(),
            line: self.line,
            column,
            expected,
            found: found.to_owned(),
        }
    }
}
