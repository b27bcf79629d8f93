//! The structures.

use der::{
    Any, Decode as _, Encode as _, Sequence, ValueOrd,
    asn1::{OctetString, SetOfVec},
};
use x509_cert::{
    Certificate,
    ext::pkix::name::GeneralNames,
    name::Name,
    serial_number::SerialNumber,
    spki::{AlgorithmIdentifierOwned, ObjectIdentifier},
};

use crate::FormatError;

/// Object identifiers, by the names their documents give them.
pub mod oid {
    use super::ObjectIdentifier;

    const fn oid(text: &str) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(text)
    }

    /// id-data (RFC 5652 section 4).
    pub const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
    /// id-signedData (RFC 5652 section 5.1).
    pub const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
    /// id-contentType (RFC 5652 section 11.1).
    pub const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
    /// id-messageDigest (RFC 5652 section 11.2).
    pub const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
    /// id-signingTime (RFC 5652 section 11.3).
    pub const SIGNING_TIME: ObjectIdentifier = oid("1.2.840.113549.1.9.5");
    /// id-aa-signingCertificate (RFC 5035 section 5.4).
    pub const SIGNING_CERTIFICATE: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.12");
    /// id-aa-signingCertificateV2 (RFC 5035 section 3).
    pub const SIGNING_CERTIFICATE_V2: ObjectIdentifier = oid("1.2.840.113549.1.9.16.2.47");
    /// id-ct-TSTInfo (RFC 3161 section 2.4.2).
    pub const TST_INFO: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.4");
    /// id-sha256 (RFC 5754 section 2.2).
    pub const SHA_256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
    /// id-sha384.
    pub const SHA_384: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.2");
    /// id-sha512.
    pub const SHA_512: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.3");
    /// rsaEncryption (RFC 8017 appendix A.1).
    pub const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
    /// sha256WithRSAEncryption (RFC 8017 appendix A.2.4).
    pub const RSA_SHA_256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
    /// sha384WithRSAEncryption.
    pub const RSA_SHA_384: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
    /// sha512WithRSAEncryption.
    pub const RSA_SHA_512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
    /// id-ecPublicKey (RFC 5480 section 2.1.1).
    pub const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
    /// secp256r1 (RFC 5480 section 2.1.1.1).
    pub const P_256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
    /// ecdsa-with-SHA256 (RFC 5758 section 3.2).
    pub const ECDSA_SHA_256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
}

/// RFC 5652 section 3.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ContentInfo {
    /// What is in it.
    pub content_type: ObjectIdentifier,
    /// It.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub content: SignedData,
}

/// RFC 5652 section 5.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SignedData {
    /// 1 for data, 3 for anything else.
    pub version: u8,
    /// The digests that signers use.
    pub digest_algorithms: SetOfVec<AlgorithmIdentifierOwned>,
    /// What is signed, or of which type it is.
    pub encapsulated: EncapsulatedContent,
    /// Certificates, as they came.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub certificates: Option<SetOfVec<Any>>,
    /// Signatures.
    pub signers: SetOfVec<SignerInfo>,
}

/// RFC 5652 section 5.2.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EncapsulatedContent {
    /// The type.
    pub content_type: ObjectIdentifier,
    /// The content; `None` when it is elsewhere.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub content: Option<OctetString>,
}

/// RFC 5652 section 5.3.
#[derive(Clone, Debug, PartialEq, Eq, Sequence, ValueOrd)]
pub struct SignerInfo {
    /// 1, for a signer named by issuer and serial number.
    pub version: u8,
    /// The signer.
    pub signer: IssuerAndSerial,
    /// The digest of content and attributes.
    pub digest_algorithm: AlgorithmIdentifierOwned,
    /// What is signed.
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub signed_attributes: SetOfVec<Attribute>,
    /// How.
    pub signature_algorithm: AlgorithmIdentifierOwned,
    /// The signature.
    pub signature: OctetString,
    /// What anybody may have added.
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub unsigned_attributes: Option<SetOfVec<Attribute>>,
}

/// RFC 5652 section 5.3.
#[derive(Clone, Debug, PartialEq, Eq, Sequence, ValueOrd)]
pub struct Attribute {
    /// Which.
    pub kind: ObjectIdentifier,
    /// Its values.
    pub values: SetOfVec<Any>,
}

