//! The key that signs reports, in AWS KMS or in what speaks its API: an asymmetric key for `SIGN_VERIFY`, `ECC_NIST_P256` or RSA.

use async_trait::async_trait;
use aws_sdk_kms::{
    Client,
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use domain::{
    compliance::bundle::cms::{SignatureAlgorithm, SignatureRequest},
    kernel::fault::PortError,
};

use super::{AwsKms, AwsKmsFault, AwsKmsSettings, PORT, refused};
use crate::bundles::{PublicKey, ReportSigner};

/// A [`ReportSigner`] over one key of the service. What is signed are the attributes of a CMS signature, a few hundred bytes
/// with a digest among them, so that they go whole (`RAW`, 4,096 bytes at most).
#[derive(Clone, Debug)]
pub struct AwsKmsReportSigner {
    client: Client,
    key: String,
}

impl AwsKmsReportSigner {
    /// Finds credentials and region as the SDK does, and asks nothing yet.
    pub async fn connect(settings: &AwsKmsSettings) -> Self {
        let AwsKms { client, key } = AwsKms::connect(settings).await;
        Self { client, key }
    }

    /// Over a client made elsewhere.
    pub const fn over(client: Client, key: String) -> Self {
        Self { client, key }
    }
}

#[async_trait]
impl ReportSigner for AwsKmsReportSigner {
    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError> {
        let answer = self.client.get_public_key().key_id(&self.key).send().await.map_err(|e| refused(&e))?;
        let key = answer.public_key.ok_or_else(|| incomplete("a public key"))?;
        Ok(vec![PublicKey::Info(key.into_inner())])
    }

    async fn sign(&self, request: SignatureRequest<'_>, _: &PublicKey) -> Result<Vec<u8>, PortError> {
        let algorithm = match request.algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => SigningAlgorithmSpec::EcdsaSha256,
            SignatureAlgorithm::RsaSha256 => SigningAlgorithmSpec::RsassaPkcs1V15Sha256,
        };
        let call = self.client.sign().key_id(&self.key).signing_algorithm(algorithm);
        let call = call.message_type(MessageType::Raw).message(Blob::new(request.message));
        let answer = call.send().await.map_err(|e| refused(&e))?;
        Ok(answer.signature.ok_or_else(|| incomplete("a signature"))?.into_inner())
    }
}

fn incomplete(what: &'static str) -> PortError {
    PortError::passing(PORT, AwsKmsFault::Incomplete(what))
}
