//! What is mounted below a cluster's folder, and taking it away.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::error::{Error, Result};

/// Mount points at or below `dir`, the last mounted last.
pub(crate) fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mounts = Path::new("/proc/self/mounts");
    let text = fs::read_to_string(mounts).map_err(Error::io("read", mounts))?;
    Ok(parse(&text)
        .into_iter()
        .filter(|point| point.starts_with(dir))
        .collect())
}

fn parse(text: &str) -> Vec<PathBuf> {
    text.lines()
        .filter_map(|line| line.split(' ').nth(1))
        .map(unescape)
        .collect()
}

/// The kernel writes blanks, tabs, newlines and backslashes as `\ooo`.
fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\')
            .then(|| field.get(at + 1..at + 4))
            .flatten();
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            out.push(byte);
            at += 4;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

/// Unmounts everything at or below `dir`.
pub(crate) fn detach(dir: &Path) -> Result<()> {
    for point in below(dir)?.into_iter().rev() {
        match unmount(&point, UnmountFlags::DETACH) {
            // It went with a mount above it.
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(Error::io("unmount", &point)(error.into())),
        }
    }
    Ok(())
}

/// Removes `dir` with all it holds, but not while anything is mounted below: that may be somebody's data.
pub(crate) fn remove_tree(dir: &Path) -> Result<()> {
    detach(dir)?;
    if let Some(point) = below(dir)?.first() {
        return Err(Error::io("unmount", point)(
            std::io::ErrorKind::ResourceBusy.into(),
        ));
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points() {
        let cases = [
            ("plain", "tmpfs /a/b tmpfs rw 0 0", "/a/b"),
            ("blank", r"tmpfs /a\040b tmpfs rw 0 0", "/a b"),
            ("backslash", r"tmpfs /a\134b tmpfs rw 0 0", r"/a\b"),
            ("no escape", r"tmpfs /a\9 tmpfs rw 0 0", r"/a\9"),
            (
                "utf-8 after a backslash",
                "tmpfs /a\\é tmpfs rw 0 0",
                "/a\\é",
            ),
        ];
        for (case, line, want) in cases {
            assert_eq!(parse(line), [Path::new(want)], "{case}");
        }
    }

    #[test]
    fn a_tree_without_mounts_is_removed_and_may_be_gone() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir_all(tree.join("deep/er")).unwrap();
        fs::write(tree.join("deep/file"), "x").unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        remove_tree(&tree).unwrap();
    }
}
