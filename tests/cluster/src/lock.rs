//! One process at a time starts or stops a cluster.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::progress::Progress;

/// Takes the cluster's lock; it is freed when the value is dropped or the process ends, however it ends.
pub(crate) async fn lock(layout: &Layout, progress: &Progress) -> Result<File> {
    let path = layout.lock();
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    }
    loop {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        if file.try_lock().is_err() {
            progress.say(format!(
                "waiting for another process that starts or stops cluster {}",
                layout.name()
            ));
            let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
            file = locked
                .map_err(std::io::Error::other)
                .flatten()
                .map_err(Error::io("lock", &path))?;
        }
        // Whoever held it before may have stopped the cluster and removed the file: then this lock excludes nobody.
        let held = file.metadata().map_err(Error::io("read", &path))?;
        if fs::metadata(&path).is_ok_and(|there| there.ino() == held.ino()) {
            return Ok(file);
        }
    }
}
