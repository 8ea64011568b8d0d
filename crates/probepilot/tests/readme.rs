//! The README's section on the offline commands: what it shows is what they print.
//!
//! `UPDATE_README=1 cargo test -p probepilot --test readme` writes outputs and pictures anew.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HERE: &str = env!("CARGO_MANIFEST_DIR");
const SECTION: &str = "## See it before you apply it";

/// The files that the section speaks of, and where they are.
const FILES: [(&str, &str); 2] = [
    (
        "deployment.yaml",
        "tests/fixtures/aws-load-balancer-controller.yaml",
    ),
    (
        "policy.yaml",
        "../../config/samples/aws-load-balancer-controller.yaml",
    ),
];

fn readme() -> PathBuf {
    Path::new(HERE).join("../../README.md")
}

/// Runs a line of the README and returns what it prints.
fn run(line: &str, folder: &Path) -> String {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("probepilot"), "{line}");
    let output = Command::new(env!("CARGO_BIN_EXE_probepilot"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the binary was built");
    assert!(
        output.stderr.is_empty(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The section as it should be: each command is followed by what it prints.
fn rewritten(section: &str, folder: &Path) -> String {
    let mut text = String::new();
    let mut fenced = false;
    for line in section.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if let Some(command) = line.strip_prefix("$ ") {
            text.push_str(line);
            text.push('\n');
            text.push_str(&run(command, folder));
        } else if !fenced || line.starts_with("```") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[test]
fn outputs_and_pictures_are_what_the_commands_print() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in FILES {
        fs::copy(Path::new(HERE).join(file), folder.path().join(name)).unwrap();
    }
    let page = fs::read_to_string(readme()).unwrap();
    let from = page.find(SECTION).expect("the section is there");
    let length = page[from + 2..]
        .find("\n## ")
        .map_or(page.len() - from, |at| at + 3);
    let section = &page[from..from + length];
    let wanted = rewritten(section, folder.path());

    let update = std::env::var_os("UPDATE_README").is_some();
    if update {
        fs::write(readme(), page.replace(section, &wanted)).unwrap();
    } else {
        assert_eq!(section, wanted, "README.md: run with UPDATE_README=1");
    }
    let mut pictures = 0;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let drawn = entry.unwrap().path();
        if drawn.extension().is_none_or(|kind| kind != "svg") {
            continue;
        }
        pictures += 1;
        let name = drawn.file_name().unwrap().to_str().unwrap();
        let shown = format!("crates/probepilot/docs/{name}");
        assert!(
            section.contains(&format!("]({shown})")),
            "{name} is not shown"
        );
        let committed = Path::new(HERE).join("docs").join(name);
        if update {
            fs::create_dir_all(committed.parent().unwrap()).unwrap();
            fs::copy(&drawn, committed).unwrap();
        } else if fs::read_to_string(&committed).ok() != Some(fs::read_to_string(&drawn).unwrap()) {
            panic!("{shown} is not what the command draws: run with UPDATE_README=1");
        }
    }
    assert_eq!(pictures, 2);
}
