//! From a certificate to a root (RFC 5280 section 6, as far as a report's signer or a time-stamping authority needs
//! it). What is critical and not understood is refused; so are constraints of names and policies, critical or not,
//! which are not worked out here.

use der::Encode as _;
use x509_cert::{
    certificate::Version,
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage},
    spki::ObjectIdentifier,
};

use super::{Cert, signature::Algorithm};

/// How many certificates may stand between signer and root.
const ISSUERS_MAX: usize = 6;

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const BASIC_CONSTRAINTS: ObjectIdentifier = oid("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = oid("2.5.29.15");
const EXTENDED_KEY_USAGE: ObjectIdentifier = oid("2.5.29.37");
const SUBJECT_ALT_NAME: ObjectIdentifier = oid("2.5.29.17");
const CERTIFICATE_POLICIES: ObjectIdentifier = oid("2.5.29.32");
/// nameConstraints, policyMappings, policyConstraints and inhibitAnyPolicy (RFC 5280 sections 4.2.1.5 to 4.2.1.14).
const CONSTRAINTS: [ObjectIdentifier; 4] =
    [oid("2.5.29.30"), oid("2.5.29.33"), oid("2.5.29.36"), oid("2.5.29.54")];

/// id-kp-timeStamping (RFC 5280 section 4.2.1.12).
const TIME_STAMPING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.8");
/// id-kp-emailProtection, which openssl asks of who signs CMS when there are extended usages at all.
const EMAIL_PROTECTION: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.4");
/// anyExtendedKeyUsage (RFC 5280 section 4.2.1.12), which issuers may have.
const ANY_USAGE: ObjectIdentifier = oid("2.5.29.37.0");

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    SignReport,
    StampTime,
}

impl Task {
    /// The extended usage that is for it.
    const fn usage(self) -> ObjectIdentifier {
        match self {
            Self::SignReport => EMAIL_PROTECTION,
            Self::StampTime => TIME_STAMPING,
        }
    }
}

/// Checks that `signer` may do the task and that `others` are the path from it to one of `roots`, all good at `at_s`
/// (seconds since 1970).
///
/// # Errors
/// Why not, in words.
pub(super) fn check(
    signer: &Cert,
    others: &[Cert],
    roots: &[Cert],
    task: Task,
    at_s: i64,
) -> Result<(), String> {
    check_common(signer, at_s)?;
    check_task(signer, task)?;
    let mut path = vec![signer];
    loop {
        let last = path.last().copied().unwrap_or(signer);
        let issuers = path.len() - 1;
        let anchor = roots.iter().find(|root| issued(root, last));
        if let Some(anchor) = anchor {
            check_common(anchor, at_s)?;
            check_issuer(anchor, issuers, task)?;
            break;
        }
        if issuers >= ISSUERS_MAX {
            return Err("the path to a root is too long".to_owned());
        }
        let unused = |other: &&Cert| path.iter().all(|used| used.der != other.der);
        let next = others.iter().filter(unused).find(|other| issued(other, last));
        let next = next.ok_or_else(|| format!("no root that was given has issued {}", last.subject()))?;
        check_common(next, at_s)?;
        check_issuer(next, issuers, task)?;
        path.push(next);
    }
    if others.iter().all(|other| path.iter().any(|used| used.der == other.der)) {
        Ok(())
    } else {
        Err("there is a certificate that is not needed".to_owned())
    }
}

/// Whether the one is named as the other's issuer and has signed it.
fn issued(issuer: &Cert, other: &Cert) -> bool {
    let (by, of) = (issuer.certificate.tbs_certificate(), other.certificate.tbs_certificate());
    if by.subject() != of.issuer() || of.signature() != other.certificate.signature_algorithm() {
        return false;
    }
    let algorithm = Algorithm::of_certificate(of.signature());
    let signature = other.certificate.signature().as_bytes();
    match (algorithm, of.to_der(), signature) {
        (Some(algorithm), Ok(message), Some(signature)) => {
            algorithm.verifies(by.subject_public_key_info(), &message, signature)
        }
        (_, _, _) => false,
    }
}

