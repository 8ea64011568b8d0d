use probepilot_api::TargetKind;
use serde_json::{Value, json};

use super::choose;
use crate::policy::Policy;
use crate::testing::spec;
use crate::workload::Workload;

fn workload(containers: &Value) -> Workload {
    let object = json!({"metadata": {"name": "web"}, "spec": {"template": {"spec": {
        "containers": containers,
        "initContainers": [{"name": "proxy", "restartPolicy": "Always", "livenessProbe": {}}, {"name": "init"}],
    }}}});
    Workload::parse(TargetKind::Deployment, &object).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn which_container_is_scaled() {
    let (live, start, plain) = (
        json!({"name": "live", "livenessProbe": {}}),
        json!({"name": "start", "startupProbe": {}}),
        json!({"name": "plain", "readinessProbe": {}}),
    );
    let one = json!([plain, live]);
    let two = json!([live, start, plain]);
    let cases = [
        ("the only one with liveness", &one, None, None, Ok("live")),
        (
            "the only one with a startup probe",
            &json!([start, plain]),
            None,
            None,
            Ok("start"),
        ),
        ("the named one", &two, Some("start"), None, Ok("start")),
        (
            "the named one, though another is pinned",
            &two,
            Some("start"),
            Some("live"),
            Ok("start"),
        ),
        (
            "a named one without probes",
            &two,
            Some("plain"),
            None,
            Ok("plain"),
        ),
        (
            "the pinned one, though a second has a probe by now",
            &two,
            None,
            Some("live"),
            Ok("live"),
        ),
        (
            "a pinned one that is gone",
            &one,
            None,
            Some("gone"),
            Ok("live"),
        ),
        (
            "none has a probe",
            &json!([plain]),
            None,
            None,
            Err("NoProbe"),
        ),
        (
            "several have one",
            &two,
            None,
            None,
            Err("AmbiguousContainer"),
        ),
        (
            "no such container",
            &two,
            Some("gone"),
            None,
            Err("ContainerNotFound"),
        ),
        (
            "a sidecar",
            &two,
            Some("proxy"),
            None,
            Err("SidecarContainer"),
        ),
        (
            "an init container that ends",
            &two,
            Some("init"),
            None,
            Err("ContainerNotFound"),
        ),
        (
            "no container at all",
            &json!([]),
            None,
            None,
            Err("NoProbe"),
        ),
    ];
    for (name, containers, wanted, pinned, expected) in cases {
        let spec = match wanted {
            Some(wanted) => spec(json!({"containerName": wanted})),
            None => spec(json!({})),
        };
        let workload = workload(containers);
        let chosen = choose(&Policy::try_from(&spec).unwrap(), pinned, &workload);
        let chosen = chosen.map(|container| container.name.clone());
        let chosen = chosen.map_err(|problem| problem.reason.to_string());
        assert_eq!(
            chosen,
            expected.map(str::to_owned).map_err(str::to_owned),
            "{name}"
        );
    }
}

#[test]
fn refusals_name_what_can_be_chosen() {
    let workload =
        workload(&json!([{"name": "a", "livenessProbe": {}}, {"name": "b", "startupProbe": {}}]));
    let message = |name: Value| {
        let policy = Policy::try_from(&spec(name)).unwrap();
        choose(&policy, None, &workload).unwrap_err().message
    };
    assert!(message(json!({})).ends_with("set spec.containerName to one of a, b"));
    assert!(
        message(json!({"containerName": "c"}))
            .ends_with("has no container c; its containers are a, b")
    );
}
