//! The key that signs reports, and its certificates, in files on this machine.

use std::{
    fmt,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use domain::compliance::bundle::cms::SignatureAlgorithm;
use x509_cert::{
    Certificate,
    der::{Encode as _, pem},
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
    /// A file that holds something else.
    #[error("{} {problem}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, as it follows the name.
        problem: &'static str,
    },
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A private key (PKCS #8, PEM; ECDSA on P-256, or RSA) and the certificates up to but without the root (PEM, the key's own
/// first).
pub struct ReportKey {
    pair: Pair,
    certificates: Vec<Vec<u8>>,
}

impl fmt::Debug for ReportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportKey(..)")
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ReportKeyFault> {
    let bytes = std::fs::read(path).map(Zeroizing::new);
    bytes.map_err(|source| ReportKeyFault::Unreadable { path: path.to_owned(), source })
}

impl ReportKey {
    /// Reads both.
    ///
    /// # Errors
    /// What is wrong with which file; also that the key is not the first certificate's.
    pub fn open(key: &Path, certificates: &Path) -> Result<Self, ReportKeyFault> {
        let unfit = |path: &Path, problem| ReportKeyFault::Unfit { path: path.to_owned(), problem };
        let mode = std::fs::metadata(key).map(|metadata| metadata.permissions().mode());
        if mode.is_ok_and(|mode| mode & 0o077 != 0) {
            return Err(ReportKeyFault::Open(key.to_owned()));
        }
        let chain = Certificate::load_pem_chain(&read(certificates)?);
        let chain = chain.map_err(|_| unfit(certificates, "holds no certificates in PEM"))?;
        let first = chain.first().ok_or_else(|| unfit(certificates, "holds no certificates in PEM"))?;
        let (label, pkcs8) = pem::decode_vec(&read(key)?)
            .map(|(label, bytes)| (label.to_owned(), Zeroizing::new(bytes)))
            .map_err(|_| unfit(key, "holds no key in PEM"))?;
        if label != "PRIVATE KEY" {
            return Err(unfit(
                key,
                "holds no PKCS #8 key: openssl pkcs8 -topk8 -nocrypt makes one of another",
            ));
        }
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).map(Pair::Ecdsa);
        let pair = ecdsa.or_else(|_| RsaKeyPair::from_pkcs8(&pkcs8).map(Pair::Rsa));
        let pair = pair.map_err(|_| unfit(key, "holds neither an ECDSA key on P-256 nor an RSA key"))?;
        let public = match &pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        };
        if first.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes() != Some(public) {
            return Err(unfit(key, "is not the key of the first certificate"));
        }
        let der = |certificate: &Certificate| certificate.to_der();
        let certificates: Result<Vec<_>, _> = chain.iter().map(der).collect();
        let certificates = certificates.map_err(|_| unfit(key, "has a certificate that can't be written"))?;
        Ok(Self { pair, certificates })
    }

    /// How it signs.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        match self.pair {
            Pair::Ecdsa(_) => SignatureAlgorithm::EcdsaP256Sha256,
            Pair::Rsa(_) => SignatureAlgorithm::RsaSha256,
        }
    }

    /// The certificates (DER), the key's own first.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// Signs a message; `None` when the library refuses.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Ecdsa(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
        }
    }
}
