//! Trees to workloads: finds what has a pod template and checks what it says about probes.

use super::node::{Node, Value, get, key_line, last_line, line, text_of};
use super::objects::{list, objects};
use super::read::{ManifestError, Source};
use super::workload::{ContainerSpec, Declared, HandlerSpec, Inventory, Note, ProbeSpec, Workload};
use probepilot_kubelet::{Container, Probe, RestartPolicy, Timings};

/// Finds the workloads in all documents.
pub(crate) fn inventory(sources: Vec<Source>) -> Result<Inventory, ManifestError> {
    let mut workloads = Vec::new();
    let mut passed_over = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut reader = Reader {
            source,
            index,
            workloads: &mut workloads,
            passed_over: &mut passed_over,
        };
        for object in objects(source)? {
            reader.object(object)?;
        }
    }
    Ok(Inventory {
        sources,
        workloads,
        passed_over,
    })
}

struct Reader<'a> {
    source: &'a Source,
    index: usize,
    workloads: &'a mut Vec<Workload>,
    passed_over: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn object(&mut self, node: &Node) -> Result<(), ManifestError> {
        let kind = text_of(get(node, "kind")).unwrap_or_default();
        if let Some((template, spec_path)) = pod_template(node, &kind) {
            return self.workload(node, &kind, template, spec_path);
        }
        let kind = if kind.is_empty() {
            "an object without a kind".to_owned()
        } else {
            kind
        };
        if !self.passed_over.contains(&kind) {
            self.passed_over.push(kind);
        }
        Ok(())
    }

    fn workload(
        &mut self,
        node: &Node,
        kind: &str,
        template: &Node,
        spec_path: &str,
    ) -> Result<(), ManifestError> {
        let Some(pod) = get(template, "spec") else {
            return Ok(());
        };
        let metadata = get(node, "metadata");
        let meta = |key| metadata.and_then(|metadata| text_of(get(metadata, key)));
        let name = meta("name")
            .or_else(|| meta("generateName"))
            .unwrap_or_else(|| "unnamed".to_owned());
        let progress_deadline_seconds = match get(node, "spec") {
            Some(spec) if kind == "Deployment" => {
                self.number(spec, "progressDeadlineSeconds", "spec", 1)?
            }
            _ => None,
        };
        let mut annotations = notes(node);
        if !std::ptr::eq(node, template) {
            annotations.extend(notes(template));
        }
        let mut containers = Vec::new();
        for (list, init) in [("containers", false), ("initContainers", true)] {
            let Some(found) = get(pod, list) else {
                continue;
            };
            let path = format!("{spec_path}.{list}");
            for (position, item) in self.list(found, &path)?.iter().enumerate() {
                let path = format!("{path}[{position}]");
                let sidecar = text_of(get(item, "restartPolicy")).as_deref() == Some("Always");
                if !init || sidecar {
                    containers.push(self.container(item, pod, &path, init)?);
                }
            }
        }
        if containers.is_empty() {
            return Err(self.wrong(
                pod,
                &format!("{spec_path}.containers"),
                "at least one container",
            ));
        }
        self.workloads.push(Workload {
            source: self.index,
            line: line(node),
            namespace: meta("namespace").unwrap_or_else(|| "default".to_owned()),
            kind: kind.to_lowercase(),
            name,
            progress_deadline_seconds,
            annotations,
            containers,
        });
        Ok(())
    }

    fn container(
        &self,
        node: &Node,
        pod: &Node,
        path: &str,
        sidecar: bool,
    ) -> Result<ContainerSpec, ManifestError> {
        let name = text_of(get(node, "name"))
            .ok_or_else(|| self.wrong(node, &format!("{path}.name"), "the container's name"))?;
        let startup = self.probe(node, "startupProbe", path)?;
        let liveness = self.probe(node, "livenessProbe", path)?;
        let readiness = self.probe(node, "readinessProbe", path)?;
        let of = |probe: &Option<ProbeSpec>| probe.as_ref().map(|probe| probe.probe);
        let container = Container {
            startup: of(&startup),
            liveness: of(&liveness),
            readiness: of(&readiness),
            termination_grace_period_seconds: self
                .number(pod, "terminationGracePeriodSeconds", "pod spec", 0)?
                .unwrap_or(30),
            pre_stop_ms: pre_stop_ms(node),
            restart_policy: match text_of(get(pod, "restartPolicy")).as_deref() {
                Some("Never") => RestartPolicy::Never,
                Some("OnFailure") => RestartPolicy::OnFailure,
                _ => RestartPolicy::Always,
            },
            sidecar,
        };
        Ok(ContainerSpec {
            name,
            image: text_of(get(node, "image")).unwrap_or_default(),
            line: line(node),
            startup,
            liveness,
            readiness,
            container,
        })
    }

    fn probe(
        &self,
        container: &Node,
        key: &str,
        path: &str,
    ) -> Result<Option<ProbeSpec>, ManifestError> {
        let Some(node) = get(container, key) else {
            return Ok(None);
        };
        let path = format!("{path}.{key}");
        if !matches!(node.value, Value::Map(_)) {
            return Err(self.wrong(node, &path, "a probe"));
        }
        let default = Timings::default();
        // The API server takes 0 for "not given", except in initialDelaySeconds.
        let positive = |field, or| {
            self.number(node, field, &path, 0)
                .map(|number| number.filter(|number| *number > 0).unwrap_or(or))
        };
        let timings = Timings {
            initial_delay_seconds: self
                .number(node, "initialDelaySeconds", &path, 0)?
                .unwrap_or(0),
            period_seconds: positive("periodSeconds", default.period_seconds)?,
            timeout_seconds: positive("timeoutSeconds", default.timeout_seconds)?,
            failure_threshold: positive("failureThreshold", default.failure_threshold)?,
        };
        let handler = handler(node);
        let probe = Probe {
            handler: handler.kind(),
            timings,
            success_threshold: positive("successThreshold", 1)?,
            termination_grace_period_seconds: self.number(
                node,
                "terminationGracePeriodSeconds",
                &path,
                1,
            )?,
        };
        Ok(Some(ProbeSpec {
            line: key_line(container, key),
            last_line: last_line(node),
            handler,
            probe,
            declared: Declared {
                timeout: get(node, "timeoutSeconds").is_some(),
            },
        }))
    }

    /// A whole number of at least `least`, up to what the API takes.
    fn number(
        &self,
        node: &Node,
        key: &str,
        path: &str,
        least: u32,
    ) -> Result<Option<u32>, ManifestError> {
        let Some(found) = get(node, key) else {
            return Ok(None);
        };
        let largest = i32::MAX.unsigned_abs();
        let number = match found.value {
            Value::Integer(number) => u32::try_from(number).ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (least..=largest).contains(number)) {
            return Ok(Some(number));
        }
        let mut expected = if key == "initialDelaySeconds" {
            "a whole number of 0 or more".to_owned()
        } else {
            "a positive whole number".to_owned()
        };
        if matches!(&found.value, Value::Text(text) if text.parse::<u32>().is_ok()) {
            expected.push_str(" without quotes");
        }
        Err(self.wrong(found, &format!("{path}.{key}"), &expected))
    }

    fn list<'n>(&self, node: &'n Node, path: &str) -> Result<&'n [Node], ManifestError> {
        list(self.source, node, path)
    }

    fn wrong(&self, node: &Node, path: &str, expected: &str) -> ManifestError {
        ManifestError::wrong(self.source, node, path, expected)
    }
}

