//! The search for writes against a look at each and every count.

use super::*;
use crate::plan::policy::PolicyFile;
use crate::plan::target::TargetFile;
use probepilot_api::{ProbePolicySpec, TargetKind};
use probepilot_policy::{Policy, Workload};
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

fn operator(fields: &Value) -> Operator {
    let mut spec =
        json!({"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}});
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let spec: ProbePolicySpec = serde_json::from_value(spec).unwrap();
    let file = PolicyFile {
        name: "x".to_owned(),
        namespace: None,
        policy: Policy::try_from(&spec).unwrap(),
    };
    let workload = json!({
        "metadata": {"name": "x"},
        "spec": {"template": {"spec": {"containers": [{
            "name": "x",
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 20, "failureThreshold": 3},
        }]}}},
    });
    let target = TargetFile {
        workload: Workload::parse(TargetKind::Deployment, &workload).unwrap(),
        managed: Vec::new(),
    };
    Operator::new(&file, Ok(target)).unwrap()
}

/// Counts and budgets at which something is written, found by looking at each count.
fn one_by_one(operator: &Operator, range: Range) -> Vec<(i64, Option<u32>)> {
    let mut workload = operator.workload.clone();
    let mut writes = Vec::new();
    for count in range.from..=range.to {
        let answer = operator.look(&workload, count).unwrap();
        if let Some(write) = &answer.write {
            writes.push((count, answer.point.budget_seconds));
            workload = operator.after(&workload, write);
            assert!(
                !operator.writes(&workload, count),
                "written twice at {count}"
            );
        }
    }
    writes
}

fn found(operator: &Operator, range: Range) -> Vec<(i64, Option<u32>)> {
    let growth = over(operator, range).unwrap();
    let writes = growth.steps.iter().filter(|step| step.point.changed);
    writes
        .map(|step| (step.point.count, step.point.budget_seconds))
        .collect()
}

fn steps() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(0_i64..300, (1_i64..300, any::<bool>()), 1..6).prop_map(|rungs| {
        let rungs: Vec<Value> = rungs
            .into_iter()
            .map(|(count, (seconds, liveness))| {
                if liveness {
                    json!({"atLeast": count, "livenessProbe": {"initialDelaySeconds": seconds}})
                } else {
                    json!({"atLeast": count, "startupSeconds": seconds})
                }
            })
            .collect();
        json!({"steps": rungs})
    })
}

fn line() -> impl Strategy<Value = Value> {
    (0_i64..80, 0_i64..900).prop_map(
        |(base, slope)| json!({"linear": {"baseSeconds": base, "secondsPerThousand": slope}}),
    )
}

fn curve() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(0_i64..300, 1_i64..400, 2..5).prop_map(|points| {
        let points: Vec<Value> = points
            .into_iter()
            .map(|(count, seconds)| json!({"count": count, "startupSeconds": seconds}))
            .collect();
        json!({"interpolate": points})
    })
}

fn spec() -> impl Strategy<Value = Value> {
    let rules = prop::collection::vec(prop_oneof![steps(), line(), curve()], 0..4);
    (rules, any::<bool>(), any::<bool>()).prop_map(|(rules, lowers, liveness)| {
        json!({
            "rules": rules,
            "apply": {"probe": if liveness { "Liveness" } else { "Startup" }},
            "behavior": {"lower": {"policy": if lowers { "Enabled" } else { "Disabled" }}},
        })
    })
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn no_write_is_missed_and_none_is_invented(spec in spec(), from in 0_i64..50, length in 0_i64..350) {
        let operator = operator(&spec);
        let range = Range { from, to: from + length };
        prop_assert_eq!(found(&operator, range), one_by_one(&operator, range));
    }
}

#[test]
fn the_budget_at_a_count_is_that_of_the_last_write() {
    let spec = json!({"rules": [{"steps": [
        {"atLeast": 10, "startupSeconds": 60},
        {"atLeast": 20, "startupSeconds": 90},
    ]}]});
    let growth = over(&operator(&spec), Range { from: 5, to: 30 }).unwrap();
    for (count, budget) in [
        (0, 40),
        (5, 40),
        (9, 40),
        (10, 60),
        (19, 60),
        (20, 90),
        (99, 90),
    ] {
        assert_eq!(growth.budget_at(count), Some(budget), "{count}");
    }
}
