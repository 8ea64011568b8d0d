//! A program's last words: its termination message, which under FallbackToLogsOnError is the tail of
//! its log (80 lines or 2048 bytes).
//!
//! Programs say what they like, so words never prove; they only explain a death that no probe caused.

use jiff::Timestamp;

use super::Quote;

/// Most of a message that is looked at, from its end, in bytes.
const MOST: usize = 4096;

/// What a program said last, bounded; parsed on demand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastWords(String);

/// What the words mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Leadership was lost.
    LeaderLost(Quote),
    /// The program gave up waiting for its caches.
    CachesNeverSynced(Quote),
    /// It could not start.
    CannotStart(StartupErrorKind, Quote),
}

/// What keeps a program from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartupErrorKind {
    /// RBAC refuses what it asks for.
    Forbidden,
    /// A custom resource definition is missing.
    MissingKind,
    /// A certificate is missing or not valid.
    Certificate,
    /// A flag or the configuration is wrong.
    Flag,
    /// Its port is taken.
    Port,
    /// It ended with an error and did not say which.
    Unsaid,
}

/// Makes of a line what it means.
type Meaning = fn(Quote) -> Said;

/// Texts and what they mean, most telling first: a missing right or kind is the cause of the timeout
/// that follows it. Compared without case. Source: catalogue, section 4.
const MARKS: [(&str, Meaning); 29] = [
    ("leader election lost", Said::LeaderLost),
    ("failed to renew lease", Said::LeaderLost),
    ("leaderelection lost", Said::LeaderLost),
    ("is forbidden: user", forbidden),
    ("no matches for kind", missing_kind),
    ("it should be installed before calling start", missing_kind),
    ("tls.crt: no such file", certificate),
    ("tls.key: no such file", certificate),
    ("x509: ", certificate),
    ("flag provided but not defined", flag),
    ("unknown flag", flag),
    ("unknown shorthand flag", flag),
    ("unrecognized option", flag),
    ("unrecognized argument", flag),
    ("invalid argument ", flag),
    ("unknown command ", flag),
    ("error parsing config", flag),
    ("failed to load config", flag),
    ("invalid configuration", flag),
    ("address already in use", port),
    (
        "timed out waiting for cache to be synced",
        Said::CachesNeverSynced,
    ),
    (
        "timed out waiting for caches to sync",
        Said::CachesNeverSynced,
    ),
    ("timed out waiting for cache sync", Said::CachesNeverSynced),
    ("caches to sync kind source", Said::CachesNeverSynced),
    ("failed to wait for caches", Said::CachesNeverSynced),
    ("informer to sync", Said::CachesNeverSynced),
    ("failed to sync caches", Said::CachesNeverSynced),
    ("failed to sync cache", Said::CachesNeverSynced),
    ("cache did not sync", Said::CachesNeverSynced),
];

fn forbidden(quote: Quote) -> Said {
    Said::CannotStart(StartupErrorKind::Forbidden, quote)
}

fn missing_kind(quote: Quote) -> Said {
    Said::CannotStart(StartupErrorKind::MissingKind, quote)
}

fn certificate(quote: Quote) -> Said {
    Said::CannotStart(StartupErrorKind::Certificate, quote)
}

fn flag(quote: Quote) -> Said {
    Said::CannotStart(StartupErrorKind::Flag, quote)
}

fn port(quote: Quote) -> Said {
    Said::CannotStart(StartupErrorKind::Port, quote)
}

/// Words with which programs say that they serve now. Source: catalogue, L9, and the usual servers.
const SERVING: [&str; 8] = [
    "listening on",
    "listening at",
    "now listening",
    "server listening",
    "server is listening",
    "serving on",
    "serving at",
    "started server on",
];

impl LastWords {
    /// Keeps the end of a message.
    #[must_use]
    pub fn new(message: &str) -> Self {
        let mut start = message.len().saturating_sub(MOST);
        while !message.is_char_boundary(start) {
            start += 1;
        }
        Self(message[start..].to_owned())
    }

    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// What the words mean, where they mean anything known.
    #[must_use]
    pub fn said(&self) -> Option<Said> {
        let lines: Vec<_> = self
            .lines()
            .map(|line| (line, line.to_lowercase()))
            .collect();
        MARKS.iter().find_map(|(mark, said)| {
            let (line, _) = lines.iter().rev().find(|(_, lower)| lower.contains(mark))?;
            Some(said(Quote::new(line)))
        })
    }

    /// The last line, which usually says why the program ended.
    #[must_use]
    pub fn last_line(&self) -> Option<Quote> {
        self.lines().next_back().map(Quote::new)
    }

    /// The line that says that the program serves on another port than `port`, or served `before`
    /// this time on a port that it does not name.
    #[must_use]
    pub fn serves_elsewhere(&self, port: u16, before: Timestamp) -> Option<Quote> {
        let serving: Vec<_> = self.lines().filter_map(Serving::parse).collect();
        if serving.iter().any(|said| said.ports.contains(&port)) {
            return None;
        }
        let early =
            |said: &&Serving<'_>| !said.ports.is_empty() || said.at.is_some_and(|at| at <= before);
        Some(Quote::new(serving.iter().find(early)?.line))
    }

    fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    }
}

