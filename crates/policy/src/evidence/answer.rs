//! What a failed attempt of a probe got for an answer.

use super::Quote;

/// The answer to an attempt, as an Unhealthy event tells it.
///
/// Source of the texts: facts on the kubelet, "Event strings"; Go's net and net/http for errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP status.
    Status(u16),
    /// Nobody listens on the port.
    Refused,
    /// No answer within timeoutSeconds.
    TimedOut,
    /// The port speaks TLS and the probe does not, or the other way round.
    WrongScheme,
    /// The command of an exec probe is itself wrong.
    BrokenCommand(Quote),
    /// Anything else.
    Other(Quote),
}

impl Answer {
    /// Reads the output of a probe.
    #[must_use]
    pub fn parse(output: &str) -> Self {
        let has = |text: &str| output.contains(text);
        if let Some(status) = status(output) {
            return Self::Status(status);
        }
        if has("server gave HTTP response to HTTPS client")
            || has("malformed HTTP response \"\\x15\\x03")
            || has("first record does not look like a TLS handshake")
        {
            return Self::WrongScheme;
        }
        if has("connection refused") {
            return Self::Refused;
        }
        if has("context deadline exceeded")
            || has("Client.Timeout exceeded")
            || has("i/o timeout")
            || has("timed out after")
            || output.starts_with("timeout: ")
        {
            return Self::TimedOut;
        }
        let broken = [
            "no valid command found",
            "invalid command",
            "executable file not found",
            "command not found",
            "applet not found",
            "unknown command",
            "unknown flag",
            "unrecognized option",
            "flag provided but not defined",
            "unknown shorthand flag",
        ];
        if broken.into_iter().any(has) {
            return Self::BrokenCommand(Quote::new(output));
        }
        Self::Other(Quote::new(output))
    }

    /// Whether waiting longer cannot turn this answer into a good one: the request itself is wrong.
    ///
    /// Of the client errors 408, 421, 425 and 429 ask to come again, so they are not counted.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Status(status) => {
                (400..500).contains(status) && !matches!(status, 408 | 421 | 425 | 429)
            }
            Self::WrongScheme | Self::BrokenCommand(_) => true,
            Self::Refused | Self::TimedOut | Self::Other(_) => false,
        }
    }
}

fn status(output: &str) -> Option<u16> {
    let (_, number) = output.split_once("HTTP probe failed with statuscode: ")?;
    let end = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let other = |text: &str| Answer::Other(Quote::new(text));
        let broken = |text: &str| Answer::BrokenCommand(Quote::new(text));
        let cases = [
            (
                "HTTP probe failed with statuscode: 404",
                Answer::Status(404),
                true,
            ),
            (
                "HTTP probe failed with statuscode: 403",
                Answer::Status(403),
                true,
            ),
            (
                "HTTP probe failed with statuscode: 429",
                Answer::Status(429),
                false,
            ),
            (
                "HTTP probe failed with statuscode: 500",
                Answer::Status(500),
                false,
            ),
            (
                "HTTP probe failed with statuscode: 503, body: x",
                Answer::Status(503),
                false,
            ),
            (
                "Get \"http://10.0.0.5:8080/healthz\": dial tcp 10.0.0.5:8080: connect: connection refused",
                Answer::Refused,
                false,
            ),
            (
                "Get \"http://10.0.0.5:61779/healthz\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
                Answer::TimedOut,
                false,
            ),
            (
                "dial tcp 10.0.0.5:8080: i/o timeout",
                Answer::TimedOut,
                false,
            ),
            (
                "command timed out: \"/bin/check\" timed out after 1s",
                Answer::TimedOut,
                false,
            ),
            (
                "timeout: failed to connect service \"10.0.0.5:50051\" within 1s: context deadline exceeded",
                Answer::TimedOut,
                false,
            ),
            (
                "Get \"https://10.0.0.5:8080/\": http: server gave HTTP response to HTTPS client",
                Answer::WrongScheme,
                true,
            ),
            (
                "Get \"http://10.0.0.5:8443/\": net/http: HTTP/1.x transport connection broken: malformed HTTP response \"\\x15\\x03\\x01\\x00\\x02\\x02\"",
                Answer::WrongScheme,
                true,
            ),
            (
                "no valid command found; 10 closest matches:\nadmin_socket: invalid command",
                broken(
                    "no valid command found; 10 closest matches:\nadmin_socket: invalid command",
                ),
                true,
            ),
            (
                "cat: /tmp/healthy: No such file or directory",
                other("cat: /tmp/healthy: No such file or directory"),
                false,
            ),
            (
                "service unhealthy (responded with \"NOT_SERVING\")",
                other("service unhealthy (responded with \"NOT_SERVING\")"),
                false,
            ),
            ("", other(""), false),
        ];
        for (output, answer, is_final) in cases {
            assert_eq!(Answer::parse(output), answer, "{output}");
            assert_eq!(answer.is_final(), is_final, "{output}");
        }
    }
}
