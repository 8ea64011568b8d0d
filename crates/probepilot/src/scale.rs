//! Round numbers for axes of seconds.

/// A round distance between the labels of an axis that has room for about `labels` of them.
pub(crate) fn axis_step_seconds(until_ms: u64, labels: u64) -> u64 {
    const STEPS: [u64; 20] = [
        1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600,
        43_200, 86_400, 172_800,
    ];
    let least = (until_ms / 1000).div_ceil(labels.max(1));
    STEPS
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(604_800)
}
