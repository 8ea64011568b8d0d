//! Waiting for a condition with a deadline: what every test uses instead of a sleep.
//!
//! ```
//! # use std::time::Duration;
//! # use probepilot_test_cluster::wait::{self, Seen};
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let mut reads = 0;
//! let value = wait::until("the third read", Duration::from_secs(5), || {
//!     reads += 1;
//!     let now = reads;
//!     async move {
//!         Ok::<_, std::io::Error>(if now == 3 { Seen::Done(now) } else { Seen::NotYet(format!("read {now}")) })
//!     }
//! })
//! .await
//! .unwrap();
//! assert_eq!(value, 3);
//! # });
//! ```

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// What one look at the world saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<T> {
    /// The condition holds; the value is what the caller waited for.
    Done(T),
    /// It does not hold yet; the text says what was seen instead.
    NotYet(String),
}

/// A condition that did not come true in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {seconds} s for {what} in vain; last seen: {last}")]
pub struct WaitError {
    /// The condition.
    pub what: String,
    /// How long it was waited for, in seconds.
    pub seconds: u64,
    /// What the last finished look saw.
    pub last: String,
}

/// Looks every 100 ms until `look` is done, at most for `within`.
///
/// An error of a look counts as "not yet" and is quoted if the deadline passes; a look that hangs is cut off at the deadline.
pub async fn until<T, E, F, Fut>(
    what: impl Into<String>,
    within: Duration,
    look: F,
) -> Result<T, WaitError>
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Seen<T>, E>>,
{
    until_every(PAUSE, what, within, look).await
}

/// As [`until`], with another pause between two looks, for looks that cost much.
pub async fn until_every<T, E, F, Fut>(
    pause: Duration,
    what: impl Into<String>,
    within: Duration,
    mut look: F,
) -> Result<T, WaitError>
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Seen<T>, E>>,
{
    let deadline = Instant::now() + within;
    let mut last = String::from("nothing, the first look did not finish");
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, look()).await {
            Ok(Ok(Seen::Done(value))) => return Ok(value),
            Ok(Ok(Seen::NotYet(seen))) => last = seen,
            Ok(Err(error)) => last = format!("error: {error}"),
            Err(_) => last.push_str(" (the next look did not finish)"),
        }
        if Instant::now() + pause >= deadline {
            return Err(WaitError {
                what: what.into(),
                seconds: within.as_secs(),
                last,
            });
        }
        sleep(pause).await;
    }
}

/// Checks for `during` that a condition goes on holding: for "nothing happens" statements, which have no event to wait for.
///
/// `look` returns `Err` with what it saw as soon as the statement is broken.
pub async fn holds<E, F, Fut>(
    what: impl Into<String>,
    during: Duration,
    mut look: F,
) -> Result<(), WaitError>
where
    E: Display,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let begin = Instant::now();
    loop {
        if let Err(broken) = look().await {
            let what = format!("{} to hold for {} s", what.into(), during.as_secs());
            return Err(WaitError {
                what,
                seconds: begin.elapsed().as_secs(),
                last: broken.to_string(),
            });
        }
        if begin.elapsed() >= during {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_quotes_what_was_last_seen() {
        let error = until("pods", Duration::from_secs(2), || async {
            Ok::<Seen<()>, Infallible>(Seen::NotYet("3 of 5".into()))
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "waited 2 s for pods in vain; last seen: 3 of 5"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_look_is_cut_off() {
        let begin = Instant::now();
        let error = until("an answer", Duration::from_secs(3), || {
            std::future::pending::<Result<Seen<()>, Infallible>>()
        })
        .await
        .unwrap_err();
        assert_eq!(begin.elapsed(), Duration::from_secs(3));
        assert!(error.last.contains("did not finish"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_counts_as_not_yet() {
        let mut looks = 0;
        let value = until("recovery", Duration::from_secs(2), || {
            looks += 1;
            let now = looks;
            async move {
                if now < 4 {
                    Err("refused")
                } else {
                    Ok(Seen::Done(now))
                }
            }
        })
        .await;
        assert_eq!(value, Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn holds_reports_the_break() {
        let begin = Instant::now();
        let error = holds("no restart", Duration::from_secs(5), || {
            let broken = begin.elapsed() >= Duration::from_secs(1);
            async move { if broken { Err("1 restart") } else { Ok(()) } }
        })
        .await
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "waited 1 s for no restart to hold for 5 s in vain; last seen: 1 restart"
        );
    }
}
