//! The cluster's network namespace and the pair of interfaces that joins it to the host.
//!
//! Nothing is routed or translated on the host: its programs reach the node's address, the cluster's reach the host's end of the link,
//! and pods reach nothing outside. The bridge, kube-proxy's rules and the pods' interfaces are inside and go with the namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::run;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::layout::{Layout, SERVICE_RANGE, UPLINK};
use crate::wait::{self, Seen};

/// Where `ip netns` keeps a namespace of that name.
pub(crate) fn netns_path(layout: &Layout) -> PathBuf {
    Path::new("/run/netns").join(layout.netns())
}

/// Makes the namespace, the link and both ends' addresses.
pub(crate) fn create(host: &Host, layout: &Layout) -> Result<()> {
    let (netns, outside) = (layout.netns(), layout.host_interface());
    let prefix = Layout::LINK_PREFIX;
    let ip = |arguments: &[&str]| run(Command::new(&host.ip).args(arguments)).map(drop);
    let inside = |arguments: &[&str]| {
        run(Command::new(&host.ip).args(["-n", &netns]).args(arguments)).map(drop)
    };
    ip(&["netns", "add", &netns])?;
    inside(&["link", "set", "lo", "up"])?;
    ip(&[
        "link", "add", &outside, "type", "veth", "peer", "name", UPLINK, "netns", &netns,
    ])?;
    inside(&[
        "address",
        "add",
        &format!("{}/{prefix}", layout.node_address()),
        "dev",
        UPLINK,
    ])?;
    inside(&["link", "set", UPLINK, "up"])?;
    // A packet of the node's own needs a route before kube-proxy's rules turn it to the service's pod.
    inside(&[
        "route",
        "add",
        SERVICE_RANGE,
        "via",
        &layout.host_address().to_string(),
    ])?;
    ip(&[
        "address",
        "add",
        &format!("{}/{prefix}", layout.host_address()),
        "dev",
        &outside,
    ])?;
    ip(&["link", "set", &outside, "up"])
}

/// Removes the namespace and the link; either may be gone already.
pub(crate) async fn destroy(layout: &Layout) -> Result<()> {
    let ip = Path::new("ip");
    if netns_path(layout).exists() {
        run(Command::new(ip).args(["netns", "delete", &layout.netns()]))?;
    }
    if link_exists(layout) {
        run_unless_gone(
            layout,
            Command::new(ip).args(["link", "delete", &layout.host_interface()]),
        )?;
    }
    // The kernel takes a namespace apart in the background.
    wait::until(
        format!("interface {} to go", layout.host_interface()),
        Duration::from_secs(10),
        || async {
            Ok::<_, Error>(if link_exists(layout) {
                Seen::NotYet("it is there".into())
            } else {
                Seen::Done(())
            })
        },
    )
    .await?;
    Ok(())
}

fn run_unless_gone(layout: &Layout, command: &mut Command) -> Result<()> {
    match run(command) {
        Err(error) if link_exists(layout) => Err(error),
        _ => Ok(()),
    }
}

/// Whether the host's end of the link is there.
pub(crate) fn link_exists(layout: &Layout) -> bool {
    fs::symlink_metadata(Path::new("/sys/class/net").join(layout.host_interface())).is_ok()
}
