//! The daemons' configuration files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::image;
use crate::kubeconfig::Client;
use crate::layout::{BRIDGE, DNS_SERVICE, Layout, NODE, POD_RANGE, port};
use crate::pki::{Files, file};

pub(crate) const CONTAINERD: &str = "containerd.toml";
pub(crate) const KUBELET: &str = "kubelet.json";
pub(crate) const PROXY: &str = "proxy.json";
pub(crate) const AUDIT: &str = "audit.json";
pub(crate) const KWOK: &str = "kwok.yaml";
const CNI_DIR: &str = "cni";
const CNI: &str = "cni/10-pods.conflist";

/// Where a configuration file is.
pub(crate) fn path(layout: &Layout, name: &str) -> PathBuf {
    layout.config().join(name)
}

/// Writes all of them. `restart_cap` is the kubelet's longest pause between two restarts of a container; without it, the kubelet's own.
pub(crate) fn create(layout: &Layout, host: &Host, restart_cap: Option<Duration>) -> Result<()> {
    let cni = path(layout, CNI_DIR);
    fs::create_dir_all(&cni).map_err(Error::io("create", &cni))?;
    write(layout, CONTAINERD, containerd(layout, host).as_bytes())?;
    write(layout, KWOK, kwok().as_bytes())?;
    for (name, document) in [
        (KUBELET, kubelet(layout, restart_cap)),
        (PROXY, proxy(layout)),
        (AUDIT, audit()),
        (CNI, cni_network(layout)),
    ] {
        let text = serde_json::to_vec_pretty(&document).map_err(|cause| Error::Json {
            what: "a configuration",
            cause,
        })?;
        write(layout, name, &text)?;
    }
    Ok(())
}

fn write(layout: &Layout, name: &str, content: &[u8]) -> Result<()> {
    let path = path(layout, name);
    fs::write(&path, content).map_err(Error::io("write", &path))
}

fn containerd(layout: &Layout, host: &Host) -> String {
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
# Storage this host may not have, and a folder outside the cluster's own.
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt",
]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  netns_mounts_under_state_dir = true
  # A profile would have to be loaded into the host's kernel.
  disable_apparmor = true
  # Root in a sandbox of a developer's or CI's may not make a process safer from the kernel's out-of-memory killer than it is itself.
  restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "{cni_bin}"
  conf_dir = "{cni_conf}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  Root = "{runc_root}"
  SystemdCgroup = false
"#,
        root = layout.path("containerd").display(),
        state = layout.path("run/containerd").display(),
        socket = layout.containerd_socket().display(),
        pause = image::PAUSE,
        cni_bin = host.cni.display(),
        cni_conf = path(layout, CNI_DIR).display(),
        runc = host.runc.display(),
        runc_root = layout.path("run/runc").display(),
    )
}

fn cni_network(layout: &Layout) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": layout.path("run/cni"),
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

fn kubelet(layout: &Layout, restart_cap: Option<Duration>) -> Value {
    let files = Files::new(layout);
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": layout.node_address(),
        "port": port::KUBELET,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": port::KUBELET_HEALTH,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": files.certificate(file::CA)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": files.certificate(file::KUBELET),
        "tlsPrivateKeyFile": files.key(file::KUBELET),
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket().display()),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", layout.pods_cgroup().display()),
        "failCgroupV1": false,
        "enforceNodeAllocatable": [],
        "failSwapOn": false,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": false,
        "podLogsDir": layout.pod_logs(),
        "volumePluginDir": layout.kubelet_root().join("volumeplugins"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [DNS_SERVICE],
        "resolvConf": "",
        // A developer's disk may be nearly full: no eviction, and no image is collected that could not be pulled again.
        "localStorageCapacityIsolation": false,
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        "imageMaximumGCAge": "0s",
    });
    if let Some(cap) = restart_cap {
        config["crashLoopBackOff"] =
            json!({"maxContainerRestartPeriod": format!("{}s", cap.as_secs())});
    }
    config
}

fn proxy(layout: &Layout) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "bindAddress": layout.node_address(),
        "healthzBindAddress": format!("127.0.0.1:{}", port::PROXY_HEALTH),
        "metricsBindAddress": format!("127.0.0.1:{}", port::PROXY_METRICS),
        "clientConnection": {"kubeconfig": Client::Proxy.path(layout)},
        "clusterCIDR": POD_RANGE,
        "hostnameOverride": NODE,
        "oomScoreAdj": 0,
        // Connection tracking's limits belong to the host; zero leaves them alone.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}

/// Logs every finished request of the operator's service accounts, with its verb and outcome but no body: proof of what its roles must hold.
/// A watch is logged when it ends.
fn audit() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        "rules": [
            // Each service account is in its namespace's group; user names know no wildcard here.
            {"level": "Metadata", "userGroups": ["system:serviceaccounts:probepilot-system"]},
            {"level": "None"},
        ],
    })
}

fn kwok() -> String {
    [
        r"apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
options:
  # Few, so that what creates pods is not held up by what reports them running: the two share the processors.
  podPlayStageParallelism: 2
  nodePlayStageParallelism: 8
  nodeLeaseParallelism: 4
  podsOnNodeSyncParallelism: 4
",
        include_str!("../stages/node-ready.yaml"),
        include_str!("../stages/node-heartbeat.yaml"),
        include_str!("../stages/pod-ready.yaml"),
        include_str!("../stages/pod-delete.yaml"),
    ]
    .join("---\n")
}
