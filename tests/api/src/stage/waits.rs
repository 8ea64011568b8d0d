//! What a test waits for on a stage, and what it then sees.

use std::time::{Duration, Instant};

use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use probepilot_api::{ProbePolicy, ProbePolicyStatus};
use probepilot_test_cluster::wait::Seen;

use super::{PATIENCE, Shown, Stage, patches_workload, reason, until, within};
use crate::proxy::{Seen as Request, mutates};

impl Stage {
    /// The probes of container `a` of `web`.
    pub async fn shown(&self) -> Shown {
        Shown::of(&self.get("web").await, "a")
    }

    /// Waits until the probes of container `a` of `web` are these, by a write of policy `web` that its
    /// status has.
    pub async fn until_shown(&self, expected: Shown) -> ProbePolicyStatus {
        let generation = expected.generation;
        self.until_probes(expected).await;
        self.written("web", generation).await
    }

    /// Waits until the probes of container `a` of `web` are these.
    pub async fn until_probes(&self, expected: Shown) {
        let look = || async {
            let now = self.shown().await;
            Ok::<_, std::convert::Infallible>(if now == expected {
                Seen::Done(())
            } else {
                Seen::NotYet(format!("{now:?}"))
            })
        };
        until(&format!("{expected:?}"), look).await;
    }

    /// Waits until the status of policy `name` answers its generation and satisfies `wanted`.
    pub async fn status(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        self.status_within(PATIENCE, name, what, wanted).await
    }

    /// As [`Self::status`], with another patience.
    pub async fn status_within(
        &self,
        patience: Duration,
        name: &str,
        what: &str,
        wanted: impl Fn(&ProbePolicyStatus) -> bool,
    ) -> ProbePolicyStatus {
        let look = || async {
            let policy = self.scene.api::<ProbePolicy>().get(name).await?;
            let generation = policy.metadata.generation;
            let status = policy.status.unwrap_or_default();
            let done = status.observed_generation == generation && wanted(&status);
            Ok::<_, kube::Error>(if done {
                Seen::Done(status)
            } else {
                Seen::NotYet(format!("{status:?}"))
            })
        };
        within(patience, &format!("{name}: {what}"), look).await
    }

    /// Waits until InSync of policy `name` has this reason, with no write under way.
    pub async fn in_sync(&self, name: &str, expected: &str) -> ProbePolicyStatus {
        let what = format!("InSync {expected}");
        let settled = |status: &ProbePolicyStatus| {
            let memory = status.memory.as_ref();
            let intent = memory.and_then(|memory| memory.intent.as_ref());
            reason(status, "InSync") == expected && intent.is_none()
        };
        self.status(name, &what, settled).await
    }

    /// Waits until policy `name` is in sync after a write that left its target at this generation.
    pub async fn written(&self, name: &str, generation: i64) -> ProbePolicyStatus {
        let what = format!("a write that gives generation {generation}");
        let settled = |status: &ProbePolicyStatus| {
            let written = status
                .last_write
                .as_ref()
                .and_then(|write| write.generation);
            let memory = status.memory.as_ref();
            let intent = memory.and_then(|memory| memory.intent.as_ref());
            written == Some(generation) && intent.is_none() && reason(status, "InSync") == "Covered"
        };
        self.status(name, &what, settled).await
    }

    /// Waits until the count was read twice more: whatever was to come has come. Fails the test when
    /// anything was written meanwhile.
    pub async fn quiet(&self) {
        let seen = self.two_counts().await;
        let written: Vec<_> = seen.into_iter().filter(|one| mutates(&one.line)).collect();
        assert!(written.is_empty(), "{written:#?}");
    }

    /// Waits until the count was read twice more; gives all requests of that time.
    pub async fn two_counts(&self) -> Vec<Request> {
        let from = Instant::now();
        let look = || async {
            let seen = self.proxy.since(from);
            let counts = seen.iter().filter(|one| one.line.contains("limit=1"));
            let counts = counts.count();
            // The first may have begun before whatever is waited for.
            Ok::<_, std::convert::Infallible>(if counts >= 3 {
                Seen::Done(seen)
            } else {
                Seen::NotYet(format!("{counts} counts"))
            })
        };
        until("two counts", look).await
    }

    /// The notes of events with this reason, as `Kind: note`, once there are so many.
    pub async fn told(&self, reason: &str, least: usize) -> Vec<String> {
        let look = || async {
            let told = self.told_so_far(reason).await?;
            Ok::<_, kube::Error>(if told.len() < least {
                Seen::NotYet(format!("{told:?}"))
            } else {
                Seen::Done(told)
            })
        };
        until(&format!("{least} events {reason}"), look).await
    }

    /// The same as it is now.
    pub async fn told_so_far(&self, reason: &str) -> Result<Vec<String>, kube::Error> {
        let list = self
            .scene
            .api::<Event>()
            .list(&ListParams::default())
            .await?;
        let of_us = list.items.into_iter().filter(|event| {
            event.reason.as_deref() == Some(reason)
                && event.reporting_controller.as_deref() == Some("probepilot.dev/operator")
        });
        let mut told: Vec<_> = of_us
            .map(|event| {
                let kind = event.regarding.and_then(|regarding| regarding.kind);
                let note = event.note.unwrap_or_default();
                format!("{}: {note}", kind.unwrap_or_default())
            })
            .collect();
        told.sort();
        Ok(told)
    }

    /// How often the operator patched workloads since `from`.
    #[must_use]
    pub fn patches_since(&self, from: Instant) -> usize {
        let seen = self.proxy.since(from);
        seen.iter()
            .filter(|one| patches_workload(&one.line))
            .count()
    }
}
