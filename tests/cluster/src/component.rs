//! The daemons of a cluster and how each is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config;
use crate::error::Result;
use crate::host::Host;
use crate::kubeconfig::Client;
use crate::layout::{FAKE_POD_RANGE, Layout, NODE, SERVICE_RANGE, port};
use crate::network::netns_path;
use crate::pki::{Files, file};
use crate::process::{Identity, PidFile, spawn};
use crate::tools::Tools;
use crate::{cgroup, network};

/// One daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// The store.
    Etcd,
    /// The container runtime.
    Containerd,
    /// kube-apiserver.
    ApiServer,
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
    /// The kubelet of the one real node.
    Kubelet,
    /// kube-proxy of the one real node.
    Proxy,
    /// kwok, the kubelet of the fake nodes.
    Kwok,
}

/// What a daemon's command line depends on.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub host: Host,
    pub tools: Tools,
    pub layout: Layout,
}

impl Component {
    /// In the order in which they are started.
    pub const ALL: [Self; 8] = [
        Self::Etcd,
        Self::Containerd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Proxy,
        Self::Kwok,
    ];

    /// The program's name; its log and pid file are called so as well.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Containerd => "containerd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubelet => "kubelet",
            Self::Proxy => "kube-proxy",
            Self::Kwok => "kwok",
        }
    }

    /// Its log, standard output and standard error together.
    #[must_use]
    pub fn log(self, layout: &Layout) -> PathBuf {
        layout.logs().join(format!("{}.log", self.name()))
    }

    /// Its pid file.
    #[must_use]
    pub fn pid_file(self, layout: &Layout) -> PidFile {
        PidFile::new(&layout.pids(), self.name())
    }

    /// Starts it, unless it runs.
    pub(crate) fn start(self, context: &Context) -> Result<Identity> {
        let layout = &context.layout;
        let pid_file = self.pid_file(layout);
        if let Some(running) = pid_file.alive() {
            return Ok(running);
        }
        let program = match self {
            Self::Containerd => context.host.containerd.clone(),
            _ => context.tools.program(self.name()),
        };
        // setsid and nsenter both become the next program by exec, so the pid stays the same. `ip netns exec` would do for the network, but
        // gives the program a mount namespace of its own as well, in which the kubelet's mounts would be out of containerd's sight.
        let mut command = Command::new(&context.host.setsid);
        command
            .arg(&context.host.nsenter)
            .arg(format!("--net={}", netns_path(layout).display()))
            .arg("--")
            .arg(program)
            .args(self.arguments(context))
            // A daemon must not depend on who happened to start it: no proxies, no kubeconfig, no Go settings.
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", layout.dir());
        let identity = spawn(command, &self.log(layout))?;
        pid_file.write(&identity)?;
        cgroup::adopt(layout, &identity)?;
        Ok(identity)
    }

    fn arguments(self, context: &Context) -> Vec<String> {
        let layout = &context.layout;
        match self {
            Self::Etcd => etcd(layout),
            Self::Containerd => {
                vec![
                    flag("--config", config::path(layout, config::CONTAINERD)),
                    "--log-level=warn".to_owned(),
                ]
            }
            Self::ApiServer => api_server(layout),
            Self::ControllerManager => controller_manager(layout),
            Self::Scheduler => scheduler(layout),
            Self::Kubelet => kubelet(layout),
            Self::Proxy => vec![flag("--config", config::path(layout, config::PROXY))],
            Self::Kwok => kwok(layout),
        }
    }
}

fn flag(name: &str, value: impl AsRef<Path>) -> String {
    format!("{name}={}", value.as_ref().display())
}

fn etcd(layout: &Layout) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", port::ETCD);
    let peer = format!("http://127.0.0.1:{}", port::ETCD_PEER);
    vec![
        flag("--data-dir", layout.path("etcd")),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        // The data is thrown away with the cluster: no write has to survive a power cut.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        // 100,000 pods fit.
        format!("--quota-backend-bytes={}", 8_u64 << 30),
    ]
}

