//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where its ground is missing"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use probepilot_test_cluster::wait::{self, Seen, WaitError};
use probepilot_test_cluster::{Cluster, ClusterName, ClusterOptions, Layout, Progress};
use serde_json::json;

/// A cluster of one test alone, ended when the test ends, however it ends.
pub struct Own {
    pub cluster: Cluster,
}

impl Own {
    /// Starts it anew, whatever a killed test run left.
    pub async fn start(options: &ClusterOptions) -> Self {
        Cluster::stop_named(&options.name).await.unwrap();
        Self {
            cluster: Cluster::start(options, &Progress::stderr()).await.unwrap(),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let stopped = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(self.cluster.stop())
        });
        if let Err(error) = stopped {
            eprintln!("{error}");
        }
    }
}

pub fn named(name: &str) -> ClusterName {
    name.parse().unwrap()
}

/// A pod that runs `script` in busybox.
pub fn shell_pod(name: &str, script: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "main",
                "image": probepilot_test_cluster::BUSYBOX,
                "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", script],
            }],
        },
    }))
    .unwrap()
}

/// Waits until a pod is in that phase.
pub async fn phase(
    client: &Client,
    namespace: &str,
    name: &str,
    phase: &str,
) -> Result<Pod, WaitError> {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    wait::until(
        format!("pod {name} to be {phase}"),
        Duration::from_mins(1),
        || async {
            let pod = pods.get(name).await?;
            let now = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.clone())
                .unwrap_or_default();
            Ok::<_, kube::Error>(if now == phase {
                Seen::Done(pod)
            } else {
                Seen::NotYet(format!("{now}: {:?}", pod.status))
            })
        },
    )
    .await
}

/// What is left of a cluster on this host, found without the library under test.
pub fn leftovers(layout: &Layout) -> Vec<String> {
    let dir = layout.dir().display().to_string();
    let group = format!("/{}", layout.cgroup().display());
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.chars().all(|c| c.is_ascii_digit()) || pid == std::process::id().to_string() {
            continue;
        }
        let read = |file: &str| {
            fs::read(entry.path().join(file))
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        };
        // A zombie waits for its new parent, process 1, to take notice; nothing of it is left but its number.
        let stat = read("stat");
        if stat
            .rsplit_once(')')
            .is_none_or(|(_, fields)| fields.trim_start().starts_with('Z'))
        {
            continue;
        }
        let ours = |text: &str, what: &str| {
            text.match_indices(what).any(|(at, _)| {
                !text[at + what.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '-')
            })
        };
        if ours(&read("cmdline"), &dir) || ours(&read("cgroup"), &group) {
            left.push(format!("process {pid}: {}", read("comm").trim()));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(
        mounts
            .lines()
            .filter(|line| line.contains(&format!(" {dir}/")))
            .map(|line| format!("mount {line}")),
    );
    for path in [
        layout.dir(),
        layout.lock(),
        Path::new("/run/netns").join(layout.netns()),
        Path::new("/sys/class/net").join(layout.host_interface()),
    ] {
        if fs::symlink_metadata(&path).is_ok() {
            left.push(path.display().to_string());
        }
    }
    left.extend(
        groups(Path::new("/sys/fs/cgroup"), layout, 3)
            .into_iter()
            .map(|path| format!("cgroup {}", path.display())),
    );
    if let Ok(links) = fs::read_dir("/var/log/containers") {
        let ours = links
            .flatten()
            .filter(|link| fs::read_link(link.path()).is_ok_and(|target| target.starts_with(&dir)));
        left.extend(ours.map(|link| format!("link {}", link.path().display())));
    }
    left
}

fn groups(dir: &Path, layout: &Layout, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if dir.ends_with(layout.cgroup()) {
        found.push(dir.to_owned());
    } else if depth > 0 {
        for entry in fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        {
            found.extend(groups(&entry.path(), layout, depth - 1));
        }
    }
    found
}
