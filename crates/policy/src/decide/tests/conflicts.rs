//! `apply.onConflict`, manager by manager: the table of `managed`, and what the owner is told.

use probepilot_api::{OnConflict, TargetKind};
use serde_json::{Value, json};

use crate::Action;
use crate::testing::{
    CONTAINER, World, chart_liveness, http, in_sync, killed_pod, probe_json, timings, workload,
};

const TAKEN: (&str, &str) = ("", "60/10/30/6");
const LEFT: (&str, &str) = ("0/10/10/12", "30/10/10/2");

fn with(manager: (&str, &str), on_conflict: OnConflict, probes: &Value) -> World {
    let mut world = World::chart(&json!({}));
    world.object = workload(TargetKind::Deployment, manager, probes);
    world.spec.apply.on_conflict = on_conflict;
    world
}

fn declared_both() -> Value {
    json!({"livenessProbe": chart_liveness(), "startupProbe": probe_json(http(), 0, 10, 5, 3)})
}

#[test]
fn the_table_row_by_row() {
    let one_shot = [
        ("helm", "Update"),
        ("kubectl-client-side-apply", "Update"),
        ("kubectl-create", "Update"),
        ("kubectl-edit", "Update"),
        ("kubectl-patch", "Update"),
        ("kubectl-set", "Update"),
        ("kubectl", "Update"),
    ];
    let fighting = [
        ("helm", "Apply"),
        ("helm-controller", "Update"),
        ("helm-controller", "Apply"),
        ("kustomize-controller", "Apply"),
        ("argocd-controller", "Update"),
        ("argocd-controller", "Apply"),
        ("kubectl", "Apply"),
        ("some-operator", "Apply"),
        ("some-operator", "Update"),
    ];
    let rows = one_shot.map(|manager| (manager, TAKEN)).into_iter();
    let rows = rows.chain(fighting.map(|manager| (manager, LEFT)));
    for (manager, auto) in rows {
        let cases = [
            (OnConflict::Auto, auto),
            (OnConflict::Take, TAKEN),
            (OnConflict::Yield, LEFT),
        ];
        for (on_conflict, expected) in cases {
            let mut world = with(
                manager,
                on_conflict,
                &json!({"livenessProbe": chart_liveness()}),
            );
            let decision = world.step_at(10_000);
            let (startup, liveness) = world.timings();
            let name = format!("{manager:?} {on_conflict:?}");
            assert_eq!((startup.as_str(), liveness.as_str()), expected, "{name}");
            let warned = decision
                .events
                .iter()
                .any(|event| event.reason == "TakenFrom");
            let fought = auto == LEFT && on_conflict == OnConflict::Take;
            assert_eq!(warned, fought, "{name}");
            assert_eq!(in_sync(&world.step_at(10_000)), "Covered", "{name}");
        }
    }
}

/// A default that a client-side tool wrote with the rest is not declared (S7).
#[test]
fn a_default_is_not_declared_by_who_never_puts_it_back() {
    let probes = json!({"livenessProbe": probe_json(http(), 30, 10, 1, 3)});
    let cases = [
        // Delay 30 is declared; period, timeout and threshold have their defaults.
        (("helm", "Update"), "30/10/30/6"),
        (("some-operator", "Update"), "30/10/1/3"),
        (("kubectl", "Apply"), "30/10/1/3"),
    ];
    for (manager, liveness) in cases {
        let mut world = with(manager, OnConflict::Yield, &probes);
        world.step_at(10_000);
        assert_eq!(world.timings().1, liveness, "{manager:?}");
        assert!(world.budget() >= 110, "{manager:?}");
    }
}

#[test]
fn take_takes_a_startup_probe_that_an_applier_declares() {
    let mut world = with(
        ("kustomize-controller", "Apply"),
        OnConflict::Take,
        &declared_both(),
    );
    world.spec.rules[0].steps.as_mut().unwrap()[1].liveness_probe = None;
    world.spec.rules[0].steps.as_mut().unwrap()[1].startup_seconds = Some(110);
    world.step_at(10_000);
    assert_eq!(
        world.timings(),
        ("0/10/5/12".to_owned(), "30/10/10/2".to_owned())
    );
}

#[test]
fn each_owner_is_told_what_to_write() {
    let patch = format!(
        r#"{{target: {{kind: Deployment, name: {CONTAINER}}}, patch: '[{{"op": "add", "path": "/spec/template/spec/containers/0/startupProbe/failureThreshold", "value": 12}}]'}}"#
    );
    let cases = [
        (
            ("helm", "Update"),
            "set startupProbe: {failureThreshold: 12} in the chart's values, or values that leave the probe out".to_owned(),
        ),
        (
            ("helm", "Apply"),
            "set startupProbe: {failureThreshold: 12} in the chart's values, or values that leave the probe out".to_owned(),
        ),
        (
            ("helm-controller", "Apply"),
            format!("set startupProbe: {{failureThreshold: 12}} in spec.values of the HelmRelease, or add to it: spec: {{postRenderers: [{{kustomize: {{patches: [{patch}]}}}}]}}"),
        ),
        (
            ("kustomize-controller", "Apply"),
            format!("set startupProbe: {{failureThreshold: 12}} there, or add to its Kustomization: spec: {{patches: [{patch}]}}"),
        ),
        (
            ("argocd-controller", "Apply"),
            format!(r#"set startupProbe: {{failureThreshold: 12}} there, or set apply.onConflict to Take and add to its Application: spec: {{ignoreDifferences: [{{group: apps, kind: Deployment, name: {CONTAINER}, jqPathExpressions: ['.spec.template.spec.containers[]|select(.name=="{CONTAINER}")|.startupProbe.failureThreshold']}}], syncPolicy: {{syncOptions: [RespectIgnoreDifferences=true]}}}}"#),
        ),
        (
            ("kubectl-client-side-apply", "Update"),
            "set startupProbe: {failureThreshold: 12} in the manifest that is applied, or stop declaring it".to_owned(),
        ),
        (
            ("kubectl", "Apply"),
            "set startupProbe: {failureThreshold: 12} in the manifest that is applied, or stop declaring it".to_owned(),
        ),
        (
            ("some-operator", "Update"),
            "set startupProbe: {failureThreshold: 12} there, or stop declaring it".to_owned(),
        ),
    ];
    for (manager, advice) in cases {
        let mut probes = declared_both();
        // Not the default, so that a client-side owner declares it.
        probes["startupProbe"] = probe_json(http(), 0, 10, 5, 4);
        let mut world = with(manager, OnConflict::Yield, &probes);
        // Even a rescue is left to the owner.
        world.pods = vec![killed_pod(timings(30, 10, 10, 2), 57, world.now)];
        let decision = world.step_at(10_000);
        assert_eq!(decision.action, Action::None, "{manager:?}");
        let mut conditions = decision.conditions.iter();
        let state = conditions.find(|state| state.reason.to_string() == "Yielded");
        let message = &state.unwrap_or_else(|| panic!("{manager:?}")).message;
        let expected = format!(
            "needs a startup budget of 110 s and has 30 s, but {} declares the startupProbe, which is left to it: {advice}",
            manager.0
        );
        assert_eq!(message, &expected);
        let mut events = decision.events.iter();
        assert!(
            events.any(|event| event.reason == "Yielded" && event.message == expected),
            "{manager:?}"
        );
    }
}
