//! What the tests look at.

use k8s_openapi::api::core::v1::Probe;
use probepilot_api::ProbePolicyStatus;
use probepilot_test_node::controller::Controller;

/// `initialDelaySeconds`, `periodSeconds`, `timeoutSeconds` and `failureThreshold`.
pub type Timings = [i32; 4];

/// Liveness as the real controller's chart has it.
pub const CHART: Timings = [30, 10, 10, 2];
/// Liveness as the policy's rung for a large cluster asks for it.
pub const RUNG: Timings = [60, 10, 30, 6];

/// A startup probe for this budget with the chart's period and timeout.
pub fn startup(budget: i32) -> Timings {
    [0, 10, 10, budget / 10 + 1]
}

/// The timings of liveness and startup probe. All handlers in the story are the same, so both must have it.
pub async fn probes(controller: &Controller) -> (Timings, Option<Timings>) {
    let (liveness, startup) = controller.probes().await.unwrap();
    let liveness = liveness.expect("a liveness probe");
    for probe in [Some(&liveness), startup.as_ref()].into_iter().flatten() {
        let handler = probe.http_get.as_ref().expect("an httpGet handler");
        assert_eq!(
            (
                handler.path.as_deref(),
                &handler.port,
                handler.scheme.as_deref()
            ),
            (
                Some("/healthz"),
                &k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(61_779),
                Some("HTTP")
            ),
            "{controller}: handler, path and port are the owner's"
        );
    }
    (timings(&liveness), startup.as_ref().map(timings))
}

/// Of one probe.
pub fn timings(probe: &Probe) -> Timings {
    [
        probe.initial_delay_seconds.unwrap_or_default(),
        probe.period_seconds.unwrap_or_default(),
        probe.timeout_seconds.unwrap_or_default(),
        probe.failure_threshold.unwrap_or_default(),
    ]
}

/// Need and budget, in seconds.
pub fn need_and_budget(status: &ProbePolicyStatus) -> (Option<i64>, Option<i64>) {
    let startup = status.startup.as_ref();
    (
        startup.and_then(|startup| startup.need_seconds),
        startup.and_then(|startup| startup.budget_seconds),
    )
}

/// Whether the target has what the policy asks for, and that is so many seconds.
pub fn covered(seconds: i64) -> impl Fn(&ProbePolicyStatus) -> bool {
    move |status| {
        reason(status, "InSync") == "Covered"
            && need_and_budget(status) == (Some(seconds), Some(seconds))
    }
}

/// A condition's reason.
pub fn reason(status: &ProbePolicyStatus, kind: &str) -> String {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind);
    found
        .map(|condition| condition.reason.clone())
        .unwrap_or_default()
}

/// The policy's line in the table that kubectl prints.
pub async fn line(controller: &Controller) -> String {
    let arguments = ["get", "pbp", "--no-headers", "-n", controller.namespace()];
    controller.kubectl(&arguments).await.unwrap()
}
