//! Every policy of config/samples, held against a workload shaped as its controller's chart has it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DynamicObject, GroupVersionKind, PostParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt};
use probepilot_api::{ConditionType, ProbePolicy, ProbeTimings, Reason};
use probepilot_operator::counts::COUNT_ROLE_LABEL;
use probepilot_policy::{
    Count, Decision, Observation, Policy, Sample, Slot, Target, Workload, decide,
};
use probepilot_test_api::Scene;
use probepilot_test_api::crd::{causes, install_own};
use serde_json::{Value, json};

/// What a sample is to do: its file, the container, the budget that the chart gives, and the need at some counts.
struct Case {
    file: &'static str,
    container: &'static str,
    chart_seconds: u32,
    needs: &'static [(i64, u32)],
}

const SAMPLES: &[Case] = &[
    Case {
        file: "aws-load-balancer-controller",
        container: "aws-load-balancer-controller",
        chart_seconds: 40,
        needs: &[(0, 60), (9_999, 60), (10_000, 110), (1_000_000, 110)],
    },
    Case {
        file: "azure-service-operator",
        container: "manager",
        chart_seconds: 80,
        needs: &[(0, 110), (799, 110), (800, 220)],
    },
    Case {
        file: "cilium",
        container: "cilium-agent",
        chart_seconds: 208,
        needs: &[(0, 603), (50_000, 603)],
    },
    Case {
        file: "ingress-nginx",
        container: "controller",
        chart_seconds: 50,
        needs: &[(0, 50), (40_000, 490), (100_000, 1150)],
    },
    Case {
        file: "net-kourier",
        container: "controller",
        chart_seconds: 50,
        needs: &[
            (0, 50),
            (350, 302),
            (1000, 770),
            (7500, 5450),
            (20_000, 5450),
        ],
    },
    Case {
        file: "sealed-secrets",
        container: "controller",
        chart_seconds: 20,
        needs: &[(0, 20), (300, 320)],
    },
];

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sample(file: &str) -> String {
    read(&folder("../../config/samples").join(format!("{file}.yaml")))
}

fn documents(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&sample(file)).unwrap()
}

