//! The operator's decisions, asked without a cluster.
//!
//! What time and other targets would make it wait for is taken as passed: the windows are zero, a
//! rollout slot is granted, and the target is not rolling out.

use super::point::{Point, Today};
use super::policy::PolicyFile;
use super::target::{Missing, TargetFile};
use anyhow::bail;
use jiff::Timestamp;
use probepilot_api::{
    ConditionStatus, ConditionType, CountSelector, Delivery, FIELD_MANAGER, Mode,
    ProbePolicyStatus, RaisePolicy, Reason,
};
use probepilot_policy::{
    Action, Admission, BaselineRecord, ConditionState, ContainerProbes, Count, Decision, Form,
    Going, Lower, ManagedProbes, Observation, Policy, Raise, Sample, Slot, Support, Target,
    TimingField, Workload, Write, decide,
};
use serde_json::{Map, Value, json};

/// The time of every question: nothing has a past, so any will do.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// One policy and its target.
#[derive(Debug)]
pub(super) struct Operator {
    /// The policy as it would act: mode Enforce, and nothing to wait for.
    acting: Policy,
    /// The policy's own mode and caution, without its windows.
    as_written: Policy,
    managed: Vec<Value>,
    /// The target as the files have it.
    pub(super) workload: Workload,
    /// The target carries what the operator wrote before.
    pub(super) written_before: bool,
}

/// What the operator does at one count.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// The answer as JSON has it.
    pub(super) point: Point,
    /// The container.
    pub(super) container: String,
    /// Its probes afterwards.
    pub(super) probes: ContainerProbes,
    /// The write, where there is one.
    pub(super) write: Option<Write>,
    /// Why, in the operator's own words.
    pub(super) sentence: String,
    /// What to know before it happens.
    pub(super) notes: Vec<Note>,
}

/// Something to know before a write.
#[derive(Clone, Debug)]
pub(super) struct Note {
    /// The reason of the operator's event or condition.
    pub(super) reason: String,
    /// One sentence.
    pub(super) message: String,
}

impl Operator {
    /// The operator before this target. A target that is not there is refused in its own words.
    pub(super) fn new(
        file: &PolicyFile,
        target: Result<TargetFile, Missing>,
    ) -> anyhow::Result<Self> {
        let mut as_written = file.policy.clone();
        as_written.raise = Raise {
            window_seconds: 0,
            min_interval_seconds: 0,
            ..as_written.raise
        };
        as_written.lower = as_written.lower.map(|lower| Lower {
            window_seconds: 0,
            ..lower
        });
        let mut acting = as_written.clone();
        acting.mode = Mode::Enforce;
        acting.raise.policy = RaisePolicy::Always;
        let target = match target {
            Ok(target) => target,
            Err(missing) => {
                let decision = ask(&acting, Target::Missing, 0);
                let refusal =
                    refusal(&decision).map_or_else(String::new, |state| state.message.clone());
                let namespace = file.namespace.as_deref().unwrap_or("not given");
                bail!(
                    "{refusal}; the policy's namespace is {namespace}, the files have {}",
                    missing.there.join(", ")
                );
            }
        };
        let mut workload = target.workload;
        workload.rollout.paused = false;
        workload.rollout.in_progress = false;
        workload.rollout.deadline_exceeded = false;
        let written_before = !workload.records.is_empty();
        let mut managed = target.managed;
        if managed.is_empty() {
            // kubectl hides managedFields; the record says which probes were the operator's.
            let owned = |record: &BaselineRecord| {
                let probes = workload.container(&record.container)?;
                Some(owned(record, probes))
            };
            managed = workload.records.iter().filter_map(owned).collect();
            workload.managers = ManagedProbes::parse(&managed);
        }
        Ok(Self {
            acting,
            as_written,
            managed,
            workload,
            written_before,
        })
    }

    /// What the operator does at this count to the target as the files have it.
    pub(super) fn today(&self, count: i64) -> anyhow::Result<Answer> {
        self.look(&self.workload, count)
    }

