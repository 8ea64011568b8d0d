//! Kubeconfigs: one a client, each with a certificate of its own inside.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::error::{Error, Result};
use crate::layout::{Layout, NODE, port};
use crate::pki::{Authority, Subject, write_private};

/// Who talks to the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    Admin,
    ControllerManager,
    Scheduler,
    Kubelet,
    Proxy,
    Kwok,
}

impl Client {
    pub const ALL: [Self; 6] = [
        Self::Admin,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kubelet,
        Self::Proxy,
        Self::Kwok,
    ];

    fn subject(self) -> Subject {
        match self {
            Self::Admin => Subject {
                user: "probepilot-test-admin",
                group: Some("system:masters"),
            },
            Self::ControllerManager => Subject {
                user: "system:kube-controller-manager",
                group: None,
            },
            Self::Scheduler => Subject {
                user: "system:kube-scheduler",
                group: None,
            },
            // The node authorizer knows a kubelet by this form of name and by this group.
            Self::Kubelet => Subject {
                user: KUBELET_USER,
                group: Some("system:nodes"),
            },
            Self::Proxy => Subject {
                user: "system:kube-proxy",
                group: None,
            },
            // It plays kubelets of many names, which the node authorizer would not allow.
            Self::Kwok => Subject {
                user: "probepilot-test-kwok",
                group: Some("system:masters"),
            },
        }
    }

    /// Where its kubeconfig is.
    pub fn path(self, layout: &Layout) -> PathBuf {
        let file = match self {
            Self::Admin => return layout.kubeconfig(),
            Self::ControllerManager => "controller-manager.kubeconfig",
            Self::Scheduler => "scheduler.kubeconfig",
            Self::Kubelet => "kubelet.kubeconfig",
            Self::Proxy => "proxy.kubeconfig",
            Self::Kwok => "kwok.kubeconfig",
        };
        layout.config().join(file)
    }
}

const KUBELET_USER: &str = "system:node:node";
const _: () = assert!(NODE.len() + "system:node:".len() == KUBELET_USER.len());

/// Writes all kubeconfigs.
pub(crate) fn create(layout: &Layout, authority: &Authority) -> Result<()> {
    for client in Client::ALL {
        // The administrator's works from the host, the daemons' do without the link.
        let server = if client == Client::Admin {
            layout.api_url()
        } else {
            format!("https://127.0.0.1:{}", port::API)
        };
        write(
            &client.path(layout),
            &server,
            layout,
            authority,
            client.subject(),
        )?;
    }
    Ok(())
}

fn write(
    path: &Path,
    server: &str,
    layout: &Layout,
    authority: &Authority,
    subject: Subject,
) -> Result<()> {
    let signed = authority.client(subject)?;
    let name = format!("probepilot-{}", layout.name());
    // JSON is YAML, and needs no second serialiser.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": STANDARD.encode(&authority.certificate)}}],
        "users": [{"name": subject.user, "user": {
            "client-certificate-data": STANDARD.encode(&signed.certificate),
            "client-key-data": STANDARD.encode(&signed.key),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": subject.user}}],
        "current-context": name,
    });
    let text = serde_json::to_vec_pretty(&config).map_err(|cause| Error::Json {
        what: "a kubeconfig",
        cause,
    })?;
    write_private(path, &text)
}
