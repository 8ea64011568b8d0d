//! The command line: what happens when, as text and back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How an attempt is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nobody listens.
    Refused,
    /// The port is bound, but nobody accepts: connections wait in the listen queue.
    Hang,
    /// This HTTP status. gRPC says SERVING for 200 and NOT_SERVING for any other.
    Status(u16),
}

/// From this moment on attempts are answered like this. As text: `FROM_MS:ANSWER:LATENCY_MS`, for example
/// `5000:hang:0` or `9000:503:250`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From the program's start.
    pub from: Duration,
    /// The answer.
    pub answer: Answer,
    /// From the request to the answer.
    pub latency: Duration,
}

/// The program ends by itself. As text: `AT_MS:CODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnExit {
    /// From the program's start.
    pub at: Duration,
    /// Exit code.
    pub code: u8,
}

/// What SIGTERM does. As text: `ignore` or `AFTER_MS:CODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSigterm {
    /// Nothing.
    Ignore,
    /// The program ends so long after it, with this code.
    Exit(OwnExit),
}

/// The text is none of the above.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: expected {expected}")]
pub struct BadScript {
    text: String,
    expected: &'static str,
}

impl BadScript {
    fn new(text: &str, expected: &'static str) -> Self {
        Self {
            text: text.to_owned(),
            expected,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Hang => f.write_str("hang"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

impl FromStr for Answer {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Self, BadScript> {
        match text {
            "refused" => Ok(Self::Refused),
            "hang" => Ok(Self::Hang),
            status => status
                .parse()
                .map(Self::Status)
                .map_err(|_| BadScript::new(text, "refused, hang or an HTTP status")),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, latency) = (self.from.as_millis(), self.latency.as_millis());
        write!(f, "{from}:{}:{latency}", self.answer)
    }
}

impl FromStr for Piece {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Self, BadScript> {
        let bad = || BadScript::new(text, "FROM_MS:ANSWER:LATENCY_MS");
        let parts: Vec<&str> = text.split(':').collect();
        let [from, answer, latency] = parts.as_slice() else {
            return Err(bad());
        };
        Ok(Self {
            from: milliseconds(from).ok_or_else(bad)?,
            answer: answer.parse()?,
            latency: milliseconds(latency).ok_or_else(bad)?,
        })
    }
}

impl fmt::Display for OwnExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.at.as_millis(), self.code)
    }
}

impl FromStr for OwnExit {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Self, BadScript> {
        let exit = text.split_once(':').and_then(|(at, code)| {
            Some(Self {
                at: milliseconds(at)?,
                code: code.parse().ok()?,
            })
        });
        exit.ok_or_else(|| BadScript::new(text, "MILLISECONDS:CODE"))
    }
}

impl fmt::Display for OnSigterm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignore => f.write_str("ignore"),
            Self::Exit(exit) => exit.fmt(f),
        }
    }
}

impl FromStr for OnSigterm {
    type Err = BadScript;

    fn from_str(text: &str) -> Result<Self, BadScript> {
        match text {
            "ignore" => Ok(Self::Ignore),
            exit => exit.parse().map(Self::Exit),
        }
    }
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

/// All pieces, in order of their time. Before the first nobody listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(Vec<Piece>);

impl Script {
    /// Puts the pieces in order.
    #[must_use]
    pub fn new(mut pieces: Vec<Piece>) -> Self {
        pieces.sort_by_key(|piece| piece.from);
        Self(pieces)
    }

    /// What holds at this moment of the program's life, and until when (`None`: for ever).
    #[must_use]
    pub fn at(&self, age: Duration) -> (Piece, Option<Duration>) {
        let next = self.0.partition_point(|piece| piece.from <= age);
        let silent = Piece {
            from: Duration::ZERO,
            answer: Answer::Refused,
            latency: Duration::ZERO,
        };
        let now = next.checked_sub(1).map_or(silent, |index| self.0[index]);
        (now, self.0.get(next).map(|piece| piece.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["0:refused:0", "5000:hang:0", "9000:503:250"] {
            assert_eq!(text.parse::<Piece>().unwrap().to_string(), text);
        }
        for text in ["ignore", "0:0", "1500:143"] {
            assert_eq!(text.parse::<OnSigterm>().unwrap().to_string(), text);
        }
        for text in ["", "1", "1:2", "x:ok:0", "0:ok:0", "0:200:x", "0:200:0:0"] {
            assert!(text.parse::<Piece>().is_err(), "{text}");
        }
        for text in ["1000:256", "1000", ":1", "ignored"] {
            assert!(text.parse::<OnSigterm>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_newest_piece_holds_until_the_next() {
        let piece = |text: &str| text.parse::<Piece>().unwrap();
        let script = Script::new(vec![piece("9000:200:0"), piece("5000:hang:0")]);
        let at = |ms| {
            let (now, until) = script.at(Duration::from_millis(ms));
            (now.answer, until.map(|until| until.as_millis()))
        };
        assert_eq!(at(0), (Answer::Refused, Some(5_000)));
        assert_eq!(at(5_000), (Answer::Hang, Some(9_000)));
        assert_eq!(at(9_000), (Answer::Status(200), None));
    }
}
