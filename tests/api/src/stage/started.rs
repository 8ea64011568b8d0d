//! Pods whose start a test tells as the kubelet would, with a readiness probe: running, and then ready.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Killed, Stage};

impl Stage {
    /// Container `a` began `seconds` ago, and is ready only now.
    pub async fn started(&self, pod: &Killed, seconds: i64) {
        let now = Timestamp::from_second(Timestamp::now().as_second()).expect("a time");
        let since = now - SignedDuration::from_secs(seconds);
        for (ready, turned) in [(false, since), (true, now)] {
            let condition = json!({"type": "ContainersReady", "status": if ready { "True" } else { "False" },
                "lastTransitionTime": turned});
            let container = json!({"ready": ready, "started": true, "restartCount": 0,
                "state": {"running": {"startedAt": since}}});
            self.container_status(pod, container, json!([condition]))
                .await;
        }
    }
}
