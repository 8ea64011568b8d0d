//! A cluster: starting it, finding it again, ending it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::component::{Component, Context};
use crate::error::{Error, Result};
use crate::host::{self, Host};
use crate::kubectl::Kubectl;
use crate::layout::{ClusterName, Layout};
use crate::oci::Image;
use crate::options::{ClusterOptions, Record};
use crate::progress::Progress;
use crate::tools::Tools;
use crate::wait::{self, Seen};
use crate::{cgroup, config, health, image, kubeconfig, mounts, network, pki};

/// How long one daemon may take to become ready; on two busy processors a minute has been seen.
const READY: Duration = Duration::from_mins(3);
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
        let layout = Layout::new(options.name.clone());
        let _lock = lock(&layout, progress).await?;
        let cluster = Self::at(layout);
        if let Some(running) = Record::read(&cluster.layout) {
            let health = cluster.health().await;
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

    /// A client with the administrator's rights.
    pub async fn client(&self) -> Result<Client> {
        let failed = |source| Error::Kubeconfig {
            path: self.kubeconfig.clone(),
            source: Box::new(source),
        };
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).map_err(failed)?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(failed)?;
        // A proxy of the developer's leads nowhere near a test cluster.
        config.proxy_url = None;
        Client::try_from(config).map_err(Error::kube("make a client"))
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

    async fn boot(
        &self,
        context: &Context,
        options: &ClusterOptions,
        progress: &Progress,
    ) -> Result<()> {
        let layout = &self.layout;
        progress.say(format!(
            "starting cluster {} in {}",
            layout.name(),
            layout.dir().display()
        ));
        for dir in [
            layout.dir(),
            layout.pids(),
            layout.pod_logs(),
            layout.pki(),
            layout.config(),
            layout.path("run"),
        ] {
            fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        }
        options.record().write(layout)?;
        host::load_kernel_modules();
        let authority = pki::create(layout)?;
        kubeconfig::create(layout, &authority)?;
        config::create(layout, &context.host, options.max_container_restart_period)?;
        cgroup::create(layout)?;
        network::create(&context.host, layout)?;

        for component in [Component::Etcd, Component::ApiServer, Component::Containerd] {
            component.start(context)?;
        }
        let client = self.client().await?;
        self.until_well(Component::Containerd, async || {
            if image::containerd_answers(context) {
                Ok(())
            } else {
                Err("containerd does not answer".to_owned())
            }
        })
        .await?;
        image::load_own(context).await?;
        progress.say("containerd answers and has the cluster's images");
        self.until_well(Component::ApiServer, async || health::ready(&client).await)
            .await?;
        progress.say("the API server is ready");
        for component in [
            Component::ControllerManager,
            Component::Scheduler,
            Component::Kubelet,
            Component::Proxy,
            Component::Kwok,
        ] {
            component.start(context)?;
        }
        self.until_well(Component::Kubelet, async || {
            health::node_ready(&client).await
        })
        .await?;
        progress.say("the node is Ready");
        self.until_well(Component::ControllerManager, async || {
            health::default_account(&client).await
        })
        .await?;
        progress.say("the controllers work");
        Ok(())
    }

    /// Waits for a condition that depends on `component`, but no longer than any daemon of the cluster lives.
    async fn until_well(
        &self,
        component: Component,
        mut look: impl AsyncFnMut() -> Result<(), String>,
    ) -> Result<()> {
        let deadline = tokio::time::Instant::now() + READY;
        let mut dead = None;
        loop {
            let seen = tokio::time::timeout(Duration::from_secs(5), look()).await;
            let last = match seen {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(last)) => last,
                Err(_) => "no answer within 5 s".to_owned(),
            };
            if let Some(died) = self.started_but_gone() {
                // Twice in a row: between the start of a daemon and its pid file there is a moment.
                if dead.replace(died) == Some(died) {
                    return Err(self.died(died));
                }
            }
            if tokio::time::Instant::now() >= deadline {
                let what = format!(
                    "{} (log: {})",
                    component.name(),
                    component.log(&self.layout).display()
                );
                return Err(wait::WaitError {
                    what,
                    seconds: READY.as_secs(),
                    last,
                }
                .into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn started_but_gone(&self) -> Option<Component> {
        Component::ALL.into_iter().find(|component| {
            let file = component.pid_file(&self.layout);
            file.read().is_some() && file.alive().is_none()
        })
    }

    fn died(&self, component: Component) -> Error {
        let log = component.log(&self.layout);
        let text = fs::read_to_string(&log).unwrap_or_default();
        let tail = crate::command::tail(text.trim_end(), 2000).to_owned();
        Error::Died {
            process: component.name().to_owned(),
            log,
            tail,
        }
    }

    /// Ends and removes everything, whether or not it is whole. The lock is held.
    async fn remove(&self) -> Result<()> {
        let layout = &self.layout;
        // The kubelet and containerd first, or they would set about repairing what is being removed.
        for component in [
            Component::Kubelet,
            Component::Containerd,
            Component::ApiServer,
        ] {
            if let Some(process) = component.pid_file(layout).alive() {
                process.end(component.name(), Duration::ZERO).await?;
            }
        }
        for component in Component::ALL {
            if let Some(process) = component.pid_file(layout).alive() {
                process.end(component.name(), Duration::ZERO).await?;
            }
        }
        cgroup::destroy(layout).await?;
        network::destroy(layout).await?;
        remove_log_links(layout);
        let dir = layout.dir();
        // A process that was just killed may still hold a file of an overlay for a moment.
        wait::until(
            format!("{} to be removed", dir.display()),
            Duration::from_secs(10),
            || async { mounts::remove_tree(&dir).map(Seen::Done) },
        )
        .await?;
        Ok(())
    }
}

/// Takes the cluster's lock; it is freed when the value is dropped or the process ends, however it ends.
async fn lock(layout: &Layout, progress: &Progress) -> Result<File> {
    let path = layout.lock();
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    }
    loop {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        if file.try_lock().is_err() {
            progress.say(format!(
                "waiting for another process that starts or stops cluster {}",
                layout.name()
            ));
            let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
            file = locked
                .map_err(std::io::Error::other)
                .flatten()
                .map_err(Error::io("lock", &path))?;
        }
        // Whoever held it before may have stopped the cluster and removed the file: then this lock excludes nobody.
        let held = file.metadata().map_err(Error::io("read", &path))?;
        if fs::metadata(&path).is_ok_and(|there| there.ino() == held.ino()) {
            return Ok(file);
        }
    }
}

/// Removes the links to the cluster's pod logs that the kubelet leaves in a folder of the host, whose name it does not let anyone change.
fn remove_log_links(layout: &Layout) {
    let Ok(entries) = fs::read_dir("/var/log/containers") else {
        return;
    };
    for entry in entries.flatten() {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(layout.dir())) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
