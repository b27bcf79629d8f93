//! Making a CAdES-B-B signature. The private key is the caller's, behind a callback.

use der::{
    Any, Decode as _, Encode as _, Tag,
    asn1::{GeneralizedTime, Null, OctetString, SetOfVec, Uint, UtcTime},
};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    ext::pkix::name::GeneralName,
    spki::{AlgorithmIdentifierOwned, ObjectIdentifier},
};

use super::{
    Attribute, ContentInfo, EncapsulatedContent, EssCertIdV2, IssuerAndSerial, IssuerSerial, SignedData,
    SignerInfo, SigningCertificateV2, oid,
};
use crate::{BundleError, FormatError, manifest, names, time::Time};

/// The order of the group of P-256 (SEC 2 section 2.4.2).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2); key services call it `RSASSA_PKCS1_V1_5_SHA_256`.
    RsaSha256,
    /// ECDSA on P-256 with SHA-256, the signature in DER (RFC 3279 section 2.2.3); `ECDSA_SHA_256`.
    EcdsaP256Sha256,
}

impl SignatureAlgorithm {
    fn identifier(self) -> AlgorithmIdentifierOwned {
        match self {
            // As openssl writes it.
            Self::RsaSha256 => algorithm(oid::RSA, Some(Any::from(Null))),
            Self::EcdsaP256Sha256 => algorithm(oid::ECDSA_SHA_256, None),
        }
    }
}

/// What a key is asked to sign.
#[derive(Clone, Copy, Debug)]
pub struct SignatureRequest<'r> {
    /// How.
    pub algorithm: SignatureAlgorithm,
    /// The message.
    pub message: &'r [u8],
    /// Its SHA-256, for signers that take that instead.
    pub digest: [u8; 32],
}

/// A certificate and something that signs with its key.
pub trait RawSigner {
    /// How it signs.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// The signer's certificate in DER, then those it was issued by up to but without the root.
    fn certificates(&self) -> &[Vec<u8>];

    /// Signs.
    ///
    /// # Errors
    /// Whatever kept it from signing.
    fn sign(
        &self,
        request: SignatureRequest<'_>,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>>;
}

/// A signature that wants nothing but the signature: for callers whose keys answer asynchronously.
#[derive(Clone, Debug)]
pub struct CadesDraft {
    algorithm: SignatureAlgorithm,
    certificates: SetOfVec<Any>,
    signer: IssuerAndSerial,
    attributes: SetOfVec<Attribute>,
    message: Vec<u8>,
}

const WHAT: &str = "a certificate";

fn algorithm(oid: ObjectIdentifier, parameters: Option<Any>) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters }
}

impl CadesDraft {
    /// What is to be signed for `content`, by the first of `certificates` (DER; issuers follow, without the root), at
    /// `signed_at` by the maker's clock.
    ///
    /// # Errors
    /// `Der` for what is no certificate.
    pub fn new(
        content: &[u8],
        how: SignatureAlgorithm,
        certificates: &[Vec<u8>],
        signed_at: Time,
    ) -> Result<Self, FormatError> {
        let fault = |_| FormatError::Der { what: WHAT };
        let der = certificates.first().ok_or(FormatError::Der { what: WHAT })?;
        let certificate = Certificate::from_der(der).map_err(fault)?;
        let tbs = certificate.tbs_certificate();
        let signer =
            IssuerAndSerial { issuer: tbs.issuer().clone(), serial_number: tbs.serial_number().clone() };
        let ess = SigningCertificateV2 {
            certificates: vec![EssCertIdV2 {
                hash_algorithm: None,
                hash: OctetString::new(&Sha256::digest(der)[..]).map_err(fault)?,
                issuer_serial: Some(IssuerSerial {
                    issuer: vec![GeneralName::DirectoryName(tbs.issuer().clone())],
                    serial_number: tbs.serial_number().clone(),
                }),
            }],
            policies: None,
        };
        let digest = OctetString::new(&Sha256::digest(content)[..]).map_err(fault)?;
        let attributes = vec![
            attribute(oid::CONTENT_TYPE, &oid::DATA).map_err(fault)?,
            attribute(oid::SIGNING_TIME, &signing_time(signed_at).map_err(fault)?).map_err(fault)?,
            attribute(oid::MESSAGE_DIGEST, &digest).map_err(fault)?,
            attribute(oid::SIGNING_CERTIFICATE_V2, &ess).map_err(fault)?,
        ];
        let attributes = SetOfVec::try_from(attributes).map_err(fault)?;
        let all = certificates.iter().map(|der| Any::from_der(der)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            algorithm: how,
            certificates: all.and_then(SetOfVec::try_from).map_err(fault)?,
            signer,
            message: attributes.to_der().map_err(fault)?,
            attributes,
        })
    }

    /// What the key is to sign.
    pub fn request(&self) -> SignatureRequest<'_> {
        SignatureRequest {
            algorithm: self.algorithm,
            message: &self.message,
            digest: Sha256::digest(&self.message).into(),
        }
    }

    /// The signature's file, DER. Whether the signature is right is not looked at; of the two forms that an ECDSA
    /// signature has, [`low_s`] is written.
    ///
    /// # Errors
    /// `Der`.
    pub fn finish(self, signature: &[u8]) -> Result<Vec<u8>, FormatError> {
        let what = names::SIGNATURE;
        let fault = |_| FormatError::Der { what };
        let digest = algorithm(oid::SHA_256, None);
        let signature = match self.algorithm {
            SignatureAlgorithm::RsaSha256 => signature.to_vec(),
            SignatureAlgorithm::EcdsaP256Sha256 => low_s(signature).ok_or(FormatError::Der { what })?,
        };
        let signer = SignerInfo {
            version: 1,
            signer: self.signer,
            digest_algorithm: digest.clone(),
            signed_attributes: self.attributes,
            signature_algorithm: self.algorithm.identifier(),
            signature: OctetString::new(signature).map_err(fault)?,
            unsigned_attributes: None,
        };
        let info = ContentInfo {
            content_type: oid::SIGNED_DATA,
            content: SignedData {
                version: 1,
                digest_algorithms: SetOfVec::try_from(vec![digest]).map_err(fault)?,
                encapsulated: EncapsulatedContent { content_type: oid::DATA, content: None },
                certificates: Some(self.certificates),
                signers: SetOfVec::try_from(vec![signer]).map_err(fault)?,
            },
        };
        info.write(what)
    }
}

