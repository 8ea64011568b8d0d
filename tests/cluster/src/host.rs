//! What the host must have: root, Debian's packages, Go.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{self, run};
use crate::error::{Error, Result};
use crate::progress::Progress;

/// Programs of the host that a cluster runs.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub containerd: PathBuf,
    pub ctr: PathBuf,
    pub runc: PathBuf,
    pub ip: PathBuf,
    pub nsenter: PathBuf,
    pub setsid: PathBuf,
    pub busybox: PathBuf,
    /// Folder of the CNI plugins.
    pub cni: PathBuf,
}

/// A file that a cluster needs: where it may be, and the Debian package that brings it.
struct Need {
    package: &'static str,
    candidates: &'static [&'static str],
}

const CONTAINERD: Need = Need {
    package: "containerd",
    candidates: &["/usr/bin/containerd", "/usr/local/bin/containerd"],
};
const CTR: Need = Need {
    package: "containerd",
    candidates: &["/usr/bin/ctr", "/usr/local/bin/ctr"],
};
const RUNC: Need = Need {
    package: "runc",
    candidates: &["/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"],
};
const CNI: Need = Need {
    package: "containernetworking-plugins",
    candidates: &[
        "/usr/lib/cni/bridge",
        "/opt/cni/bin/bridge",
        "/usr/libexec/cni/bridge",
    ],
};
const IPTABLES: Need = Need {
    package: "iptables",
    candidates: &["/usr/sbin/iptables", "/usr/bin/iptables", "/sbin/iptables"],
};
const IP: Need = Need {
    package: "iproute2",
    candidates: &["/usr/sbin/ip", "/usr/bin/ip", "/sbin/ip"],
};
const NSENTER: Need = Need {
    package: "util-linux",
    candidates: &["/usr/bin/nsenter"],
};
const SETSID: Need = Need {
    package: "util-linux",
    candidates: &["/usr/bin/setsid"],
};
const BUSYBOX: Need = Need {
    package: "busybox-static",
    candidates: &["/bin/busybox", "/usr/bin/busybox"],
};

const NEEDS: [&Need; 9] = [
    &CONTAINERD,
    &CTR,
    &RUNC,
    &CNI,
    &IPTABLES,
    &IP,
    &NSENTER,
    &SETSID,
    &BUSYBOX,
];

fn find(need: &Need) -> Option<PathBuf> {
    need.candidates
        .iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
}

/// Packages that are not there, each once.
fn missing() -> Vec<&'static str> {
    let mut packages: Vec<_> = NEEDS
        .iter()
        .filter(|need| find(need).is_none())
        .map(|need| need.package)
        .collect();
    packages.dedup();
    packages
}

/// Whether this process may do what a cluster needs.
pub(crate) fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err(Error::NotRoot)
    }
}

impl Host {
    /// Finds the programs; installs Debian's packages first when some are missing and `apt-get` is there.
    pub fn prepare(progress: &Progress) -> Result<Self> {
        require_root()?;
        let packages = missing();
        if !packages.is_empty() {
            install(&packages, progress)?;
        }
        Self::find()
    }

    /// Finds the programs, or names what to install.
    pub fn find() -> Result<Self> {
        let packages = missing();
        if !packages.is_empty() {
            return Err(Error::MissingPackages {
                packages: packages.join(" "),
            });
        }
        let at = |need: &Need| find(need).unwrap_or_else(|| PathBuf::from(need.candidates[0]));
        Ok(Self {
            containerd: at(&CONTAINERD),
            ctr: at(&CTR),
            runc: at(&RUNC),
            ip: at(&IP),
            nsenter: at(&NSENTER),
            setsid: at(&SETSID),
            busybox: at(&BUSYBOX),
            cni: at(&CNI).parent().unwrap_or(Path::new("/")).to_owned(),
        })
    }
}

fn install(packages: &[&'static str], progress: &Progress) -> Result<()> {
    let apt = Path::new("/usr/bin/apt-get");
    if !apt.exists() {
        return Err(Error::MissingPackages {
            packages: packages.join(" "),
        });
    }
    progress.say(format!(
        "installing Debian packages: {}",
        packages.join(" ")
    ));
    run(Command::new(apt)
        .arg("update")
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    run(Command::new(apt)
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

/// The Go command, or the sentence that says what to do.
pub(crate) fn go() -> Result<PathBuf> {
    let usual = Path::new("/usr/local/go/bin/go");
    command::on_path("go")
        .or_else(|| usual.exists().then(|| usual.to_owned()))
        .ok_or(Error::MissingGo)
}

/// Loads the kernel modules that bridged pods and overlay layers need, where they are modules. A kernel that has them built in, or a
/// container without `modprobe`, shows soon enough whether it works.
pub(crate) fn load_kernel_modules() {
    for module in ["br_netfilter", "overlay"] {
        let _ = Command::new("modprobe")
            .arg(module)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}
