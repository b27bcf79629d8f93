//! Who signed, when, and whether to believe it.
//!
//! Invariants: a certificate from the bundle is believed only over a path of signatures to a root that was given, all
//! of it good at the time that counts, with the usages the task asks for; certificates that no path needs are refused,
//! so that nothing rides along.

mod cades;
mod chain;
mod signature;
mod stamp;

use audit_log::merkle::Hash;
use report_bundle::names;
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;

use crate::{Anchors, Demands, Refusal, Step, TimeBasis, container::Container};
pub(crate) use cades::Signed;

/// A certificate and the DER it came as.
#[derive(Clone, Debug)]
pub(crate) struct Cert {
    pub(crate) der: Vec<u8>,
    pub(crate) certificate: Certificate,
}

impl Cert {
    pub(crate) fn subject(&self) -> String {
        self.certificate.tbs_certificate().subject().to_string()
    }

    pub(crate) fn sha256(&self) -> Hash {
        Hash(Sha256::digest(&self.der).into())
    }
}

/// The time that counts.
///
/// # Errors
/// `timestamp` for one that does not verify, and for none when there must be one.
pub(crate) fn time_basis(
    bundle: &dyn Container,
    anchors: &Anchors,
    demands: &Demands,
    signed: &Signed,
    remarks: &mut Vec<String>,
) -> Result<TimeBasis, Refusal> {
    let there = bundle.files().contains_key(names::TIMESTAMP);
    match (there, anchors.stamp_roots()) {
        (true, Some(roots)) => {
            let at = stamp::check(bundle, roots, signed, demands.at, remarks)?;
            Ok(TimeBasis::Authority(at))
        }
        (_, None) if demands.timestamp => {
            Err(Step::Timestamp.because("there must be one that is checked, and no root for it was given"))
        }
        (false, _) if demands.timestamp => Err(Step::Timestamp.because("there is none")),
        (true, None) => Ok(TimeBasis::Unchecked(demands.at)),
        (false, _) if demands.at_given => Ok(TimeBasis::Given(demands.at)),
        (false, _) => Ok(TimeBasis::Clock(demands.at)),
    }
}
