//! What the containers of a pod use, as metrics.k8s.io says it: asked seldom, and never waited for long.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Client, Error};
use probepilot_policy::{Unmeasured, Usage};
use tokio::time::Instant;

use crate::deadline::within;

/// Requests for this are answered by whoever serves it, not by the API server itself.
pub(crate) const PATH: &str = "/apis/metrics.k8s.io/";
/// Longest time for one read by the operator. The answer to a kill, promised within 1 s, waits for it, and an aggregated API may hang when what serves it
/// is gone.
const DEADLINE: Duration = Duration::from_millis(500);
/// One pod is not asked about again within this.
const PAUSE: Duration = Duration::from_secs(30);
/// Nobody is asked again within this when the right is missing or nobody answers.
const SILENCE: Duration = Duration::from_mins(5);
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;

/// What was measured of a pod's containers, or why nothing was.
pub type Answer = Result<Vec<(String, Usage)>, Unmeasured>;

/// Reads what the containers of one pod use.
///
/// # Errors
/// Why that is not known.
pub async fn read(client: &Client, deadline: Duration, namespace: &str, pod: &str) -> Answer {
    let kind = GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
    let resource = ApiResource::from_gvk_with_plural(&kind, "pods");
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    match within(deadline, "metrics.k8s.io", api.get_opt(pod)).await {
        Ok(Ok(Some(metrics))) => Ok(Usage::of_pod(&metrics.data)),
        Ok(Ok(None)) => Err(Unmeasured::NotFound),
        Ok(Err(Error::Api(status))) if status.code == FORBIDDEN => Err(Unmeasured::Forbidden),
        // Of a group that is not served the API server speaks in plain text.
        Ok(Err(Error::Api(status))) if status.code == NOT_FOUND => Err(Unmeasured::NotFound),
        Ok(Err(_)) | Err(_) => Err(Unmeasured::Unavailable),
    }
}

/// Reads of single pods, rationed.
pub struct Usages {
    client: Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The last answer about a pod, by UID.
    pods: HashMap<String, (Instant, Answer)>,
    /// Until when nobody is asked, and why.
    silent: Option<(Instant, Unmeasured)>,
}

impl Usages {
    /// Reads nothing until asked.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::default(),
        }
    }

    /// What the containers of this pod use: one request at most, and none where the answer is known well enough.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn of(&self, namespace: &str, pod: &str, uid: &str) -> Answer {
        if let Some(known) = self.known(uid) {
            return known;
        }
        let answer = read(&self.client, DEADLINE, namespace, pod).await;
        self.note(uid, &answer);
        answer
    }

    fn known(&self, uid: &str) -> Option<Answer> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.pods.retain(|_, (at, _)| now - *at < PAUSE);
        let silent = known.silent.filter(|(until, _)| now < *until);
        let of_pod = known.pods.get(uid).map(|(_, answer)| answer.clone());
        of_pod.or(silent.map(|(_, why)| Err(why)))
    }

    fn note(&self, uid: &str, answer: &Answer) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.pods.insert(uid.to_owned(), (now, answer.clone()));
        if let Err(why @ (Unmeasured::Forbidden | Unmeasured::Unavailable)) = answer {
            known.silent = Some((now + SILENCE, *why));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::testing::{MockServer, mock};

    fn ask(usages: &Arc<Usages>, uid: &'static str) -> JoinHandle<Answer> {
        let usages = Arc::clone(usages);
        tokio::spawn(async move { usages.of("team", "web", uid).await })
    }

    fn usages() -> (Arc<Usages>, MockServer) {
        let (client, server) = mock();
        (Arc::new(Usages::new(client)), server)
    }

    const LINE: &str = "GET /apis/metrics.k8s.io/v1beta1/namespaces/team/pods/web";

    #[tokio::test(start_paused = true)]
    async fn one_pod_is_asked_about_once_in_a_while() {
        let (usages, mut server) = usages();
        let asked = ask(&usages, "p1");
        let metrics = json!({"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "metadata": {"name": "web"},
            "containers": [{"name": "a", "usage": {"cpu": "95m"}}]});
        server.expect(LINE).await.answer(&metrics);
        let first = asked.await.unwrap();
        assert_eq!(first.as_ref().unwrap()[0].0, "a");
        assert_eq!(ask(&usages, "p1").await.unwrap(), first);
        let other = ask(&usages, "p2");
        server.expect(LINE).await.refuse(404, "NotFound");
        assert_eq!(other.await.unwrap(), Err(Unmeasured::NotFound));
        tokio::time::advance(PAUSE).await;
        let again = ask(&usages, "p1");
        server.expect(LINE).await.answer(&metrics);
        assert!(again.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_not_ask_or_is_not_answered_asks_for_no_pod_for_a_while() {
        let (usages, mut server) = usages();
        let asked = ask(&usages, "p1");
        server.expect(LINE).await.refuse(403, "Forbidden");
        assert_eq!(asked.await.unwrap(), Err(Unmeasured::Forbidden));
        assert_eq!(
            ask(&usages, "p2").await.unwrap(),
            Err(Unmeasured::Forbidden)
        );
        assert_eq!(server.waiting(), 0);
        tokio::time::advance(SILENCE).await;
        let asked = ask(&usages, "p2");
        let _unanswered = server.expect(LINE).await;
        let began = Instant::now();
        assert_eq!(asked.await.unwrap(), Err(Unmeasured::Unavailable));
        assert!(began.elapsed() <= DEADLINE);
        assert_eq!(
            ask(&usages, "p3").await.unwrap(),
            Err(Unmeasured::Unavailable)
        );
    }
}
