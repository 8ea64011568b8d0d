//! One entry a container.

use super::scene::{Scene, Seen};
use jiff::Timestamp;
use probepilot_policy::{
    Advice, Confidence, ContainerView, Facts, Quote, Role, Subject, Verdict, advise, diagnose,
};
use serde::Serialize;

/// Characters of a remedy that a status tells.
const LONGEST: usize = 1024;

/// What is said of one container. The form of `-o json`: fields are only ever added.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// The pod's namespace.
    pub(super) namespace: String,
    /// The pod.
    pub(super) pod: String,
    /// The container.
    pub(super) container: String,
    /// Name of the verdict.
    pub(super) verdict: String,
    /// Proven, Inferred or None.
    pub(super) confidence: &'static str,
    /// How often it restarted.
    pub(super) restarts: i32,
    /// Sentences, the most telling first.
    pub(super) evidence: Vec<String>,
    /// What would help, each with its rule in front.
    pub(super) advice: Vec<String>,
    /// The same for people.
    #[serde(skip)]
    pub(super) remedies: Vec<Remedy>,
}

/// One remedy.
#[derive(Debug)]
pub(super) struct Remedy {
    /// Id of its rule.
    pub(super) rule: String,
    /// What to do.
    pub(super) text: String,
    /// The case that the rule was made for.
    pub(super) source: String,
}

/// All containers: init containers and sidecars first, then the others. An init container that has
/// done its work is not listed.
pub(super) fn entries(scene: &Scene) -> Vec<Entry> {
    let mut entries = Vec::new();
    for seen in &scene.pods {
        let init = seen.view.init_containers.iter();
        for (name, view) in init.chain(&seen.view.containers) {
            let entry = entry(seen, name, view, scene.now);
            let done = view.role == Role::Init && entry.verdict == Verdict::Healthy.to_string();
            if !done {
                entries.push(entry);
            }
        }
    }
    entries
}

fn entry(seen: &Seen, name: &str, view: &ContainerView, now: Timestamp) -> Entry {
    let subject = Subject {
        pod: &seen.view,
        name,
        view,
    };
    let diagnosis = diagnose(subject, now);
    let mut evidence = diagnosis.evidence(subject);
    if diagnosis.verdict() != Verdict::Healthy {
        evidence.extend(seen.node.clone());
    }
    let now = advise(&Facts {
        diagnosis: &diagnosis,
        pod: &seen.view,
        view,
        measured: seen.measured.get(name).copied().unwrap_or_default(),
    });
    let mut remedies: Vec<_> = now.into_iter().map(Remedy::from).collect();
    remedies.extend(standing(seen, name, &remedies));
    Entry {
        namespace: seen.namespace.clone(),
        pod: seen.view.name.clone(),
        container: name.to_owned(),
        verdict: diagnosis.verdict().to_string(),
        confidence: match diagnosis.confidence {
            Confidence::Proven => "Proven",
            Confidence::Inferred | Confidence::InferredTwice => "Inferred",
            Confidence::None => "None",
        },
        restarts: view.restart_count,
        evidence,
        advice: remedies
            .iter()
            .map(|advice| format!("{}: {}", advice.rule, advice.text))
            .collect(),
        remedies,
    }
}

/// What the policy's status advises for this container besides: the operator saw earlier ends, and
/// measures how long the API server takes.
fn standing(seen: &Seen, name: &str, now: &[Remedy]) -> Vec<Remedy> {
    let of_policy = seen.standing.as_ref().filter(|(of, _)| of == name);
    let advice = of_policy.into_iter().flat_map(|(_, advice)| advice);
    advice
        .filter(|advice| now.iter().all(|one| one.rule != advice.rule))
        .map(|advice| Remedy {
            rule: Quote::new(&advice.rule).to_string(),
            text: Quote::within(LONGEST, &advice.message).to_string(),
            source: "status.advice of its policy".to_owned(),
        })
        .collect()
}

impl From<Advice> for Remedy {
    fn from(advice: Advice) -> Self {
        Self {
            rule: advice.rule.to_owned(),
            text: advice.text,
            source: advice.source.to_owned(),
        }
    }
}
