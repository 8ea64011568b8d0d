//! What the owner is told of what the API server will refuse him.

use probepilot_api::{Mode, OnConflict, TargetKind};
use serde_json::{Value, json};

use crate::Decision;
use crate::testing::{World, chart_liveness, in_sync, workload};

fn covered(manager: (&str, &str), fields: &Value) -> (World, Decision) {
    let mut world = World::chart(fields);
    let probes = json!({"livenessProbe": chart_liveness()});
    world.object = workload(TargetKind::Deployment, manager, &probes);
    world.step_at(10_000);
    let settled = world.step_at(10_000);
    assert_eq!(in_sync(&settled), "Covered");
    (world, settled)
}

fn message(decision: &Decision) -> &str {
    let mut conditions = decision.conditions.iter();
    let found = conditions.find(|one| one.kind().to_string() == "InSync");
    found.map_or("", |one| one.message.as_str())
}

const COVERS: &str = "the startup budget of 110 s covers the 110 s needed at a count of 10000";

#[test]
fn a_client_side_owner_is_told_of_the_handler_alone() {
    let yields = json!({"apply": {"onConflict": "Yield"}});
    let (mut world, settled) = covered(("kubectl-client-side-apply", "Update"), &yields);
    let refused = "while probepilot's values are there, the API server refuses a startupProbe of its owner's own (with another handler than httpGet)";
    assert_eq!(
        message(&settled),
        format!(
            "{COVERS}; {refused}: set spec.mode to Observe and run the command of the annotation probepilot.dev/kept first"
        )
    );

    // The first step is done.
    world.spec.mode = Mode::Observe;
    let observing = world.step_at(10_000);
    assert_eq!(
        message(&observing),
        format!("{COVERS}; {refused}: run the command of the annotation probepilot.dev/kept first")
    );
}

#[test]
fn liveness_timings_stand_in_the_way_of_appliers_alone() {
    let (_, settled) = covered(("helm", "Update"), &json!({}));
    assert_eq!(message(&settled), COVERS);

    let (mut world, settled) = covered(
        ("kustomize-controller", "Apply"),
        &json!({"apply": {"onConflict": "Take"}}),
    );
    assert_eq!(world.spec.apply.on_conflict, OnConflict::Take);
    assert_eq!(
        message(&settled),
        format!(
            "{COVERS}; while probepilot's values are there, the API server refuses an apply that drops the probe around livenessProbe.initialDelaySeconds, livenessProbe.timeoutSeconds, livenessProbe.failureThreshold or, without force, declares other values there: set spec.mode to Observe first"
        )
    );
    // Nothing is left to do in Observe but to let go, which the next look does.
    world.spec.mode = Mode::Observe;
    assert_eq!(message(&world.step_at(10_000)), COVERS);
}

#[test]
fn an_applier_beside_our_startup_probe_may_not_ship_his_own_without_force() {
    let (_, settled) = covered(("helm", "Apply"), &json!({}));
    let told = message(&settled);
    assert!(
        told.contains("(with another handler than httpGet, or applied without force)"),
        "{told}"
    );
}
