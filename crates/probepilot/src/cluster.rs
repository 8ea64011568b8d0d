//! A cluster, for commands that read one, and for the one that writes.

use anyhow::Context as _;
use kube::Client;
use probepilot_operator::client::connect;
use probepilot_operator::kubeconfig;
use std::path::Path;
use std::sync::Arc;

/// Runs a command's calls to their end.
pub(crate) fn block_on<T>(calls: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?
        .block_on(calls)
}

/// A client that may write.
pub(crate) async fn reach_to_write(
    file: Option<&Path>,
    context: Option<&str>,
) -> anyhow::Result<Client> {
    let config = kubeconfig::load(file, context).await?;
    let clients = connect(config, Arc::new(())).context("no client for this cluster")?;
    clients.fence.open();
    Ok(clients.api)
}

/// A client whose fence against writes stays closed, and the namespace: the given one, or that of the kubeconfig's
/// context.
pub(crate) async fn reach(
    file: Option<&Path>,
    context: Option<&str>,
    namespace: Option<&str>,
) -> anyhow::Result<(Client, String)> {
    let config = kubeconfig::load(file, context).await?;
    let namespace = namespace.map_or_else(|| config.default_namespace.clone(), str::to_owned);
    let clients = connect(config, Arc::new(())).context("no client for this cluster")?;
    Ok((clients.api, namespace))
}
