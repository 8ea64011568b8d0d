//! The `probepilot` program, for tests that run it as a process.

use std::path::PathBuf;
use std::process::Command;

use tokio::sync::OnceCell;

/// The built program. Cargo builds it here: a test of another package cannot name it to its own build.
pub async fn program() -> PathBuf {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = || async {
        let test = std::env::current_exe().expect("the test's own path");
        // <target>/<profile>/deps/<test>
        let profile = test
            .ancestors()
            .nth(2)
            .expect("the profile's folder")
            .to_owned();
        let target = profile.parent().expect("the target folder").to_owned();
        let name = profile.file_name().and_then(|name| name.to_str());
        let name = name.filter(|name| *name != "debug").unwrap_or("dev");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([
                "build",
                "--quiet",
                "--package",
                "probepilot",
                "--bin",
                "probepilot",
                "--profile",
                name,
                "--target-dir",
            ])
            .arg(target);
        // What cargo tells a test about its package would make the build begin anew (build scripts watch it).
        let about_the_test = |name: &str| {
            [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_CRATE_",
                "CARGO_BIN_",
            ]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        };
        for (name, _) in std::env::vars().filter(|(name, _)| about_the_test(name)) {
            cargo.env_remove(name);
        }
        let status = cargo.status().expect("cargo");
        assert!(status.success(), "cargo build ended with {status}");
        profile.join("probepilot")
    };
    BUILT.get_or_init(build).await.clone()
}
