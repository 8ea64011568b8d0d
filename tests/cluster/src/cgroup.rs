//! The cluster's cgroups: one for its daemons and one for its pods, in every hierarchy the host has (version 1, 2 or both).
//!
//! They are also how `down` finds what no pid file names, after a crash as well: whatever a daemon or a container started is in there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::process::Identity;
use crate::wait::{self, Seen};

/// Mount points of the cgroup hierarchies, and whether each is of version 2.
fn hierarchies() -> Result<Vec<(PathBuf, bool)>> {
    let mounts = Path::new("/proc/self/mounts");
    let text = fs::read_to_string(mounts).map_err(Error::io("read", mounts))?;
    Ok(parse_mounts(&text))
}

fn parse_mounts(text: &str) -> Vec<(PathBuf, bool)> {
    let mut found: Vec<(PathBuf, bool)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (point, kind) = (fields.next()?, fields.next()?);
            matches!(kind, "cgroup" | "cgroup2").then(|| (PathBuf::from(point), kind == "cgroup2"))
        })
        .collect();
    found.dedup();
    found
}

/// Makes the cluster's cgroups.
pub(crate) fn create(layout: &Layout) -> Result<()> {
    for (root, unified) in hierarchies()? {
        for group in [layout.daemons_cgroup(), layout.pods_cgroup()] {
            let dir = root.join(&group);
            fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        }
        share_processor(&root, layout)?;
        if unified {
            // On a host with version 2 alone the controllers must be handed down for the kubelet to find them; beside version 1 there are none.
            for dir in [
                root.clone(),
                root.join("probepilot"),
                root.join(layout.cgroup()),
            ] {
                hand_down_controllers(&dir)?;
            }
        }
    }
    Ok(())
}

/// Gives the cluster's pods the weight that the kubelet means for all pods of a node, 1024 a processor. Version 1 alone: its default is one
/// processor's worth for the whole cluster.
fn share_processor(root: &Path, layout: &Layout) -> Result<()> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for dir in [
        root.join("probepilot"),
        root.join(layout.cgroup()),
        root.join(layout.pods_cgroup()),
    ] {
        let shares = dir.join("cpu.shares");
        if shares.exists() {
            fs::write(&shares, (1024 * processors).to_string())
                .map_err(Error::io("write", &shares))?;
        }
    }
    Ok(())
}

fn hand_down_controllers(dir: &Path) -> Result<()> {
    let listed = dir.join("cgroup.controllers");
    let controllers = fs::read_to_string(&listed).map_err(Error::io("read", &listed))?;
    let control = dir.join("cgroup.subtree_control");
    for controller in controllers.split_whitespace() {
        fs::write(&control, format!("+{controller}")).map_err(Error::io("write", &control))?;
    }
    Ok(())
}

/// Moves a process that was just started into the cluster's cgroup of daemons; its children follow.
///
/// Only in one hierarchy, and none that shares out the processor: as one member among all the host's processes the whole control plane
/// would starve beside a compiler.
pub(crate) fn adopt(layout: &Layout, process: &Identity) -> Result<()> {
    let Some(root) = tracking_hierarchy(&hierarchies()?) else {
        return Ok(());
    };
    let procs = root.join(layout.daemons_cgroup()).join("cgroup.procs");
    match fs::write(&procs, process.pid.to_string()) {
        // It ended meanwhile: whoever waits for it will say so.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            Ok(())
        }
        Err(error) => Err(Error::io("write", &procs)(error)),
        Ok(()) => Ok(()),
    }
}

fn tracking_hierarchy(hierarchies: &[(PathBuf, bool)]) -> Option<PathBuf> {
    let unified = hierarchies.iter().find(|(_, unified)| *unified);
    let tracking = || {
        hierarchies
            .iter()
            .find(|(root, _)| root.ends_with("systemd") || root.ends_with("pids"))
    };
    unified.or_else(tracking).map(|(root, _)| root.clone())
}

