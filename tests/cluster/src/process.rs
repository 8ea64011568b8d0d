//! Processes that outlive whoever started them: started detached, remembered in pid files, ended by those and never by name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::wait::{self, Seen};

/// One process for certain: a pid alone may have passed to another process since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: i32,
    /// When it started, in clock ticks since the boot (field 22 of `/proc/PID/stat`).
    pub started: u64,
    /// The boot it belongs to.
    pub boot: String,
}

impl Identity {
    /// The process that has `pid` now, if any; a zombie counts as none.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (state, started) = parse_stat(&stat)?;
        (!matches!(state, 'Z' | 'X')).then(|| Self {
            pid,
            started,
            boot: boot(),
        })
    }

    /// Whether that very process is still there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends `signal` to that very process; nothing happens when it is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(());
        };
        // The descriptor pins the process: compared after it is opened, no reuse of the pid can come between.
        let pinned = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pinned) => pinned,
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if !self.is_alive() {
            return Ok(());
        }
        match pidfd_send_signal(&pinned, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Resident memory in bytes.
    #[must_use]
    pub fn resident_bytes(&self) -> Option<u64> {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid)).ok()?;
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
    }

    /// How long it has been running.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let started =
            Duration::from_millis(self.started * 1000 / rustix::param::clock_ticks_per_second());
        Some(Duration::from_secs_f64(uptime).saturating_sub(started))
    }

    /// Ends it: `SIGTERM`, and `SIGKILL` when that has not helped within `grace`. Returns once it is gone.
    pub async fn end(&self, what: &str, grace: Duration) -> Result<()> {
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        let gone = || async {
            Ok::<_, Error>(if self.is_alive() {
                Seen::NotYet(format!("pid {} runs", self.pid))
            } else {
                Seen::Done(())
            })
        };
        if !grace.is_zero() {
            self.signal(Signal::TERM)
                .map_err(Error::io("signal", &proc))?;
            if wait::until(format!("{what} to end"), grace, gone)
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
        self.signal(Signal::KILL)
            .map_err(Error::io("signal", &proc))?;
        Ok(wait::until(
            format!("{what} to end after SIGKILL"),
            Duration::from_secs(10),
            gone,
        )
        .await?)
    }
}

/// State and start time of a `/proc/PID/stat` line. The command's name may hold blanks and parentheses, so fields count from the last `)`.
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // State is field 3, the start time field 22.
    Some((state, fields.nth(18)?.parse().ok()?))
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// The memory of one daemon across processes: `pids/NAME.json`.
#[derive(Debug, Clone)]
pub struct PidFile(PathBuf);

impl PidFile {
    /// The pid file of `name` in `dir`.
    #[must_use]
    pub fn new(dir: &Path, name: &str) -> Self {
        Self(dir.join(format!("{name}.json")))
    }

    /// The process, when the file names one that still runs.
    #[must_use]
    pub fn alive(&self) -> Option<Identity> {
        self.read().filter(Identity::is_alive)
    }

    /// What the file says, whether or not it still runs.
    #[must_use]
    pub fn read(&self) -> Option<Identity> {
        serde_json::from_slice(&fs::read(&self.0).ok()?).ok()
    }

    /// Writes the file.
    pub fn write(&self, identity: &Identity) -> Result<()> {
        let json = serde_json::to_vec(identity).map_err(|cause| Error::Json {
            what: "a pid file",
            cause,
        })?;
        fs::write(&self.0, json).map_err(Error::io("write", &self.0))
    }

    /// Removes the file; it may be gone already.
    pub fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.0)(error))
            }
            _ => Ok(()),
        }
    }
}

/// Starts `command` detached, with its output appended to `log`. The command must become the daemon by `exec`, so that the pid stays.
pub(crate) fn spawn(mut command: Command, log: &Path) -> Result<Identity> {
    let open = || {
        File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(Error::io("open", log))
    };
    let program = PathBuf::from(command.get_program());
    let child = command
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .current_dir("/")
        .spawn()
        .map_err(Error::io("start", &program))?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    reap(child);
    Identity::of(pid)
        .ok_or_else(|| Error::io("start", &program)(io::Error::other("it ended at once")))
}

/// Collects the exit status whenever the child ends, so that no zombie stays while this process lives.
fn reap(mut child: std::process::Child) {
    std::thread::spawn(move || child.wait());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let cases = [
            ("plain", format!("42 (etcd) S {rest}"), Some(('S', 4711))),
            (
                "a name with blanks and parentheses",
                format!("42 (a) R (b c) S {rest}"),
                Some(('S', 4711)),
            ),
            ("zombie", format!("42 (x) Z {rest}"), Some(('Z', 4711))),
            ("cut off", "42 (x) S 1 2".to_owned(), None),
            ("empty", String::new(), None),
        ];
        for (case, line, want) in cases {
            assert_eq!(parse_stat(&line), want, "{case}");
        }
    }

    #[test]
    fn a_pid_file_names_a_process_only_while_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = PidFile::new(dir.path(), "self");
        assert_eq!(file.alive(), None, "no file");
        let me = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        file.write(&me).unwrap();
        assert_eq!(file.alive().as_ref(), Some(&me));
        for (case, other) in [
            (
                "another start time",
                Identity {
                    started: me.started + 1,
                    ..me.clone()
                },
            ),
            (
                "another boot",
                Identity {
                    boot: "another".into(),
                    ..me.clone()
                },
            ),
            (
                "no such process",
                Identity {
                    pid: i32::MAX,
                    ..me.clone()
                },
            ),
        ] {
            file.write(&other).unwrap();
            assert_eq!(file.alive(), None, "{case}");
            // This test would not survive a signal to its own pid.
            other.signal(Signal::KILL).unwrap();
        }
        file.remove().unwrap();
        file.remove().unwrap();
    }

    #[tokio::test]
    async fn a_detached_process_is_ended_by_its_identity() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600");
        let sleeper = spawn(command, &dir.path().join("log")).unwrap();
        assert!(sleeper.is_alive());
        assert!(sleeper.resident_bytes().unwrap() > 0);
        assert!(sleeper.age().unwrap() < Duration::from_mins(1));
        sleeper.end("sleep", Duration::from_secs(5)).await.unwrap();
        assert!(!sleeper.is_alive());
        sleeper.end("sleep", Duration::ZERO).await.unwrap();
    }

    #[tokio::test]
    async fn what_ignores_sigterm_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]);
        let stubborn = spawn(command, &log).unwrap();
        wait::until("the trap", Duration::from_secs(5), || async {
            fs::read_to_string(&log).map(|text| {
                if text.is_empty() {
                    Seen::NotYet("no line".into())
                } else {
                    Seen::Done(())
                }
            })
        })
        .await
        .unwrap();
        stubborn
            .end("sh", Duration::from_millis(300))
            .await
            .unwrap();
        assert!(!stubborn.is_alive());
    }
}
