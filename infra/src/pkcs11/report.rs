//! The key that signs reports, in a hardware module: a pair on P-256 (`CKK_EC`) with a label of its own. Of several that have it,
//! the one signs that the certificate is of; `CKA_ID` names its two halves. With OpenSC:
//!
//! ```text
//! pkcs11-tool --module M --login --keypairgen --key-type EC:prime256v1 --label matricula-reports --id 01 --sensitive
//! ```
//!
//! Absent on purpose: RSA, for which modules' mechanisms differ.

use async_trait::async_trait;
use domain::{
    compliance::bundle::cms::{SignatureAlgorithm, SignatureRequest, ecdsa_der},
    kernel::fault::PortError,
};

use super::{PORT, Pkcs11Token};
use crate::bundles::{PublicKey, ReportSigner};

/// A [`ReportSigner`] over a key pair in a PKCS #11 token, by `CKM_ECDSA`.
#[derive(Clone, Debug)]
pub struct Pkcs11ReportSigner {
    token: Pkcs11Token,
    label: String,
}

impl Pkcs11Token {
    /// The pair on P-256 with that label in the same token.
    pub fn report_signer(&self, label: String) -> Pkcs11ReportSigner {
        Pkcs11ReportSigner { token: self.clone(), label }
    }
}

#[async_trait]
impl ReportSigner for Pkcs11ReportSigner {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        let label = self.label.clone();
        let points = self.token.call(move |connection| connection.with(|open| open.public_points(&label)));
        Ok(points.await?.into_iter().map(PublicKey::Point).collect())
    }

    async fn sign(&self, request: SignatureRequest<'_>, by: &PublicKey) -> Result<Vec<u8>, PortError> {
        let (SignatureAlgorithm::EcdsaP256Sha256, PublicKey::Point(point)) = (request.algorithm, by) else {
            return Err(PortError::lasting(PORT, "the certificate is not of a key on P-256"));
        };
        let (label, point, digest) = (self.label.clone(), point.clone(), request.digest);
        let raw = self
            .token
            .call(move |connection| connection.with(|open| open.sign_digest(&label, &point, &digest)));
        ecdsa_der(&raw.await?).ok_or_else(|| PortError::lasting(PORT, "a signature is not 64 bytes"))
    }
}
