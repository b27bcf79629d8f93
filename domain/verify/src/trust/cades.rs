//! The signature over `SHA256SUMS`: CAdES-B-B, detached, in the form the writer gives it.

use der::{Any, Encode as _, asn1::OctetString};
use report_bundle::{
    cms::{
        ContentInfo, IssuerSerial, SignedData, SignerInfo, SigningCertificate, SigningCertificateV2, low_s,
        oid,
    },
    names,
};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    ext::pkix::name::GeneralName,
    spki::{AlgorithmIdentifierOwned, ObjectIdentifier},
};

use super::{
    Cert,
    chain::{self, Task},
    signature::{Algorithm, Digest},
};
use crate::{
    Anchors, Refusal, Step, TimeBasis,
    container::{Container, read_small},
};

/// The longest signature file, in bytes.
const SIGNATURE_MAX_BYTES: usize = 256 << 10;

/// A signature that verifies, by a certificate that is not yet believed.
#[derive(Debug)]
pub(crate) struct Signed {
    der: Vec<u8>,
    signer: Cert,
    others: Vec<Cert>,
}

impl Signed {
    /// Reads and verifies the bundle's signature.
    ///
    /// # Errors
    /// `signature`.
    pub(crate) fn read(bundle: &dyn Container) -> Result<Self, Refusal> {
        let step = Step::Signature;
        let der = read_small(bundle, step, names::SIGNATURE, SIGNATURE_MAX_BYTES)?;
        let content = read_small(bundle, step, names::SUMS, report_bundle::sums::SUMS_MAX_BYTES)?;
        let info = ContentInfo::parse(names::SIGNATURE, &der).map_err(step.by())?;
        let data = &info.content;
        let detached = data.encapsulated.content.is_none() && data.encapsulated.content_type == oid::DATA;
        if data.version != 1 || !detached {
            return Err(step.because("it is not a detached signature over data"));
        }
        let (signer, others) =
            check(data, &content, oid::DATA, Task::SignReport).map_err(|why| step.because(why))?;
        Ok(Self { der, signer, others })
    }

    /// The file.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn says(&self) -> String {
        format!("it is by the key of {}", self.subject())
    }

    pub(crate) fn subject(&self) -> String {
        self.signer.subject()
    }

    pub(crate) fn certificate_sha256(&self) -> String {
        self.signer.sha256().to_hex()
    }

    /// Checks that the signer may sign and leads to a root.
    ///
    /// # Errors
    /// `chain`.
    pub(crate) fn check_chain(&self, anchors: &Anchors, basis: &TimeBasis) -> Result<(), Refusal> {
        let roots = anchors.signer_roots();
        chain::check(&self.signer, &self.others, roots, Task::SignReport, basis.at().seconds())
            .map_err(|why| Step::Chain.because(why))
    }
}

/// Checks the one signature of a structure over `content`, and gives the signer's certificate and all others.
///
/// # Errors
/// Why it is refused, in words.
pub(super) fn check(
    data: &SignedData,
    content: &[u8],
    content_type: ObjectIdentifier,
    task: Task,
) -> Result<(Cert, Vec<Cert>), String> {
    let [info] = data.signers.as_slice() else { return Err("there must be one signature".to_owned()) };
    let digest = Digest::of(&info.digest_algorithm).filter(|_| info.digest_algorithm.parameters.is_none());
    let digest = digest.filter(|digest| task == Task::StampTime || *digest == Digest::Sha256);
    let digest = digest.ok_or("the digest is not one that may be used")?;
    if data.digest_algorithms.as_slice() != [info.digest_algorithm.clone()] {
        return Err("it names other digests than it uses".to_owned());
    }
    if info.version != 1 || info.unsigned_attributes.is_some() {
        return Err("it has a part that nobody signed".to_owned());
    }
    check_attributes(info, digest, content, content_type)?;
    let (signer, others) = certificates(data, info)?;
    check_ess(info, &signer, task)?;
    let algorithm = Algorithm::of_signer(&info.signature_algorithm, digest);
    let algorithm = algorithm.ok_or("the signature's algorithm is not one that may be used")?;
    let bytes = info.signature.as_bytes();
    if algorithm == Algorithm::EcdsaSha256 && low_s(bytes).as_deref() != Some(bytes) {
        return Err("the signature is in the other of its two forms".to_owned());
    }
    let message = info.signed_bytes(names::SIGNATURE).map_err(|fault| fault.to_string())?;
    let key = signer.certificate.tbs_certificate().subject_public_key_info();
    if algorithm.verifies(key, &message, bytes) {
        Ok((signer, others))
    } else {
        Err("the signature does not verify".to_owned())
    }
}

