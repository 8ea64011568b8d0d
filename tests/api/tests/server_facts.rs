//! What the real API server does with fields of several managers: S1 to S10, on which the way we write rests.
//!
//! Raw patches stand in for every manager, ours among them, and no operator runs: should a new Kubernetes answer
//! otherwise, this says which rule of ours to think over. What the operator makes of it is tested in `moments`,
//! `operator_writes`, `leave` and `owners`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use k8s_openapi::api::apps::v1::Deployment;
use kube::Error;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use probepilot_test_api::Scene;
use probepilot_test_api::stage::{Shown, chart_liveness, deployment, shown, until, web};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

const HIS: &str = "30/10/10/2 /healthz:61779";
const OURS: &str = "probepilot";

/// A Deployment `web` and the managers around it.
struct Server {
    scene: Scene,
}

impl Server {
    async fn new(prefix: &str) -> Self {
        let scene = Scene::new(prefix).await;
        Self { scene }
    }

    /// The same with the Deployment, which a manager `flux` applied.
    async fn with_web_of_flux(prefix: &str) -> Self {
        let server = Self::new(prefix).await;
        let manifest = web(chart_liveness("/healthz"));
        server.apply("flux", &manifest, false).await.unwrap();
        server
    }

    /// Server-side apply.
    async fn apply(&self, manager: &str, object: &Value, force: bool) -> Result<Deployment, Error> {
        let params = PatchParams {
            force,
            ..PatchParams::apply(manager)
        };
        let api = self.scene.api::<Deployment>();
        api.patch("web", &params, &Patch::Apply(object)).await
    }

    /// A patch of another kind, by our manager.
    async fn patch(&self, patch: Patch<Value>) -> Result<Deployment, Error> {
        let params = PatchParams {
            field_manager: Some(OURS.to_owned()),
            ..PatchParams::default()
        };
        self.scene
            .api::<Deployment>()
            .patch("web", &params, &patch)
            .await
    }

    /// `kubectl apply` and its like.
    async fn kubectl(&self, words: &[&str], object: &Value) -> Result<String, String> {
        let kubectl = self.scene.cluster.kubectl().unwrap();
        let mut all = vec!["--namespace", self.scene.ns()];
        all.extend(words);
        let run = kubectl.run_with_input(all, &object.to_string()).await;
        run.map_err(|error| error.to_string())
    }

    async fn get(&self) -> Deployment {
        self.scene.api().get("web").await.unwrap()
    }

    async fn end(self) {
        self.scene.end().await;
    }
}

/// Fields of container `a`, as an applier of nothing else sends them.
fn fields(container: &Value) -> Value {
    let mut container = container.clone();
    container["name"] = json!("a");
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": [container]}}}})
}

fn startup_probe() -> Value {
    let mut probe = chart_liveness("/healthz");
    probe["initialDelaySeconds"] = json!(0);
    probe["failureThreshold"] = json!(7);
    json!({"startupProbe": probe})
}

fn delay(seconds: u32) -> Value {
    json!({"livenessProbe": {"initialDelaySeconds": seconds}})
}

/// Status code and message of a refusal.
fn refused(answer: Result<Deployment, Error>) -> (u16, String) {
    match answer {
        Err(Error::Api(status)) => (status.code, status.message),
        other => panic!("not refused: {other:?}"),
    }
}

