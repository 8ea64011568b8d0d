//! Amounts of memory and CPU as Kubernetes writes them.

use std::fmt;

/// A resource quantity in thousandths of its unit: bytes for memory, cores for CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u128);

impl Quantity {
    /// Reads `256Mi`, `100m`, `1.5`, `2e9`; `None` when it is none of these or negative.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: u128 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        // Nano is the smallest unit that Kubernetes prints; beyond it nothing is lost.
        let nano: u128 = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction))
            .parse()
            .ok()?;
        let nanos = whole.checked_mul(1_000_000_000)?.checked_add(nano)?;
        let (factor, divisor) = scale(suffix)?;
        Some(Self(nanos.checked_mul(factor)? / divisor / 1_000_000))
    }

    /// From thousandths.
    #[must_use]
    pub const fn from_milli(milli: u64) -> Self {
        Self(milli as u128)
    }

    /// In thousandths; saturates.
    #[must_use]
    pub fn milli(self) -> u64 {
        u64::try_from(self.0).unwrap_or(u64::MAX)
    }

    /// In whole units, rounded down; saturates.
    #[must_use]
    pub fn units(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(u64::MAX)
    }

    /// This part of `whole` in per cent, rounded down; `None` where `whole` is zero.
    #[must_use]
    pub fn percent_of(self, whole: Self) -> Option<u64> {
        let percent = self.0.checked_mul(100)?.checked_div(whole.0)?;
        Some(u64::try_from(percent).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Quantity {
    /// As bytes: the largest binary unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.units();
        for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
            if bytes >= size && bytes.is_multiple_of(size) {
                return write!(f, "{}{unit}", bytes / size);
            }
        }
        write!(f, "{bytes}")
    }
}

/// What a suffix multiplies with and divides by.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    let binary = |power: u32| Some((1_u128 << (10 * power), 1));
    let decimal = |power: u32| Some((10_u128.checked_pow(power)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, 1_000_000_000)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        other => {
            let power = other.strip_prefix(['e', 'E'])?;
            match power.strip_prefix('-') {
                Some(power) => Some((1, 10_u128.checked_pow(power.parse().ok()?)?)),
                None => decimal(power.strip_prefix('+').unwrap_or(power).parse().ok()?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities() {
        let cases = [
            ("256Mi", Some(256 << 20)),
            ("1Gi", Some(1 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("100M", Some(100_000_000)),
            ("2e9", Some(2_000_000_000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("128974848000m", Some(128_974_848)),
            ("0", Some(0)),
            ("", None),
            ("Mi", None),
            ("-1", None),
            ("1Q", None),
            ("1e99", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(Quantity::parse(text).map(Quantity::units), bytes, "{text}");
        }
        for (text, milli) in [
            ("100m", 100),
            ("2", 2000),
            ("0.25", 250),
            ("1500u", 1),
            (".5", 500),
        ] {
            assert_eq!(
                Quantity::parse(text).map(Quantity::milli),
                Some(milli),
                "{text}"
            );
        }
    }

    #[test]
    fn shown_in_the_unit_that_divides_it() {
        for text in ["256Mi", "1Gi", "1000", "3Ki"] {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.eEkKMGTPimnu+-]{0,40}") {
            let _ = Quantity::parse(&text);
        }
    }
}
