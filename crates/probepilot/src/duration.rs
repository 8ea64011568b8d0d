//! Durations as Helm, kubectl and people write them: `90`, `90s`, `5m`, `1h30m`.

/// Seconds from a duration; a bare number is seconds.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a duration; write it like 300, 300s, 5m or 1h30m");
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(seconds);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .filter(|at| *at > 0)
            .ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let unit = match tail.as_bytes().first() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => return Err(bad()),
        };
        total = number
            .checked_mul(unit)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(bad)?;
        rest = &tail[1..];
    }
    if text.is_empty() {
        Err(bad())
    } else {
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::parse_seconds;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("300", 300),
            ("300s", 300),
            ("5m", 300),
            ("5m0s", 300),
            ("1h30m", 5400),
            ("0", 0),
        ] {
            assert_eq!(parse_seconds(text), Ok(seconds), "{text}");
        }
        for text in ["", "5", "5x", "m", "5 m", "-5m", "99999999999999999999h"] {
            assert_eq!(parse_seconds(text).is_err(), text != "5", "{text}");
        }
    }
}
