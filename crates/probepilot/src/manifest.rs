//! Manifests as a user has them: what is in a file, `kubectl get -o yaml|json`, `helm template` or
//! `kubectl kustomize`. Anything with a pod template is read, everything else is passed over.
//!
//! Each value keeps the line it was found on, so that errors and findings can point at it.

mod json;
mod node;
mod objects;
mod read;
mod reader;
mod workload;

pub(crate) use json::to_json;
pub(crate) use node::{Node, Value, get, key_line, line, text_of};
pub(crate) use objects::objects;
pub(crate) use read::{ManifestError, Source, read_sources};
pub(crate) use reader::inventory;
pub(crate) use workload::{ContainerSpec, HandlerSpec, Inventory, ProbeSpec, Workload};

use anyhow::bail;
use std::path::PathBuf;

/// Files that a command reads.
#[derive(Debug, clap::Args)]
pub(crate) struct Input {
    /// Manifests with a pod template, YAML or JSON; `-` is standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,
}

impl Input {
    /// Reads all files and finds the workloads in them. None at all is an error.
    pub(crate) fn load(&self) -> anyhow::Result<Inventory> {
        let inventory = inventory(read_sources(&self.files)?)?;
        if inventory.workloads.is_empty() {
            let found = if inventory.passed_over.is_empty() {
                "nothing".to_owned()
            } else {
                inventory.passed_over.join(", ")
            };
            bail!(
                "no pod template in {}: expected a Deployment, StatefulSet, DaemonSet, Job, Pod or \
                 anything else with one, found {found}",
                self.names()
            );
        }
        Ok(inventory)
    }

    /// Whether standard input is one of them.
    pub(crate) fn reads_stdin(&self) -> bool {
        self.files.iter().any(|file| file.as_os_str() == "-")
    }

    fn names(&self) -> String {
        let names: Vec<_> = self
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        names.join(", ")
    }
}
