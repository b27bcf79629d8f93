//! That the manifest counts right.

use report_bundle::{manifest::Manifest, names};

use crate::{Refusal, Step, container::Container, pass::Found};

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
    if files.eq(manifest.files.iter()) {
        Ok(())
    } else {
        Err(step.because("the manifest gives other lengths of files"))
    }
}
