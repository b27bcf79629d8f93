//! The key that signs reports: in a file on this machine, or with somebody who does not give it out; and its certificates.

use std::{
    fmt,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use domain::{
    compliance::bundle::cms::{SignatureAlgorithm, SignatureRequest},
    kernel::fault::PortError,
};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _, pem},
    spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned},
};
use zeroize::Zeroizing;

/// Why there is no key to sign reports with.
#[derive(Debug, thiserror::Error)]
pub enum ReportKeyFault {
    /// A file that can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The key's file is open to others.
    #[error("{} can be read by others: chmod 600", .0.display())]
    Open(PathBuf),
    /// Whoever has the key does not answer.
    #[error("the key that signs reports can't be had: {}", .0.source)]
    Away(PortError),
    /// A file that holds something else.
    #[error("{} {problem}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, as it follows the name.
        problem: &'static str,
    },
}

/// A public key, as whoever has the private one tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// A `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7, DER).
    Info(Vec<u8>),
    /// A point on P-256, uncompressed (SEC 1 section 2.3.3).
    Point(Vec<u8>),
}

/// Signs with a key that it does not give out.
#[async_trait]
pub trait ReportSigner: Send + Sync {
    /// The public keys of those it could sign with: at least one.
    async fn public_keys(&self) -> Result<Vec<PublicKey>, PortError>;
    /// The signature by one of them: ECDSA in DER, RSA by PKCS #1 v1.5.
    async fn sign(&self, request: SignatureRequest<'_>, by: &PublicKey) -> Result<Vec<u8>, PortError>;
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Elsewhere(Arc<dyn ReportSigner>, PublicKey, SignatureAlgorithm),
}

/// A private key (ECDSA on P-256, or RSA) and the certificates up to but without the root (PEM, the key's own first).
pub struct ReportKey {
    pair: Pair,
    /// That of the first certificate, as it is in there.
    public: Vec<u8>,
    certificates: Vec<Vec<u8>>,
}

impl fmt::Debug for ReportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportKey(..)")
    }
}

const PORT: &str = "report_key";
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// Longest that whoever has the key may take.
const TIMEOUT: Duration = Duration::from_secs(10);

async fn in_time<T>(call: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
    let answer = tokio::time::timeout(TIMEOUT, call).await;
    answer.unwrap_or_else(|_| Err(PortError::passing(PORT, "whoever has the key does not answer")))
}

fn unfit(path: &Path, problem: &'static str) -> ReportKeyFault {
    ReportKeyFault::Unfit { path: path.to_owned(), problem }
}

/// The certificates in a file, and those as DER.
fn chain(path: &Path) -> Result<(Certificate, Vec<Vec<u8>>), ReportKeyFault> {
    let none = || unfit(path, "holds no certificates in PEM");
    let chain = Certificate::load_pem_chain(&read(path)?).map_err(|_| none())?;
    let der: Result<Vec<_>, _> = chain.iter().map(Certificate::to_der).collect();
    let der = der.map_err(|_| unfit(path, "has a certificate that can't be written"))?;
    Ok((chain.into_iter().next().ok_or_else(none)?, der))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReportKeyFault> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    bytes.map_err(|source| ReportKeyFault::Unreadable { path: path.to_owned(), source })
}

