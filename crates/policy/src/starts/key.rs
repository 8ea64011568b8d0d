//! What makes two starts comparable.

use std::fmt;

use probepilot_api::CountSelector;
use serde::{Deserialize, Serialize};

/// How far beyond the middle between two CPU classes a limit may lie and still keep the class that is
/// already known, in doublings: a fifth, so a limit that moves by a tenth keeps the key it made.
const CLASS_MARGIN: f64 = 0.25;

/// What a container starts with, as its pod has it.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// The image as the spec names it.
    pub image: &'a str,
    /// `command`; empty where the image's own is used.
    pub command: &'a [String],
    /// `args`; empty where the image's own are used.
    pub args: &'a [String],
    /// The CPU limit in thousandths of a core. `None` and 0 are no limit.
    pub cpu_limit_milli: Option<u64>,
}

/// Image, command and arguments as a checksum: what is kept of them for each pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProgramSum(u64);

impl ProgramSum {
    /// The checksum of these.
    #[must_use]
    pub fn of(image: &str, command: &[String], args: &[String]) -> Self {
        let mut sum = Fnv::default();
        sum.list(&[image]);
        for words in [command, args] {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            sum.list(&words);
        }
        Self(sum.0)
    }

    /// The same where not all pods but something else is counted: seconds over another count are another curve.
    #[must_use]
    pub fn counted(self, selector: &CountSelector) -> Self {
        if *selector == CountSelector::default() {
            return self;
        }
        let mut sum = Fnv(self.0);
        sum.list(&[&selector.group, &selector.resource, &selector.namespace]);
        Self(sum.0)
    }
}

/// Image, command, arguments and the size of the CPU limit: starts that differ in one of them are not
/// put on one curve. One controller became 100 times faster with one flag (catalogue, section 1), and
/// a CPU limit is a hidden driver of the start.
///
/// Printed as a checksum of the first three and the CPU limit to the nearest power of two, for example
/// `5f0c3b7a90d1e2f4-cpu512m` or `5f0c3b7a90d1e2f4-nolimit`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StartKey(String);

impl StartKey {
    /// The key of a container. `known` are the keys there are: a limit near the border between two
    /// powers of two keeps the one that is known, so that a small change of the limit does not make
    /// the target start over.
    #[must_use]
    pub fn of<'a>(template: Template<'_>, known: impl IntoIterator<Item = &'a Self>) -> Self {
        let sum = ProgramSum::of(template.image, template.command, template.args);
        Self::with_sum(sum, template.cpu_limit_milli, known)
    }

    /// The same from what is kept of a program.
    #[must_use]
    pub fn with_sum<'a>(
        ProgramSum(sum): ProgramSum,
        cpu_limit_milli: Option<u64>,
        known: impl IntoIterator<Item = &'a Self>,
    ) -> Self {
        let Some(milli) = cpu_limit_milli.filter(|&milli| milli > 0) else {
            return Self(format!("{sum:016x}-nolimit"));
        };
        let doublings = log2(milli);
        let distance = |class: u32| (doublings - f64::from(class)).abs();
        let prefix = format!("{sum:016x}-");
        let class = known
            .into_iter()
            .filter_map(|key| class(key.0.strip_prefix(&prefix)?))
            .filter(|&class| distance(class) <= 0.5 + CLASS_MARGIN)
            .min_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(a.cmp(&b)))
            .unwrap_or_else(|| nearest(milli));
        Self(format!("{prefix}cpu{}m", 1_u64 << class))
    }

    /// The key as it stands in status.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for StartKey {
    /// A key as read from status.
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Display for StartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The CPU class that the end of a key names.
fn class(end: &str) -> Option<u32> {
    let milli: u64 = end.strip_prefix("cpu")?.strip_suffix('m')?.parse().ok()?;
    milli.is_power_of_two().then(|| milli.ilog2())
}

/// The nearest power of two by ratio.
fn nearest(milli: u64) -> u32 {
    let below = milli.ilog2();
    let up = log2(milli) - f64::from(below) > 0.5;
    (below + u32::from(up)).min(63)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a class is chosen, no number kept"
)]
fn log2(milli: u64) -> f64 {
    (milli as f64).log2()
}

/// FNV-1a with 64 bits (Fowler, Noll and Vo; draft-eastlake-fnv): short, and the same in every version
/// of every compiler, which a key that is stored must be. Each part is preceded by its length, so that
/// moving a word from one argument to the next is a change.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// As wide on every machine.
    fn length(&mut self, length: usize) {
        self.add(&u64::try_from(length).unwrap_or(u64::MAX).to_le_bytes());
    }

    fn list(&mut self, words: &[&str]) {
        self.length(words.len());
        for word in words {
            self.length(word.len());
            self.add(word.as_bytes());
        }
    }
}