/// The one form that bundles have of an ECDSA signature on P-256 (DER): where `s` verifies, the group's order less `s`
/// does too, and the lower is taken. `None` for what is no signature.
pub fn low_s(der: &[u8]) -> Option<Vec<u8>> {
    let numbers = Vec::<Uint>::from_der(der).ok()?;
    let [r, s] = numbers.as_slice() else { return None };
    let mut wide = [0; ORDER.len()];
    let from = wide.len().checked_sub(s.as_bytes().len())?;
    wide.get_mut(from..)?.copy_from_slice(s.as_bytes());
    if wide >= ORDER {
        return None;
    }
    let mut other = [0; ORDER.len()];
    let mut borrow = 0;
    for (other, (order, s)) in other.iter_mut().zip(ORDER.iter().zip(&wide)).rev() {
        let left = i16::from(*order) - i16::from(*s) - borrow;
        borrow = i16::from(left < 0);
        *other = u8::try_from(left.rem_euclid(256)).ok()?;
    }
    vec![r.clone(), Uint::new(wide.min(other).as_slice()).ok()?].to_der().ok()
}

/// An ECDSA signature on P-256 in DER, of `r` and `s` as modules give them: 32 bytes each, one behind the other. `None` for what
/// is no signature.
pub fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(ORDER.len()).filter(|(_, s)| s.len() == ORDER.len())?;
    vec![Uint::new(r).ok()?, Uint::new(s).ok()?].to_der().ok()
}

/// Signs `content` at once.
///
/// # Errors
/// `Format`, `Signing`.
pub(crate) fn sign(signer: &dyn RawSigner, content: &[u8], at: Time) -> Result<Vec<u8>, BundleError> {
    let draft = CadesDraft::new(content, signer.algorithm(), signer.certificates(), at)?;
    let signature = signer.sign(draft.request()).map_err(BundleError::Signing)?;
    Ok(draft.finish(&signature)?)
}

fn attribute(kind: ObjectIdentifier, value: &impl der::Encode) -> der::Result<Attribute> {
    let value = Any::from_der(&value.to_der()?)?;
    Ok(Attribute { kind, values: SetOfVec::try_from(vec![value])? })
}

/// RFC 5652 section 11.3: UTCTime up to 2049, GeneralizedTime from then on.
fn signing_time(at: Time) -> der::Result<Any> {
    let seconds = u64::try_from(at.seconds()).map_err(|_| Tag::UtcTime.value_error())?;
    let since_1970 = std::time::Duration::from_secs(seconds);
    match UtcTime::from_unix_duration(since_1970) {
        Ok(time) => Any::from_der(&time.to_der()?),
        Err(_) => Any::from_der(&GeneralizedTime::from_unix_duration(since_1970)?.to_der()?),
    }
}

/// The signer as the manifest names it.
///
/// # Errors
/// `Der` for what is no certificate.
pub(crate) fn signer_of(certificates: &[Vec<u8>]) -> Result<manifest::Signer, FormatError> {
    let der = certificates.first().ok_or(FormatError::Der { what: WHAT })?;
    let certificate = Certificate::from_der(der).map_err(|_| FormatError::Der { what: WHAT })?;
    Ok(manifest::Signer {
        subject: certificate.tbs_certificate().subject().to_string(),
        certificate_sha256: audit_log::merkle::Hash(Sha256::digest(der).into()).to_hex(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(s: &[u8]) -> Vec<u8> {
        vec![Uint::new(&[7]).expect("a number"), Uint::new(s).expect("a number")].to_der().expect("DER")
    }

    #[test]
    fn of_two_forms_the_lower_is_taken() {
        let minus_one = |number: &[u8; 32]| {
            let mut less = *number;
            less[31] -= 1;
            less
        };
        assert_eq!(low_s(&signature(&minus_one(&ORDER))), Some(signature(&[1])));
        assert_eq!(low_s(&signature(&[1])), Some(signature(&[1])));
        // Half of the order, which is odd: one below and one above are each other's.
        let half = [
            0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
        ];
        let mut above = half;
        above[31] += 1;
        assert_eq!(low_s(&signature(&above)), Some(signature(&half)));
        assert_eq!(low_s(&signature(&half)), Some(signature(&half)));
        for bad in [signature(&ORDER), signature(&[1; 33]), vec![0x30, 0x00], b"x".to_vec(), Vec::new()] {
            assert_eq!(low_s(&bad), None, "{bad:?}");
        }
    }
}
