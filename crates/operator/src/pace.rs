//! How fast the process may ask while the API server refuses requests.
//!
//! A server that answers 429 or 503, or that cannot be reached, is in a *storm*. While it lasts all
//! callers share one queue: nothing is sent before the pause that the server asked for is over
//! (`Retry-After`; without one 1 s, doubling to 4 s), and then one request a second. When every kind
//! of request that was refused is answered again, each answer halves the gap, until there is none:
//! the waiting callers come back over a few seconds, not in one wave. Writes are few and what
//! everybody waits for, restarted watches are many: see [`Lane`].
//!
//! [`Weather`] is the state machine, told the time by its caller; [`Pace`] is the queue around it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// Gap between two requests in a storm. With the lease's own requests, one every 2 s at most, the
/// process stays below two requests a second.
const GAP: Duration = Duration::from_secs(1);

/// A gap this short is none; the storm is over.
const CALM_BELOW: Duration = Duration::from_millis(100);

/// First pause after a refusal that names none.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause that the process chooses itself.
const LONGEST_OWN_PAUSE: Duration = Duration::from_secs(4);

/// A lane that was refused and has sent nothing for so long holds up the others no more.
const LANE_FORGOTTEN: Duration = Duration::from_secs(10);

/// Longest `Retry-After` that is honoured: with the watches' own back-off (8 s and its jitter)
/// everything is back within 30 s after the last refusal.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Whether the API server takes requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Weather {
    /// It does: nothing is held back.
    #[default]
    Calm,
    /// It refused some lately: requests are rationed.
    Storm(Storm),
}

/// What is known of a storm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Storm {
    /// When the first refusal came.
    pub since: Instant,
    /// Nothing is sent before the end of the pause.
    paused_until: Instant,
    /// Nothing is sent before the next place.
    next_place: Instant,
    /// Time between two places.
    gap: Duration,
    /// Pauses in a row that ended with a refusal.
    refusals: u32,
    /// When a request of the lane was refused and none answered since.
    refused: [Option<Instant>; 3],
}

impl Weather {
    /// Whether a request may be sent at `now`, and if not, how long to wait before asking again.
    /// Being admitted takes the place: the next one comes a gap later.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self {
            Self::Calm => Ok(()),
            Self::Storm(storm) => {
                let place = storm.next_place.max(storm.paused_until);
                if now < place {
                    return Err(place - now);
                }
                storm.next_place = now + storm.gap;
                Ok(())
            }
        }
    }

    /// The server refused a request of the lane. `retry_after` is what it asked for; `jitter` in
    /// 0..1 spreads the processes that would otherwise all come back at once.
    pub fn refused(
        &mut self,
        now: Instant,
        lane: Lane,
        retry_after: Option<Duration>,
        jitter: f64,
    ) {
        let mut storm = match *self {
            Self::Storm(storm) => storm,
            Self::Calm => Storm {
                since: now,
                paused_until: now,
                next_place: now,
                gap: GAP,
                refusals: 0,
                refused: [None; 3],
            },
        };
        // Requests that were under way together are refused together: only the first of them
        // makes the pause longer than the one before.
        let first = now >= storm.paused_until;
        let own = FIRST_PAUSE
            .saturating_mul(1 << storm.refusals.min(8))
            .min(LONGEST_OWN_PAUSE);
        let pause = match retry_after {
            Some(asked) => asked.clamp(GAP, LONGEST_PAUSE),
            None if first => own,
            None => Duration::ZERO,
        };
        let spread = pause.mul_f64(jitter.clamp(0.0, 1.0) / 4.0);
        storm.paused_until = storm.paused_until.max(now + pause + spread);
        storm.refusals = storm.refusals.saturating_add(u32::from(first));
        storm.gap = GAP;
        storm.refused[lane as usize] = Some(now);
        *self = Self::Storm(storm);
    }

    /// The server answered a request of the lane, whatever it said.
    pub fn answered(&mut self, now: Instant, lane: Lane) {
        let Self::Storm(storm) = self else { return };
        storm.refused[lane as usize] = None;
        storm.refusals = 0;
        let still = |at: &Instant| now - *at < LANE_FORGOTTEN;
        if storm.refused.iter().flatten().any(still) {
            return;
        }
        storm.gap /= 2;
        if storm.gap < CALM_BELOW {
            *self = Self::Calm;
        }
    }
}

