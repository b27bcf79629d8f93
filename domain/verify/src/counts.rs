//! That the manifest counts right, and that what is there for people says what it says.

use report_bundle::{manifest::Manifest, names, summary, verify_txt};

use crate::{
    Refusal, Step,
    container::{Container, read_small},
    pass::Found,
};

/// The longest file for people, in bytes: a query may be long.
const TEXT_MAX_BYTES: usize = 1 << 20;

/// Compares what the manifest says with what was found.
///
/// # Errors
/// `counts`.
pub(crate) fn check(bundle: &dyn Container, manifest: &Manifest, found: &Found) -> Result<(), Refusal> {
    let step = Step::Counts;
    for (what, says, is) in [
        ("rows", manifest.rows, found.rows),
        ("late rows", manifest.late, found.late),
        ("disclosures", manifest.disclosures, found.disclosures),
        ("erasures", manifest.erasures, found.erasures),
    ] {
        if says != is {
            return Err(step.because(format!("the manifest says {says} {what}, and there are {is}")));
        }
    }
    let counted = |name: &str| !names::is_sealing(name) && name != names::MANIFEST;
    let files = bundle.files().iter().filter(|(name, _)| counted(name));
    if !files.eq(manifest.files.iter()) {
        return Err(step.because("the manifest gives other lengths of files"));
    }
    for (name, text) in [(names::SUMMARY, summary::html(manifest)), (names::VERIFY, verify_txt(manifest))] {
        // People read these first: they may not say anything else.
        if read_small(bundle, step, name, TEXT_MAX_BYTES)? != text.as_bytes() {
            return Err(step.because(format!("{name} says something else than the manifest")));
        }
    }
    Ok(())
}
