//! A cluster: starting it, finding it again, ending it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::component::{Component, Context};
use crate::error::{Error, Result};
use crate::host::{self, Host};
use crate::kubectl::Kubectl;
use crate::layout::{ClusterName, Layout};
use crate::lock::lock;
use crate::oci::Image;
use crate::options::{ClusterOptions, Record};
use crate::progress::Progress;
use crate::tools::Tools;
use crate::{cgroup, health, image, network};

/// How long a daemon that is restarted may take to end by itself.
const GRACE: Duration = Duration::from_secs(20);
/// Names the cluster that tests share.
const SHARED_VAR: &str = "PROBEPILOT_TEST_CLUSTER";

/// A running cluster. It does not end with this value, nor with the process: it is stopped by [`Cluster::stop`], here or elsewhere.
#[derive(Debug, Clone)]
pub struct Cluster {
    layout: Layout,
    kubeconfig: PathBuf,
}

impl Cluster {
    fn at(layout: Layout) -> Self {
        Self {
            kubeconfig: layout.kubeconfig(),
            layout,
        }
    }

    /// Starts a cluster, or finds it when it runs already and is well. One that is not well (after a crash, or a reboot) is removed and started afresh.
    ///
    /// Builds Kubernetes first when that was never done: minutes. Processes that start the same cluster at the same time wait for one another.
    pub async fn start(options: &ClusterOptions, progress: &Progress) -> Result<Self> {
        host::require_root()?;
        let cluster = Self::at(Layout::new(options.name.clone()));
        // The usual case needs no turn in the queue. While a cluster boots, its node and accounts are the last to be well.
        if Record::read(&cluster.layout) == Some(options.record())
            && cluster.health().await.is_healthy()
        {
            progress.say(format!("cluster {} is running and healthy", options.name));
            return Ok(cluster);
        }
        let _lock = lock(&cluster.layout, progress).await?;
        if let Some(running) = Record::read(&cluster.layout) {
            let health = cluster.settled_health().await;
            if health.is_healthy() {
                if running != options.record() {
                    return Err(Error::OtherOptions {
                        name: options.name.to_string(),
                        running: running.describe(),
                    });
                }
                progress.say(format!("cluster {} is running and healthy", options.name));
                return Ok(cluster);
            }
            progress.say(format!(
                "cluster {} is broken ({}); starting it afresh",
                options.name,
                health.problems.join("; ")
            ));
        }
        let host = Host::prepare(progress)?;
        let tools = Tools::build(progress)?;
        cluster.remove().await?;
        let context = Context {
            host,
            tools,
            layout: cluster.layout.clone(),
        };
        cluster.boot(&context, options, progress).await?;
        Ok(cluster)
    }

    /// Finds a cluster that was started before; does not look whether it is well.
    pub fn attach(name: &ClusterName) -> Result<Self> {
        let layout = Layout::new(name.clone());
        if Record::read(&layout).is_none() {
            Err(Error::NotRunning(name.to_string()))
        } else {
            Ok(Self::at(layout))
        }
    }

    /// The cluster that all tests share: the one that `PROBEPILOT_TEST_CLUSTER` names, or `test`. The first test that asks starts it; it goes
    /// on running afterwards (`cargo xtask cluster down --name test` ends it).
    pub async fn shared() -> Result<Self> {
        let name = std::env::var(SHARED_VAR).unwrap_or_else(|_| "test".to_owned());
        Self::start(&ClusterOptions::new(name.parse()?), &Progress::stderr()).await
    }

    /// Names, folders and addresses.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The administrator's way to the API server.
    pub async fn config(&self) -> Result<Config> {
        let failed = |cause| Error::Kubeconfig {
            path: self.kubeconfig.clone(),
            cause: Box::new(cause),
        };
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).map_err(failed)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(failed)?;
        // A proxy of the developer's leads nowhere near a test cluster.
        config.proxy_url = None;
        Ok(config)
    }

    /// A client with the administrator's rights.
    pub async fn client(&self) -> Result<Client> {
        Client::try_from(self.config().await?).map_err(Error::kube("make a client"))
    }

    /// The built kubectl with this cluster's kubeconfig.
    pub fn kubectl(&self) -> Result<Kubectl> {
        Ok(Kubectl::new(
            Tools::locate()?.program("kubectl"),
            self.kubeconfig.clone(),
        ))
    }

    /// The API server's audit log: the finished requests of service accounts in the namespace `probepilot-system`, one JSON event a line.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// Puts an image into the node, for pods with `imagePullPolicy: Never`.
    pub async fn load_image(&self, image: &Image) -> Result<()> {
        image::load(&self.context()?, image).await
    }

    /// Ends the kubelet; pods go on running, unsupervised.
    pub async fn stop_kubelet(&self) -> Result<()> {
        self.end(Component::Kubelet).await
    }

    /// Starts the kubelet again and waits for its node to be Ready.
    pub async fn start_kubelet(&self) -> Result<()> {
        Component::Kubelet.start(&self.context()?)?;
        let client = self.client().await?;
        self.until_well(Component::Kubelet, async || {
            health::node_ready(&client).await
        })
        .await
    }

    /// Ends the API server, starts it again and waits until it is ready. All watches break.
    pub async fn restart_apiserver(&self) -> Result<()> {
        self.end(Component::ApiServer).await?;
        Component::ApiServer.start(&self.context()?)?;
        let client = self.client().await?;
        self.until_well(Component::ApiServer, async || health::ready(&client).await)
            .await
    }

    /// Ends the cluster and removes whatever it made: processes, mounts, cgroups, interfaces, its folder. Works on whatever a crash left.
    pub async fn stop(&self) -> Result<()> {
        host::require_root()?;
        let _lock = lock(&self.layout, &Progress::silent()).await?;
        self.remove().await?;
        let lock = self.layout.lock();
        fs::remove_file(&lock).map_err(Error::io("remove", &lock))
    }

    /// As [`Cluster::stop`], for a cluster of which perhaps nothing is left but an interface. Returns whether there was anything.
    pub async fn stop_named(name: &ClusterName) -> Result<bool> {
        let cluster = Self::at(Layout::new(name.clone()));
        let layout = &cluster.layout;
        let there = layout.dir().exists()
            || network::netns_path(layout).exists()
            || network::link_exists(layout)
            || !cgroup::groups(layout)?.is_empty();
        cluster.stop().await?;
        Ok(there)
    }

    fn context(&self) -> Result<Context> {
        Ok(Context {
            host: Host::find()?,
            tools: Tools::locate()?,
            layout: self.layout.clone(),
        })
    }

    async fn end(&self, component: Component) -> Result<()> {
        let pid_file = component.pid_file(&self.layout);
        if let Some(process) = pid_file.alive() {
            process.end(component.name(), GRACE).await?;
        }
        pid_file.remove()
    }
}
