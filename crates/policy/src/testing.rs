//! A workload as an API server holds it, and the loop of observe, decide and write around it.

use jiff::{SignedDuration, Timestamp};
use probepilot_api::{CountSelector, OnDelete, ProbePolicySpec, ProbePolicyStatus, TargetKind};
use probepilot_kubelet::Timings;
use serde_json::{Map, Value, json};

use crate::observation::{Brake, Count, CountFailure, CountFailureKind, Sample};
use crate::pod::{ContainerView, FailedProbe, KillingEvent, Life};
use crate::{
    Action, Admission, Decision, Going, Observation, PodView, Policy, Refusal, Retry, Slot, Step,
    Target, Workload, admitted, after_write, decide, intent, last_write, patch, raises,
    remember_write, settle_intent, status, step,
};

mod server;

pub use server::{apply, apply_json};

/// Name of the container in every test workload.
pub const CONTAINER: &str = "aws-load-balancer-controller";

/// `seconds` after an arbitrary beginning.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// Timings `d/p/t/f`.
pub fn timings(d: u32, p: u32, t: u32, f: u32) -> Timings {
    Timings {
        initial_delay_seconds: d,
        period_seconds: p,
        timeout_seconds: t,
        failure_threshold: f,
    }
}

/// A probe's JSON with timings `d/p/t/f` beside its handler.
pub fn probe_json(handler: Value, d: u32, p: u32, t: u32, f: u32) -> Value {
    let mut probe = handler;
    let fields = probe.as_object_mut().unwrap();
    fields.insert("initialDelaySeconds".to_owned(), json!(d));
    fields.insert("periodSeconds".to_owned(), json!(p));
    fields.insert("timeoutSeconds".to_owned(), json!(t));
    fields.insert("failureThreshold".to_owned(), json!(f));
    fields.insert("successThreshold".to_owned(), json!(1));
    probe
}

/// The handler of aws-load-balancer-controller.
pub fn http() -> Value {
    json!({"httpGet": {"path": "/healthz", "port": 61779, "scheme": "HTTP"}})
}

/// The chart's liveness probe: 30/10/10/2.
pub fn chart_liveness() -> Value {
    probe_json(http(), 30, 10, 10, 2)
}

/// A settled workload of that kind with these probes, owned by `manager`.
pub fn workload(kind: TargetKind, manager: (&str, &str), probes: &Value) -> Value {
    let mut container = json!({"name": CONTAINER, "image": "controller:v2.13.0"});
    let mut fields = Map::new();
    for (key, probe) in probes.as_object().unwrap() {
        container[key] = probe.clone();
        let owned: Map<_, _> = probe
            .as_object()
            .unwrap()
            .keys()
            .map(|child| (format!("f:{child}"), json!({})))
            .collect();
        fields.insert(format!("f:{key}"), owned.into());
    }
    let list = format!("k:{}", json!({"name": CONTAINER}));
    let strategy = match kind {
        TargetKind::Deployment => {
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
        }
        TargetKind::StatefulSet | TargetKind::DaemonSet => json!(null),
    };
    let mut object = json!({
        "apiVersion": "apps/v1",
        "metadata": {
            "namespace": "kube-system", "name": CONTAINER, "uid": "5f0e", "resourceVersion": "1", "generation": 1,
            "managedFields": [{
                "manager": manager.0, "operation": manager.1, "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {list: fields}}}}},
            }],
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "lbc"}},
            "template": {"spec": {"containers": [container]}},
        },
        "status": {
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
            "desiredNumberScheduled": 2, "updatedNumberScheduled": 2,
        },
    });
    if kind == TargetKind::Deployment {
        object["spec"]["strategy"] = strategy;
        object["spec"]["progressDeadlineSeconds"] = json!(600);
    }
    object
}

/// The chart's Deployment, installed by Helm 3.
pub fn chart() -> Value {
    workload(
        TargetKind::Deployment,
        ("helm", "Update"),
        &json!({"livenessProbe": chart_liveness()}),
    )
}

