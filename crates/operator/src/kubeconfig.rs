//! Where the API server is and how to log in.

use std::path::Path;

use kube::Config;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The named kubeconfig or context cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// Nothing was named and nothing found.
    #[error(
        "no cluster found: give --kubeconfig, set KUBECONFIG, or run in a pod with a ServiceAccount ({0})"
    )]
    Nowhere(#[from] InferConfigError),
}

/// Reads the configuration from where kubectl and pods look: `file` when it is given, else
/// KUBECONFIG and ~/.kube/config, else the pod's ServiceAccount. `context` chooses in a file.
pub async fn load(file: Option<&Path>, context: Option<&str>) -> Result<Config, ConfigError> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    Ok(match (file, context) {
        (Some(file), _) => {
            Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await?,
        (None, None) => Config::infer().await?,
    })
}
