//! Whether a workload is rolling out, and whether its strategy starts new pods first.

use probepilot_api::TargetKind;
use serde_json::{Value, json};

use super::{deployment, parse};
use crate::workload::Strategy;

#[test]
fn rollouts_of_deployments() {
    let none = json!({});
    let exceeded = json!({"updatedReplicas": 1, "replicas": 3, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
    let cases = [
        ("settled", none.clone(), none.clone(), false, false),
        (
            "generation not seen yet",
            none.clone(),
            json!({"observedGeneration": 3}),
            true,
            false,
        ),
        (
            "no status at all",
            none.clone(),
            json!({"observedGeneration": 0, "replicas": 0, "updatedReplicas": 0}),
            true,
            false,
        ),
        (
            "new pods are missing",
            none.clone(),
            json!({"updatedReplicas": 1}),
            true,
            false,
        ),
        (
            "old pods remain",
            none.clone(),
            json!({"replicas": 3}),
            true,
            false,
        ),
        (
            "unavailable is not rolling",
            none.clone(),
            json!({"availableReplicas": 0}),
            false,
            false,
        ),
        ("given up", none.clone(), exceeded, true, true),
        (
            "scaled to zero",
            json!({"replicas": 0}),
            json!({"replicas": 0, "updatedReplicas": 0}),
            false,
            false,
        ),
        (
            "replicas left out is one",
            json!({"replicas": null}),
            json!({"replicas": 1, "updatedReplicas": 1}),
            false,
            false,
        ),
        (
            "progressing condition with another reason",
            none.clone(),
            json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "Other"}]}),
            false,
            false,
        ),
        (
            "another condition with that reason",
            none,
            json!({"conditions": [{"type": "Available", "status": "False", "reason": "ProgressDeadlineExceeded"}]}),
            false,
            false,
        ),
    ];
    for (name, spec, status, rolling, exceeded) in cases {
        let rollout = parse(TargetKind::Deployment, &deployment(&spec, &status)).rollout;
        assert_eq!(
            (rollout.in_progress, rollout.deadline_exceeded),
            (rolling, exceeded),
            "{name}"
        );
    }
    assert!(
        parse(
            TargetKind::Deployment,
            &deployment(&json!({"paused": true}), &json!({}))
        )
        .rollout
        .paused
    );
}

#[test]
fn rollouts_of_stateful_sets_and_daemon_sets() {
    let partition = |partition: i64| json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}});
    let pods =
        |replicas: i64, updated: i64| json!({"replicas": replicas, "updatedReplicas": updated});
    let nodes = |wanted: i64, updated: i64| json!({"desiredNumberScheduled": wanted, "updatedNumberScheduled": updated});
    let none = json!({});
    let cases = [
        (
            "settled",
            TargetKind::StatefulSet,
            none.clone(),
            pods(2, 2),
            false,
        ),
        (
            "one old pod",
            TargetKind::StatefulSet,
            none.clone(),
            pods(2, 1),
            true,
        ),
        (
            "a partition keeps one",
            TargetKind::StatefulSet,
            partition(1),
            pods(2, 1),
            false,
        ),
        (
            "a partition beyond all pods",
            TargetKind::StatefulSet,
            partition(9),
            pods(2, 0),
            false,
        ),
        (
            "a partition, still rolling",
            TargetKind::StatefulSet,
            partition(1),
            pods(2, 0),
            true,
        ),
        (
            "a partition after everything rolled",
            TargetKind::StatefulSet,
            partition(1),
            pods(2, 2),
            false,
        ),
        (
            "settled",
            TargetKind::DaemonSet,
            none.clone(),
            nodes(5, 5),
            false,
        ),
        (
            "old pods on nodes",
            TargetKind::DaemonSet,
            none.clone(),
            nodes(5, 4),
            true,
        ),
        (
            "no node matches",
            TargetKind::DaemonSet,
            none,
            nodes(0, 0),
            false,
        ),
    ];
    for (name, kind, spec, status, rolling) in cases {
        let rollout = parse(kind, &deployment(&spec, &status)).rollout;
        assert_eq!(rollout.in_progress, rolling, "{kind:?}: {name}");
        assert_eq!(
            rollout.progress_deadline_seconds, None,
            "{kind:?} has no such deadline"
        );
    }
}

#[test]
fn strategies() {
    use Strategy::{OnDelete, StopsFirst, SurgesFirst};
    use TargetKind::{DaemonSet, Deployment, StatefulSet};
    let rolling = |surge: Value| json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": 1}});
    let cases = [
        ("25%", Deployment, rolling(json!("25%")), SurgesFirst),
        ("1%", Deployment, rolling(json!("1%")), SurgesFirst),
        ("0", Deployment, rolling(json!(0)), StopsFirst),
        ("0%", Deployment, rolling(json!("0%")), StopsFirst),
        ("1", Deployment, rolling(json!(1)), SurgesFirst),
        ("unreadable", Deployment, rolling(json!("many")), StopsFirst),
        ("defaults", Deployment, json!({}), SurgesFirst),
        (
            "Recreate",
            Deployment,
            json!({"type": "Recreate"}),
            StopsFirst,
        ),
        ("defaults", DaemonSet, json!({}), StopsFirst),
        ("surge", DaemonSet, rolling(json!(1)), SurgesFirst),
        ("OnDelete", DaemonSet, json!({"type": "OnDelete"}), OnDelete),
        ("defaults", StatefulSet, json!({}), StopsFirst),
        (
            "rolling",
            StatefulSet,
            json!({"type": "RollingUpdate"}),
            StopsFirst,
        ),
        (
            "a surge that StatefulSets do not have",
            StatefulSet,
            rolling(json!(1)),
            StopsFirst,
        ),
        (
            "OnDelete",
            StatefulSet,
            json!({"type": "OnDelete"}),
            OnDelete,
        ),
    ];
    for (name, kind, strategy, expected) in cases {
        let key = if kind == Deployment {
            "strategy"
        } else {
            "updateStrategy"
        };
        let mut object = deployment(&json!({}), &json!({}));
        object["spec"].as_object_mut().unwrap().remove("strategy");
        object["spec"][key] = strategy;
        assert_eq!(parse(kind, &object).strategy, expected, "{kind:?}: {name}");
    }
}