fn api_server(layout: &Layout) -> Vec<String> {
    let files = Files::new(layout);
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", port::ETCD),
        // Every address of the namespace: loopback for the daemons, the link for the host, pods by way of the node's address.
        "--bind-address=0.0.0.0".to_owned(),
        format!("--secure-port={}", port::API),
        format!("--advertise-address={}", layout.node_address()),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        flag("--tls-cert-file", files.certificate(file::API_SERVER)),
        flag("--tls-private-key-file", files.key(file::API_SERVER)),
        flag("--client-ca-file", files.certificate(file::CA)),
        flag(
            "--kubelet-certificate-authority",
            files.certificate(file::CA),
        ),
        flag(
            "--kubelet-client-certificate",
            files.certificate(file::API_SERVER_KUBELET_CLIENT),
        ),
        flag(
            "--kubelet-client-key",
            files.key(file::API_SERVER_KUBELET_CLIENT),
        ),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        flag(
            "--service-account-key-file",
            files.public_key(file::SERVICE_ACCOUNTS),
        ),
        flag(
            "--service-account-signing-key-file",
            files.key(file::SERVICE_ACCOUNTS),
        ),
        flag(
            "--requestheader-client-ca-file",
            files.certificate(file::FRONT_PROXY_CA),
        ),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        flag(
            "--proxy-client-cert-file",
            files.certificate(file::FRONT_PROXY_CLIENT),
        ),
        flag(
            "--proxy-client-key-file",
            files.key(file::FRONT_PROXY_CLIENT),
        ),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        // A namespace of 10,000 pods is deleted by one request; one worker would take longer than that request may.
        "--delete-collection-workers=16".to_owned(),
        flag("--audit-policy-file", config::path(layout, config::AUDIT)),
        flag("--audit-log-path", layout.audit_log()),
        "--audit-log-maxsize=100".to_owned(),
        "--audit-log-maxbackup=2".to_owned(),
    ]
}

fn controller_manager(layout: &Layout) -> Vec<String> {
    let files = Files::new(layout);
    vec![
        flag("--kubeconfig", Client::ControllerManager.path(layout)),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port::CONTROLLER_MANAGER),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=true".to_owned(),
        // There is no cloud, and the one real node's range is the CNI configuration's.
        "--controllers=*,-nodeipam,-service,-route".to_owned(),
        flag("--root-ca-file", files.certificate(file::CA)),
        flag(
            "--service-account-private-key-file",
            files.key(file::SERVICE_ACCOUNTS),
        ),
        flag("--cluster-signing-cert-file", files.certificate(file::CA)),
        flag("--cluster-signing-key-file", files.key(file::CA)),
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
    ]
}

fn scheduler(layout: &Layout) -> Vec<String> {
    vec![
        flag("--kubeconfig", Client::Scheduler.path(layout)),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port::SCHEDULER),
        "--leader-elect=false".to_owned(),
    ]
}

fn kubelet(layout: &Layout) -> Vec<String> {
    vec![
        flag("--config", config::path(layout, config::KUBELET)),
        flag("--kubeconfig", Client::Kubelet.path(layout)),
        flag("--root-dir", layout.kubelet_root()),
        flag("--cert-dir", layout.pki()),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={}", layout.node_address()),
        "--v=2".to_owned(),
    ]
}

fn kwok(layout: &Layout) -> Vec<String> {
    vec![
        flag("--config", config::path(layout, config::KWOK)),
        flag("--kubeconfig", Client::Kwok.path(layout)),
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".to_owned(),
        format!("--cidr={FAKE_POD_RANGE}"),
        format!("--server-address=127.0.0.1:{}", port::KWOK),
        "--node-lease-duration-seconds=40".to_owned(),
        // It would log each lease and each pod.
        "--v=WARN".to_owned(),
    ]
}

/// Whether the cluster's network is there, which every daemon needs.
pub(crate) fn has_network(layout: &Layout) -> bool {
    netns_path(layout).exists() && network::link_exists(layout)
}
