//! A limit on how long anything on the network may take.

use std::time::Duration;

use thiserror::Error;

/// Something on the network did not end in time.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what} took longer than {} s", limit.as_secs_f64())]
pub struct DeadlineExceeded {
    /// What was waited for, as the sentence's subject.
    pub what: &'static str,
    /// How long it was waited for.
    pub limit: Duration,
}

/// Runs `work` for at most `limit`; `what` names it in the error, as a sentence's subject.
pub async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = T>,
) -> Result<T, DeadlineExceeded> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| DeadlineExceeded { what, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_is_named() {
        let limit = Duration::from_millis(2500);
        let error = within(limit, "reading the lease", std::future::pending::<()>()).await;
        assert_eq!(
            error.unwrap_err().to_string(),
            "reading the lease took longer than 2.5 s"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_is_passed_on() {
        let limit = Duration::from_secs(1);
        assert_eq!(within(limit, "counting", async { 7 }).await, Ok(7));
    }
}
