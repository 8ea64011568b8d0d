//! What owners do.

use probepilot_test_api::stage::{chart_liveness, deployment};
use serde_json::{Value, json};

/// What the owner does to his workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Container `a` becomes `b`.
    Rename,
    /// Container `a` goes; one without probes stays.
    Drop,
    /// The liveness probe goes.
    NoLiveness,
    /// He ships a startup probe with the handler of the same kind, too small for the need.
    OwnStartup,
    /// The same with another kind of handler.
    OtherStartup,
    /// He applies what he applied before.
    Again,
    /// He deletes the workload and creates it again.
    Recreate,
}

pub const ACTS: [Act; 7] = [
    Act::Rename,
    Act::Drop,
    Act::NoLiveness,
    Act::OwnStartup,
    Act::OtherStartup,
    Act::Again,
    Act::Recreate,
];

impl Act {
    /// The manifest before.
    pub fn first(self) -> Value {
        let mut containers = vec![probed("a")];
        if self == Self::Drop {
            containers.push(json!({"name": "side", "image": "none"}));
        }
        deployment("web", containers.into())
    }

    /// The manifest after.
    pub fn manifest(self) -> Value {
        let mut container = probed("a");
        match self {
            Self::Rename => container["name"] = json!("b"),
            Self::Drop => container = json!({"name": "side", "image": "none"}),
            Self::NoLiveness => container = json!({"name": "a", "image": "none"}),
            Self::OwnStartup => {
                container["startupProbe"] =
                    startup(&json!({"path": "/started", "port": 61779}), "httpGet");
            }
            Self::OtherStartup => {
                container["startupProbe"] = startup(&json!({"port": 7}), "tcpSocket");
            }
            Self::Again | Self::Recreate => {}
        }
        deployment("web", json!([container]))
    }
}

fn probed(name: &str) -> Value {
    json!({"name": name, "image": "none", "livenessProbe": chart_liveness("/healthz")})
}

/// 0/5/1/3, every timing declared.
fn startup(handler: &Value, kind: &str) -> Value {
    json!({kind: handler, "initialDelaySeconds": 0, "periodSeconds": 5, "timeoutSeconds": 1, "failureThreshold": 3})
}
