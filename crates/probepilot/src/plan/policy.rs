//! The ProbePolicy of the input, refused as the API server would refuse it.

use super::schema;
use crate::manifest::{
    ManifestError, Node, Source, Value, get, key_line, objects, text_of, to_json,
};
use anyhow::{Context as _, bail};
use probepilot_api::{GROUP, ProbePolicy, ProbePolicySpec, crd};
use probepilot_policy::Policy;

/// A policy as a file has it.
#[derive(Debug)]
pub(super) struct PolicyFile {
    /// Its name.
    pub(super) name: String,
    /// Its namespace, where it is written down.
    pub(super) namespace: Option<String>,
    /// What it asks for.
    pub(super) policy: Policy,
}

impl PolicyFile {
    /// `NAMESPACE/NAME`, or the name alone.
    pub(super) fn label(&self) -> String {
        label(self.namespace.as_deref(), &self.name)
    }
}

fn label(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(
        || name.to_owned(),
        |namespace| format!("{namespace}/{name}"),
    )
}

/// The only policy, or the one called `wanted`.
pub(super) fn find(sources: &[Source], wanted: Option<&str>) -> anyhow::Result<PolicyFile> {
    let mut found = Vec::new();
    for source in sources {
        for node in objects(source)? {
            if text_of(get(node, "kind")).as_deref() == Some("ProbePolicy") {
                found.push(Candidate::new(source, node)?);
            }
        }
    }
    let names = |candidates: &[Candidate<'_>]| {
        let names: Vec<String> = candidates.iter().map(Candidate::label).collect();
        names.join(", ")
    };
    if found.is_empty() {
        bail!("no ProbePolicy in the files: give one with `-f policy.yaml`, beside the workload");
    }
    let all = names(&found);
    if let Some(wanted) = wanted {
        found.retain(|candidate| candidate.name == wanted || candidate.label() == wanted);
    }
    match found.as_slice() {
        [only] => only.read(),
        [] => bail!(
            "no ProbePolicy is called {}; there are: {all}",
            wanted.unwrap_or_default()
        ),
        several => bail!(
            "several policies: choose one with `--policy NAME` out of {}",
            names(several)
        ),
    }
}

struct Candidate<'a> {
    source: &'a Source,
    node: &'a Node,
    name: String,
    namespace: Option<String>,
}

impl<'a> Candidate<'a> {
    fn new(source: &'a Source, node: &'a Node) -> Result<Self, ManifestError> {
        let meta = |key| get(node, "metadata").and_then(|meta| text_of(get(meta, key)));
        let name = meta("name").ok_or_else(|| {
            ManifestError::missing(source, node, "metadata.name", "the policy's name")
        })?;
        Ok(Self {
            source,
            node,
            name,
            namespace: meta("namespace"),
        })
    }

    fn label(&self) -> String {
        label(self.namespace.as_deref(), &self.name)
    }

    fn read(&self) -> anyhow::Result<PolicyFile> {
        let crd = crd();
        let served: Vec<String> = crd
            .spec
            .versions
            .iter()
            .map(|version| format!("{GROUP}/{}", version.name))
            .collect();
        let version = text_of(get(self.node, "apiVersion")).unwrap_or_default();
        let Some(position) = served.iter().position(|name| *name == version) else {
            let expected = served.join(" or ");
            let error = match get(self.node, "apiVersion") {
                Some(found) => ManifestError::wrong(self.source, found, "apiVersion", &expected),
                None => self.missing("apiVersion", &expected),
            };
            return Err(error.into());
        };
        let root = crd.spec.versions[position]
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref());
        let spec_schema = root
            .and_then(|root| root.properties.as_ref())
            .and_then(|fields| fields.get("spec"))
            .context("the schema of ProbePolicy has no spec")?;
        let spec = get(self.node, "spec")
            .ok_or_else(|| self.missing("spec", "what the policy asks for"))?;
        schema::check(self.source, spec, spec_schema, "spec")?;
        let spec: ProbePolicySpec = serde_json::from_value(to_json(spec))
            .with_context(|| format!("{}: the spec cannot be read", self.source.name))?;
        self.check_rules(&spec)?;
        Ok(PolicyFile {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            policy: Policy::try_from(&spec)
                .with_context(|| format!("{}: policy {}", self.source.name, self.label()))?,
        })
    }

    /// The schema's rules in CEL, as the API server evaluates them.
    fn check_rules(&self, spec: &ProbePolicySpec) -> anyhow::Result<()> {
        let Err(errors) = ProbePolicy::new(&self.name, spec.clone()).validate_cel() else {
            return Ok(());
        };
        let sentences: Vec<String> = errors
            .iter()
            .map(|error| {
                format!(
                    "{}:{}: {}: {}",
                    self.source.name,
                    line_of(self.node, &error.field_path),
                    error.field_path,
                    error.message
                )
            })
            .collect();
        bail!("{}", sentences.join("\n"));
    }

    fn missing(&self, path: &str, expected: &str) -> ManifestError {
        ManifestError::missing(self.source, self.node, path, expected)
    }
}

/// The line of a path like `spec.rules[0].steps`, or of the deepest part of it that is there.
fn line_of(root: &Node, path: &str) -> usize {
    let mut node = root;
    let mut line = crate::manifest::line(root);
    for step in path.split(['.', '[']) {
        let next = match step.strip_suffix(']') {
            Some(position) => match (&node.value, position.parse::<usize>()) {
                (Value::List(items), Ok(position)) => items.get(position),
                _ => None,
            },
            None => get(node, step),
        };
        let Some(next) = next else { break };
        line = match step.strip_suffix(']') {
            Some(_) => crate::manifest::line(next),
            None => key_line(node, step),
        };
        node = next;
    }
    line
}
