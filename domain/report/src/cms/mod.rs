//! CMS SignedData (RFC 5652) as far as CAdES-B-B (ETSI EN 319 122-1) and timestamp tokens need it.
//!
//! Invariants: structures are read from DER and written to it; a structure that, written again, gives other bytes is
//! refused where it is read, so that nothing can be changed in it unseen beside what is signed.
//!
//! Absent on purpose: encryption, revocation lists, signers named by key identifier, unsigned attributes, and digests
//! other than SHA-2. The timestamp of a bundle is a file of its own, over the signature's file: stock openssl checks it
//! there, and not as an unsigned attribute.

mod build;
mod structure;

pub use build::{CadesDraft, RawSigner, SignatureAlgorithm, SignatureRequest, ecdsa_der, low_s};
pub(crate) use build::{sign, signer_of};
pub use structure::{
    Attribute, ContentInfo, EncapsulatedContent, EssCertId, EssCertIdV2, IssuerAndSerial, IssuerSerial,
    SignedData, SignerInfo, SigningCertificate, SigningCertificateV2, oid,
};
