//! What is trusted: given from outside, never from the bundle.

use der::Encode as _;
use x509_cert::Certificate;

use crate::{
    policy::{Policy, PolicyFileError},
    trust::Cert,
};

/// The longest file of certificates, in bytes.
const PEM_MAX_BYTES: usize = 1 << 20;

/// Roots and a policy.
#[derive(Clone, Debug)]
pub struct Anchors {
    signer_roots: Vec<Cert>,
    stamp_roots: Option<Vec<Cert>>,
    policy: Policy,
}

/// Why something given cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorError {
    /// Not certificates in PEM, or none.
    Certificates(&'static str),
    /// Not a policy.
    Policy(PolicyFileError),
}

impl std::fmt::Display for AnchorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Certificates(which) => write!(f, "the file of {which} has no certificates in PEM"),
            Self::Policy(fault) => std::fmt::Display::fmt(fault, f),
        }
    }
}

impl std::error::Error for AnchorError {}

impl Anchors {
    /// Takes roots of report signers (PEM), roots of time-stamping authorities if timestamps are to be checked (PEM),
    /// and a log policy.
    ///
    /// # Errors
    /// Those of [`AnchorError`].
    pub fn new(signer_roots: &[u8], stamp_roots: Option<&[u8]>, policy: &str) -> Result<Self, AnchorError> {
        Ok(Self {
            signer_roots: certificates("signers' roots", signer_roots)?,
            stamp_roots: stamp_roots.map(|pem| certificates("timestamps' roots", pem)).transpose()?,
            policy: Policy::parse(policy).map_err(AnchorError::Policy)?,
        })
    }

    pub(crate) fn signer_roots(&self) -> &[Cert] {
        &self.signer_roots
    }

    pub(crate) fn stamp_roots(&self) -> Option<&[Cert]> {
        self.stamp_roots.as_deref()
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }
}

fn certificates(which: &'static str, pem: &[u8]) -> Result<Vec<Cert>, AnchorError> {
    let fault = AnchorError::Certificates(which);
    if pem.len() > PEM_MAX_BYTES {
        return Err(fault);
    }
    // What stands before, between and behind is for people, as openssl prints it.
    let text = String::from_utf8_lossy(pem);
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let mut all = Vec::new();
    for part in text.split(begin).skip(1) {
        let (body, _) = part.split_once(end).ok_or_else(|| fault.clone())?;
        let lone = format!("{begin}{body}{end}\n");
        let chain = Certificate::load_pem_chain(lone.as_bytes()).map_err(|_| fault.clone())?;
        for certificate in chain {
            let der = certificate.to_der().map_err(|_| fault.clone())?;
            all.push(Cert { der, certificate });
        }
    }
    if all.is_empty() { Err(fault) } else { Ok(all) }
}