    /// What it does at this count to the target as `workload` is. A refusal is an error.
    pub(super) fn look(&self, workload: &Workload, count: i64) -> anyhow::Result<Answer> {
        let decision = self.decide(workload, count);
        if let Some(refusal) = refusal(&decision) {
            match refusal.kind() {
                ConditionType::InSync => bail!("at a count of {count}: {}", refusal.message),
                _ => bail!("{}", refusal.message),
            }
        }
        let name = decision.container.clone().unwrap_or_default();
        let Some(present) = workload.container(&name) else {
            bail!("{} has no container {name}", workload.display());
        };
        let sentence = in_sync(&decision).map_or_else(String::new, |state| state.message.clone());
        let write = match decision.action {
            Action::Write(write) | Action::Admit(write) => Some(*write),
            Action::None | Action::Queue(_) | Action::Replace(_) => None,
        };
        let probes = write
            .as_ref()
            .map_or_else(|| present.clone(), |write| write.probes.clone());
        let mut notes: Vec<Note> = decision
            .events
            .into_iter()
            .filter(|event| event.warning)
            .map(|event| Note {
                reason: event.reason,
                message: event.message,
            })
            .collect();
        if write.is_some() {
            notes.extend(self.held_back(workload, count));
        }
        let pair = probes.timings();
        Ok(Answer {
            point: Point {
                count,
                need_seconds: decision.startup.need_seconds,
                budget_seconds: probes.guard().budget_seconds(),
                detection_seconds: probes.detection_seconds(),
                startup_probe: pair.startup_probe,
                liveness_probe: pair.liveness_probe,
                changed: write.is_some(),
            },
            container: name,
            probes,
            write,
            sentence,
            notes,
        })
    }

    /// Whether it writes at this count.
    pub(super) fn writes(&self, workload: &Workload, count: i64) -> bool {
        matches!(
            self.decide(workload, count).action,
            Action::Write(_) | Action::Admit(_)
        )
    }

    /// The budget that is needed at this count, in seconds.
    pub(super) fn need_seconds(&self, count: i64) -> Option<u32> {
        self.decide(&self.workload, count).startup.need_seconds
    }

    /// The target after a write, as the API server would return it.
    pub(super) fn after(&self, workload: &Workload, write: &Write) -> Workload {
        let mut after = workload.clone();
        if self.acting.delivery == Delivery::Admission {
            // New pods get it; the workload stays as it is.
            return after;
        }
        for container in &mut after.containers {
            if container.name == write.probes.name {
                *container = write.probes.clone();
            }
        }
        after
            .records
            .retain(|record| record.container != write.record.container);
        let mut managed = self.managed.clone();
        if write.record.written != write.record.baseline {
            managed.push(owned(&write.record, &write.probes));
            after.records.push(write.record.clone());
        }
        after.managers = ManagedProbes::parse(&managed);
        after
    }

    /// The probes of the container as the files have them.
    pub(super) fn present(&self, container: &str) -> Today {
        let probes = self
            .workload
            .container(container)
            .cloned()
            .unwrap_or_default();
        let pair = probes.timings();
        Today {
            budget_seconds: probes.guard().budget_seconds(),
            detection_seconds: probes.detection_seconds(),
            startup_probe: pair.startup_probe,
            liveness_probe: pair.liveness_probe,
        }
    }

    /// The counts at which a rule bends; between two of them the need only grows with the count.
    pub(super) fn breaks(&self) -> Vec<i64> {
        let of = |form: &Form| match form {
            Form::Steps(rungs) => rungs.iter().map(|rung| rung.at_least).collect(),
            Form::Interpolate(points) => points.iter().map(|point| point.count).collect(),
            Form::Linear { .. } => Vec::new(),
        };
        self.acting
            .rules
            .iter()
            .flat_map(|rule| of(&rule.form))
            .collect()
    }