/// A spec for the chart's Deployment with `fields` on top: mode Enforce, windows and intervals 0.
#[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
pub fn spec(fields: Value) -> ProbePolicySpec {
    let mut spec = json!({
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": CONTAINER},
        "mode": "Enforce",
        "behavior": {"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}},
    });
    overlay(&mut spec, &fields);
    serde_json::from_value(spec).unwrap()
}

/// The ladder of the design's seed policy.
pub fn seed_rules() -> Value {
    json!([{"steps": [
        {"atLeast": 0, "startupSeconds": 60},
        {"atLeast": 10000, "livenessProbe": {"initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}},
    ]}])
}

fn overlay(base: &mut Value, over: &Value) {
    match (base.as_object_mut(), over.as_object()) {
        (Some(base), Some(over)) => {
            for (key, value) in over {
                overlay(base.entry(key).or_insert(Value::Null), value);
            }
        }
        _ => *base = over.clone(),
    }
}

/// A count of all pods.
pub fn pods(value: i64, when: Timestamp) -> Count {
    Count {
        selector: CountSelector::default(),
        last: Some(Sample { value, at: when }),
        failure: None,
    }
}

/// A pod whose container was killed `ago` before `now`, after a life of `lived` seconds, with its Killing event.
pub fn killed_pod(liveness: Timings, lived: i64, now: Timestamp) -> PodView {
    let finished_at = now - SignedDuration::from_secs(5);
    let started_at = finished_at - SignedDuration::from_secs(lived);
    PodView {
        name: "lbc-1".to_owned(),
        uid: "pod-1".to_owned(),
        deleting: false,
        grace_seconds: 10,
        containers: [(
            CONTAINER.to_owned(),
            ContainerView {
                liveness: Some(liveness),
                has_readiness: true,
                started: Some(true),
                restart_count: 1,
                running_since: Some(finished_at),
                last_life: Some(Life {
                    started_at,
                    finished_at,
                    exit_code: 1,
                    reason: "Error".to_owned(),
                    ..Life::default()
                }),
                kills: Some(vec![KillingEvent {
                    probe: FailedProbe::Liveness,
                    first_at: finished_at - SignedDuration::from_secs(1),
                    last_at: finished_at - SignedDuration::from_secs(1),
                    count: 1,
                }]),
                ..ContainerView::default()
            },
        )]
        .into(),
        ..PodView::default()
    }
}

/// One policy and its target, seen again and again.
pub struct World {
    pub spec: ProbePolicySpec,
    pub kind: TargetKind,
    pub object: Value,
    pub status: ProbePolicyStatus,
    pub now: Timestamp,
    pub counts: Vec<Count>,
    pub pods: Vec<PodView>,
    pub slot: Slot,
    pub refusal: Option<Refusal>,
    pub brake: Option<Brake>,
    pub duplicate_of: Option<String>,
    pub retry: Option<Retry>,
    pub admission: Admission,
    pub going: Going,
}

impl World {
    pub fn new(spec: ProbePolicySpec, object: Value) -> Self {
        Self {
            kind: spec.target_ref.kind,
            spec,
            object,
            status: ProbePolicyStatus::default(),
            now: at(0),
            counts: Vec::new(),
            pods: Vec::new(),
            slot: Slot::Granted,
            refusal: None,
            brake: None,
            duplicate_of: None,
            retry: None,
            admission: Admission::default(),
            going: Going::default(),
        }
    }

    /// The chart's Deployment under the seed's rules, with `fields` on top.
    pub fn chart(fields: &Value) -> Self {
        let mut all = json!({"rules": seed_rules()});
        overlay(&mut all, fields);
        Self::new(spec(all), chart())
    }

    /// The target of `Observation`.
    pub fn target(&self) -> Target {
        Target::Found(Box::new(Workload::parse(self.kind, &self.object).unwrap()))
    }

    pub fn observe(&self) -> Observation {
        Observation {
            retry: self.retry.clone(),
            generation: 1,
            counts: self.counts.clone(),
            target: self.target(),
            pods: self.pods.clone(),
            duplicate_of: self.duplicate_of.clone(),
            brake: self.brake,
            slot: self.slot,
            refusal: self.refusal.clone(),
            latency: None,
            admission: self.admission.clone(),
            going: self.going.clone(),
        }
    }

    /// Decides and writes status, as a restarted operator would read it; the target stays as it is.
    pub fn look(&mut self) -> Decision {
        let observation = self.observe();
        self.look_at(&observation)
    }

    pub fn look_at(&mut self, observation: &Observation) -> Decision {
        let policy = Policy::try_from(&self.spec).unwrap();
        let decision = decide(&policy, observation, &self.status, self.now);
        let next = status(&policy, &decision, &self.status, 1, self.now);
        let json = serde_json::to_string(&next).unwrap();
        self.status = serde_json::from_str(&json).unwrap();
        decision
    }

    /// Decides, and carries out a write; its rollout is done at once.
    pub fn step(&mut self) -> Decision {
        let decision = self.look();
        if let Action::Admit(write) = &decision.action {
            let workload = Workload::parse(self.kind, &self.object).unwrap();
            admitted(&mut self.status, write, &workload, self.now);
            self.status = settle_intent(&self.status, &workload).status;
        }
        if let Action::Write(write) = &decision.action {
            let workload = Workload::parse(self.kind, &self.object).unwrap();
            let patch =
                patch(&workload, &write.probes, &write.record).expect("a write changes something");
            apply(&mut self.object, &patch, probepilot_api::FIELD_MANAGER);
            self.status.last_write = Some(last_write(write, None, self.now));
            let memory = self.status.memory.take().unwrap_or_default();
            let mut memory = remember_write(memory, write, self.now);
            let after = Workload::parse(self.kind, &self.object).unwrap();
            let intent = intent(write, &workload, self.now);
            after_write(&mut memory, self.kind, &intent, Some(after.generation));
            self.status.raises = raises(&memory);
            self.status.memory = Some(memory);
        }
        decision
    }

    /// As `step`, but the operator stops after its intent was written, before or after the patch, and
    /// settles that when it is back.
    pub fn crash(&mut self, patched: bool) {
        let decision = self.look();
        let Action::Write(write) = &decision.action else {
            return;
        };
        let workload = Workload::parse(self.kind, &self.object).unwrap();
        let memory = self.status.memory.get_or_insert_default();
        memory.intent = Some(intent(write, &workload, self.now));
        if patched {
            let patch =
                patch(&workload, &write.probes, &write.record).expect("a write changes something");
            apply(&mut self.object, &patch, probepilot_api::FIELD_MANAGER);
        }
        let workload = Workload::parse(self.kind, &self.object).unwrap();
        self.status = settle_intent(&self.status, &workload).status;
    }

    /// Lets the container go in this way, to the end.
    pub fn hand_back(&mut self, how: OnDelete) {
        while self.hand_back_first(how) {}
    }

    /// The next step of that; whether there was one.
    pub fn hand_back_first(&mut self, how: OnDelete) -> bool {
        let workload = Workload::parse(self.kind, &self.object).unwrap();
        match step(&workload, CONTAINER, how) {
            Step::Done => return false,
            Step::PutBack(back) => {
                apply(&mut self.object, &back.patch, probepilot_api::FIELD_MANAGER);
            }
            Step::LetGo(end) => apply_json(&mut self.object, &end.operations),
        }
        true
    }

    /// So many pods in the cluster, counted now; then one step.
    pub fn step_at(&mut self, count: i64) -> Decision {
        self.counts = vec![pods(count, self.now)];
        self.step()
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn fail_count(&mut self, kind: CountFailureKind) {
        for count in &mut self.counts {
            count.failure = Some(CountFailure {
                kind,
                message: "cannot count".to_owned(),
            });
        }
    }

    /// The container as the API server has it.
    pub fn container(&self) -> &Value {
        &self.object["spec"]["template"]["spec"]["containers"][0]
    }

    pub fn container_mut(&mut self) -> &mut Value {
        &mut self.object["spec"]["template"]["spec"]["containers"][0]
    }

    /// `startupProbe` and `livenessProbe` as timings `d/p/t/f`; empty without the probe.
    pub fn timings(&self) -> (String, String) {
        let workload = Workload::parse(self.kind, &self.object).unwrap();
        let container = workload.container(CONTAINER).unwrap();
        let show = |probe: &Option<crate::Probe>| {
            probe.as_ref().map_or_else(String::new, |probe| {
                let t = probe.timings;
                format!(
                    "{}/{}/{}/{}",
                    t.initial_delay_seconds,
                    t.period_seconds,
                    t.timeout_seconds,
                    t.failure_threshold
                )
            })
        };
        (show(&container.startup), show(&container.liveness))
    }

    /// The template's startup budget in seconds.
    pub fn budget(&self) -> u32 {
        let workload = Workload::parse(self.kind, &self.object).unwrap();
        crate::budget(workload.container(CONTAINER).unwrap())
    }

    /// A change by somebody else: a strategic-merge patch of the container.
    pub fn edit(&mut self, manager: &str, fields: &Value) {
        let mut container = fields.clone();
        container["name"] = json!(CONTAINER);
        let patch = json!({
            "metadata": {"uid": self.object["metadata"]["uid"], "resourceVersion": self.object["metadata"]["resourceVersion"]},
            "spec": {"template": {"spec": {"containers": [container]}}},
        });
        apply(&mut self.object, &patch, manager);
    }

    /// Marks the target as rolling out.
    pub fn roll(&mut self) {
        self.object["status"]["updatedReplicas"] = json!(1);
    }
}

/// The InSync reason of a decision.
pub fn in_sync(decision: &Decision) -> String {
    reason(decision, probepilot_api::ConditionType::InSync)
}

/// The reason of one condition of a decision.
pub fn reason(decision: &Decision, kind: probepilot_api::ConditionType) -> String {
    let mut conditions = decision.conditions.iter();
    let state = conditions.find(|state| state.kind() == kind).unwrap();
    state.reason.to_string()
}
