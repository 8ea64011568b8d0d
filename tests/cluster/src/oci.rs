//! Writes a container image of one layer as an OCI layout in a tar file, which `ctr images import` reads. No registry, no Docker.

use std::io;

use ring::digest;
use serde_json::json;

/// One entry of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Folder { mode: u32 },
    File { content: Vec<u8>, mode: u32 },
    Link { target: String },
}

/// An image to be.
///
/// ```
/// # use probepilot_test_cluster::Image;
/// let image = Image::new("probepilot.test/hello:1").file("/hello", b"#!/bin/sh\n".to_vec(), 0o755).entrypoint(["/hello"]).user("65532:65532");
/// assert!(image.to_oci_tar().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    name: String,
    entries: Vec<(String, Entry)>,
    entrypoint: Vec<String>,
    env: Vec<String>,
    user: String,
}

impl Image {
    /// An empty image of that full name, for example `probepilot.test/operator:dev`; runs as root unless [`Image::user`] says otherwise.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entries: Vec::new(),
            entrypoint: Vec::new(),
            env: Vec::new(),
            user: String::new(),
        }
    }

    /// The full name, as a pod's `image` says it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a file at an absolute path; the folders above it are made by whoever unpacks the layer.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Vec<u8>>, mode: u32) -> Self {
        self.entries.push((
            path.into(),
            Entry::File {
                content: content.into(),
                mode,
            },
        ));
        self
    }

    /// Adds a folder at an absolute path.
    #[must_use]
    pub fn folder(mut self, path: impl Into<String>, mode: u32) -> Self {
        self.entries.push((path.into(), Entry::Folder { mode }));
        self
    }

    /// Adds a symbolic link at an absolute path.
    #[must_use]
    pub fn link(mut self, path: impl Into<String>, target: impl Into<String>) -> Self {
        self.entries.push((
            path.into(),
            Entry::Link {
                target: target.into(),
            },
        ));
        self
    }

    /// What the container runs when the pod names no command.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Adds `NAME=value` to the environment.
    #[must_use]
    pub fn env(mut self, assignment: impl Into<String>) -> Self {
        self.env.push(assignment.into());
        self
    }

    /// Who the container runs as, `UID` or `UID:GID`.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = user.into();
        self
    }

    /// The image as a tar file. The same image gives the same bytes.
    pub fn to_oci_tar(&self) -> io::Result<Vec<u8>> {
        let layer = self.layer()?;
        let layer_digest = sha256(&layer);
        let config = json!({
            "architecture": architecture(),
            "os": "linux",
            "config": {"Entrypoint": self.entrypoint, "Env": self.env, "User": self.user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        })
        .to_string();
        let config_digest = sha256(config.as_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": format!("sha256:{config_digest}"),
                "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": format!("sha256:{layer_digest}"),
                "size": layer.len(),
            }],
        })
        .to_string();
        let manifest_digest = sha256(manifest.as_bytes());
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": format!("sha256:{manifest_digest}"),
                "size": manifest.len(),
                // containerd takes the image's name from here.
                "annotations": {"io.containerd.image.name": self.name},
            }],
        })
        .to_string();

        let mut archive = tar::Builder::new(Vec::new());
        append(
            &mut archive,
            "oci-layout",
            json!({"imageLayoutVersion": "1.0.0"})
                .to_string()
                .as_bytes(),
            0o644,
        )?;
        append(&mut archive, "index.json", index.as_bytes(), 0o644)?;
        append(
            &mut archive,
            &blob(&manifest_digest),
            manifest.as_bytes(),
            0o644,
        )?;
        append(
            &mut archive,
            &blob(&config_digest),
            config.as_bytes(),
            0o644,
        )?;
        append(&mut archive, &blob(&layer_digest), &layer, 0o644)?;
        archive.into_inner()
    }

    fn layer(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            // Inside a layer paths are relative to its root.
            let path = path.trim_start_matches('/');
            match entry {
                Entry::Folder { mode } => {
                    let mut header = header(tar::EntryType::Directory, 0, *mode);
                    archive.append_data(&mut header, path, io::empty())?;
                }
                Entry::File { content, mode } => append(&mut archive, path, content, *mode)?,
                Entry::Link { target } => {
                    let mut header = header(tar::EntryType::Symlink, 0, 0o777);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        archive.into_inner()
    }
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    path: &str,
    content: &[u8],
    mode: u32,
) -> io::Result<()> {
    let mut header = header(tar::EntryType::Regular, content.len() as u64, mode);
    archive.append_data(&mut header, path, content)
}

fn header(kind: tar::EntryType, size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// This machine's architecture in the image specification's words, which are Go's.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    digest::digest(&digest::SHA256, bytes).as_ref().iter().fold(
        String::with_capacity(64),
        |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use serde_json::Value;

    use super::*;

    fn entries(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(bytes);
        archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().to_str().unwrap().to_owned();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (path, (entry.header().mode().unwrap(), content))
            })
            .collect()
    }

    /// Follows the descriptors from the index down to the layer, checking each digest and size on the way.
    fn layer_of(files: &BTreeMap<String, (u32, Vec<u8>)>) -> (Value, Vec<u8>) {
        let read = |descriptor: &Value| {
            let digest = descriptor["digest"]
                .as_str()
                .unwrap()
                .strip_prefix("sha256:")
                .unwrap();
            let content = &files[&blob(digest)].1;
            assert_eq!(sha256(content), digest);
            assert_eq!(descriptor["size"], content.len());
            content.clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"].1).unwrap();
        let manifest: Value = serde_json::from_slice(&read(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&read(&manifest["config"])).unwrap();
        let layer = read(&manifest["layers"][0]);
        assert_eq!(
            config["rootfs"]["diff_ids"][0],
            manifest["layers"][0]["digest"]
        );
        (config, layer)
    }

    #[test]
    fn an_image_reads_back() {
        let image = Image::new("probepilot.test/x:1")
            .folder("/tmp", 0o1777)
            .file("/bin/x", "binary", 0o755)
            .link("/bin/y", "/bin/x")
            .entrypoint(["/bin/x", "--flag"])
            .env("A=b")
            .user("65532:65532");
        let tar = image.to_oci_tar().unwrap();
        let files = entries(&tar);
        let index: Value = serde_json::from_slice(&files["index.json"].1).unwrap();
        assert_eq!(
            index["manifests"][0]["annotations"]["io.containerd.image.name"],
            "probepilot.test/x:1"
        );
        let (config, layer) = layer_of(&files);
        assert_eq!(config["config"]["Entrypoint"], json!(["/bin/x", "--flag"]));
        assert_eq!(config["config"]["Env"], json!(["A=b"]));
        assert_eq!(config["config"]["User"], "65532:65532");
        let layer = entries(&layer);
        assert_eq!(layer["bin/x"], (0o755, b"binary".to_vec()));
        assert_eq!(layer["tmp"].0, 0o1777);
        assert!(layer.contains_key("bin/y"));
    }

    #[test]
    fn the_same_image_gives_the_same_bytes() {
        let image = || {
            Image::new("a/b:1")
                .file("/f", vec![7; 3000], 0o644)
                .to_oci_tar()
                .unwrap()
        };
        assert_eq!(image(), image());
    }

    #[test]
    fn a_path_longer_than_a_tar_header_survives() {
        let path = format!("/{}/file", "long".repeat(40));
        let tar = Image::new("a/b:1")
            .file(&path, "x", 0o644)
            .to_oci_tar()
            .unwrap();
        let (_, layer) = layer_of(&entries(&tar));
        assert_eq!(entries(&layer)[&path[1..]].1, b"x");
    }

    #[test]
    fn sha256_of_nothing() {
        assert_eq!(
            sha256(b""),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
