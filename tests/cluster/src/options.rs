//! What a cluster can be started with.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::layout::{ClusterName, Layout};

/// What a cluster is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterOptions {
    /// The cluster's name.
    pub name: ClusterName,
    /// The longest pause between two restarts of a container, in whole seconds. `None` is the kubelet's own default back-off, which doubles
    /// from 10 s to 5 min: what every test uses that has not a reason of its own.
    pub max_container_restart_period: Option<Duration>,
}

impl ClusterOptions {
    /// A cluster of that name as users have them.
    #[must_use]
    pub fn new(name: ClusterName) -> Self {
        Self {
            name,
            max_container_restart_period: None,
        }
    }

    /// With a cap on the pause between two restarts of a container.
    #[must_use]
    pub fn max_container_restart_period(mut self, cap: Duration) -> Self {
        self.max_container_restart_period = Some(cap);
        self
    }

    pub(crate) fn record(&self) -> Record {
        Record {
            max_container_restart_seconds: self
                .max_container_restart_period
                .map(|cap| cap.as_secs()),
        }
    }
}

/// What a running cluster was started with, as its folder remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    max_container_restart_seconds: Option<u64>,
}

impl Record {
    pub fn read(layout: &Layout) -> Option<Self> {
        serde_json::from_slice(&fs::read(layout.record()).ok()?).ok()
    }

    pub fn write(&self, layout: &Layout) -> Result<()> {
        let path = layout.record();
        let json = serde_json::to_vec_pretty(self).map_err(|cause| Error::Json {
            what: "the cluster's record",
            cause,
        })?;
        fs::write(&path, json).map_err(Error::io("write", &path))
    }

    /// In words, for whoever asked for something else.
    pub fn describe(&self) -> String {
        match self.max_container_restart_seconds {
            None => "the kubelet's default restart back-off".to_owned(),
            Some(seconds) => format!("restart back-off of at most {seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_tells_options_apart() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::below(dir.path(), "dev".parse().unwrap());
        assert_eq!(Record::read(&layout), None);
        fs::create_dir_all(layout.dir()).unwrap();
        let plain = ClusterOptions::new("dev".parse().unwrap());
        let capped = plain
            .clone()
            .max_container_restart_period(Duration::from_secs(10));
        assert_ne!(plain.record(), capped.record());
        for options in [plain, capped] {
            options.record().write(&layout).unwrap();
            assert_eq!(Record::read(&layout), Some(options.record()));
        }
    }
}
