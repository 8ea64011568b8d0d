//! The admission policies of config/guard, tried with tokens of the accounts that they are about.
//!
//! The operator's account is given every right on workloads here, so that nothing but the policies stands in its way.

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use probepilot_test_api::Scene;
use probepilot_test_api::crd::install_own;
use probepilot_test_api::stage::{PATIENCE, until, within};
use probepilot_test_cluster::wait::Seen;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::account::{account, rule};
use crate::build;
use crate::edits::{ALLOWED, Edit, NAME, forbidden, objects};
use crate::kinds::{KINDS, objects_of};

/// What the operator is told that creates something.
const CREATES_NOTHING: [&str; 2] = [
    "probepilot creates no workloads",
    "probepilot changes nothing of a policy but its own finalizer",
];

/// config/guard, under names of this test and for its namespace alone.
pub struct Guard {
    admin: Client,
    policies: Vec<ValidatingAdmissionPolicy>,
    bindings: Vec<ValidatingAdmissionPolicyBinding>,
}

impl Guard {
    /// Installs the policies and their bindings.
    pub async fn install(scene: &Scene) -> Self {
        install_own(&scene.admin).await;
        let objects = build(&scene.cluster, "guard").await;
        let suffix = format!("-{}", scene.ns());
        let mut guard = Self {
            admin: scene.admin.clone(),
            policies: all(&objects, "ValidatingAdmissionPolicy"),
            bindings: all(&objects, "ValidatingAdmissionPolicyBinding"),
        };
        assert_eq!(guard.policies.len(), guard.bindings.len());
        let here = json!({"matchLabels": {"kubernetes.io/metadata.name": scene.ns()}});
        for policy in &mut guard.policies {
            policy.metadata.name.as_mut().unwrap().push_str(&suffix);
            let spec = policy.spec.as_mut().unwrap();
            let constraints = spec.match_constraints.as_mut().unwrap();
            constraints.namespace_selector = Some(serde_json::from_value(here.clone()).unwrap());
            let api: Api<ValidatingAdmissionPolicy> = Api::all(scene.admin.clone());
            api.create(&PostParams::default(), policy).await.unwrap();
        }
        for binding in &mut guard.bindings {
            binding.metadata.name.as_mut().unwrap().push_str(&suffix);
            let spec = &mut binding.spec;
            spec.policy_name.push_str(&suffix);
            let api: Api<ValidatingAdmissionPolicyBinding> = Api::all(scene.admin.clone());
            api.create(&PostParams::default(), binding).await.unwrap();
        }
        guard.no_expression_has_a_wrong_type().await;
        guard
    }

    /// The controller manager checks the types of every expression.
    async fn no_expression_has_a_wrong_type(&self) {
        let api: Api<ValidatingAdmissionPolicy> = Api::all(self.admin.clone());
        for policy in &self.policies {
            let name = policy.metadata.name.as_deref().unwrap();
            let checked = until("the types are checked", async || {
                let status = api.get(name).await?.status.unwrap_or_default();
                Ok::<_, kube::Error>(match status.type_checking {
                    Some(checked) if status.observed_generation == Some(1) => Seen::Done(checked),
                    _ => Seen::NotYet("not checked yet".to_owned()),
                })
            });
            let warnings = checked.await.expression_warnings.unwrap_or_default();
            assert!(warnings.is_empty(), "{name}: {warnings:?}");
        }
    }

    /// Removes them.
    pub async fn remove(self) {
        for binding in &self.bindings {
            let api: Api<ValidatingAdmissionPolicyBinding> = Api::all(self.admin.clone());
            let name = binding.metadata.name.as_deref().unwrap();
            api.delete(name, &DeleteParams::default()).await.unwrap();
        }
        for policy in &self.policies {
            let api: Api<ValidatingAdmissionPolicy> = Api::all(self.admin.clone());
            let name = policy.metadata.name.as_deref().unwrap();
            api.delete(name, &DeleteParams::default()).await.unwrap();
        }
    }
}

fn all<K: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<K> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind
        .map(|object| serde_json::from_value(object.clone()).unwrap())
        .collect()
}

