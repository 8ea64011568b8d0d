//! Who owns the workload, how he applies, and where his acts must end.

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, Patch, PatchParams};
use probepilot_test_api::stage::{Stage, until};
use probepilot_test_cluster::wait::Seen;
use serde_json::{Value, json};

use crate::End;
use crate::acts::Act;

/// An owner, and what a policy of his has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// `kubectl apply`; the need comes as a startup probe.
    Client,
    /// Server-side apply without force, as Helm 4; the need comes as a startup probe.
    Server,
    /// `kubectl apply`; the need comes as liveness timings that he declares.
    ClientTaken,
    /// Server-side apply with force, as Flux; the need comes as liveness timings, by onConflict Take.
    ServerTaken,
}

const HIS: &str = "30/10/10/2 /healthz:61779";
const LONGER: &str = "60/10/30/6 /healthz:61779";
const TCP: &str = r#"tcpSocket {"port":7}"#;

impl Owner {
    fn taken(self) -> bool {
        matches!(self, Self::ClientTaken | Self::ServerTaken)
    }

    /// Fields of his policy.
    pub fn fields(self, stage: &Stage) -> Value {
        let mut fields = if self.taken() {
            stage.rung()
        } else {
            json!({})
        };
        if self == Self::ServerTaken {
            fields["apply"] = json!({"onConflict": "Take"});
        }
        fields
    }

    /// Does it as its tool would; the API server's words where it refuses.
    pub async fn act(self, stage: &Stage, act: Act, manifest: &Value) -> Result<(), String> {
        if act == Act::Recreate {
            delete(stage).await;
        }
        self.apply(stage, manifest).await
    }

    /// Applies a manifest.
    pub async fn apply(self, stage: &Stage, manifest: &Value) -> Result<(), String> {
        self.send(stage, manifest, false).await
    }

    /// Whether he could apply a manifest: nothing is changed.
    pub async fn try_apply(self, stage: &Stage, manifest: &Value) -> Result<(), String> {
        self.send(stage, manifest, true).await
    }

    async fn send(self, stage: &Stage, manifest: &Value, dry_run: bool) -> Result<(), String> {
        if let Self::Client | Self::ClientTaken = self {
            let how = if dry_run { "server" } else { "none" };
            let words = ["apply", "-f", "-", &format!("--dry-run={how}")];
            return stage.kubectl(&words, manifest).await.map(drop);
        }
        let params = PatchParams {
            dry_run,
            force: self == Self::ServerTaken,
            ..PatchParams::apply("kustomize-controller")
        };
        let api = stage.scene.api::<Deployment>();
        let applied = api.patch("web", &params, &Patch::Apply(manifest)).await;
        applied.map(drop).map_err(|error| error.to_string())
    }

    /// What the API server says where it cannot let him, once our fields are there or not.
    pub fn refused(self, act: Act, written: bool) -> Option<&'static str> {
        match (self, act) {
            _ if !written => None,
            (Self::Client, Act::OtherStartup) => Some("may not specify more than 1 handler type"),
            (Self::Server, Act::OwnStartup | Act::OtherStartup) => Some("conflict"),
            (Self::ServerTaken, Act::NoLiveness) => Some("must specify a handler type"),
            _ => None,
        }
    }

    /// Where everybody comes to rest, whatever the moment was.
    pub fn end(self, act: Act) -> End {
        let (startup, liveness) = if self.taken() {
            (String::new(), LONGER)
        } else {
            ("0/10/10/7 /healthz:61779".to_owned(), HIS)
        };
        // His startup probe guards the start: it gets the need, 60 s or the 110 s of the rung, where it may be raised.
        let (threshold, reason) = match self {
            Self::Client => (13, "Covered"),
            Self::Server => (3, "Yielded"),
            Self::ClientTaken | Self::ServerTaken => (23, "Covered"),
        };
        let his = |handler: &str| End {
            container: "a",
            startup: format!("0/5/1/{threshold} {handler}"),
            liveness,
            reason,
        };
        let bare = |container| End {
            container,
            startup: String::new(),
            liveness: "",
            reason: "NoProbe",
        };
        match act {
            Act::Rename | Act::Again | Act::Recreate => End {
                container: if act == Act::Rename { "b" } else { "a" },
                startup,
                liveness,
                reason: "Covered",
            },
            Act::Drop => bare("side"),
            Act::NoLiveness => bare("a"),
            Act::OwnStartup => his("/started:61779"),
            Act::OtherStartup => his(TCP),
        }
    }
}

/// Deletes `web` and waits until it is gone.
async fn delete(stage: &Stage) {
    let api = stage.scene.api::<Deployment>();
    let params = DeleteParams::background();
    api.delete("web", &params).await.unwrap();
    let look = || async {
        let left = api.get_opt("web").await?;
        Ok::<_, kube::Error>(match left {
            None => Seen::Done(()),
            Some(_) => Seen::NotYet("still there".to_owned()),
        })
    };
    until("the Deployment's end", look).await;
}
