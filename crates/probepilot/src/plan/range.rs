//! A range of counts.

/// The least end of a range that nobody gave.
const LEAST_END: i64 = 10_000;

/// Counts from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The first.
    pub(super) from: i64,
    /// The last, never below the first.
    pub(super) to: i64,
}

impl Range {
    /// The range asked for; an end that is not given follows from the counts that are `named`.
    pub(super) fn new(
        from: Option<i64>,
        to: Option<i64>,
        named: impl Iterator<Item = i64>,
    ) -> anyhow::Result<Self> {
        let from = from.unwrap_or(0);
        let to = to.unwrap_or_else(|| {
            let largest = named.max().unwrap_or(0).saturating_mul(10);
            largest
                .max(LEAST_END)
                .max(from.saturating_mul(10))
                .min(super::LARGEST_COUNT)
        });
        anyhow::ensure!(
            from <= to,
            "--from {from} is larger than --to {to}: swap them"
        );
        Ok(Self { from, to })
    }

    /// The pieces into which `breaks` cut the range: each begins at a break, or at the first count.
    pub(super) fn pieces(self, breaks: &[i64]) -> Vec<Self> {
        let inside = breaks
            .iter()
            .copied()
            .filter(|count| (self.from + 1..=self.to).contains(count));
        let mut begins: Vec<i64> = std::iter::once(self.from).chain(inside).collect();
        begins.sort_unstable();
        begins.dedup();
        let ends = begins
            .iter()
            .skip(1)
            .map(|begin| begin - 1)
            .chain(std::iter::once(self.to));
        begins
            .iter()
            .zip(ends)
            .map(|(&from, to)| Self { from, to })
            .collect()
    }

    /// The first count of the range of which `holds` is true, where it stays true once it is.
    pub(super) fn first(self, mut holds: impl FnMut(i64) -> bool) -> Option<i64> {
        if !holds(self.to) {
            return None;
        }
        let (mut low, mut high) = (self.from, self.to);
        while low < high {
            let middle = low + (high - low) / 2;
            if holds(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: i64, to: i64) -> Range {
        Range { from, to }
    }

    #[test]
    fn ends_that_nobody_gave() {
        for (name, from, to, named, expected) in [
            ("none", None, None, vec![], (0, 10_000)),
            ("a rung", None, None, vec![0, 10_000], (0, 100_000)),
            (
                "beyond the rungs",
                Some(200_000),
                None,
                vec![10_000],
                (200_000, 2_000_000),
            ),
            ("both", Some(5), Some(7), vec![10_000], (5, 7)),
            (
                "the schema's end",
                None,
                None,
                vec![super::super::LARGEST_COUNT],
                (0, 1_000_000_000),
            ),
        ] {
            let found = Range::new(from, to, named.into_iter()).unwrap();
            assert_eq!((found.from, found.to), expected, "{name}");
        }
        assert!(Range::new(Some(8), Some(7), std::iter::empty()).is_err());
    }

    #[test]
    fn pieces_cover_the_range_once() {
        assert_eq!(range(0, 9).pieces(&[]), [range(0, 9)]);
        assert_eq!(range(0, 9).pieces(&[0, 9, 20]), [range(0, 8), range(9, 9)]);
        assert_eq!(
            range(3, 9).pieces(&[5, 4, 5]),
            [range(3, 3), range(4, 4), range(5, 9)]
        );
    }

    #[test]
    fn the_first_that_holds() {
        for (least, expected) in [
            (0, Some(3)),
            (3, Some(3)),
            (7, Some(7)),
            (9, Some(9)),
            (10, None),
        ] {
            assert_eq!(
                range(3, 9).first(|count| count >= least),
                expected,
                "{least}"
            );
        }
    }
}
