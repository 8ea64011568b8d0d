//! Telling whoever waits what is being done, with the seconds since the beginning.

use std::sync::Arc;
use std::time::Instant;

/// Where progress goes. Cheap to clone; safe to share between threads.
#[derive(Clone)]
pub struct Progress {
    begin: Instant,
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress")
            .field("begin", &self.begin)
            .finish_non_exhaustive()
    }
}

impl Progress {
    /// Hands each line, which begins with the elapsed seconds, to `sink`.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            begin: Instant::now(),
            sink: Arc::new(sink),
        }
    }

    /// To standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self::to(|line| eprintln!("{line}"))
    }

    /// To nobody.
    #[must_use]
    pub fn silent() -> Self {
        Self::to(|_| {})
    }

    /// Says one thing.
    pub fn say(&self, what: impl AsRef<str>) {
        (self.sink)(&format!(
            "[{:6.1}s] {}",
            self.begin.elapsed().as_secs_f64(),
            what.as_ref()
        ));
    }
}
