//! What earlier versions wrote is left alone: an upgrade of the operator rolls nobody.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of a test")]

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use probepilot_api::{
    BASELINE_ANNOTATION, CountSelector, FIELD_MANAGER, Mode, ProbePair, ProbePolicySpec,
    ProbePolicyStatus, Reason,
};
use probepilot_policy::{
    Action, Count, Decision, Observation, Policy, Sample, Slot, Target, Workload, decide,
};
use serde::Deserialize;
use serde_json::Value;

/// One file of `fixtures/written`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    policy: ProbePolicySpec,
    counts: Vec<Counted>,
    /// The owner's timings, which must be told from those written.
    baseline: ProbePair,
    workload: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    resource: String,
    value: i64,
}

fn fixtures() -> Vec<(String, Written)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/written");
    let paths = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let yaml = paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    yaml.map(|path| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let written =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, written)
    })
    .collect()
}

/// Decides with every gate open, so that nothing but the probes themselves can keep it from writing.
fn look(written: &Written) -> Decision {
    let now: Timestamp = "2027-01-15T08:00:00Z".parse().unwrap();
    let kind = written.policy.target_ref.kind;
    let workload = Workload::parse(kind, &written.workload).unwrap();
    let counts = written.counts.iter().map(|count| Count {
        selector: CountSelector {
            resource: count.resource.clone(),
            ..CountSelector::default()
        },
        last: Some(Sample {
            value: count.value,
            at: now,
        }),
        failure: None,
    });
    let observation = Observation {
        retry: None,
        generation: 1,
        counts: counts.collect(),
        target: Target::Found(Box::new(workload)),
        pods: Vec::new(),
        duplicate_of: None,
        brake: None,
        slot: Slot::Granted,
        refusal: None,
        latency: None,
        admission: probepilot_policy::Admission::default(),
        going: probepilot_policy::Going::default(),
    };
    let policy = Policy::try_from(&written.policy).unwrap();
    decide(&policy, &observation, &ProbePolicyStatus::default(), now)
}

#[test]
fn what_was_written_is_left_alone() {
    let fixtures = fixtures();
    assert!(!fixtures.is_empty(), "the fixtures are gone");
    for (name, written) in fixtures {
        let behavior = written.policy.behavior.raise;
        assert_eq!(
            written.policy.mode,
            Mode::Enforce,
            "{name}: Observe proves nothing"
        );
        assert_eq!(
            (
                behavior.stabilization_window_seconds,
                behavior.min_interval_seconds
            ),
            (0, 0),
            "{name}: a window proves nothing"
        );
        let decision = look(&written);
        assert_eq!(decision.action, Action::None, "{name}");
        let reasons: Vec<_> = decision
            .conditions
            .iter()
            .map(|state| state.reason)
            .collect();
        assert!(reasons.contains(&Reason::Covered), "{name}: {reasons:?}");
        assert_eq!(
            decision.probes.unwrap().baseline,
            written.baseline,
            "{name}"
        );
    }
}

/// Each fixture is one that we wrote: without our share of it the same policy writes.
#[test]
fn without_our_share_it_would_be_written() {
    for (name, mut written) in fixtures() {
        let metadata = &mut written.workload["metadata"];
        assert!(
            metadata["annotations"][BASELINE_ANNOTATION].is_string(),
            "{name}"
        );
        let managers = metadata["managedFields"].as_array().unwrap();
        assert!(
            managers
                .iter()
                .any(|entry| entry["manager"] == FIELD_MANAGER),
            "{name}"
        );
        metadata["annotations"] = Value::Object(serde_json::Map::default());
        let container = &mut written.workload["spec"]["template"]["spec"]["containers"][0];
        for (key, owner) in [
            ("startupProbe", written.baseline.startup_probe),
            ("livenessProbe", written.baseline.liveness_probe),
        ] {
            let Some(owner) = owner else {
                container.as_object_mut().unwrap().remove(key);
                continue;
            };
            let timings = serde_json::to_value(owner).unwrap();
            for (field, value) in timings.as_object().unwrap() {
                container[key][field] = value.clone();
            }
        }
        let decision = look(&written);
        assert!(
            matches!(decision.action, Action::Write(_)),
            "{name}: {:?}",
            decision.action
        );
    }
}
