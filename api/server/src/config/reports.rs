//! Reports for auditors.

use std::path::PathBuf;

use super::sections::{Reader, optional};

/// Who has the key that reports are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportSigner {
    /// This file.
    File(PathBuf),
    /// The key service, by that name.
    AwsKms(String),
    /// The token, under that label.
    Pkcs11(String),
}

/// The section `reports` of the default file.
#[derive(Clone, Debug)]
pub struct Reports {
    /// `key`, `aws_kms_key` or `pkcs11_key`, and `certificates`; `None` where no reports are made.
    pub signer: Option<(ReportSigner, PathBuf)>,
    /// `authority`.
    pub authority: Option<String>,
    /// `keep_days`.
    pub keep_days: u32,
    /// `at_once`.
    pub at_once: u32,
}

impl Reports {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let file = optional(r.text("reports.key")).map(|file| ReportSigner::File(file.into()));
        let service = optional(r.text("reports.aws_kms_key")).map(ReportSigner::AwsKms);
        let token = optional(r.text("reports.pkcs11_key")).map(ReportSigner::Pkcs11);
        if token.is_some() {
            r.filled("keys.pkcs11_module");
        }
        let mut signers: Vec<_> = [file, service, token].into_iter().flatten().collect();
        if signers.len() > 1 {
            r.fault("reports.key", "and reports.aws_kms_key and reports.pkcs11_key: one of them signs");
        }
        let signer = signers.pop();
        let certificates = optional(r.text("reports.certificates")).map(PathBuf::from);
        if signer.is_some() != certificates.is_some() {
            r.fault(
                "reports.certificates",
                "and the key that signs reports are given together, or neither is",
            );
        }
        Self {
            signer: signer.zip(certificates),
            authority: optional(r.url("reports.authority", &["http", "https"], false)),
            keep_days: r.number("reports.keep_days", 1, 3_650),
            at_once: r.number("reports.at_once", 1, 64),
        }
    }
}
