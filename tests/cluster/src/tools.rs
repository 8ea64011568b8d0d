//! The programs of a Kubernetes, built from the Go modules in `tools/` and kept in the user's cache folder.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::progress::Progress;
use module::Module;

pub(crate) mod module;

const KUBERNETES: Module = Module {
    name: "kubernetes",
    packages: "tool",
    programs: &[
        ("server", "etcd"),
        ("kube-apiserver", "kube-apiserver"),
        ("kube-controller-manager", "kube-controller-manager"),
        ("kube-scheduler", "kube-scheduler"),
        ("kubelet", "kubelet"),
        ("kube-proxy", "kube-proxy"),
        ("kubectl", "kubectl"),
    ],
    files: &[],
};
const KWOK: Module = Module {
    name: "kwok",
    packages: "tool",
    programs: &[("kwok", "kwok")],
    files: &[],
};
const PAUSE: Module = Module {
    name: "pause",
    packages: ".",
    programs: &[("pause", "pause")],
    files: &[],
};

const MODULES: [&Module; 3] = [&KUBERNETES, &KWOK, &PAUSE];

/// Where the built programs are.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    folders: [PathBuf; MODULES.len()],
}

impl Tools {
    /// The programs of this version of the sources, built or not.
    pub fn locate() -> Result<Self> {
        let mut folders = <[PathBuf; MODULES.len()]>::default();
        for (folder, module) in folders.iter_mut().zip(MODULES) {
            *folder = module.folder()?;
        }
        Ok(Self { folders })
    }

    /// Builds what is not in the cache yet.
    pub fn build(progress: &Progress) -> Result<Self> {
        module::ensure(&MODULES, progress)?;
        Self::locate()
    }

    /// Where a program is.
    pub fn program(&self, name: &str) -> PathBuf {
        let has = |module: &Module| module.programs.iter().any(|(_, program)| *program == name);
        let mut folders = self.folders.iter().zip(MODULES);
        let found = folders.find(|(_, module)| has(module));
        found.map_or(Path::new(""), |(folder, _)| folder).join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_its_place() {
        let tools = Tools::locate().unwrap();
        for module in MODULES {
            for (_, program) in module.programs {
                let path = tools.program(program);
                assert_eq!(path, module.folder().unwrap().join(program));
            }
        }
    }

    #[test]
    fn the_linker_is_told_the_version_that_go_mod_requires() {
        let flags = KUBERNETES.flags().unwrap().join(" ");
        let version = KUBERNETES.kubernetes_version().unwrap().unwrap();
        assert!(version.starts_with("v1."), "{version}");
        assert!(
            flags.contains(&format!("version.gitVersion={version} "))
                && flags.contains("version.gitMajor=1 "),
            "{flags}"
        );
        assert_eq!(KWOK.kubernetes_version().unwrap(), None);
    }
}