impl ReportKey {
    /// Reads both: the key is PKCS #8 in PEM.
    ///
    /// # Errors
    /// What is wrong with which file; also that the key is not the first certificate's.
    pub fn open(key: &Path, certificates: &Path) -> Result<Self, ReportKeyFault> {
        let mode = std::fs::metadata(key).map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            return Err(ReportKeyFault::Open(key.to_owned()));
        }
        let (first, certificates) = chain(certificates)?;
        let (label, pkcs8) = pem::decode_vec(&read(key)?)
            .map(|(label, bytes)| (label.to_owned(), Zeroizing::new(bytes)))
            .map_err(|_| unfit(key, "holds no key in PEM"))?;
        if label != "PRIVATE KEY" {
            return Err(unfit(
                key,
                "holds no PKCS #8 key: openssl pkcs8 -topk8 -nocrypt makes one of another",
            ));
        }
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8);
        let (pair, public) = if let Ok(pair) = ecdsa {
            let public = pair.public_key().as_ref().to_vec();
            (Pair::Ecdsa(pair), public)
        } else {
            let pair = RsaKeyPair::from_pkcs8(&pkcs8)
                .map_err(|_| unfit(key, "holds neither an ECDSA key on P-256 nor an RSA key"))?;
            let public = pair.public_key().as_ref().to_vec();
            (Pair::Rsa(pair), public)
        };
        let info = first.tbs_certificate().subject_public_key_info();
        if info.subject_public_key.as_bytes() != Some(public.as_slice()) {
            return Err(unfit(key, "is not the key of the first certificate"));
        }
        Ok(Self { pair, public, certificates })
    }

    /// Reads the certificates of a key that somebody else has.
    ///
    /// # Errors
    /// What is wrong with the file, that they do not answer, or that theirs is not the first certificate's key.
    pub async fn elsewhere(
        signer: Arc<dyn ReportSigner>,
        certificates: &Path,
    ) -> Result<Self, ReportKeyFault> {
        let path = certificates;
        let (first, certificates) = chain(path)?;
        let info = first.tbs_certificate().subject_public_key_info();
        let curve = || info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        let algorithm = match info.algorithm.oid {
            RSA => SignatureAlgorithm::RsaSha256,
            EC if curve() == Some(P256) => SignatureAlgorithm::EcdsaP256Sha256,
            _ => return Err(unfit(path, "is of a key that is neither ECDSA on P-256 nor RSA")),
        };
        let public = info.subject_public_key.as_bytes().unwrap_or_default().to_vec();
        let is_same = |theirs: &PublicKey| match theirs {
            PublicKey::Info(der) => {
                SubjectPublicKeyInfoOwned::from_der(der).is_ok_and(|theirs| theirs == *info)
            }
            PublicKey::Point(point) => *point == public,
        };
        let theirs = in_time(signer.public_keys()).await.map_err(ReportKeyFault::Away)?;
        let same = theirs.into_iter().find(is_same);
        let by = same.ok_or_else(|| unfit(path, "is not of the key that signs reports"))?;
        Ok(Self { pair: Pair::Elsewhere(signer, by, algorithm), public, certificates })
    }

    /// How it signs.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self.pair {
            Pair::Ecdsa(_) => SignatureAlgorithm::EcdsaP256Sha256,
            Pair::Rsa(_) => SignatureAlgorithm::RsaSha256,
            Pair::Elsewhere(_, _, algorithm) => algorithm,
        }
    }

    /// The certificates (DER), the key's own first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Signs, and looks whether the first certificate's key finds it right: whoever has the key may have another by now.
    ///
    /// # Errors
    /// The library refuses, or whoever has the key does not answer, or signs with another one.
    pub async fn sign(&self, request: SignatureRequest<'_>) -> Result<Vec<u8>, PortError> {
        let random = SystemRandom::new();
        let refused = |_| PortError::lasting(PORT, "the library does not sign");
        let message = request.message;
        let signature = match &self.pair {
            Pair::Ecdsa(pair) => pair.sign(&random, message).map_err(refused)?.as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(refused)?;
                signature
            }
            Pair::Elsewhere(signer, by, _) => in_time(signer.sign(request, by)).await?,
        };
        let algorithm: &dyn VerificationAlgorithm = match self.algorithm() {
            SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            SignatureAlgorithm::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        UnparsedPublicKey::new(algorithm, &self.public)
            .verify(message, &signature)
            .map_err(|_| PortError::lasting(PORT, "the signature is not by the key of the certificate"))?;
        Ok(signature)
    }
}
