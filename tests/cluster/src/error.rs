//! What can go wrong, each with what to do next where there is something to do.

use std::path::{Path, PathBuf};

use crate::wait::WaitError;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a local cluster could not be built, started, used or stopped. Each sentence is whole: it quotes its cause instead of linking it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name would not fit into an interface name or a path.
    #[error(
        "`{0}` is no cluster name: use 1 to 12 lower-case letters, digits and `-`, beginning with a letter and not ending with `-`"
    )]
    BadName(String),
    /// Namespaces, cgroups and mounts need root.
    #[error(
        "a local Kubernetes needs root for network namespaces, cgroups and mounts: run the same command with sudo -E"
    )]
    NotRoot,
    /// Kubernetes is built from source.
    #[error(
        "Go is missing: Kubernetes is built from source, so install Go 1.26 or newer from https://go.dev/dl and put it on PATH"
    )]
    MissingGo,
    /// Debian packages are missing and this process may not install them.
    #[error(
        "these packages are missing: {packages}; install them with: sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}"
    )]
    MissingPackages {
        /// Package names, separated by blanks.
        packages: String,
    },
    /// A program that was run to its end failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// The end of what it printed.
        output: String,
    },
    /// A file could not be read, written or removed.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// Objects that kubectl printed could not be read.
    #[error("cannot read the objects of {}: {cause}", path.display())]
    Yaml {
        /// The kustomization.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A daemon ended while its cluster was starting.
    #[error("{process} ended while the cluster was starting; the end of {}:\n{tail}", log.display())]
    Died {
        /// The daemon.
        process: String,
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// No cluster of that name was started.
    #[error("cluster `{0}` is not running; start it with: cargo xtask cluster up --name {0}")]
    NotRunning(String),
    /// A running cluster was asked for with options it was not started with.
    #[error(
        "cluster `{name}` runs with other options ({running}); stop it first with: cargo xtask cluster down --name {name}"
    )]
    OtherOptions {
        /// The cluster.
        name: String,
        /// The options it was started with.
        running: String,
    },
    /// Fake pods need fake nodes.
    #[error("cluster `{0}` has no fake nodes: call add_fake_nodes first")]
    NoFakeNodes(String),
    /// Certificates could not be made.
    #[error("cannot make the certificate of {subject}: {cause}")]
    Certificate {
        /// The common name.
        subject: String,
        /// Why not.
        cause: rcgen::Error,
    },
    /// A value could not be written as JSON.
    #[error("cannot write {what} as JSON: {cause}")]
    Json {
        /// The document.
        what: &'static str,
        /// Why not.
        cause: serde_json::Error,
    },
    /// The admin kubeconfig is unusable.
    #[error("cannot use the kubeconfig {}: {cause}", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: Box<kube::config::KubeconfigError>,
    },
    /// A call to the API server failed.
    #[error("cannot {action}: {cause}")]
    Kube {
        /// What was tried, with its object.
        action: String,
        /// The API server's or the connection's answer.
        cause: Box<kube::Error>,
    },
    /// A call to the API server took longer than it may.
    #[error("cannot {action}: no answer within {seconds} s")]
    Deadline {
        /// What was tried, with its object.
        action: String,
        /// The deadline in seconds.
        seconds: u64,
    },
    /// A condition did not come true in time.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

impl Error {
    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io {
            action,
            path,
            cause,
        }
    }

    /// For `map_err` on calls to the API server.
    pub(crate) fn kube(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |cause| Self::Kube {
            action,
            cause: Box::new(cause),
        }
    }
}
