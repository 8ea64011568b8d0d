//! A real Kubernetes on this machine: etcd, API server, controllers, scheduler, kubelet, kube-proxy, containerd and runc, and kwok for
//! thousands of fake nodes and pods. For tests, the demo and benchmarks.
//!
//! Kubernetes, etcd and kwok are built from source as Go tools (`tools/`, one Go module each for what shares its libraries); containerd, runc
//! and the CNI plugins are Debian's. Each cluster lives in a network namespace, a cgroup and a folder of its own, so several can run at once
//! and each can be removed whole, also after a crash. It outlives the process that started it: see [`Cluster::shared`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use probepilot_test_cluster::{Cluster, PodFleet, TestNamespace};
//!
//! let cluster = Cluster::shared().await?;
//! let client = cluster.client().await?;
//! let namespace = TestNamespace::create(&client, "counting").await?;
//! cluster.add_fake_nodes(10).await?;
//! cluster.create_pods(&PodFleet::new(namespace.name(), 1_000)).await?;
//! println!("{}", cluster.kubectl()?.run(["get", "pods", "-A"]).await?);
//! namespace.delete().await?;
//! # Ok(()) }
//! ```
//!
//! What may not go in: anything that knows ProbePolicy. Tests of the product live beside this crate and use it.

mod account;
mod cgroup;
mod cluster;
mod command;
mod component;
mod config;
mod creation;
mod error;
mod fleet;
mod health;
mod host;
mod image;
mod kubeconfig;
mod kubectl;
mod layout;
mod lifecycle;
mod lock;
mod mounts;
mod namespace;
mod network;
mod oci;
mod options;
mod owners;
mod pki;
mod process;
mod progress;
mod tools;
pub mod wait;

pub use account::rights_in;
pub use cluster::Cluster;
pub use component::Component;
pub use error::{Error, Result};
pub use fleet::{FAKE_NODE_LABEL, PodFleet};
pub use health::{ComponentHealth, Health};
pub use image::{BUSYBOX, PAUSE, build_static};
pub use kubectl::Kubectl;
pub use layout::{ClusterName, Layout, NODE};
pub use namespace::TestNamespace;
pub use oci::Image;
pub use options::ClusterOptions;
pub use owners::OwnerTools;
pub use process::{Identity, PidFile};
pub use progress::Progress;