#[test]
fn every_sample_is_in_the_table() {
    let files: BTreeSet<_> = std::fs::read_dir(folder("../../config/samples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let table: BTreeSet<_> = SAMPLES
        .iter()
        .map(|sample| sample.file.to_owned())
        .collect();
    assert_eq!(files, table);
}

/// The workload of a fixture, in the test's namespace and running nowhere, written as Helm 3 writes it.
async fn create_workload(scene: &Scene, file: &str) -> Value {
    let text = read(&folder("fixtures").join(format!("{file}.yaml")));
    let mut object: Value = serde_saphyr::from_str(&text).unwrap();
    object["spec"]["template"]["spec"]["nodeSelector"] = json!({"probepilot.test/nowhere": "true"});
    let kind = object["kind"].as_str().unwrap();
    let gvk = GroupVersionKind::gvk("apps", "v1", kind);
    let api: Api<DynamicObject> = Api::namespaced_with(
        scene.admin.clone(),
        scene.ns(),
        &ApiResource::from_gvk(&gvk),
    );
    let object = serde_json::from_value(object).unwrap();
    let helm = PostParams {
        field_manager: Some("helm".to_owned()),
        ..PostParams::default()
    };
    let created = api.create(&helm, &object).await.unwrap();
    serde_json::to_value(created).unwrap()
}

async fn create_policy(scene: &Scene, mut policy: Value) -> ProbePolicy {
    policy["metadata"]["namespace"] = json!(scene.ns());
    let policy = serde_json::from_value(policy).unwrap();
    scene
        .api::<ProbePolicy>()
        .create(&PostParams::default(), &policy)
        .await
        .unwrap_or_else(|error| panic!("{:?}", causes(&error)))
}

/// What the operator would decide at a count, with the objects as the API server has them.
fn decide_at(policy: &ProbePolicy, workload: &Value, count: i64) -> Decision {
    let now = Timestamp::now();
    let spec = Policy::try_from(&policy.spec).unwrap();
    let workload = Workload::parse(policy.spec.target_ref.kind, workload).unwrap();
    let counts = spec.rules.iter().map(|rule| Count {
        selector: rule.count.clone(),
        last: Some(Sample {
            value: count,
            at: now,
        }),
        failure: None,
    });
    let observation = Observation {
        retry: None,
        generation: policy.metadata.generation.unwrap(),
        counts: counts.collect(),
        target: Target::Found(Box::new(workload)),
        pods: Vec::new(),
        duplicate_of: None,
        brake: None,
        slot: Slot::None,
        refusal: None,
        latency: None,
        admission: probepilot_policy::Admission::default(),
        going: probepilot_policy::Going::default(),
    };
    let prior = policy.status.clone().unwrap_or_default();
    decide(&spec, &observation, &prior, now)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sample_fits_its_controller() {
    let scene = Scene::new("samples").await;
    install_own(&scene.admin).await;
    for sample in SAMPLES {
        let file = sample.file;
        let workload = create_workload(&scene, file).await;
        for document in documents(file) {
            match document["kind"].as_str().unwrap() {
                "ClusterRole" => check_role(&scene, file, &document).await,
                "ProbePolicy" => check_policy(&scene, sample, &workload, document).await,
                other => panic!("{file}: {other}"),
            }
        }
    }
    scene.end().await;
}

async fn check_policy(scene: &Scene, sample: &Case, workload: &Value, document: Value) {
    let file = sample.file;
    let policy = create_policy(scene, document.clone()).await;
    assert_eq!(
        (
            policy.spec.target_ref.name.as_str(),
            format!("{:?}", policy.spec.target_ref.kind)
        ),
        (
            workload["metadata"]["name"].as_str().unwrap(),
            workload["kind"].as_str().unwrap().to_owned()
        ),
        "{file} names another workload than its chart"
    );
    for &(count, need) in sample.needs {
        let decision = decide_at(&policy, workload, count);
        assert_eq!(
            decision.container.as_deref(),
            Some(sample.container),
            "{file}"
        );
        let startup = decision.startup;
        assert_eq!(
            (startup.count, startup.need_seconds, startup.budget_seconds),
            (Some(count), Some(need), Some(sample.chart_seconds)),
            "{file} at {count}"
        );
        let ready = decision
            .conditions
            .iter()
            .find(|condition| condition.kind() == ConditionType::Ready)
            .unwrap();
        assert_eq!(ready.reason, Reason::Enforcing, "{file}: {}", ready.message);
        let desired = decision.probes.unwrap().desired;
        let ours = desired.startup_probe.map(budget);
        let given = ours.unwrap_or_else(|| desired.liveness_probe.map_or(0, budget));
        assert!(
            given >= need.max(sample.chart_seconds),
            "{file} at {count}: {desired:?} gives {given} s"
        );
    }
    // The container is found without its name as well: it is the only one with such a probe.
    let mut unnamed = document;
    unnamed["metadata"]["name"] = json!(format!("{file}-unnamed"));
    unnamed["spec"]
        .as_object_mut()
        .unwrap()
        .remove("containerName")
        .expect("a sample names its container");
    let unnamed = create_policy(scene, unnamed).await;
    let decision = decide_at(&unnamed, workload, 0);
    assert_eq!(
        decision.container.as_deref(),
        Some(sample.container),
        "{file} without containerName"
    );
}

/// The guaranteed budget, D + (F-1)*P, with Kubernetes' own defaults.
fn budget(timings: ProbeTimings) -> u32 {
    let delay = timings.initial_delay_seconds.unwrap_or(0);
    let failures = timings.failure_threshold.unwrap_or(3);
    let period = timings.period_seconds.unwrap_or(10);
    u32::try_from(delay + (failures - 1) * period).unwrap()
}

/// The role of a sample gives the right to count what its rules count, and no other.
async fn check_role(scene: &Scene, file: &str, document: &Value) {
    let role: ClusterRole = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(
        role.labels().get(COUNT_ROLE_LABEL).map(String::as_str),
        Some("true"),
        "{file}: the operator's role would not take it in"
    );
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    Api::<ClusterRole>::all(scene.admin.clone())
        .create(&dry, &role)
        .await
        .unwrap();
    let granted: BTreeSet<_> = role
        .rules
        .iter()
        .flatten()
        .flat_map(|rule| {
            assert_eq!(rule.verbs, ["list"], "{file}");
            let groups = rule.api_groups.iter().flatten();
            groups.flat_map(|group| {
                let resources = rule.resources.iter().flatten();
                resources.map(|resource| (group.clone(), resource.clone()))
            })
        })
        .collect();
    assert_eq!(granted, counted(file), "{file}");
}

/// What the rules of a sample count besides pods, which the operator may list anyway.
fn counted(file: &str) -> BTreeSet<(String, String)> {
    let documents = documents(file);
    let rules = documents.iter().flat_map(|document| {
        let rules = document["spec"]["rules"].as_array();
        rules.into_iter().flatten()
    });
    rules
        .map(|rule| &rule["count"])
        .map(|count| {
            let text = |field: &str| count[field].as_str().unwrap().to_owned();
            (text("group"), text("resource"))
        })
        .filter(|counted| *counted != (String::new(), "pods".to_owned()))
        .collect()
}

#[test]
fn a_sample_that_counts_more_than_pods_brings_the_right_to_do_so() {
    for sample in SAMPLES {
        let has_role = documents(sample.file)
            .iter()
            .any(|document| document["kind"] == "ClusterRole");
        assert_eq!(
            has_role,
            !counted(sample.file).is_empty(),
            "{}",
            sample.file
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rungs_for_aws_load_balancer_controller_are_written_as_they_are() {
    let scene = Scene::new("samples-lbc").await;
    install_own(&scene.admin).await;
    let file = "aws-load-balancer-controller";
    let workload = create_workload(&scene, file).await;
    let policy = create_policy(&scene, documents(file).remove(0)).await;
    let liveness = |decision: Decision| {
        let probe = decision.probes.unwrap().desired.liveness_probe.unwrap();
        [
            probe.initial_delay_seconds,
            probe.period_seconds,
            probe.timeout_seconds,
            probe.failure_threshold,
        ]
        .map(Option::unwrap)
    };
    assert_eq!(
        liveness(decide_at(&policy, &workload, 10_000)),
        [60, 10, 30, 6]
    );
    assert_eq!(
        liveness(decide_at(&policy, &workload, 9_999)),
        [30, 10, 10, 2],
        "the first rung leaves liveness to its owner"
    );
    scene.end().await;
}

/// Whether a comment says where its numbers are from: an issue, or a file at a commit or version.
fn is_citation(comment: &str) -> bool {
    let issue = comment.split_whitespace().any(|word| {
        word.split_once('#').is_some_and(|(repository, number)| {
            repository.contains('/') && number.starts_with(|first: char| first.is_ascii_digit())
        })
    });
    let file = comment.contains(".yaml at ") || comment.contains(".yaml of chart ");
    issue || file
}

fn numbers(text: &str) -> Vec<String> {
    text.replace(',', "")
        .split(|character: char| !character.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The lines below `spec:` that set a number, each with the comment above it that covers it: one of no deeper indentation, with nothing of
/// smaller indentation between.
fn covered(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut comment = (String::new(), 0);
    let mut in_comment = false;
    let spec = text.lines().skip_while(|line| *line != "spec:").skip(1);
    for line in spec {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim_start();
        if let Some(words) = trimmed.strip_prefix('#') {
            if !in_comment {
                comment = (String::new(), indent);
            }
            in_comment = true;
            comment.0.push_str(words);
            continue;
        }
        in_comment = false;
        if indent < comment.1 {
            comment = (String::new(), 0);
        }
        let value = trimmed.rsplit_once(": ").map_or("", |(_, value)| value);
        if value.parse::<i64>().is_ok() {
            found.push((trimmed.to_owned(), comment.0.clone()));
        }
    }
    found
}

#[test]
fn every_number_of_a_sample_cites_its_source() {
    for sample in SAMPLES {
        let file = sample.file;
        let covered = covered(&self::sample(file));
        assert!(!covered.is_empty(), "{file} has no numbers");
        for (line, comment) in covered {
            assert!(
                is_citation(&comment),
                "{file}: `{line}` has no source in the comment above it: {comment:?}"
            );
            let said = numbers(&comment);
            for number in numbers(&line) {
                // A count of 0 is "always".
                assert!(
                    number == "0" || said.contains(&number),
                    "{file}: `{line}`: the comment above it does not say {number}: {comment:?}"
                );
            }
        }
    }
}

#[test]
fn a_number_without_a_source_is_found() {
    let text = "spec:\n  rules:\n    # twice 60 (a/b#7)\n    - atLeast: 5\n      startupSeconds: 60\n  limits:\n    maxStartupSeconds: 60\n";
    let seen: Vec<_> = covered(text)
        .into_iter()
        .map(|(line, comment)| (line, is_citation(&comment)))
        .collect();
    assert_eq!(
        seen,
        [
            ("- atLeast: 5".to_owned(), true),
            ("startupSeconds: 60".to_owned(), true),
            ("maxStartupSeconds: 60".to_owned(), false),
        ]
    );
    assert!(!is_citation("somebody said #12"));
    assert!(is_citation("values.yaml at 225f4456"));
}
