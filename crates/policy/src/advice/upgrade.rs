//! The rule about versions that are known to start faster. Only versions in the cited data file count.

use super::{AdviceRule, Facts};
use crate::catalogue::is_image;
use crate::verdict::Verdict;

/// image, first version that starts faster, what it does better, where that is written.
const UPGRADES: &str = include_str!("upgrades.csv");

pub(super) const UPGRADE: AdviceRule = AdviceRule {
    id: "upgrade",
    threshold: "an image tag older than a version that is known to start faster, and a start too slow",
    data: "the image tag and advice/upgrades.csv",
    citation: "advice/upgrades.csv, a source in each line",
    check: |facts| {
        matches!(
            facts.diagnosis.verdict(),
            Verdict::StartupKill | Verdict::SyncTimeout
        )
        .then(|| better(facts))
        .flatten()
    },
};

fn better(facts: &Facts<'_>) -> Option<String> {
    let image = &facts.view.image;
    let running = version(tag(image)?)?;
    lines().find_map(|line| {
        let newer = version(line.version).is_some_and(|version| running < version);
        (is_image(image, line.image) && newer).then(|| {
            format!(
                "Upgrade to {} or newer: it {} ({}).",
                line.version, line.what, line.source
            )
        })
    })
}

struct Line {
    image: &'static str,
    version: &'static str,
    what: &'static str,
    source: &'static str,
}

fn lines() -> impl Iterator<Item = Line> {
    UPGRADES.lines().skip(1).filter_map(|line| {
        let mut fields = line.splitn(4, ',');
        Some(Line {
            image: fields.next()?,
            version: fields.next()?,
            what: fields.next()?,
            source: fields.next()?,
        })
    })
}

fn tag(image: &str) -> Option<&str> {
    let image = image.split('@').next()?;
    let (_, tag) = image.rsplit_once(':')?;
    // A colon before the last slash is a registry's port.
    (!tag.contains('/')).then_some(tag)
}

/// `v1.2.3` as numbers, whatever follows them; a pre-release counts as its version.
fn version(tag: &str) -> Option<[u32; 3]> {
    let mut numbers = tag
        .strip_prefix('v')
        .unwrap_or(tag)
        .splitn(3, '.')
        .map(|part| {
            let end = part
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(part.len());
            part[..end].parse().ok()
        });
    let version = [
        numbers.next()??,
        numbers.next()??,
        numbers.next().flatten().unwrap_or(0),
    ];
    Some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let cases = [
            ("v1.2.3", Some([1, 2, 3])),
            ("0.39.0", Some([0, 39, 0])),
            ("0.39", Some([0, 39, 0])),
            ("v2.13.0-rc.1", Some([2, 13, 0])),
            ("latest", None),
            ("2", None),
            ("", None),
        ];
        for (tag, expected) in cases {
            assert_eq!(version(tag), expected, "{tag}");
        }
    }

    #[test]
    fn every_line_of_the_data_is_whole() {
        assert_eq!(lines().count(), UPGRADES.lines().count() - 1);
        for line in lines() {
            assert!(version(line.version).is_some(), "{}", line.version);
            assert!(line.source.contains('#'), "{}", line.source);
        }
    }
}