/// What the API server answers to an edit of the object, which stays as it is.
pub async fn tried(client: &Client, namespace: &str, kind: &str, edit: Edit) -> Result<(), String> {
    let api = objects_of(client, namespace, kind);
    loop {
        let mut object = serde_json::to_value(api.get(NAME).await.unwrap()).unwrap();
        edit(&mut object);
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        match api.replace(NAME, &dry_run(), &object).await {
            Ok(_) => return Ok(()),
            // A controller wrote meanwhile.
            Err(kube::Error::Api(answer)) if answer.code == 409 => {}
            Err(kube::Error::Api(answer)) => return Err(refusal(&answer)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nothing is kept of a try.
pub fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

/// What an admission policy says in an answer; the whole answer where it is none of an admission policy's, or of one that could
/// not be evaluated.
pub fn refusal(answer: &Status) -> String {
    let (_, said) = answer
        .message
        .split_once("denied request: ")
        .unwrap_or(("", &answer.message));
    said.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_account_may_change_timings_and_nothing_else() {
    let scene = Scene::new("guard").await;
    let guard = Guard::install(&scene).await;
    let everything = [
        rule("apps", &["deployments", "statefulsets", "daemonsets"], "*"),
        rule("probepilot.dev", &["probepolicies"], "*"),
    ];
    let operator = account(&scene, "probepilot", &everything).await;
    let objects = objects(scene.ns());
    for (kind, object) in &objects {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let api = objects_of(&scene.admin, scene.ns(), kind);
        api.create(&PostParams::default(), &object).await.unwrap();
    }
    let tries = |kind, edit| tried(&operator, scene.ns(), kind, edit);
    // API servers see a new policy after a moment.
    for (kind, _) in &objects {
        let (what, edit) = first_forbidden(kind);
        within(PATIENCE, "the policies hold", async || {
            Ok::<_, String>(match tries(kind, edit).await {
                Err(_) => Seen::Done(()),
                Ok(()) => Seen::NotYet(format!("{what} passes")),
            })
        })
        .await;
    }

    let mut wrong = Vec::new();
    for (what, kinds, edit, says) in forbidden() {
        for kind in *kinds {
            match tries(kind, *edit).await {
                Err(said) if said == *says => {}
                Err(said) => wrong.push(format!("{kind}, {what}: says {said}, not {says}")),
                Ok(()) => wrong.push(format!("{kind}, {what}: passes")),
            }
        }
    }
    for (what, kinds, edit) in ALLOWED {
        for kind in *kinds {
            if let Err(said) = tries(kind, *edit).await {
                wrong.push(format!("{kind}, {what}: denied, {said}"));
            }
        }
    }
    for (kind, object) in &objects {
        let (what, edit) = first_forbidden(kind);
        if let Err(said) = tried(&scene.admin, scene.ns(), kind, edit).await {
            wrong.push(format!("an administrator's {kind}, {what}: denied, {said}"));
        }
        let mut another = object.clone();
        another["metadata"]["name"] = json!("another");
        let another: DynamicObject = serde_json::from_value(another).unwrap();
        let api = objects_of(&operator, scene.ns(), kind);
        match api.create(&dry_run(), &another).await {
            Err(kube::Error::Api(answer)) if CREATES_NOTHING.contains(&&*refusal(&answer)) => {}
            other => wrong.push(format!("a new {kind}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    guard.remove().await;
    scene.end().await;
}

/// The first edit that is forbidden for a kind.
fn first_forbidden(kind: &str) -> (&'static str, Edit) {
    let mut edits = forbidden();
    let found = edits.find(|(_, kinds, _, _)| kinds.contains(&kind));
    let (what, _, edit, _) = found.unwrap();
    (what, *edit)
}

/// CEL has a cost limit, and the guard looks at every field of every container.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_of_40_containers_and_700_kb_stays_inside_the_budget() {
    let scene = Scene::new("guard-large").await;
    let guard = Guard::install(&scene).await;
    let everything = [rule("apps", &["deployments"], "*")];
    let operator = account(&scene, "probepilot", &everything).await;
    let mut large = objects(scene.ns()).swap_remove(0).1;
    let web = large["spec"]["template"]["spec"]["containers"][0].clone();
    let containers = (0..40).map(|number| {
        let mut container = web.clone();
        container["name"] = json!(format!("web-{number}"));
        container["ports"] = json!([]);
        container["livenessProbe"]["httpGet"]["port"] = json!(8080);
        container["env"] = (0..34)
            .map(|number| json!({"name": format!("NAME_{number}"), "value": "x".repeat(500)}))
            .collect();
        container
    });
    large["spec"]["template"]["spec"]["containers"] = containers.collect();
    let bytes = large.to_string().len();
    assert!((700_000..1_000_000).contains(&bytes), "{bytes}");
    let api = objects_of(&scene.admin, scene.ns(), KINDS[0]);
    let object: DynamicObject = serde_json::from_value(large).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();

    let edit: Edit = |object| {
        let last = &mut object["spec"]["template"]["spec"]["containers"][39];
        last["image"] = json!("other:1");
    };
    within(PATIENCE, "the policies hold", async || {
        Ok::<_, String>(match tried(&operator, scene.ns(), KINDS[0], edit).await {
            Err(said) => Seen::Done(said),
            Ok(()) => Seen::NotYet("another image passes".to_owned()),
        })
    })
    .await;
    let edit: Edit = |object| {
        let containers = &mut object["spec"]["template"]["spec"]["containers"];
        for container in containers.as_array_mut().unwrap() {
            container["livenessProbe"]["initialDelaySeconds"] = json!(100);
            container["startupProbe"] = container["livenessProbe"].clone();
            container["startupProbe"]["failureThreshold"] = json!(60);
        }
    };
    let allowed = tried(&operator, scene.ns(), KINDS[0], edit).await;
    assert_eq!(allowed, Ok(()));
    guard.remove().await;
    scene.end().await;
}
