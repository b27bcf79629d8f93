//! Verifying signatures: RSASSA-PKCS1-v1_5 with SHA-2 and keys of 2048 to 8192 bits, ECDSA on P-256 with SHA-256.

use der::{Decode as _, asn1::Uint};
use p256::ecdsa::signature::Verifier as _;
use report_bundle::cms::oid;
use rsa::{BoxedUint, pkcs1v15};
use sha2::{Sha256, Sha384, Sha512};
use x509_cert::spki::{AlgorithmIdentifierOwned, ObjectIdentifier, SubjectPublicKeyInfoOwned};

/// Sizes of RSA keys, in bits: what is smaller can be broken, what is larger costs more than a signature may.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rsa(Digest),
    EcdsaSha256,
}

/// The digest in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    pub(super) fn of(identifier: &AlgorithmIdentifierOwned) -> Option<Self> {
        let digest = match identifier.oid {
            oid::SHA_256 => Self::Sha256,
            oid::SHA_384 => Self::Sha384,
            oid::SHA_512 => Self::Sha512,
            _ => return None,
        };
        absent_or_null(identifier).then_some(digest)
    }

    pub(super) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        use sha2::Digest as _;
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

impl Algorithm {
    /// The algorithm of a certificate's signature.
    pub(super) fn of_certificate(identifier: &AlgorithmIdentifierOwned) -> Option<Self> {
        let absent = identifier.parameters.is_none();
        match identifier.oid {
            oid::RSA_SHA_256 if absent_or_null(identifier) => Some(Self::Rsa(Digest::Sha256)),
            oid::RSA_SHA_384 if absent_or_null(identifier) => Some(Self::Rsa(Digest::Sha384)),
            oid::RSA_SHA_512 if absent_or_null(identifier) => Some(Self::Rsa(Digest::Sha512)),
            oid::ECDSA_SHA_256 if absent => Some(Self::EcdsaSha256),
            _ => None,
        }
    }

    /// The algorithm of a CMS signature, in the one form that bundles have.
    pub(super) fn of_signer(identifier: &AlgorithmIdentifierOwned, digest: Digest) -> Option<Self> {
        let null = identifier.parameters.as_ref().is_some_and(der::Any::is_null);
        match identifier.oid {
            oid::RSA if null => Some(Self::Rsa(digest)),
            oid::ECDSA_SHA_256 if identifier.parameters.is_none() && digest == Digest::Sha256 => {
                Some(Self::EcdsaSha256)
            }
            _ => None,
        }
    }

    /// Whether the signature is this key's over the message.
    pub(super) fn verifies(self, key: &SubjectPublicKeyInfoOwned, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(digest) => verifies_rsa(key, digest, message, signature).is_some(),
            Self::EcdsaSha256 => verifies_ecdsa(key, message, signature).is_some(),
        }
    }
}

fn absent_or_null(identifier: &AlgorithmIdentifierOwned) -> bool {
    identifier.parameters.as_ref().is_none_or(der::Any::is_null)
}

fn verifies_rsa(
    key: &SubjectPublicKeyInfoOwned,
    digest: Digest,
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    if key.algorithm.oid != oid::RSA || !absent_or_null(&key.algorithm) {
        return None;
    }
    // RFC 8017 appendix A.1.1: modulus and exponent.
    let numbers = Vec::<Uint>::from_der(key.subject_public_key.as_bytes()?).ok()?;
    let [modulus, exponent] = numbers.as_slice() else { return None };
    let number = |number: &Uint| BoxedUint::from_be_slice_vartime(number.as_bytes());
    // Checked before any arithmetic: the number may be megabytes long.
    let bits = modulus.as_bytes().len().checked_mul(8)?;
    if bits > *RSA_BITS.end() || exponent.as_bytes().len() > 4 {
        return None;
    }
    let key = rsa::PublicKey::new_with_size_limits(number(modulus), number(exponent), RSA_BITS).ok()?;
    let signature = pkcs1v15::Signature::try_from(signature).ok()?;
    match digest {
        Digest::Sha256 => pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(message, &signature).ok(),
        Digest::Sha384 => pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(message, &signature).ok(),
        Digest::Sha512 => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(message, &signature).ok(),
    }
}

fn verifies_ecdsa(key: &SubjectPublicKeyInfoOwned, message: &[u8], signature: &[u8]) -> Option<()> {
    let curve = key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
    if key.algorithm.oid != oid::EC || curve != oid::P_256 {
        return None;
    }
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.subject_public_key.as_bytes()?).ok()?;
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    key.verify(message, &signature).ok()
}
