//! Many changes, few wake-ups.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The side that changes things.
#[derive(Debug, Default)]
pub(crate) struct Changed(watch::Sender<()>);

impl Changed {
    /// Something changed.
    pub(crate) fn mark(&self) {
        self.0.send_replace(());
    }

    /// A listener that hears of changes from now on, at most once each `window`.
    pub(crate) fn listen(&self, window: Duration) -> Changes {
        Changes {
            marks: self.0.subscribe(),
            window,
            due: None,
        }
    }
}

/// The side that wants to know. A change is told a window later, together with all that came in
/// between; the window is not moved by further changes, so a constant stream is told each window.
#[derive(Clone, Debug)]
pub struct Changes {
    marks: watch::Receiver<()>,
    window: Duration,
    due: Option<Instant>,
}

impl Changes {
    /// Waits for the next change. Dropping the future loses nothing.
    pub async fn next(&mut self) {
        let due = if let Some(due) = self.due {
            due
        } else {
            if self.marks.changed().await.is_err() {
                // Nothing can change any more.
                std::future::pending::<()>().await;
            }
            *self.due.insert(Instant::now() + self.window)
        };
        tokio::time::sleep_until(due).await;
        self.due = None;
        self.marks.mark_unchanged();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_millis(150);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_told_once_and_after_its_end() {
        let source = Changed::default();
        let mut changes = source.listen(WINDOW);
        for _ in 0..50 {
            source.mark();
        }
        let start = Instant::now();
        changes.next().await;
        assert_eq!(start.elapsed(), WINDOW);
        assert!(
            tokio::time::timeout(WINDOW * 10, changes.next())
                .await
                .is_err()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_constant_stream_is_told_each_window() {
        let source = std::sync::Arc::new(Changed::default());
        let mut changes = source.listen(WINDOW);
        let stream = std::sync::Arc::clone(&source);
        tokio::spawn(async move {
            loop {
                stream.mark();
                tokio::time::sleep(millis(10)).await;
            }
        });
        let start = Instant::now();
        for _ in 0..10 {
            changes.next().await;
        }
        assert!(start.elapsed() <= WINDOW * 12, "took {:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_wait_loses_no_change() {
        let source = Changed::default();
        let mut changes = source.listen(WINDOW);
        source.mark();
        let given_up = tokio::time::timeout(millis(20), changes.next()).await;
        assert!(given_up.is_err());
        let told = tokio::time::timeout(WINDOW, changes.next()).await;
        assert!(told.is_ok());
    }
}
