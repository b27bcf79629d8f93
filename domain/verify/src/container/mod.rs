//! Where the files of a bundle come from: a zip or a directory.
//!
//! Invariants: only files that bundles have are ever named, so that no name leads anywhere else; a file gives exactly
//! as many bytes as were announced for it, or an error.

mod directory;
mod zip;

use std::{collections::BTreeMap, io::Read};

use report_bundle::names;

use crate::{Demands, Refusal, Step};
pub use directory::Directory;
pub use zip::Zip;

/// The files of a bundle.
pub trait Container: Sync {
    /// Names and lengths, in bytes.
    fn files(&self) -> &BTreeMap<String, u64>;

    /// Opens a file.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    fn open(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>>;

    /// Opens a file that was read to its end before, of which a checksum need not be made once more: for who holds what is in it to
    /// something else.
    ///
    /// # Errors
    /// As [`Self::open`].
    fn open_again(&self, name: &str) -> std::io::Result<Box<dyn Read + Send + '_>> {
        self.open(name)
    }
}

/// Checks names and lengths.
pub(crate) fn check(bundle: &dyn Container, demands: &Demands) -> Result<(), Refusal> {
    let files = bundle.files();
    let step = Step::Container;
    if let Some(name) = files.keys().find(|name| !names::is_known(name)) {
        return Err(step.because(format!("bundles have no file {name:?}")));
    }
    for name in names::REQUIRED.into_iter().chain([names::SIGNATURE]) {
        if !files.contains_key(name) {
            return Err(step.because(format!("{name} is missing")));
        }
    }
    let total = files.values().try_fold(0_u64, |total, length| total.checked_add(*length));
    match total {
        Some(total) if total <= demands.inflated_max_bytes => Ok(()),
        Some(_) | None => Err(step.because("its files are larger than is allowed")),
    }
}

/// Reads a file that is to fit in memory.
pub(crate) fn read_small(
    bundle: &dyn Container,
    step: Step,
    name: &str,
    max_bytes: usize,
) -> Result<Vec<u8>, Refusal> {
    let fault = |why: &str| step.because(format!("{name} {why}"));
    let mut bytes = Vec::new();
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let file = bundle.open(name).map_err(|fault| step.because(format!("{name}: {fault}")))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|fault| step.because(format!("{name}: {fault}")))?;
    if bytes.len() > max_bytes { Err(fault("is too long")) } else { Ok(bytes) }
}

/// Reads until the buffer is full or the file ends; how many bytes.
pub(crate) fn fill(file: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read(room)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}
