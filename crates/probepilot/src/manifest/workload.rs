//! Workloads as they are written: containers, probes, and the lines they stand on.

use super::read::Source;
use probepilot_kubelet::{Container, Handler, Probe, ProbeKind};

/// All workloads of an input.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// The files they came from.
    pub(crate) sources: Vec<Source>,
    /// The workloads, in order.
    pub(crate) workloads: Vec<Workload>,
    /// Kinds that have no pod template, each once.
    pub(crate) passed_over: Vec<String>,
}

/// One object with a pod template.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Index of its file in [`Inventory::sources`].
    pub(crate) source: usize,
    /// The line it begins on.
    pub(crate) line: usize,
    /// Its namespace; `default` where none is given.
    pub(crate) namespace: String,
    /// Its kind in lower case.
    pub(crate) kind: String,
    /// Its name.
    pub(crate) name: String,
    /// A Deployment's progressDeadlineSeconds, if it states one.
    pub(crate) progress_deadline_seconds: Option<u32>,
    /// Annotations of the object and of its pod template.
    pub(crate) annotations: Vec<Note>,
    /// Its containers and sidecars.
    pub(crate) containers: Vec<ContainerSpec>,
}

impl Workload {
    /// `deployment/NAME`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// A text and its line.
#[derive(Debug)]
pub(crate) struct Note {
    /// Its line.
    pub(crate) line: usize,
    /// The key and the text.
    pub(crate) text: String,
}

/// One container of a workload.
#[derive(Debug)]
pub(crate) struct ContainerSpec {
    /// Its name.
    pub(crate) name: String,
    /// Its image.
    pub(crate) image: String,
    /// The line it begins on.
    pub(crate) line: usize,
    /// The startup probe.
    pub(crate) startup: Option<ProbeSpec>,
    /// The liveness probe.
    pub(crate) liveness: Option<ProbeSpec>,
    /// The readiness probe.
    pub(crate) readiness: Option<ProbeSpec>,
    /// What the kubelet knows of it.
    pub(crate) container: Container,
}

impl ContainerSpec {
    /// The probe of this kind.
    pub(crate) fn probe(&self, kind: ProbeKind) -> Option<&ProbeSpec> {
        match kind {
            ProbeKind::Startup => self.startup.as_ref(),
            ProbeKind::Liveness => self.liveness.as_ref(),
            ProbeKind::Readiness => self.readiness.as_ref(),
        }
    }
}

/// One probe as it is written.
#[derive(Debug)]
pub(crate) struct ProbeSpec {
    /// The line of its key.
    pub(crate) line: usize,
    /// Its last line.
    pub(crate) last_line: usize,
    /// How it asks.
    pub(crate) handler: HandlerSpec,
    /// The same for the kubelet, defaults filled in.
    pub(crate) probe: Probe,
    /// Which fields are written down.
    pub(crate) declared: Declared,
}

/// Which fields of a probe are written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    /// `timeoutSeconds`.
    pub(crate) timeout: bool,
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HandlerSpec {
    /// `httpGet`.
    Http {
        /// The path.
        path: String,
        /// Number or name of the port.
        port: String,
        /// `HTTP` or `HTTPS`.
        scheme: String,
    },
    /// `tcpSocket`.
    Tcp {
        /// Number or name of the port.
        port: String,
    },
    /// `exec`.
    Exec {
        /// The command.
        command: Vec<String>,
    },
    /// `grpc`.
    Grpc {
        /// The port.
        port: String,
    },
    /// None that we know: a newer Kubernetes may have more.
    Other,
}

impl HandlerSpec {
    /// What the kubelet takes it for.
    pub(super) fn kind(&self) -> Handler {
        match self {
            Self::Http { .. } | Self::Other => Handler::Http,
            Self::Tcp { .. } => Handler::Tcp,
            Self::Exec { .. } => Handler::Exec,
            Self::Grpc { .. } => Handler::Grpc,
        }
    }
}

impl std::fmt::Display for HandlerSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http { path, port, scheme } => {
                write!(f, "{} :{port}{path}", scheme.to_lowercase())
            }
            Self::Tcp { port } => write!(f, "tcp :{port}"),
            Self::Exec { command } => write!(f, "exec {}", command.join(" ")),
            Self::Grpc { port } => write!(f, "grpc :{port}"),
            Self::Other => f.write_str("unknown handler"),
        }
    }
}
