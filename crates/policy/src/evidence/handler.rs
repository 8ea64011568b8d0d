//! How a probe asks.

use std::fmt;

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// One of a container's three probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProbeKind {
    /// The startup probe.
    Startup,
    /// The liveness probe.
    Liveness,
    /// The readiness probe.
    Readiness,
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        })
    }
}

/// How a probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// `httpGet`.
    Http {
        /// `HTTP` or `HTTPS`.
        scheme: String,
        /// Number or name.
        port: String,
        /// With the slash it begins with.
        path: String,
    },
    /// `tcpSocket`.
    Tcp {
        /// Number or name.
        port: String,
    },
    /// `grpc`.
    Grpc {
        /// Number.
        port: String,
        /// The service that is asked for.
        service: String,
    },
    /// `exec`.
    Exec {
        /// The command.
        command: Vec<String>,
    },
    /// None that is known: a newer Kubernetes may have more.
    Other,
}

impl Handler {
    /// Reads the handler of a probe.
    #[must_use]
    pub fn of(probe: &Probe) -> Self {
        if let Some(http) = &probe.http_get {
            Self::Http {
                scheme: http.scheme.clone().unwrap_or_else(|| "HTTP".to_owned()),
                port: port(&http.port),
                path: http.path.clone().unwrap_or_else(|| "/".to_owned()),
            }
        } else if let Some(tcp) = &probe.tcp_socket {
            Self::Tcp {
                port: port(&tcp.port),
            }
        } else if let Some(grpc) = &probe.grpc {
            Self::Grpc {
                port: grpc.port.to_string(),
                service: grpc.service.clone().unwrap_or_default(),
            }
        } else if let Some(exec) = &probe.exec {
            Self::Exec {
                command: exec.command.clone().unwrap_or_default(),
            }
        } else {
            Self::Other
        }
    }

    /// The port that is asked, number or name.
    #[must_use]
    pub fn port(&self) -> Option<&str> {
        match self {
            Self::Http { port, .. } | Self::Tcp { port } | Self::Grpc { port, .. } => Some(port),
            Self::Exec { .. } | Self::Other => None,
        }
    }
}

impl fmt::Display for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use super::Quote;
        match self {
            Self::Http { scheme, port, path } => {
                write!(f, "{} :{}{}", scheme.to_lowercase(), port, Quote::new(path))
            }
            Self::Tcp { port } => write!(f, "tcp :{port}"),
            Self::Grpc { port, .. } => write!(f, "grpc :{port}"),
            Self::Exec { command } => write!(f, "exec {}", Quote::new(&command.join(" "))),
            Self::Other => f.write_str("an unknown handler"),
        }
    }
}

fn port(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}