/// A line that says that the program serves.
struct Serving<'a> {
    line: &'a str,
    ports: Vec<u16>,
    at: Option<Timestamp>,
}

impl<'a> Serving<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let lower = line.to_lowercase();
        let (mark, at) = SERVING
            .iter()
            .find_map(|mark| Some((mark, lower.find(mark)?)))?;
        Some(Self {
            line,
            ports: ports(&lower[at + mark.len()..]),
            at: time(line),
        })
    }
}

/// Numbers that stand for a port: behind a colon or the word "port", or alone in first place.
fn ports(text: &str) -> Vec<u16> {
    let mut found = Vec::new();
    for (at, digits) in digit_runs(text) {
        let before = text[..at].trim_end_matches([' ', '=', '"']);
        let after = text[at + digits.len()..].chars().next();
        let plausible = before.is_empty() || before.ends_with(':') || before.ends_with("port");
        if plausible && after != Some('.') && after != Some(':') {
            found.extend(digits.parse::<u16>());
        }
    }
    found
}

fn digit_runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        let start = rest + text[rest..].find(|c: char| c.is_ascii_digit())?;
        let length = text[start..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len() - start);
        rest = start + length;
        Some((start, &text[start..rest]))
    })
}

/// The RFC 3339 time in a log line, wherever it stands.
fn time(line: &str) -> Option<Timestamp> {
    line.split([' ', '"', '=', '\t', '[', ']', ','])
        .filter(|word| word.len() >= 20 && word.as_bytes().get(10) == Some(&b'T'))
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meaning(text: &str) -> Option<&'static str> {
        LastWords::new(text).said().map(|said| match said {
            Said::LeaderLost(_) => "leader",
            Said::CachesNeverSynced(_) => "caches",
            Said::CannotStart(kind, _) => match kind {
                StartupErrorKind::Forbidden => "forbidden",
                StartupErrorKind::MissingKind => "kind",
                StartupErrorKind::Certificate => "certificate",
                StartupErrorKind::Flag => "flag",
                StartupErrorKind::Port => "port",
                StartupErrorKind::Unsaid => "unsaid",
            },
        })
    }

    #[test]
    fn words_of_the_field() {
        let cases = [
            (
                "failed to renew lease kube-system/lock: timed out waiting for the condition\nproblem running manager: leader election lost",
                Some("leader"),
            ),
            (
                "failed to renew lease cnpg-system/db9c8771: context deadline exceeded",
                Some("leader"),
            ),
            (
                "failed to wait for gateway.k8s.aws/alb caches to sync kind source: *v1.Service: timed out waiting for cache to be synced for Kind *v1.Service",
                Some("caches"),
            ),
            (
                "Timeout: failed waiting for *v1.Secret Informer to sync",
                Some("caches"),
            ),
            ("level=fatal msg=\"failed to sync caches\"", Some("caches")),
            (
                "if kind is a CRD, it should be installed before calling Start\nno matches for kind \"WorkloadSpread\" in version \"apps.kruise.io/v1alpha1\"\ntimed out waiting for cache to be synced",
                Some("kind"),
            ),
            (
                "pods is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"pods\"\nfailed to wait for caches",
                Some("forbidden"),
            ),
            (
                "problem running manager: open /tmp/k8s-webhook-server/serving-certs/tls.crt: no such file or directory",
                Some("certificate"),
            ),
            ("flag provided but not defined: -v", Some("flag")),
            (
                "listen tcp :8080: bind: address already in use",
                Some("port"),
            ),
            // The words of a probe kill in the controller of issue 5: no cause by themselves.
            (
                "problem wait for podInfo repo sync: timed out waiting for the condition",
                None,
            ),
            ("=== received SIGTERM ===", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(meaning(text), expected, "{text}");
        }
    }

    #[test]
    fn where_a_program_serves() {
        let kill: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let cases = [
            ("another port", "HTTP server listening on :8080", 9090, true),
            ("this port", "HTTP server listening on :9090", 9090, false),
            (
                "this port and another",
                "Listening on :8080\nListening on :9090",
                9090,
                false,
            ),
            (
                "address and port",
                "listening on 127.0.0.1:8080",
                9090,
                true,
            ),
            (
                "a url",
                "Server listening at http://0.0.0.0:3000/",
                9090,
                true,
            ),
            ("the word port", "now listening on port 3000", 9090, true),
            ("no port, no time", "server listening", 9090, false),
            (
                "no port, early",
                "2026-01-01T00:00:10Z server listening",
                9090,
                true,
            ),
            (
                "no port, late",
                "2026-01-01T00:00:58Z server listening",
                9090,
                false,
            ),
            (
                "json, early",
                "{\"time\":\"2026-01-01T00:00:10.5Z\",\"msg\":\"server listening\"}",
                9090,
                true,
            ),
            ("says nothing", "loading 3000 things", 9090, false),
        ];
        for (name, text, port, elsewhere) in cases {
            let before = kill - jiff::SignedDuration::from_secs(11);
            let found = LastWords::new(text).serves_elsewhere(port, before);
            assert_eq!(found.is_some(), elsewhere, "{name}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn any_words_are_read(text in any::<String>(), port in any::<u16>()) {
            let words = LastWords::new(&text);
            let _ = (words.said(), words.last_line(), words.serves_elsewhere(port, Timestamp::UNIX_EPOCH));
        }
    }
}
