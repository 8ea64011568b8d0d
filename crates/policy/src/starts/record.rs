//! Starts as `status.starts` has them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use probepilot_api::StartRecord;

use super::{Start, StartKey, Starts};

impl From<&StartRecord> for Start {
    fn from(record: &StartRecord) -> Self {
        Self {
            started_at: record.started_at.0,
            seconds: u32::try_from(record.seconds.max(0)).unwrap_or(u32::MAX),
            measured_by: record.measured_by,
            outcome: record.outcome,
            count: record.count,
            key: StartKey::from(record.key.clone()),
            cpu_limit: record.cpu_limit.clone(),
            own_write: record.own_write,
        }
    }
}

impl From<&Start> for StartRecord {
    fn from(start: &Start) -> Self {
        Self {
            started_at: Time(start.started_at),
            seconds: start.seconds.into(),
            measured_by: start.measured_by,
            outcome: start.outcome,
            count: start.count,
            key: start.key.as_str().to_owned(),
            cpu_limit: start.cpu_limit.clone(),
            own_write: start.own_write,
        }
    }
}

impl From<&[StartRecord]> for Starts {
    fn from(records: &[StartRecord]) -> Self {
        Self::from(records.iter().map(Start::from).collect::<Vec<_>>())
    }
}
