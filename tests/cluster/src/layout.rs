//! Where everything of a cluster is: names, folders, addresses and ports, all derived from the cluster's name here and nowhere else.
//!
//! A cluster lives in a network namespace of its own, so ports and the pod and service ranges are the same for every cluster. Only what
//! is visible outside differs by name: the folder, the namespace's and the interfaces' names, the cgroup and the addresses of the pair of
//! interfaces that joins the namespace to the host.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, Result};

/// Folder of all clusters.
const ROOT: &str = "/var/lib/probepilot/clusters";
/// Environment variable that moves [`ROOT`].
const ROOT_VAR: &str = "PROBEPILOT_CLUSTERS_DIR";

/// A cluster's name: 1 to 12 of `a-z`, `0-9`, `-`, beginning with a letter. Interface names leave no room for more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName(String);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ClusterName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let good = (1..=12).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if good {
            Ok(Self(name.to_owned()))
        } else {
            Err(Error::BadName(name.to_owned()))
        }
    }
}

/// Ports inside the cluster's network namespace.
pub mod port {
    /// etcd's clients.
    pub const ETCD: u16 = 2379;
    /// etcd's peers: it has none, but wants the port.
    pub const ETCD_PEER: u16 = 2380;
    /// kube-apiserver, on every address of the namespace.
    pub const API: u16 = 6443;
    /// The kubelet, for logs and exec.
    pub const KUBELET: u16 = 10250;
    /// The kubelet's health, loopback.
    pub const KUBELET_HEALTH: u16 = 10248;
    /// kube-controller-manager, loopback.
    pub const CONTROLLER_MANAGER: u16 = 10257;
    /// kube-scheduler, loopback.
    pub const SCHEDULER: u16 = 10259;
    /// kube-proxy's health, loopback.
    pub const PROXY_HEALTH: u16 = 10256;
    /// kube-proxy's metrics, loopback.
    pub const PROXY_METRICS: u16 = 10249;
    /// kwok's health, loopback.
    pub const KWOK: u16 = 10247;
}

/// Services' addresses, the same in every cluster.
pub const SERVICE_RANGE: &str = "10.96.0.0/16";
/// The service `kubernetes.default`: the first address of [`SERVICE_RANGE`].
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Where pods are told to look for DNS. Nothing serves there; without an address the kubelet sends each pod a warning event.
pub const DNS_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// Real pods' addresses, the same in every cluster.
pub const POD_RANGE: &str = "10.244.0.0/24";
/// Fake pods' addresses as kwok invents them; nothing routes there.
pub const FAKE_POD_RANGE: &str = "10.245.0.0/16";
/// The bridge of real pods, inside the namespace.
pub const BRIDGE: &str = "pods0";
/// The interface that leads from the namespace to the host.
pub const UPLINK: &str = "host0";
/// The one real node.
pub const NODE: &str = "node";

/// Names, folders and addresses of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    name: ClusterName,
    root: PathBuf,
}

impl Layout {
    /// The layout of the cluster `name` below the default folder, or the one that `PROBEPILOT_CLUSTERS_DIR` names.
    #[must_use]
    pub fn new(name: ClusterName) -> Self {
        let root = std::env::var_os(ROOT_VAR).map_or_else(|| PathBuf::from(ROOT), PathBuf::from);
        Self::below(&root, name)
    }

    /// The layout of the cluster `name` below `root`.
    #[must_use]
    pub fn below(root: &Path, name: ClusterName) -> Self {
        Self {
            name,
            root: root.to_owned(),
        }
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// Folder of everything the cluster keeps; gone when the cluster is.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.root.join(self.name.as_str())
    }