/// Where an object has its pod template, and the path of the pod's spec.
fn pod_template<'a>(node: &'a Node, kind: &str) -> Option<(&'a Node, &'static str)> {
    let has_containers = |template: &&Node| {
        get(template, "spec").is_some_and(|spec| get(spec, "containers").is_some())
    };
    if kind == "Pod" {
        return Some((node, "spec"));
    }
    if kind == "PodTemplate" {
        return get(node, "template").map(|template| (template, "template.spec"));
    }
    let spec = get(node, "spec")?;
    if let Some(template) = get(spec, "template").filter(has_containers) {
        return Some((template, "spec.template.spec"));
    }
    let job = get(get(spec, "jobTemplate")?, "spec")?;
    get(job, "template")
        .filter(has_containers)
        .map(|template| (template, "spec.jobTemplate.spec.template.spec"))
}

fn notes(object: &Node) -> Vec<Note> {
    let annotations = get(object, "metadata").and_then(|metadata| get(metadata, "annotations"));
    let Some(Value::Map(entries)) = annotations.map(|node| &node.value) else {
        return Vec::new();
    };
    entries
        .iter()
        // kubectl's copy of the manifest is not a statement about it.
        .filter(|(key, _)| key.value != "kubectl.kubernetes.io/last-applied-configuration")
        .filter_map(|(key, value)| {
            Some(Note {
                line: line(value),
                text: format!("{}: {}", key.value, text_of(Some(value))?),
            })
        })
        .collect()
}

fn handler(probe: &Node) -> HandlerSpec {
    let text = |node, key| text_of(get(node, key));
    if let Some(http) = get(probe, "httpGet") {
        HandlerSpec::Http {
            path: text(http, "path").unwrap_or_else(|| "/".to_owned()),
            port: text(http, "port").unwrap_or_default(),
            scheme: text(http, "scheme").unwrap_or_else(|| "HTTP".to_owned()),
        }
    } else if let Some(tcp) = get(probe, "tcpSocket") {
        HandlerSpec::Tcp {
            port: text(tcp, "port").unwrap_or_default(),
        }
    } else if let Some(exec) = get(probe, "exec") {
        let command = match get(exec, "command").map(|node| &node.value) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|item| text_of(Some(item)))
                .collect(),
            _ => Vec::new(),
        };
        HandlerSpec::Exec { command }
    } else if let Some(grpc) = get(probe, "grpc") {
        HandlerSpec::Grpc {
            port: text(grpc, "port").unwrap_or_default(),
        }
    } else {
        HandlerSpec::Other
    }
}

/// How long the preStop hook takes, where that can be read: only `sleep` says it.
fn pre_stop_ms(container: &Node) -> Option<u64> {
    let sleep = get(get(get(container, "lifecycle")?, "preStop")?, "sleep")?;
    match get(sleep, "seconds")?.value {
        Value::Integer(seconds) => u64::try_from(seconds).ok()?.checked_mul(1000),
        _ => None,
    }
}
