//! Running a program of the host to its end.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// How much of a failed program's output an error quotes, in bytes.
const QUOTED: usize = 4000;

/// Runs `command` to its end and returns what it printed on standard output; a failure quotes the end of what it said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let line = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| Error::Io {
            action: "run",
            path: PathBuf::from(command.get_program()),
            cause,
        })?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let said = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    Err(Error::Command {
        command: line,
        status: output.status.to_string(),
        output: tail(said.trim(), QUOTED).to_owned(),
    })
}

/// The command line as a person would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last `bytes` of `text`, from a character's beginning.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let from =
        (text.len().saturating_sub(bytes)..=text.len()).find(|&at| text.is_char_boundary(at));
    &text[from.unwrap_or(text.len())..]
}

/// Where `PATH` has `program`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails() {
        let cases = [
            ("short", "abc", 10, "abc"),
            ("cut", "abcdef", 2, "ef"),
            ("inside a character", "aéb", 2, "b"),
            ("none", "abc", 0, ""),
        ];
        for (case, text, bytes, want) in cases {
            assert_eq!(tail(text, bytes), want, "{case}");
        }
    }

    #[test]
    fn a_failure_quotes_what_was_said() {
        let error = run(Command::new("ls").arg("/no/such/folder"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`ls /no/such/folder` failed") && error.contains("No such file"),
            "{error}"
        );
        assert!(matches!(
            run(&mut Command::new("/no/such/program")),
            Err(Error::Io { .. })
        ));
    }
}
