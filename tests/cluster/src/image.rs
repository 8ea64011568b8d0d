//! Images: loading them into the node's containerd, the two that every cluster has, and building programs for others.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{run, show};
use crate::component::Context;
use crate::error::{Error, Result};
use crate::oci::Image;
use crate::wait::{self, Seen};

/// Holds a pod's namespaces.
pub const PAUSE: &str = "probepilot.test/pause:1";
/// A shell and the usual small programs, from Debian's static busybox. Pods must say `imagePullPolicy: Never` or `IfNotPresent`.
/// Its `wget` crashes when given `-T` (it looks for a name service that a static program has not), and speaks no TLS that Go accepts.
pub const BUSYBOX: &str = "probepilot.test/busybox:1";

/// containerd's namespace of the kubelet's images.
const NAMESPACE: &str = "k8s.io";

/// Puts the images that every cluster has into containerd.
pub(crate) async fn load_own(context: &Context) -> Result<()> {
    load(context, &pause(context)?).await?;
    load(context, &busybox(context)?).await
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("read", path))
}

fn pause(context: &Context) -> Result<Image> {
    Ok(Image::new(PAUSE)
        .file("/pause", read(&context.tools.program("pause"))?, 0o755)
        .entrypoint(["/pause"])
        .user("65535:65535"))
}

fn busybox(context: &Context) -> Result<Image> {
    let program = &context.host.busybox;
    let mut image = Image::new(BUSYBOX)
        .folder("/tmp", 0o1777)
        .file("/bin/busybox", read(program)?, 0o755)
        .file(
            "/etc/passwd",
            "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
            0o644,
        )
        .env("PATH=/bin")
        .entrypoint(["/bin/busybox"]);
    for applet in run(Command::new(program).arg("--list"))?
        .lines()
        .filter(|name| !name.contains('/') && *name != "busybox")
    {
        image = image.link(format!("/bin/{applet}"), "busybox");
    }
    Ok(image)
}

/// Puts an image into the node's containerd and waits until the kubelet can see it.
pub(crate) async fn load(context: &Context, image: &Image) -> Result<()> {
    let layout = &context.layout;
    let dir = layout.path("run");
    let file = dir.join(format!(
        "image-{}.tar",
        image.name().replace(['/', ':'], "_")
    ));
    let tar = image.to_oci_tar().map_err(Error::io("write", &file))?;
    fs::write(&file, tar).map_err(Error::io("write", &file))?;
    let imported = run(ctr(context).args(["images", "import"]).arg(&file));
    fs::remove_file(&file).map_err(Error::io("remove", &file))?;
    imported?;
    wait::until(
        format!("containerd to offer {} to the kubelet", image.name()),
        Duration::from_secs(20),
        || async {
            let listed =
                run(ctr(context).args(["images", "list", &format!("name=={}", image.name())]))?;
            // The part of containerd that talks to the kubelet has taken notice.
            Ok::<_, Error>(if listed.contains("io.cri-containerd.image=managed") {
                Seen::Done(())
            } else {
                Seen::NotYet(listed)
            })
        },
    )
    .await?;
    Ok(())
}

fn ctr(context: &Context) -> Command {
    let mut command = Command::new(&context.host.ctr);
    command
        .arg("--address")
        .arg(context.layout.containerd_socket())
        .args(["--namespace", NAMESPACE]);
    command
}

/// Whether containerd answers.
pub(crate) fn containerd_answers(context: &Context) -> bool {
    run(ctr(context).arg("version")).is_ok()
}

/// The programs that images are made of. They are built together: one by one, each would choose other features of the crates that they
/// share, and cargo would compile those again.
const PROGRAMS: [&str; 3] = ["podcache", "probed", "probepilot"];

/// Builds the program of a workspace package for images without a C library and returns its path: release, statically linked, for this
/// machine's architecture. In a target folder of its own, since other compiler flags would rebuild everything in the shared one.
pub fn build_static(package: &str) -> Result<PathBuf> {
    let workspace = workspace();
    let others = PROGRAMS.into_iter().filter(|program| *program != package);
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let dir = workspace.join("target/static");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "build",
            "--release",
            "--locked",
            "--target",
            &target,
            "--target-dir",
        ])
        .arg(&dir)
        .args(
            std::iter::once(package)
                .chain(others)
                .flat_map(|program| ["--package", program]),
        )
        .current_dir(&workspace)
        // What a test run or a coverage tool set for its own build would spoil this one.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_TARGET_DIR")
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    // What cargo tells a test of its package would make it run ring's build script again for each of them.
    let of_package = |name: &OsString| {
        let name = name.to_string_lossy();
        [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| of_package(name)) {
        command.env_remove(name);
    }
    let line = show(&command);
    let status = command
        .status()
        .map_err(Error::io("run", Path::new("cargo")))?;
    if !status.success() {
        return Err(Error::Command {
            command: line,
            status: status.to_string(),
            output: "see above".to_owned(),
        });
    }
    Ok(dir.join(target).join("release").join(package))
}

/// The workspace's root: this crate is `tests/cluster` in it.
fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