/// Container `a` is called `b` now.
fn renamed() -> Value {
    deployment(
        "web",
        json!([{"name": "b", "image": "none", "livenessProbe": chart_liveness("/healthz")}]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn s1_an_absent_startup_probe_meets_no_conflict_and_the_same_again_changes_nothing() {
    let server = Server::with_web_of_flux("s1").await;
    let startup = fields(&startup_probe());
    let first = server.apply(OURS, &startup, false).await.unwrap();
    assert_eq!(first.metadata.generation, Some(2));
    let again = server.apply(OURS, &startup, false).await.unwrap();
    assert_eq!(
        again.metadata.resource_version,
        first.metadata.resource_version
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_field_that_is_applied_keeps_the_container_it_is_in() {
    let server = Server::with_web_of_flux("s2").await;
    server
        .apply(OURS, &fields(&startup_probe()), false)
        .await
        .unwrap();
    for force in [false, true] {
        let (code, message) = refused(server.apply("flux", &renamed(), force).await);
        assert_eq!(code, 422, "{message}");
        assert!(message.contains("image: Required value"), "{message}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_a_strategic_merge_patch_owns_leaves_alone() {
    let server = Server::with_web_of_flux("s3").await;
    let written = server
        .patch(Patch::Strategic(fields(&startup_probe())))
        .await;
    assert_eq!(written.unwrap().metadata.generation, Some(2));
    let after = server.apply("flux", &renamed(), false).await.unwrap();
    assert_eq!(Shown::of(&after, "b"), shown("", HIS, 3));
    assert_eq!(
        after.spec.unwrap().template.spec.unwrap().containers.len(),
        1
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_probe_of_which_a_leaf_is_ours_cannot_be_dropped() {
    let bare = deployment("web", json!([{"name": "a", "image": "none"}]));
    for by_apply in [true, false] {
        let server = Server::with_web_of_flux("s4").await;
        if by_apply {
            server.apply(OURS, &fields(&delay(60)), true).await.unwrap();
        } else {
            let patch = Patch::Strategic(fields(&delay(60)));
            server.patch(patch).await.unwrap();
        }
        let (code, message) = refused(server.apply("flux", &bare, true).await);
        assert_eq!(code, 422, "{message}");
        assert!(message.contains("must specify a handler type"), "{message}");
        server.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_two_handlers_in_one_startup_probe_are_refused_even_by_force() {
    let server = Server::with_web_of_flux("s5").await;
    let patch = Patch::Strategic(fields(&startup_probe()));
    server.patch(patch).await.unwrap();
    let mut his = web(chart_liveness("/healthz"));
    his["spec"]["template"]["spec"]["containers"][0]["startupProbe"] =
        json!({"tcpSocket": {"port": 7}});
    let (code, message) = refused(server.apply("flux", &his, true).await);
    assert_eq!(code, 422, "{message}");
    assert!(
        message.contains("may not specify more than 1 handler type"),
        "{message}"
    );
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s6_a_forced_field_that_is_released_falls_to_the_default_and_two_steps_hand_it_back() {
    let server = Server::new("s6").await;
    let manifest = web(chart_liveness("/healthz"));
    let first = server.apply("flux", &manifest, false).await.unwrap();
    server.apply(OURS, &fields(&delay(60)), true).await.unwrap();
    let released = server
        .apply(OURS, &fields(&json!({})), false)
        .await
        .unwrap();
    assert_eq!(
        Shown::of(&released, "a").liveness,
        "0/10/10/2 /healthz:61779",
        "not back to 30"
    );

    // Forced again, and handed back: his value, then his entry from before, and none of ours.
    server.apply("flux", &manifest, false).await.unwrap();
    server.apply(OURS, &fields(&delay(60)), true).await.unwrap();
    let back = server.apply(OURS, &fields(&delay(30)), true).await.unwrap();
    let his = first.metadata.managed_fields.unwrap();
    // The Deployment controller writes the status at times of its own.
    let hand_back = || async {
        let version = server.get().await.metadata.resource_version;
        let operations = json!([
            {"op": "test", "path": "/metadata/resourceVersion", "value": version},
            {"op": "replace", "path": "/metadata/managedFields", "value": his}]);
        let operations = serde_json::from_value(operations).unwrap();
        let answer = server.patch(Patch::Json::<Value>(operations)).await;
        Ok::<_, std::convert::Infallible>(match answer {
            Ok(end) => Seen::Done(end),
            Err(error) => Seen::NotYet(error.to_string()),
        })
    };
    let end = until("the hand-back", hand_back).await;
    assert_eq!(end.metadata.generation, back.metadata.generation);
    let mut next = manifest.clone();
    next["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["initialDelaySeconds"] =
        json!(45);
    let next = server.apply("flux", &next, false).await.unwrap();
    assert_eq!(Shown::of(&next, "a").liveness, "45/10/10/2 /healthz:61779");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s7_a_client_side_owner_owns_what_was_defaulted_and_never_puts_it_back() {
    let server = Server::new("s7").await;
    let manifest = web(json!({"httpGet": {"path": "/healthz", "port": 61779}}));
    let apply = ["apply", "-f", "-"];
    server.kubectl(&apply, &manifest).await.unwrap();
    let period = fields(&json!({"livenessProbe": {"periodSeconds": 20}}));
    let (code, message) = refused(server.apply(OURS, &period, false).await);
    assert_eq!(code, 409, "{message}");
    assert!(message.contains("kubectl-client-side-apply"), "{message}");
    server.patch(Patch::Strategic(period)).await.unwrap();
    server.kubectl(&apply, &manifest).await.unwrap();
    let after = Shown::of(&server.get().await, "a");
    assert_eq!(after.liveness, "0/20/1/3 /healthz:61779");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s8_an_admission_policy_can_drop_the_container_that_s2_leaves_behind() {
    let server = Server::with_web_of_flux("s8").await;
    server
        .apply(OURS, &fields(&startup_probe()), false)
        .await
        .unwrap();
    let name = server.scene.ns().to_owned();
    for object in drops_containers_without_image(&name) {
        server
            .kubectl(&["apply", "-f", "-"], &object)
            .await
            .unwrap();
    }
    // The API server hears of a new policy about a second later.
    let look = || async {
        Ok::<_, std::convert::Infallible>(match server.apply("flux", &renamed(), false).await {
            Ok(applied) => Seen::Done(applied),
            Err(error) => Seen::NotYet(error.to_string()),
        })
    };
    let after = until("the rename to be let through", look).await;
    assert_eq!(
        after.spec.unwrap().template.spec.unwrap().containers.len(),
        1
    );
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        let delete = ["delete", kind, &name];
        server.kubectl(&delete, &Value::Null).await.unwrap();
    }
    server.end().await;
}

/// For the workloads of one namespace. It is not shipped: what we write keeps no container (S3).
fn drops_containers_without_image(namespace: &str) -> [Value; 2] {
    let expression = "[JSONPatch{op: 'replace', path: '/spec/template/spec/containers', \
        value: object.spec.template.spec.containers.filter(c, has(c.image))}]";
    let condition = "object.spec.template.spec.containers.exists(c, has(c.image)) \
        && object.spec.template.spec.containers.exists(c, !has(c.image))";
    let version = "admissionregistration.k8s.io/v1";
    let scope = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    [
        json!({"apiVersion": version, "kind": "MutatingAdmissionPolicy", "metadata": {"name": namespace}, "spec": {
            "failurePolicy": "Ignore", "reinvocationPolicy": "Never",
            "matchConstraints": {"namespaceSelector": scope, "resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"],
                "operations": ["UPDATE"], "resources": ["deployments"]}]},
            "matchConditions": [{"name": "without-image", "expression": condition}],
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]}}),
        json!({"apiVersion": version, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": namespace},
            "spec": {"policyName": namespace}}),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn s9_kubectl_under_our_name_would_give_us_every_field_of_a_client_side_owner() {
    let server = Server::new("s9").await;
    let manifest = web(chart_liveness("/healthz"));
    server
        .kubectl(&["apply", "-f", "-"], &manifest)
        .await
        .unwrap();
    let words = [
        "apply",
        "--server-side",
        "--field-manager=probepilot",
        "-f",
        "-",
    ];
    server.kubectl(&words, &manifest).await.unwrap();
    let managers = server.get().await.metadata.managed_fields.unwrap();
    let of_spec = managers.iter().filter(|one| one.subresource.is_none());
    let managers: Vec<_> = of_spec.map(|one| one.manager.as_deref()).collect();
    assert_eq!(managers, [Some(OURS)]);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s10_uid_and_resource_version_guard_a_patch() {
    let server = Server::new("s10").await;
    let manifest = web(chart_liveness("/healthz"));
    let first = server.apply("flux", &manifest, false).await.unwrap();
    let api = server.scene.api::<Deployment>();
    api.delete("web", &DeleteParams::background())
        .await
        .unwrap();
    let look = || async {
        let made = serde_json::from_value(manifest.clone()).unwrap();
        Ok::<_, std::convert::Infallible>(match api.create(&PostParams::default(), &made).await {
            Ok(made) => Seen::Done(made),
            Err(error) => Seen::NotYet(error.to_string()),
        })
    };
    let second = until("the Deployment to be created again", look).await;

    let guarded = |key: &str, value: &Option<String>| {
        let mut patch = fields(&startup_probe());
        patch["metadata"][key] = json!(value);
        patch
    };
    let of_the_first = guarded("uid", &first.metadata.uid);
    let (code, message) = refused(server.apply(OURS, &of_the_first, false).await);
    assert!(code == 409 || code == 422, "apply: {code} {message}");
    let (code, message) = refused(server.patch(Patch::Strategic(of_the_first)).await);
    assert!(code == 409 || code == 422, "patch: {code} {message}");
    let old = guarded("resourceVersion", &first.metadata.resource_version);
    for answer in [
        server.apply(OURS, &old, false).await,
        server.patch(Patch::Strategic(old.clone())).await,
    ] {
        assert_eq!(refused(answer).0, 409);
    }
    let now = server.get().await.metadata;
    let then = (second.metadata.uid, second.metadata.generation);
    assert_eq!((now.uid, now.generation), then);

    // Nothing is made of a part of an object.
    api.delete("web", &DeleteParams::background())
        .await
        .unwrap();
    let look = || async {
        let answer = server
            .patch(Patch::Strategic(fields(&startup_probe())))
            .await;
        let (code, message) = refused(answer);
        Ok::<_, std::convert::Infallible>(if code == 404 {
            Seen::Done(())
        } else {
            Seen::NotYet(message)
        })
    };
    until("404 for a patch", look).await;
    let (code, message) = refused(server.apply(OURS, &fields(&startup_probe()), false).await);
    assert_eq!(code, 422, "{message}");
    server.end().await;
}
