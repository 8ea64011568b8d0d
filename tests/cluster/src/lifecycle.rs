//! How a cluster comes into being, and how it goes.

use std::fs;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::component::{Component, Context};
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::options::ClusterOptions;
use crate::progress::Progress;
use crate::wait::{self, Seen};
use crate::{cgroup, config, health, host, image, kubeconfig, mounts, network, pki};

/// How long one daemon may take to become ready; on two busy processors a minute has been seen.
const READY: Duration = Duration::from_mins(3);

impl Cluster {
    /// Makes everything and starts the daemons, in an empty place. The lock is held.
    pub(crate) async fn boot(
        &self,
        context: &Context,
        options: &ClusterOptions,
        progress: &Progress,
    ) -> Result<()> {
        let layout = self.layout();
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
    pub(crate) async fn until_well(
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
                    component.log(self.layout()).display()
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
            let file = component.pid_file(self.layout());
            file.read().is_some() && file.alive().is_none()
        })
    }

    fn died(&self, component: Component) -> Error {
        let log = component.log(self.layout());
        let text = fs::read_to_string(&log).unwrap_or_default();
        let tail = crate::command::tail(text.trim_end(), 2000).to_owned();
        Error::Died {
            process: component.name().to_owned(),
            log,
            tail,
        }
    }

    /// Ends and removes everything, whether or not it is whole. The lock is held.
    pub(crate) async fn remove(&self) -> Result<()> {
        let layout = self.layout();
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
