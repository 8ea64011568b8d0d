//! A watch that goes on for ever: kube's watcher with the operator's own back-off.
//!
//! Lists are consistent reads in pages (never `resourceVersion=0`, which ignores limits and sends
//! everything). kube's default back-off waits up to a minute; ours ends at 8 s, because the whole
//! process is slowed down together by [`crate::pace`] when the API server is in trouble, and must be
//! back soon after it. A refused right is asked for again each half minute only.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::failure::Failure;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(8);
/// Wait after a failure that only somebody else can end, such as a missing right.
const HOPELESS: Duration = Duration::from_secs(30);
/// Failures further apart than this are not in a row.
const FORGET: Duration = Duration::from_mins(1);

/// How long a problem is taken for current after the last failure. A watch that still fails fails
/// again within the longest wait and the request's deadline.
const CURRENT: Duration = Duration::from_secs(35);

/// Events of the objects that `config` selects, for ever; after an error the stream waits.
pub(crate) fn follow<K>(
    api: Api<K>,
    config: watcher::Config,
) -> BoxStream<'static, Result<Event<K>, WatchProblem>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let start = (watcher(api, config).boxed(), Backoff::default());
    stream::unfold(start, |(mut watching, mut backoff)| async move {
        backoff.wait().await;
        let item = watching.next().await?;
        let item = item.map_err(|error| WatchProblem {
            failure: Failure::of_watch(&error),
            message: error.to_string(),
        });
        if let Err(problem) = &item {
            backoff.failed(problem.failure, Instant::now(), fastrand::f64());
        }
        Some((item, (watching, backoff)))
    })
    .boxed()
}

/// For kube's controller, which puts one back-off in front of all its triggers: a failing watch of
/// policies must not keep the wakes of counts and targets waiting for a minute, as kube's own does.
pub(crate) fn trigger_backoff() -> ResetTimerBackoff<Doubling> {
    ResetTimerBackoff::new(Doubling(FIRST), FORGET)
}

/// 1 s, doubling to 8 s, and up to a quarter more.
#[derive(Debug)]
pub(crate) struct Doubling(Duration);

impl Iterator for Doubling {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.0;
        self.0 = (wait * 2).min(LONGEST);
        Some(wait + wait.mul_f64(fastrand::f64() / 4.0))
    }
}

impl kube::runtime::utils::Backoff for Doubling {
    fn reset(&mut self) {
        self.0 = FIRST;
    }
}

#[derive(Debug, Default)]
struct Backoff {
    in_a_row: u32,
    last: Option<Instant>,
    until: Option<Instant>,
}

impl Backoff {
    async fn wait(&mut self) {
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
            self.until = None;
        }
    }

    /// An `Ok` resets nothing: kube's watcher says `Init` before each list, also before one that
    /// fails. Time does.
    fn failed(&mut self, failure: Failure, now: Instant, jitter: f64) {
        if self.last.is_none_or(|last| now - last > FORGET) {
            self.in_a_row = 0;
        }
        let wait = if failure.passes() {
            FIRST.saturating_mul(1 << self.in_a_row.min(8)).min(LONGEST)
        } else {
            HOPELESS
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.last = Some(now);
        self.until = Some(now + wait + wait.mul_f64(jitter / 4.0));
    }
}

/// Why a watch does not deliver, while it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchProblem {
    /// What kind of failure.
    pub failure: Failure,
    /// What went wrong, and with which watch where that is known, in one sentence.
    pub message: String,
}

/// The last problem of a watch. kube's watcher does not tell when a resumed watch works again, so
/// a problem ends by not coming back.
#[derive(Debug, Default)]
pub(crate) struct Problems(Option<(WatchProblem, Instant)>);

impl Problems {
    /// Notes a failure; logs it unless it is the one already known.
    pub(crate) fn failed(&mut self, what: &str, problem: &WatchProblem) {
        let WatchProblem { failure, message } = problem;
        let failure = *failure;
        if self.current().is_none_or(|known| known.failure != failure) {
            tracing::warn!("watching {what} failed and is tried again: {message}");
        }
        let message = format!("watching {what} fails: {message}");
        self.0 = Some((WatchProblem { failure, message }, Instant::now()));
    }

    pub(crate) fn current(&self) -> Option<&WatchProblem> {
        self.0
            .as_ref()
            .filter(|(_, at)| at.elapsed() < CURRENT)
            .map(|(problem, _)| problem)
    }

    /// An event came: the watch works.
    pub(crate) fn works(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::mock;

    #[test]
    fn waits_double_to_eight_seconds_and_start_again_after_a_quiet_minute() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        let mut fail = |now: Instant, failure| {
            backoff.failed(failure, now, 0.0);
            (backoff.until.unwrap() - now).as_secs()
        };
        for expected in [1, 2, 4, 8, 8] {
            assert_eq!(fail(now, Failure::Refused), expected);
            now += Duration::from_secs(expected);
        }
        assert_eq!(fail(now, Failure::Forbidden), 30);
        now += Duration::from_secs(61);
        assert_eq!(fail(now, Failure::Refused), 1);
    }

    fn maps(version: &str, items: &Value) -> Value {
        json!({"kind": "ConfigMapList", "apiVersion": "v1",
            "metadata": {"resourceVersion": version}, "items": items})
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_list_is_repeated_and_never_reads_the_cache_whole() {
        let (client, mut server) = mock();
        let api: Api<ConfigMap> = Api::namespaced(client, "team");
        let config = watcher::Config::default().page_size(200);
        let mut events = follow(api, config);
        let list = "GET /api/v1/namespaces/team/configmaps?&limit=200";

        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        let failing = tokio::spawn(async move { (events.next().await, events) });
        server.expect(list).await.refuse(503, "ServiceUnavailable");
        let (failed, mut events) = failing.await.unwrap();
        assert!(failed.unwrap().is_err());

        let start = Instant::now();
        assert!(matches!(events.next().await, Some(Ok(Event::Init))));
        assert!(start.elapsed() >= FIRST);
        let listing = tokio::spawn(async move { (events.next().await, events) });
        server.expect(list).await.answer(&maps("5", &json!([])));
        let (done, mut events) = listing.await.unwrap();
        assert!(matches!(done, Some(Ok(Event::InitDone))));

        let watching = tokio::spawn(async move { events.next().await });
        let call = server.next().await;
        assert!(call.line().contains("watch=true") && call.line().ends_with("resourceVersion=5"));
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1",
            "metadata": {"name": "x", "resourceVersion": "6"}});
        call.watch().event("ADDED", &object);
        assert!(matches!(watching.await.unwrap(), Some(Ok(Event::Apply(_)))));
    }
}