/// All processes of the cluster, found by their cgroup.
pub(crate) fn members(layout: &Layout) -> Result<Vec<Identity>> {
    let mut pids = Vec::new();
    for dir in groups(layout)? {
        let procs = dir.join("cgroup.procs");
        match fs::read_to_string(&procs) {
            Ok(text) => pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok())),
            Err(error) if gone(&error) => {}
            Err(error) => return Err(Error::io("read", &procs)(error)),
        }
    }
    pids.sort_unstable();
    pids.dedup();
    // 0 stands for a process of another pid namespace, which cannot be one of ours.
    Ok(pids
        .into_iter()
        .filter(|&pid| pid > 0)
        .filter_map(Identity::of)
        .collect())
}

/// Kills whatever is in the cluster's cgroups and removes them.
pub(crate) async fn destroy(layout: &Layout) -> Result<()> {
    wait::until(
        format!("the processes of cluster {} to end", layout.name()),
        Duration::from_secs(20),
        || async {
            let members = members(layout)?;
            for member in &members {
                member
                    .signal(Signal::KILL)
                    .map_err(Error::io("signal", Path::new("/proc")))?;
            }
            let pids: Vec<_> = members
                .iter()
                .map(|member| member.pid.to_string())
                .collect();
            Ok::<_, Error>(if pids.is_empty() {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("pids {}", pids.join(" ")))
            })
        },
    )
    .await?;
    wait::until(
        format!("the cgroups of cluster {} to go", layout.name()),
        Duration::from_secs(10),
        || async {
            let mut groups = groups(layout)?;
            // Children sort after their parents.
            groups.sort_unstable_by(|a, b| b.cmp(a));
            for dir in groups {
                match fs::remove_dir(&dir) {
                    Err(error) if !gone(&error) => {
                        return Ok::<_, Error>(Seen::NotYet(format!("{}: {error}", dir.display())));
                    }
                    _ => {}
                }
            }
            Ok(Seen::Done(()))
        },
    )
    .await?;
    for (root, _) in hierarchies()? {
        // Empty once the last cluster is gone.
        let _ = fs::remove_dir(root.join("probepilot"));
    }
    Ok(())
}

/// The cluster's cgroups in every hierarchy, parents before children.
pub(crate) fn groups(layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for (root, _) in hierarchies()? {
        collect(&root.join(layout.cgroup()), &mut found)?;
    }
    Ok(found)
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(Error::io("read", dir)(error)),
    };
    found.push(dir.to_owned());
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if gone(&error) => return Ok(()),
            Err(error) => return Err(Error::io("read", dir)(error)),
        };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// The kubelet and runc remove cgroups too: what is gone while we look is as good as removed.
fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\nproc /proc proc rw 0 0\n";
        let first = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n";
        let cases = [
            (
                "hybrid",
                hybrid,
                vec![
                    ("/sys/fs/cgroup/cpu", false),
                    ("/sys/fs/cgroup/unified", true),
                ],
                Some("/sys/fs/cgroup/unified"),
            ),
            (
                "version 1",
                first,
                vec![
                    ("/sys/fs/cgroup/cpu", false),
                    ("/sys/fs/cgroup/pids", false),
                ],
                Some("/sys/fs/cgroup/pids"),
            ),
            (
                "version 2",
                unified,
                vec![("/sys/fs/cgroup", true)],
                Some("/sys/fs/cgroup"),
            ),
            ("none", "", vec![], None),
        ];
        for (case, text, want, tracking) in cases {
            let want: Vec<_> = want
                .into_iter()
                .map(|(path, unified)| (PathBuf::from(path), unified))
                .collect();
            assert_eq!(parse_mounts(text), want, "{case}");
            assert_eq!(
                tracking_hierarchy(&want),
                tracking.map(PathBuf::from),
                "{case}"
            );
        }
    }
}
