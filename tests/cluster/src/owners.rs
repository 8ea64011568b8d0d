//! The tools that own workloads in real clusters, built from source like Kubernetes itself: Helm 3, Helm 4 and Flux's
//! kustomize-controller, and the Lua of Argo CD. No cluster needs them; tests of living with owners do.

use std::path::PathBuf;

use crate::error::Result;
use crate::progress::Progress;
use crate::tools::module::{Module, ensure};

const HELM_3: Module = Module {
    name: "helm3",
    packages: "tool",
    programs: &[("helm", "helm")],
    files: &[],
};
const HELM_4: Module = Module {
    name: "helm4",
    packages: "tool",
    programs: &[("helm", "helm")],
    files: &[],
};
const FLUX: Module = Module {
    name: "flux",
    packages: "github.com/fluxcd/kustomize-controller",
    programs: &[("kustomize-controller", "kustomize-controller")],
    files: &[
        (
            "github.com/fluxcd/kustomize-controller",
            "config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
        ),
        (
            SOURCE,
            "config/crd/bases/source.toolkit.fluxcd.io_buckets.yaml",
        ),
        (
            SOURCE,
            "config/crd/bases/source.toolkit.fluxcd.io_externalartifacts.yaml",
        ),
        (
            SOURCE,
            "config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
        ),
        (
            SOURCE,
            "config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
        ),
    ],
};
/// Only its definitions are used: the controller watches all kinds of sources.
const SOURCE: &str = "github.com/fluxcd/source-controller";

const GLUA: Module = Module {
    name: "glua",
    packages: "tool",
    programs: &[("glua", "glua")],
    files: &[],
};

/// Where the built tools are.
#[derive(Debug, Clone)]
pub struct OwnerTools {
    /// Helm 3.
    pub helm3: PathBuf,
    /// Helm 4.
    pub helm4: PathBuf,
    /// Flux's kustomize-controller.
    pub kustomize_controller: PathBuf,
    /// The Lua that Argo CD runs health scripts with.
    pub glua: PathBuf,
    /// The definitions that kustomize-controller needs, as YAML files.
    pub flux_crds: Vec<PathBuf>,
}

impl OwnerTools {
    /// Builds what is not in the cache yet. Blocks: the first time takes minutes.
    ///
    /// # Errors
    /// Go is missing, a module cannot be fetched, or a build fails.
    pub fn build(progress: &Progress) -> Result<Self> {
        ensure(&[&HELM_3, &HELM_4, &FLUX, &GLUA], progress)?;
        let flux = FLUX.folder()?;
        let file = |(_, path): &(&str, &str)| flux.join(path.rsplit('/').next().unwrap_or(path));
        Ok(Self {
            helm3: HELM_3.folder()?.join("helm"),
            helm4: HELM_4.folder()?.join("helm"),
            kustomize_controller: flux.join("kustomize-controller"),
            glua: GLUA.folder()?.join("glua"),
            flux_crds: FLUX.files.iter().map(file).collect(),
        })
    }
}
