//! What people and their tools do on a stage.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use probepilot_api::ProbePolicy;
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use super::{Stage, until};

impl Stage {
    /// The policy `name` for Deployment `target`: Enforce, 60 s from the first configmap of the namespace
    /// and 600 s from the tenth (there is always one), no windows; with `fields` of spec on top.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers build it in place")]
    pub fn policy(&self, name: &str, target: &str, fields: Value) -> Value {
        let mut spec = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            "mode": "Enforce",
            "rules": [{"count": {"resource": "configmaps", "namespace": self.scene.ns()}, "steps": [
                {"atLeast": 0, "startupSeconds": 60}, {"atLeast": 10, "startupSeconds": 600}]}],
            "behavior": {"raise": {"stabilizationWindowSeconds": 0, "minIntervalSeconds": 0}}});
        for (key, value) in fields.as_object().expect("an object") {
            spec[key] = value.clone();
        }
        json!({"apiVersion": "probepilot.dev/v1alpha1", "kind": "ProbePolicy", "metadata": {"name": name}, "spec": spec})
    }

    /// Fields of a policy whose rule asks for liveness timings of 60/10/30/6, as people set them by hand today.
    #[must_use]
    pub fn rung(&self) -> Value {
        json!({"rules": [{"count": {"resource": "configmaps", "namespace": self.scene.ns()}, "steps": [
            {"atLeast": 0, "livenessProbe": {"initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 30, "failureThreshold": 6}}]}]})
    }

    /// Creates a policy for Deployment `web`, of that name.
    pub async fn enforce(&self, fields: Value) -> ProbePolicy {
        self.create_policy(self.policy("web", "web", fields)).await
    }

    /// Creates a policy; the API may be served some moments after its definition was taken.
    pub async fn create_policy(&self, policy: Value) -> ProbePolicy {
        let policy: ProbePolicy = serde_json::from_value(policy).expect("a policy");
        let create = || async {
            let made = self
                .scene
                .api()
                .create(&PostParams::default(), &policy)
                .await;
            made.map(Seen::Done)
        };
        until("the ProbePolicy API", create).await
    }

    /// Merges `fields` into a policy's spec.
    pub async fn edit_policy(&self, name: &str, fields: Value) {
        let patch = Patch::Merge(json!({"spec": fields}));
        let api = self.scene.api::<ProbePolicy>();
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .expect("edited");
    }

    /// Patches Deployment `name` as a person would with kubectl edit.
    pub async fn edit(&self, name: &str, patch: Value) -> Deployment {
        let params = PatchParams {
            field_manager: Some("kubectl-edit".to_owned()),
            ..PatchParams::default()
        };
        let api = self.scene.api::<Deployment>();
        api.patch(name, &params, &Patch::Strategic(patch))
            .await
            .expect("edited")
    }

    /// Fills the namespace with configmaps, so that the second rung is reached.
    pub async fn grow(&self) {
        for index in 0..10 {
            let map = json!({"metadata": {"name": format!("map-{index}")}});
            self.scene.create::<ConfigMap>(map).await;
        }
    }

    /// kubectl with standard input, in this namespace.
    pub async fn kubectl(&self, words: &[&str], input: &Value) -> Result<String, String> {
        let kubectl = self.scene.cluster.kubectl().expect("kubectl");
        let mut all = vec!["--namespace", self.scene.ns()];
        all.extend(words);
        let run = kubectl.run_with_input(all, &input.to_string()).await;
        run.map_err(|error| error.to_string())
    }

    /// Runs the command of the annotation `probepilot.dev/kept` as a person who copies it.
    pub async fn run(&self, command: &str) {
        let (words, patch) = command.split_once(" --patch '").expect("a patch");
        let mut words: Vec<_> = words.split(' ').skip(1).collect();
        words.extend(["--patch", patch.strip_suffix('\'').expect("its end")]);
        self.kubectl(&words, &Value::Null).await.expect("patched");
    }

    /// Server-side apply by a manager, without force, as a GitOps controller would.
    pub async fn apply(&self, manager: &str, object: &Value) -> Result<Deployment, kube::Error> {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let params = PatchParams::apply(manager);
        let api = self.scene.api::<Deployment>();
        api.patch(name, &params, &Patch::Apply(object)).await
    }

    /// Deletes a policy and waits until it is gone.
    pub async fn delete_policy(&self, name: &str) {
        let api = self.scene.api::<ProbePolicy>();
        api.delete(name, &DeleteParams::default())
            .await
            .expect("deleted");
        let look = || async {
            let left = api.get_opt(name).await?;
            Ok::<_, kube::Error>(match left {
                None => Seen::Done(()),
                Some(left) => Seen::NotYet(left.name_any()),
            })
        };
        until("the end of the policy", look).await;
    }
}
