//! Reports for auditors.

use std::path::PathBuf;

use super::sections::{Reader, optional};

/// The section `reports` of the default file.
#[derive(Clone, Debug)]
pub struct Reports {
    /// `key` and `certificates`; `None` where no reports are made.
    pub signer: Option<(PathBuf, PathBuf)>,
    /// `authority`.
    pub authority: Option<String>,
    /// `keep_days`.
    pub keep_days: u32,
    /// `at_once`.
    pub at_once: u32,
}

impl Reports {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let key = optional(r.text("reports.key")).map(PathBuf::from);
        let certificates = optional(r.text("reports.certificates")).map(PathBuf::from);
        if key.is_some() != certificates.is_some() {
            r.fault("reports.key", "and reports.certificates are given together, or neither is");
        }
        Self {
            signer: key.zip(certificates),
            authority: optional(r.url("reports.authority", &["http", "https"], false)),
            keep_days: r.number("reports.keep_days", 1, 3_650),
            at_once: r.number("reports.at_once", 1, 64),
        }
    }
}
