//! What the tests are made of: a small certificate authority and time-stamping authority by openssl, logs, a maker of
//! reports, and files in memory.

mod log;
mod maker;
mod memory;
mod pki;

pub(crate) use log::{Log, TENANT, Witness, commit, ip_hash, leaf, uuid};
pub(crate) use maker::{
    Bundle, END_SEEN_S, Maker, Seal, about, demands, edit_manifest, erasure, reseal, sign_sums, value_of,
};
pub(crate) use memory::Memory;
pub(crate) use pki::{Folder, KeyKind, Pki, SIGNER_USAGE, TSA_USAGE, openssl};

use report_bundle::time::Time;

/// A time in its text.
pub(crate) fn time(text: &str) -> Time {
    Time::parse(text.as_bytes()).expect("a time")
}

/// Now, as the authorities of the tests have it.
pub(crate) fn now() -> Time {
    #[expect(clippy::disallowed_methods, reason = "certificates made by openssl begin to be valid now")]
    let now = std::time::SystemTime::now();
    let seconds = now.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    Time::from_seconds(i64::try_from(seconds).expect("a time")).expect("a time")
}