    /// A file or folder of the cluster.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir().join(relative)
    }

    /// Held while the cluster is started or stopped. Beside the folder, since the folder comes and goes.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.root.join(format!("{}.lock", self.name))
    }

    /// What the cluster was started with; written before anything else is made.
    #[must_use]
    pub fn record(&self) -> PathBuf {
        self.path("cluster.json")
    }

    /// The administrator's kubeconfig, with the certificates inside.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Logs of the daemons, and of the pods in `pods`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.path("logs")
    }

    /// Logs of the real node's containers, as the kubelet lays them out.
    #[must_use]
    pub fn pod_logs(&self) -> PathBuf {
        self.path("logs/pods")
    }

    /// The API server's audit log: one JSON event a line.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.path("logs/audit.log")
    }

    /// Pid files.
    #[must_use]
    pub fn pids(&self) -> PathBuf {
        self.path("pids")
    }

    /// Certificates and keys.
    #[must_use]
    pub fn pki(&self) -> PathBuf {
        self.path("pki")
    }

    /// The daemons' configuration files and kubeconfigs.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("config")
    }

    /// The kubelet's root: pods' volumes are mounted below it.
    #[must_use]
    pub fn kubelet_root(&self) -> PathBuf {
        self.path("kubelet")
    }

    /// containerd's socket.
    #[must_use]
    pub fn containerd_socket(&self) -> PathBuf {
        self.path("run/containerd.sock")
    }

    /// The network namespace's name as `ip netns` shows it.
    #[must_use]
    pub fn netns(&self) -> String {
        format!("pp-{}", self.name)
    }

    /// The host's end of the pair of interfaces.
    #[must_use]
    pub fn host_interface(&self) -> String {
        format!("pp-{}", self.name)
    }

    /// The cgroup of everything that runs, below the root of each hierarchy.
    #[must_use]
    pub fn cgroup(&self) -> PathBuf {
        Path::new("probepilot").join(self.name.as_str())
    }

    /// The cgroup of the daemons and the containers' shims.
    #[must_use]
    pub fn daemons_cgroup(&self) -> PathBuf {
        self.cgroup().join("daemons")
    }

    /// The cgroup below which the kubelet puts pods.
    #[must_use]
    pub fn pods_cgroup(&self) -> PathBuf {
        self.cgroup().join("pods")
    }

    /// The host's address on the link to the cluster.
    #[must_use]
    pub fn host_address(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.link_base() + 1)
    }

    /// The node's address: the API server and the kubelet listen there.
    #[must_use]
    pub fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::from(self.link_base() + 2)
    }

    /// Length of the link's prefix: two usable addresses.
    pub const LINK_PREFIX: u8 = 30;

    /// The API server as the host's programs reach it.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("https://{}:{}", self.node_address(), port::API)
    }

    /// The link's network: one of the 32,768 /30s of 198.18.0.0/15, which RFC 2544 sets aside for tests between hosts, picked by a hash
    /// (FNV-1a) of the name. Two names that share one are told so by the kernel when the second cluster starts.
    fn link_base(&self) -> u32 {
        let hash = self
            .name
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        let slot = (hash ^ (hash >> 15)) & 0x7fff;
        u32::from(Ipv4Addr::new(198, 18, 0, 0)) + slot * 4
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layout(name: &str) -> Layout {
        Layout::below(Path::new("/c"), name.parse().unwrap())
    }

    #[test]
    fn names() {
        let cases = [
            ("plain", "dev", true),
            ("digits and hyphen", "e2e-2", true),
            ("longest", "abcdefghijkl", true),
            ("too long", "abcdefghijklm", false),
            ("empty", "", false),
            ("upper case", "Dev", false),
            ("leading digit", "2dev", false),
            ("leading hyphen", "-dev", false),
            ("trailing hyphen", "dev-", false),
            ("path", "../etc", false),
            ("dot", "a.b", false),
            ("not ascii", "dév", false),
        ];
        for (case, name, good) in cases {
            assert_eq!(name.parse::<ClusterName>().is_ok(), good, "{case}");
        }
    }

    #[test]
    fn one_cluster() {
        let dev = layout("dev");
        assert_eq!(dev.kubeconfig(), Path::new("/c/dev/kubeconfig"));
        assert_eq!(dev.lock(), Path::new("/c/dev.lock"));
        assert_eq!(dev.pods_cgroup(), Path::new("probepilot/dev/pods"));
        assert_eq!(dev.netns(), "pp-dev");
        assert_eq!(
            dev.api_url(),
            format!("https://{}:6443", dev.node_address())
        );
    }

    proptest! {
        #[test]
        fn what_leaves_the_namespace_fits(name in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?") {
            let layout = layout(&name);
            // IFNAMSIZ is 16 with the closing zero, sockaddr_un has 108 bytes.
            prop_assert!(layout.host_interface().len() <= 15);
            let socket = Layout::below(Path::new(ROOT), name.parse().unwrap()).containerd_socket();
            prop_assert!(socket.as_os_str().len() < 108);
            let (host, node) = (u32::from(layout.host_address()), u32::from(layout.node_address()));
            prop_assert_eq!(host + 1, node);
            prop_assert_eq!(host % 4, 1);
            prop_assert!(layout.node_address().octets()[0] == 198 && matches!(layout.node_address().octets()[1], 18 | 19));
        }

        #[test]
        fn two_names_share_nothing_but_perhaps_the_link(a in "[a-z][a-z0-9]{0,11}", b in "[a-z][a-z0-9]{0,11}") {
            prop_assume!(a != b);
            let (a, b) = (layout(&a), layout(&b));
            prop_assert_ne!(a.dir(), b.dir());
            prop_assert_ne!(a.lock(), b.lock());
            prop_assert_ne!(a.netns(), b.netns());
            prop_assert_ne!(a.cgroup(), b.cgroup());
            prop_assert!(!a.dir().starts_with(b.dir()));
        }
    }
}