/// Who waits with whom. Of watches and of reads one at a time stands in the queue, so that neither
/// keeps out the other or the writes; writes all do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Starts of watches.
    Watch,
    /// Reads.
    Read,
    /// Everything else.
    Write,
}

/// The queue in front of the API server, shared by every caller of the process.
#[derive(Debug)]
pub struct Pace {
    weather: Mutex<Weather>,
    /// First come, first served: whoever holds the permit is the one that waits for the gap.
    first: Semaphore,
    watches: Semaphore,
    reads: Semaphore,
    news: watch::Sender<Weather>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            weather: Mutex::default(),
            first: Semaphore::new(1),
            watches: Semaphore::new(1),
            reads: Semaphore::new(1),
            news: watch::Sender::new(Weather::Calm),
        }
    }
}

impl Pace {
    /// Waits until a request may be sent. The caller bounds the wait.
    pub async fn admitted(&self, lane: Lane) {
        if matches!(*self.lock(), Weather::Calm) {
            return;
        }
        // No semaphore is ever closed.
        let _foremost_of_lane = match lane {
            Lane::Watch => Some(self.watches.acquire().await),
            Lane::Read => Some(self.reads.acquire().await),
            Lane::Write => None,
        };
        let _first_in_line = self.first.acquire().await;
        loop {
            let admission = self.lock().admit(Instant::now());
            match admission {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    /// Tells that the server refused a request, or was not reached.
    pub fn refused(&self, lane: Lane, retry_after: Option<Duration>) {
        let mut weather = self.lock();
        let was_calm = matches!(*weather, Weather::Calm);
        weather.refused(Instant::now(), lane, retry_after, fastrand::f64());
        if was_calm {
            tracing::warn!(
                "the API server refuses requests; the operator slows down to one a second until it answers again"
            );
        }
        self.tell(&weather);
    }

    /// Tells that the server answered.
    pub fn answered(&self, lane: Lane) {
        let mut weather = self.lock();
        let Weather::Storm(Storm { since, .. }) = *weather else {
            return;
        };
        weather.answered(Instant::now(), lane);
        if matches!(*weather, Weather::Calm) {
            let seconds = since.elapsed().as_secs();
            tracing::info!(seconds, "the API server takes requests again");
        }
        self.tell(&weather);
    }

    /// Follows the weather: calm or storm.
    pub fn weather(&self) -> watch::Receiver<Weather> {
        self.news.subscribe()
    }

    fn tell(&self, weather: &Weather) {
        self.news.send_replace(*weather);
    }

    fn lock(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn calm_admits_everything_at_once() {
        let mut weather = Weather::Calm;
        let now = Instant::now();
        assert!((0..1000).all(|_| weather.admit(now).is_ok()));
    }

    #[test]
    fn the_pause_is_what_the_server_asks_within_bounds() {
        let cases = [
            ("asked", Some(5.0), 5.0),
            ("zero is no licence to hurry", Some(0.0), 1.0),
            ("an hour is not waited", Some(3600.0), 15.0),
            ("nothing asked", None, 1.0),
        ];
        for (name, retry_after, expected) in cases {
            let now = Instant::now();
            let mut weather = Weather::Calm;
            weather.refused(now, Lane::Read, retry_after.map(seconds), 0.0);
            assert_eq!(weather.admit(now), Err(seconds(expected)), "{name}");
        }
    }

    #[test]
    fn without_retry_after_pauses_double_to_four_seconds() {
        let mut now = Instant::now();
        let mut weather = Weather::Calm;
        for expected in [1.0, 2.0, 4.0, 4.0] {
            weather.refused(now, Lane::Read, None, 0.0);
            assert_eq!(weather.admit(now), Err(seconds(expected)));
            now += seconds(expected);
            assert_eq!(weather.admit(now), Ok(()));
        }
    }

    #[test]
    fn a_late_refusal_never_shortens_the_pause() {
        let now = Instant::now();
        let mut weather = Weather::Calm;
        weather.refused(now, Lane::Read, Some(seconds(10.0)), 0.0);
        weather.refused(now, Lane::Watch, Some(seconds(1.0)), 0.0);
        assert_eq!(weather.admit(now), Err(seconds(10.0)));
    }

    #[test]
    fn answers_bring_the_callers_back_step_by_step() {
        let now = Instant::now();
        let mut weather = Weather::Calm;
        weather.refused(now, Lane::Read, None, 0.0);
        let gaps: Vec<_> = std::iter::from_fn(|| {
            weather.answered(now, Lane::Read);
            match weather {
                Weather::Calm => None,
                Weather::Storm(Storm { gap, .. }) => Some(gap.as_millis()),
            }
        })
        .collect();
        assert_eq!(gaps, [500, 250, 125]);
    }

    #[test]
    fn refusals_of_one_moment_make_one_pause() {
        let now = Instant::now();
        let mut weather = Weather::Calm;
        for _ in 0..40 {
            weather.refused(now, Lane::Watch, None, 0.0);
        }
        assert_eq!(weather.admit(now), Err(seconds(1.0)));
    }

    #[test]
    fn a_lane_that_is_answered_does_not_speak_for_one_that_is_refused() {
        let mut now = Instant::now();
        let mut weather = Weather::Calm;
        weather.refused(now, Lane::Watch, None, 0.0);
        for _ in 0..8 {
            now += seconds(1.0);
            weather.answered(now, Lane::Write);
        }
        assert!(matches!(weather, Weather::Storm(Storm { gap: GAP, .. })));
        // Nobody starts a watch any more: after a while that holds up nobody.
        now += seconds(2.0);
        for _ in 0..4 {
            weather.answered(now, Lane::Write);
        }
        assert_eq!(weather, Weather::Calm);
    }

    /// Many callers in a storm of a minute: none is let through faster than once a second, and
    /// all are through soon after it.
    #[tokio::test(start_paused = true)]
    async fn a_storm_lets_one_request_a_second_through_and_ends() {
        let pace = Arc::new(Pace::default());
        let start = Instant::now();
        let storm = seconds(60.0);
        pace.refused(Lane::Read, None);
        let callers: Vec<_> = (0..200)
            .map(|_| {
                let pace = Arc::clone(&pace);
                tokio::spawn(async move {
                    let mut sent = Vec::new();
                    loop {
                        pace.admitted(Lane::Read).await;
                        sent.push(start.elapsed());
                        if start.elapsed() >= storm {
                            pace.answered(Lane::Read);
                            return sent;
                        }
                        pace.refused(Lane::Read, Some(seconds(1.0)));
                    }
                })
            })
            .collect();
        let mut sent = Vec::new();
        for caller in callers {
            sent.extend(caller.await.unwrap());
        }
        let during = sent.iter().filter(|at| **at < storm).count();
        let last = sent.iter().max().unwrap();
        assert!((30..=60).contains(&during), "{during} requests in 60 s");
        assert!(
            *last < storm + seconds(5.0),
            "the last one went at {last:?}"
        );
        assert!(matches!(*pace.weather().borrow(), Weather::Calm));
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_of_watches_keeps_neither_writes_nor_reads_waiting() {
        let pace = Arc::new(Pace::default());
        pace.refused(Lane::Read, None);
        let enter = |lane: Lane| {
            let pace = Arc::clone(&pace);
            tokio::spawn(async move {
                pace.admitted(lane).await;
                Instant::now()
            })
        };
        let start = Instant::now();
        let watches: Vec<_> = (0..50).map(|_| enter(Lane::Watch)).collect();
        tokio::task::yield_now().await;
        let reads = [enter(Lane::Read), enter(Lane::Read)];
        let writes = [enter(Lane::Write), enter(Lane::Write)];
        for waiting in writes.into_iter().chain(reads) {
            let at = waiting.await.unwrap() - start;
            assert!(at < seconds(8.0), "{at:?}");
        }
        let mut last = Duration::ZERO;
        for watch in watches {
            last = last.max(watch.await.unwrap() - start);
        }
        assert!(last > seconds(50.0), "still one a second: {last:?}");
    }
}
