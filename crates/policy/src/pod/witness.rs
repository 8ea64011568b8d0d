//! What can be seen of a start while it happens: when it became healthy is not in the status afterwards.

use jiff::Timestamp;

use super::{ContainerView, PUBLISHED, PodView};
use crate::starts::MeasuredBy;

/// A start that was seen before it was healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenStart {
    /// When the container began to run.
    pub started_at: Timestamp,
    /// When it was first healthy, and what showed it; `None` while it was not.
    pub healthy_at: Option<(Timestamp, MeasuredBy)>,
}

impl PodView {
    /// Carries on what was seen of the pod before. `at` is the time at which this view arrived; `gapless` says whether it is the
    /// very next one: otherwise a start that became healthy in between did so nobody knows when, and is forgotten.
    pub fn witness(&mut self, before: Option<&Self>, at: Timestamp, gapless: bool) {
        let turned = self.ready_turned;
        for (name, view) in &mut self.containers {
            let before = before.and_then(|pod| pod.containers.get(name));
            let mut seen = before.map(|view| view.seen.clone()).unwrap_or_default();
            seen.retain(|start| view.lives().any(|life| life == start.started_at));
            let present = view.running_since;
            if let Some(since) = present
                && view.is_starting(since, turned.map(|turned| (turned.ready, turned.at)))
                && !seen.iter().any(|start| start.started_at == since)
            {
                seen.push(SeenStart {
                    started_at: since,
                    healthy_at: None,
                });
            }
            let open = |start: &&mut SeenStart| {
                Some(start.started_at) == present && start.healthy_at.is_none()
            };
            if let Some(start) = seen.iter_mut().find(open) {
                start.healthy_at = view.became_healthy(at, turned.map(|turned| turned.at));
                if start.healthy_at.is_some() && !gapless {
                    seen.retain(|start| Some(start.started_at) != present);
                }
            }
            view.seen = seen;
            let mut ready = before
                .map(|view| view.seen_ready.clone())
                .unwrap_or_default();
            ready.extend(present.filter(|_| view.ready));
            ready.sort_unstable();
            ready.dedup();
            ready.retain(|start| view.lives().any(|life| life == *start));
            view.seen_ready = ready;
        }
    }
}

impl ContainerView {
    /// When the present and the last life began.
    fn lives(&self) -> impl Iterator<Item = Timestamp> {
        let last = self.last_life.as_ref().map(|life| life.started_at);
        self.running_since.into_iter().chain(last)
    }

    /// Whether it is certain that the present life was not healthy yet. With a readiness probe alone the pod's condition must
    /// have been False since before this life.
    fn is_starting(&self, since: Timestamp, turned: Option<(bool, Timestamp)>) -> bool {
        if self.startup.is_some() {
            return self.started != Some(true);
        }
        let never_ready =
            turned.is_none_or(|(ready, at)| !ready && at.duration_since(since) <= PUBLISHED);
        self.has_readiness && !self.ready && never_ready
    }

    /// When the present life, which was starting before, became healthy, if it is.
    fn became_healthy(
        &self,
        at: Timestamp,
        turned: Option<Timestamp>,
    ) -> Option<(Timestamp, MeasuredBy)> {
        if self.startup.is_some() {
            return (self.started == Some(true)).then_some((at, MeasuredBy::Started));
        }
        let turned = turned.filter(|_| self.has_readiness && self.ready)?;
        Some((turned, MeasuredBy::ContainersReady))
    }
}

#[cfg(test)]
mod tests;