fn check_common(cert: &Cert, at_s: i64) -> Result<(), String> {
    let tbs = cert.certificate.tbs_certificate();
    let seconds =
        |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let validity = tbs.validity();
    if at_s < seconds(validity.not_before) {
        return Err(format!("{} was not valid yet", cert.subject()));
    }
    if at_s > seconds(validity.not_after) {
        return Err(format!("{} had expired", cert.subject()));
    }
    if tbs.version() != Version::V3 {
        return Err(format!("{} is not an X.509 v3 certificate", cert.subject()));
    }
    let understood =
        [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, SUBJECT_ALT_NAME, CERTIFICATE_POLICIES];
    let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
    for (position, extension) in extensions.iter().enumerate() {
        if extensions[..position].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(format!("{} has an extension twice", cert.subject()));
        }
        if CONSTRAINTS.contains(&extension.extn_id) {
            return Err(format!("{} has constraints, which are not worked out here", cert.subject()));
        }
        if extension.critical && !understood.contains(&extension.extn_id) {
            return Err(format!("{} has the critical extension {}", cert.subject(), extension.extn_id));
        }
    }
    Ok(())
}

fn check_issuer(cert: &Cert, issuers_below: usize, task: Task) -> Result<(), String> {
    let tbs = cert.certificate.tbs_certificate();
    let malformed = |_| format!("{} has a malformed extension", cert.subject());
    let constraints = tbs.get_extension::<BasicConstraints>().map_err(malformed)?;
    let may_issue = constraints.is_some_and(|(_, constraints)| {
        constraints.ca
            && constraints.path_len_constraint.is_none_or(|length| usize::from(length) >= issuers_below)
    });
    let usage = tbs.get_extension::<KeyUsage>().map_err(malformed)?;
    let extended = tbs.get_extension::<ExtendedKeyUsage>().map_err(malformed)?;
    // Not in RFC 5280, and what everybody takes it to mean: an issuer's usages bound those of whom it issues.
    let for_task = |usage: &ObjectIdentifier| [task.usage(), ANY_USAGE].contains(usage);
    let fits = extended.is_none_or(|(_, usages)| usages.0.iter().any(for_task));
    if may_issue && fits && usage.is_none_or(|(_, usage)| usage.key_cert_sign()) {
        Ok(())
    } else {
        Err(format!("{} may not issue certificates here", cert.subject()))
    }
}

fn check_task(cert: &Cert, task: Task) -> Result<(), String> {
    let tbs = cert.certificate.tbs_certificate();
    let malformed = |_| format!("{} has a malformed extension", cert.subject());
    let usage = tbs.get_extension::<KeyUsage>().map_err(malformed)?;
    let signs = usage.as_ref().is_some_and(|(_, usage)| usage.digital_signature() || usage.non_repudiation());
    let extended = tbs.get_extension::<ExtendedKeyUsage>().map_err(malformed)?;
    let right = match task {
        Task::SignReport => {
            let digital = usage.is_some_and(|(_, usage)| usage.digital_signature());
            // As openssl asks, so that both say the same of a bundle.
            digital && extended.is_none_or(|(_, usages)| usages.0.contains(&EMAIL_PROTECTION))
        }
        // RFC 3161 section 2.3: this usage alone, and critical.
        Task::StampTime => {
            signs && extended.is_some_and(|(critical, usages)| critical && usages.0 == [TIME_STAMPING])
        }
    };
    let what = match task {
        Task::SignReport => {
            "sign reports: it must be for digital signatures, and for emailProtection if it has extended usages"
        }
        Task::StampTime => "stamp times: its extended usage must be timeStamping alone, and critical",
    };
    if right { Ok(()) } else { Err(format!("{} may not {what}", cert.subject())) }
}
