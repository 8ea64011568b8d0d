//! Certificates and keys of a cluster: one authority for the API and one for the front proxy (aggregated APIs), all prime256v1.

use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::error::{Error, Result};
use crate::layout::{API_SERVICE, Layout, NODE};

/// Who a client certificate makes its holder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub user: &'static str,
    pub group: Option<&'static str>,
}

/// A certificate with its key, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub certificate: String,
    pub key: String,
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// The authority's own certificate, in PEM.
    pub certificate: String,
    key: String,
}

impl Authority {
    pub fn new(name: &'static str) -> Result<Self> {
        let failed = |cause| Error::Certificate {
            subject: name.to_owned(),
            cause,
        };
        let mut params = params(name, None, Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let pair = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&pair).map_err(failed)?.pem();
        let key = pair.serialize_pem();
        Ok(Self {
            issuer: Issuer::new(params, pair),
            certificate,
            key,
        })
    }

    pub fn client(&self, subject: Subject) -> Result<Signed> {
        self.sign(
            params(subject.user, subject.group, Vec::new()),
            ExtendedKeyUsagePurpose::ClientAuth,
            subject.user,
        )
    }

    fn server(&self, name: &str, alternatives: Vec<SanType>) -> Result<Signed> {
        self.sign(
            params(name, None, alternatives),
            ExtendedKeyUsagePurpose::ServerAuth,
            name,
        )
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        name: &str,
    ) -> Result<Signed> {
        let failed = |cause| Error::Certificate {
            subject: name.to_owned(),
            cause,
        };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let pair = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&pair, &self.issuer).map_err(failed)?;
        Ok(Signed {
            certificate: certificate.pem(),
            key: pair.serialize_pem(),
        })
    }
}

fn params(
    common_name: &str,
    organisation: Option<&str>,
    alternatives: Vec<SanType>,
) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
    }
    params.subject_alt_names = alternatives;
    // A test cluster's clock is the host's; nothing here guards anything that outlives the cluster.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

/// Paths of the files that daemons are pointed at.
#[derive(Debug, Clone)]
pub(crate) struct Files(PathBuf);

impl Files {
    pub fn new(layout: &Layout) -> Self {
        Self(layout.pki())
    }

    pub fn certificate(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.crt"))
    }

    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }

    pub fn public_key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pub"))
    }
}

/// Names of the files.
pub(crate) mod file {
    pub const CA: &str = "ca";
    pub const FRONT_PROXY_CA: &str = "front-proxy-ca";
    pub const FRONT_PROXY_CLIENT: &str = "front-proxy-client";
    pub const API_SERVER: &str = "apiserver";
    pub const API_SERVER_KUBELET_CLIENT: &str = "apiserver-kubelet-client";
    pub const KUBELET: &str = "kubelet-server";
    /// Signs service-account tokens; a bare pair of keys.
    pub const SERVICE_ACCOUNTS: &str = "service-accounts";
}

/// Makes all files and returns the authority that signs the kubeconfigs' certificates.
pub(crate) fn create(layout: &Layout) -> Result<Authority> {
    let ca = Authority::new("probepilot-test-ca")?;
    let front = Authority::new("probepilot-test-front-proxy-ca")?;
    let dns = |name: &str| {
        name.try_into()
            .map(SanType::DnsName)
            .map_err(|cause| Error::Certificate {
                subject: name.to_owned(),
                cause,
            })
    };
    let mut api_names = vec![
        SanType::IpAddress(IpAddr::V4(layout.node_address())),
        SanType::IpAddress(IpAddr::V4(API_SERVICE)),
        SanType::IpAddress(IpAddr::from([127, 0, 0, 1])),
    ];
    for name in [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ] {
        api_names.push(dns(name)?);
    }
    let node_names = vec![
        SanType::IpAddress(IpAddr::V4(layout.node_address())),
        dns(NODE)?,
    ];
    let admin = Subject {
        user: "kube-apiserver-kubelet-client",
        group: Some("system:masters"),
    };

    let files = Files::new(layout);
    files.write(
        file::CA,
        &Signed {
            certificate: ca.certificate.clone(),
            key: ca.key.clone(),
        },
    )?;
    files.write(
        file::FRONT_PROXY_CA,
        &Signed {
            certificate: front.certificate.clone(),
            key: front.key.clone(),
        },
    )?;
    files.write(
        file::FRONT_PROXY_CLIENT,
        &front.client(Subject {
            user: "front-proxy-client",
            group: None,
        })?,
    )?;
    files.write(file::API_SERVER, &ca.server("kube-apiserver", api_names)?)?;
    files.write(file::API_SERVER_KUBELET_CLIENT, &ca.client(admin)?)?;
    files.write(file::KUBELET, &ca.server(NODE, node_names)?)?;
    let accounts = KeyPair::generate().map_err(|cause| Error::Certificate {
        subject: file::SERVICE_ACCOUNTS.to_owned(),
        cause,
    })?;
    write_private(
        &files.key(file::SERVICE_ACCOUNTS),
        accounts.serialize_pem().as_bytes(),
    )?;
    let public = files.public_key(file::SERVICE_ACCOUNTS);
    fs::write(&public, accounts.public_key_pem()).map_err(Error::io("write", &public))?;
    Ok(ca)
}

impl Files {
    fn write(&self, name: &str, signed: &Signed) -> Result<()> {
        let certificate = self.certificate(name);
        fs::write(&certificate, &signed.certificate).map_err(Error::io("write", &certificate))?;
        write_private(&self.key(name), signed.key.as_bytes())
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("create", path))?;
    file.write_all(content).map_err(Error::io("write", path))
}
