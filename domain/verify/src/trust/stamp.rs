//! The timestamp over the signature (RFC 3161).

use report_bundle::{cms::oid, names, time::Time, tsp};

use super::{
    Cert, Signed, cades,
    chain::{self, Task},
};
use crate::{
    Refusal, Step,
    container::{Container, read_small},
};

/// Verifies the timestamp and gives its time. A remark says when its authority's certificate is not good any more.
///
/// # Errors
/// `timestamp`.
pub(super) fn check(
    bundle: &dyn Container,
    roots: &[Cert],
    over: &Signed,
    now: Time,
    remarks: &mut Vec<String>,
) -> Result<Time, Refusal> {
    let step = Step::Timestamp;
    let kept = read_small(bundle, step, names::TIMESTAMP, tsp::RESPONSE_MAX_BYTES)?;
    let token = tsp::parse(&kept).map_err(step.by())?;
    if token.says.imprint.0 != cades::imprint(over) {
        return Err(step.because("it is over something else than the signature"));
    }
    if token.info.content.version != 3 {
        return Err(step.because("it is not in its one form"));
    }
    let (signer, others) = cades::check(&token.info.content, &token.content, oid::TST_INFO, Task::StampTime)
        .map_err(|why| step.because(why))?;
    chain::check(&signer, &others, roots, Task::StampTime, token.says.at.seconds())
        .map_err(|why| step.because(why))?;
    if let Err(why) = chain::check(&signer, &others, roots, Task::StampTime, now.seconds()) {
        remarks.push(format!(
            "the timestamp was good when it was made, and by {now} {why}: whoever came by that key since could have \
             made it"
        ));
    }
    Ok(token.says.at)
}
