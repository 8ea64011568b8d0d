//! Resident memory of this process.

use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Resident memory in bytes, from the kernel's own account of this process.
///
/// `VmRSS` of `/proc/self/status` is in kB whatever the page size is, unlike `/proc/self/statm`.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    parse(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Reads the memory when metrics are scraped.
#[derive(Debug)]
pub(crate) struct ResidentMemory;

impl Collector for ResidentMemory {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        // No /proc, no series: better none than a zero.
        let Some(bytes) = resident_bytes() else {
            return Ok(());
        };
        let gauge = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(
            "process_resident_memory",
            "Resident memory of the operator",
            Some(&Unit::Bytes),
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_line_is_read_in_bytes() {
        let cases = [
            (
                "usual",
                "VmHWM:\t  99 kB\nVmRSS:\t   12345 kB\n",
                Some(12_641_280),
            ),
            ("absent", "Name:\tx\n", None),
            ("other unit", "VmRSS:\t 12 MB\n", None),
        ];
        for (name, status, expected) in cases {
            assert_eq!(parse(status), expected, "{name}");
        }
    }
}