    /// What the rules count, each once.
    pub(super) fn counted(&self) -> Vec<String> {
        selectors(&self.acting).iter().map(name).collect()
    }

    /// What the policy as written would wait for before this write.
    fn held_back(&self, workload: &Workload, count: i64) -> Option<Note> {
        let target = Target::Found(Box::new(workload.clone()));
        let decision = ask(&self.as_written, target, count);
        match decision.action {
            Action::Write(_) | Action::Admit(_) => None,
            _ => in_sync(&decision).map(|state| Note {
                reason: state.reason.to_string(),
                message: state.message.clone(),
            }),
        }
    }

    fn decide(&self, workload: &Workload, count: i64) -> Decision {
        ask(
            &self.acting,
            Target::Found(Box::new(workload.clone())),
            count,
        )
    }
}

/// Asks for a decision with this as the count of every rule.
fn ask(policy: &Policy, target: Target, count: i64) -> Decision {
    let counts = selectors(policy)
        .into_iter()
        .map(|selector| Count {
            selector,
            last: Some(Sample {
                value: count,
                at: NOW,
            }),
            failure: None,
        })
        .collect();
    let observation = Observation {
        retry: None,
        generation: 1,
        counts,
        target,
        pods: Vec::new(),
        duplicate_of: None,
        brake: None,
        slot: Slot::Granted,
        refusal: None,
        latency: None,
        // As with every other gate: what is asked is what would be done.
        admission: Admission {
            support: Support::Ready { since: NOW },
            ..Admission::default()
        },
        going: Going::default(),
    };
    decide(policy, &observation, &ProbePolicyStatus::default(), NOW)
}

fn selectors(policy: &Policy) -> Vec<CountSelector> {
    let mut selectors: Vec<CountSelector> = Vec::new();
    for rule in &policy.rules {
        if !selectors.contains(&rule.count) {
            selectors.push(rule.count.clone());
        }
    }
    selectors
}

/// `pods`, or `ingresses.networking.k8s.io in namespace web`.
fn name(selector: &CountSelector) -> String {
    let mut name = selector.resource.clone();
    if !selector.group.is_empty() {
        name = format!("{name}.{}", selector.group);
    }
    if !selector.namespace.is_empty() {
        name = format!("{name} in namespace {}", selector.namespace);
    }
    name
}

fn in_sync(decision: &Decision) -> Option<&ConditionState> {
    let mut states = decision.conditions.iter();
    states.find(|state| state.kind() == ConditionType::InSync)
}

/// The condition because of which nothing can come of the policy, if there is one.
fn refusal(decision: &Decision) -> Option<&ConditionState> {
    let is_bad = |state: &&ConditionState| match state.kind() {
        ConditionType::Ready | ConditionType::TargetFound => {
            state.reason.status() != ConditionStatus::True
        }
        ConditionType::InSync => {
            state.reason.status() == ConditionStatus::False && state.reason != Reason::Writing
        }
        _ => false,
    };
    decision.conditions.iter().find(is_bad)
}

/// A managedFields entry for what a record says was written.
fn owned(record: &BaselineRecord, probes: &ContainerProbes) -> Value {
    let timings = || TimingField::ALL.iter().map(|timing| timing.key());
    let fields = |keys: Vec<&str>| -> Map<String, Value> {
        keys.iter()
            .map(|key| (format!("f:{key}"), json!({})))
            .collect()
    };
    let mut startup: Vec<&str> = timings().collect();
    if let (None, Some(probe)) = (&record.baseline.startup_probe, &probes.startup) {
        startup.extend(probe.handler.keys().map(String::as_str));
    }
    let container = json!({
        "f:livenessProbe": fields(timings().collect()),
        "f:startupProbe": fields(startup),
    });
    let item = format!("k:{}", json!({"name": record.container}));
    let containers: Map<String, Value> = [(item, container)].into_iter().collect();
    json!({
        "manager": FIELD_MANAGER,
        "operation": "Update",
        "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}},
    })
}