/// RFC 5652 section 10.2.4.
#[derive(Clone, Debug, PartialEq, Eq, Sequence, ValueOrd)]
pub struct IssuerAndSerial {
    /// Who issued the certificate.
    pub issuer: Name,
    /// Its number.
    pub serial_number: SerialNumber,
}

/// RFC 5035 section 3.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SigningCertificateV2 {
    /// The signer's first.
    pub certificates: Vec<EssCertIdV2>,
    /// Not read.
    #[asn1(optional = "true")]
    pub policies: Option<Vec<Any>>,
}

/// RFC 5035 section 4.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EssCertIdV2 {
    /// `None` for SHA-256.
    #[asn1(optional = "true")]
    pub hash_algorithm: Option<AlgorithmIdentifierOwned>,
    /// The hash of the certificate's DER.
    pub hash: OctetString,
    /// The same certificate by name.
    #[asn1(optional = "true")]
    pub issuer_serial: Option<IssuerSerial>,
}

/// RFC 5035 section 5.4: as [`SigningCertificateV2`], by SHA-1. Timestamping authorities still use it.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SigningCertificate {
    /// The signer's first.
    pub certificates: Vec<EssCertId>,
    /// Not read.
    #[asn1(optional = "true")]
    pub policies: Option<Vec<Any>>,
}

/// RFC 5035 section 5.4.1.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct EssCertId {
    /// SHA-1 of the certificate's DER.
    pub hash: OctetString,
    /// The same certificate by name.
    #[asn1(optional = "true")]
    pub issuer_serial: Option<IssuerSerial>,
}

/// RFC 5035 section 4.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct IssuerSerial {
    /// Who issued it.
    pub issuer: GeneralNames,
    /// Its number.
    pub serial_number: SerialNumber,
}

impl ContentInfo {
    /// Reads the one form.
    ///
    /// # Errors
    /// `Der`; `OtherForm` when writing it again gives other bytes.
    pub fn parse(what: &'static str, der: &[u8]) -> Result<Self, FormatError> {
        let read = Self::read(what, der)?;
        if read.write(what)? == der { Ok(read) } else { Err(FormatError::OtherForm { what }) }
    }

    /// Reads any form that is nearly DER, as some authorities make it.
    ///
    /// # Errors
    /// `Der`.
    pub fn read(what: &'static str, der: &[u8]) -> Result<Self, FormatError> {
        let read = Self::from_der(der).map_err(|_| FormatError::Der { what })?;
        if read.content_type == oid::SIGNED_DATA { Ok(read) } else { Err(FormatError::Der { what }) }
    }

    /// The DER.
    ///
    /// # Errors
    /// `Der`, for what is too long.
    pub fn write(&self, what: &'static str) -> Result<Vec<u8>, FormatError> {
        self.to_der().map_err(|_| FormatError::Der { what })
    }
}

impl SignedData {
    /// The certificates, with the DER they came as.
    ///
    /// # Errors
    /// `Der`.
    pub fn certificates(&self, what: &'static str) -> Result<Vec<(Vec<u8>, Certificate)>, FormatError> {
        let read = |any: &Any| -> der::Result<_> {
            let der = any.to_der()?;
            let certificate = Certificate::from_der(&der)?;
            Ok((der, certificate))
        };
        let all = self.certificates.iter().flat_map(SetOfVec::iter);
        all.map(|any| read(any).map_err(|_| FormatError::Der { what })).collect()
    }
}

impl SignerInfo {
    /// The one value of the attribute; `None` when it is not there once with one value.
    pub fn attribute(&self, kind: ObjectIdentifier) -> Option<&Any> {
        let mut of_kind = self.signed_attributes.iter().filter(|attribute| attribute.kind == kind);
        match (of_kind.next(), of_kind.next()) {
            (Some(attribute), None) if attribute.values.len() == 1 => attribute.values.get(0),
            (_, _) => None,
        }
    }

    /// What the signature is over: the attributes as a SET OF (RFC 5652 section 5.4).
    ///
    /// # Errors
    /// `Der`.
    pub fn signed_bytes(&self, what: &'static str) -> Result<Vec<u8>, FormatError> {
        self.signed_attributes.to_der().map_err(|_| FormatError::Der { what })
    }
}