fn check_attributes(
    info: &SignerInfo,
    digest: Digest,
    content: &[u8],
    content_type: ObjectIdentifier,
) -> Result<(), String> {
    let kind = info.attribute(oid::CONTENT_TYPE).and_then(|kind| kind.decode_as::<ObjectIdentifier>().ok());
    if kind != Some(content_type) {
        return Err("the signed content type is another".to_owned());
    }
    let hash = info.attribute(oid::MESSAGE_DIGEST).and_then(|hash| hash.decode_as::<OctetString>().ok());
    if hash.is_none_or(|hash| hash.as_bytes() != digest.hash(content)) {
        return Err("it is over other content".to_owned());
    }
    Ok(())
}

fn certificates(data: &SignedData, info: &SignerInfo) -> Result<(Cert, Vec<Cert>), String> {
    let all = data.certificates(names::SIGNATURE).map_err(|fault| fault.to_string())?;
    // What is verified is written anew: then nothing may be in them that is not.
    if all.iter().any(|(der, certificate)| certificate.to_der().as_ref() != Ok(der)) {
        return Err("a certificate is not in DER".to_owned());
    }
    let (mut signers, others): (Vec<_>, Vec<_>) =
        all.into_iter().map(|(der, certificate)| Cert { der, certificate }).partition(|cert| {
            let tbs = cert.certificate.tbs_certificate();
            *tbs.issuer() == info.signer.issuer && *tbs.serial_number() == info.signer.serial_number
        });
    match (signers.pop(), signers.is_empty()) {
        (Some(signer), true) => Ok((signer, others)),
        (_, _) => Err("the signer's certificate is not there, or there twice".to_owned()),
    }
}

/// RFC 5035: the signed attributes name the certificate, so that no other of the same key can be put in its place.
fn check_ess(info: &SignerInfo, signer: &Cert, task: Task) -> Result<(), String> {
    let named = match (info.attribute(oid::SIGNING_CERTIFICATE_V2), info.attribute(oid::SIGNING_CERTIFICATE))
    {
        (Some(named), _) => ess_v2(named, signer),
        // SHA-1 is left to authorities that have nothing better; it is their own certificate they name.
        (None, Some(named)) if task == Task::StampTime => ess_v1(named, signer),
        (None, _) => return Err("it has no ESS signing certificate: it is no CAdES signature".to_owned()),
    };
    if named.is_some() { Ok(()) } else { Err("its ESS signing certificate is another".to_owned()) }
}

fn ess_v2(named: &Any, signer: &Cert) -> Option<()> {
    let named: SigningCertificateV2 = named.decode_as().ok()?;
    let first = named.certificates.first()?;
    let sha256 = AlgorithmIdentifierOwned { oid: oid::SHA_256, parameters: None };
    let digest = Digest::of(first.hash_algorithm.as_ref().unwrap_or(&sha256))?;
    let same = first.hash.as_bytes() == digest.hash(&signer.der);
    (same && names_it(first.issuer_serial.as_ref(), signer)).then_some(())
}

fn ess_v1(named: &Any, signer: &Cert) -> Option<()> {
    let named: SigningCertificate = named.decode_as().ok()?;
    let first = named.certificates.first()?;
    let same = first.hash.as_bytes() == &Sha1::digest(&signer.der)[..];
    (same && names_it(first.issuer_serial.as_ref(), signer)).then_some(())
}

fn names_it(named: Option<&IssuerSerial>, signer: &Cert) -> bool {
    let tbs = signer.certificate.tbs_certificate();
    named.is_none_or(|named| {
        let issuer =
            matches!(named.issuer.as_slice(), [GeneralName::DirectoryName(name)] if name == tbs.issuer());
        issuer && named.serial_number == *tbs.serial_number()
    })
}

/// The hash that a timestamp over the signature must have.
pub(super) fn imprint(signed: &Signed) -> [u8; 32] {
    Sha256::digest(signed.der()).into()
}
