//! One Go module of tools: what it builds, under which key it is kept, and how it is built.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::command::{run, show, tail};
use crate::error::{Error, Result};
use crate::host;
use crate::oci::sha256;
use crate::progress::Progress;

/// The longest silence while something is built.
const SILENCE: Duration = Duration::from_secs(5);

/// A Go module of tools.
pub(crate) struct Module {
    /// Its folder in `tools/`, and its name in the cache.
    pub name: &'static str,
    /// What to build.
    pub packages: &'static str,
    /// What is there when it is built; `(built, wanted)` where Go picks another name.
    pub programs: &'static [(&'static str, &'static str)],
    /// Files of required modules that are kept beside the programs: the module and the path in it.
    pub files: &'static [(&'static str, &'static str)],
}

/// Builds those of the modules that are not in the cache yet. The first time takes minutes; then nothing is started but
/// the cache looked at.
pub(crate) fn ensure(modules: &[&Module], progress: &Progress) -> Result<()> {
    let mut missing = Vec::new();
    for module in modules {
        let folder = module.folder()?;
        if !folder.is_dir() {
            missing.push((module, folder));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let cache = cache();
    fs::create_dir_all(&cache).map_err(Error::io("create", &cache))?;
    let lock = cache.join("build.lock");
    let guard = File::create(&lock).map_err(Error::io("create", &lock))?;
    if guard.try_lock().is_err() {
        progress.say("waiting for another process that builds Go programs");
        guard.lock().map_err(Error::io("lock", &lock))?;
    }
    for (module, folder) in missing {
        if !folder.is_dir() {
            module.build(&host::go()?, &folder, progress)?;
        }
    }
    Ok(())
}

/// The cache folder of this project.
fn cache() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(|| PathBuf::from("/var/cache"))
        .join("probepilot/tools")
}

impl Module {
    fn sources(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tools")
            .join(self.name)
    }

    /// Where it is when it is built. A folder in the cache is whole: it gets its name once everything is in it.
    pub fn folder(&self) -> Result<PathBuf> {
        Ok(cache().join(format!("{}-{}", self.name, self.key()?)))
    }

    /// A hash of everything that decides what is built.
    fn key(&self) -> Result<String> {
        let mut input = self.flags()?.join("\n");
        for file in ["go.mod", "go.sum", "main.go"] {
            let path = self.sources().join(file);
            if path.exists() {
                input.push_str(&fs::read_to_string(&path).map_err(Error::io("read", &path))?);
            }
        }
        Ok(sha256(input.as_bytes())[..16].to_owned())
    }

    pub fn flags(&self) -> Result<Vec<String>> {
        let mut linker = String::from("-s -w");
        if let Some(version) = self.kubernetes_version()? {
            let package = "k8s.io/component-base/version";
            let mut parts = version.trim_start_matches('v').split('.');
            let (major, minor) = (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            );
            linker = format!(
                "{linker} -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
            );
        }
        Ok(["-trimpath", "-buildvcs=false", "-ldflags", &linker]
            .map(str::to_owned)
            .to_vec())
    }

    /// The version of k8s.io/kubernetes that the module requires; the programs do not know it themselves when built as tools.
    pub fn kubernetes_version(&self) -> Result<Option<String>> {
        let path = self.sources().join("go.mod");
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let version = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
        Ok(version
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::to_owned))
    }

    /// Where Go keeps the sources of a module that this one requires.
    fn sources_of(&self, go: &Path, module: &str) -> Result<PathBuf> {
        let mut command = Command::new(go);
        command
            .args(["list", "-m", "-f", "{{.Dir}}", module])
            .current_dir(self.sources())
            .env("GOWORK", "off");
        let folder = run(&mut command)?;
        Ok(PathBuf::from(folder.trim()))
    }

    fn build(&self, go: &Path, target: &Path, progress: &Progress) -> Result<()> {
        let partial = target.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(Error::io("remove", &partial))?;
        }
        fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
        progress.say(format!(
            "building {} from source (the first time takes minutes)",
            self.name
        ));
        let mut command = Command::new(go);
        command
            .args(["build", "-v"])
            .args(self.flags()?)
            .arg("-o")
            .arg(format!("{}/", partial.display()))
            .arg(self.packages);
        command
            .current_dir(self.sources())
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off");
        watch(&mut command, self.name, progress)?;
        for (built, wanted) in self.programs {
            let from = partial.join(built);
            fs::rename(&from, partial.join(wanted)).map_err(Error::io("rename", &from))?;
        }
        for (module, path) in self.files {
            let from = self.sources_of(go, module)?.join(path);
            let name = from.file_name().unwrap_or_default();
            fs::copy(&from, partial.join(name)).map_err(Error::io("copy", &from))?;
        }
        fs::rename(&partial, target).map_err(Error::io("rename", &partial))
    }
}

/// Runs a Go build and says how far it is, at the latest every [`SILENCE`].
fn watch(command: &mut Command, name: &str, progress: &Progress) -> Result<()> {
    let failed = |cause| Error::Io {
        action: "run",
        path: PathBuf::from("go"),
        cause,
    };
    let line = show(command);
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    let (mut said, mut packages, mut latest) = (String::new(), 0_usize, None);
    let mut next = Instant::now() + SILENCE;
    loop {
        match receiver.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(text) => {
                said.push_str(&text);
                said.push('\n');
                // `go build -v` names each package it compiles on a line of its own.
                if !text.contains(' ') {
                    packages += 1;
                    latest = Some(text);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if Instant::now() >= next {
            // What is compiled is named; linking is silent.
            let now = latest.take().unwrap_or_else(|| "linking".to_owned());
            progress.say(format!(
                "building {name}: {packages} packages compiled in {} s, now {now}",
                begin.elapsed().as_secs()
            ));
            next = Instant::now() + SILENCE;
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        progress.say(format!("built {name} in {} s", begin.elapsed().as_secs()));
        return Ok(());
    }
    Err(Error::Command {
        command: line,
        status: status.to_string(),
        output: tail(said.trim(), 4000).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_build_quotes_the_compiler() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo k8s.io/some/package >&2; echo 'main.go:1:1: syntax error' >&2; exit 2",
        ]);
        let error = watch(&mut command, "x", &Progress::silent())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("main.go:1:1: syntax error") && error.contains("exit status: 2"),
            "{error}"
        );
    }
}
