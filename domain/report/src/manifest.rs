//! `manifest.json`: what was asked, of which log, and how much was found. Canonical JSON and a newline.

use std::collections::BTreeMap;

use audit_log::{jcs::canonical, merkle::Hash};
use serde::{Deserialize, Serialize};

use crate::{FormatError, names, opening::Field, query::Query, time::Time};

/// The format this crate writes and the only one it reads.
pub const FORMAT: &str = "matricula-report/1";

/// The longest manifest, in bytes.
pub const MANIFEST_MAX_BYTES: usize = 32 << 20;

/// The longest literal text of a query, in bytes.
pub const QUERY_TEXT_MAX_BYTES: usize = 64 << 10;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The report: the identifier of the answer that the export is logged under (UUID).
    pub report_id: String,
    /// Whose log (UUID).
    pub tenant_id: String,
    /// Which of the tenant's logs.
    pub stream: String,
    /// The log's name, as its checkpoints have it.
    pub origin: String,
    /// The word of a named report ([`crate::query::Kind::word`]), or [`crate::query::CUSTOM`].
    pub kind: String,
    /// What was asked.
    pub query: Query,
    /// The same, as it was typed.
    pub query_text: String,
    /// The zone in which its period was given, as `Asia/Shanghai`; the query itself is in UTC.
    pub time_zone: String,
    /// When the report was begun, by the maker's clock.
    pub created_at: Time,
    /// The leaves that are in the bundle.
    pub range: Range,
    /// How many rows the CSV has.
    pub rows: u64,
    /// How long after it happened an event may be written down, in seconds, before it counts as late.
    pub max_lateness_s: u64,
    /// How many rows are late.
    pub late: u64,
    /// The fields that are disclosed, in all rows that have them, unless they are erased.
    pub disclosed: Vec<Field>,
    /// How many lines `disclosures.jsonl` has.
    pub disclosures: u64,
    /// How many lines `erasures.jsonl` has.
    pub erasures: u64,
    /// Who signs.
    pub signer: Signer,
    /// What made it.
    pub tool: Tool,
    /// The length in bytes of every file but this one and the three that seal the bundle.
    pub files: BTreeMap<String, u64>,
}

/// The leaves from `first` on and before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The first leaf.
    pub first: u64,
    /// One past the last: the size of the tree of `heads/checkpoint`.
    pub end: u64,
}

/// Who signs a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// The subject of the certificate (RFC 4514).
    pub subject: String,
    /// SHA-256 of the certificate's DER, in hexadecimal.
    pub certificate_sha256: String,
}

/// What made a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Manifest {
    /// The text.
    ///
    /// # Errors
    /// What [`Manifest::parse`] would refuse.
    pub fn write(&self) -> Result<Vec<u8>, FormatError> {
        self.check()?;
        let value = serde_json::to_value(self)
            .map_err(|fault| FormatError::Json { what: names::MANIFEST, why: fault.to_string() })?;
        let mut text = canonical(&value)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// `Json`, `OtherForm`, `Strict`, `Query`, `QueryTooLarge`.
    pub fn parse(text: &[u8]) -> Result<Self, FormatError> {
        let what = names::MANIFEST;
        if text.len() > MANIFEST_MAX_BYTES {
            return Err(FormatError::Json { what, why: "too long".to_owned() });
        }
        // Strict by what follows: only its one form is written as it was.
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|fault| FormatError::Json { what, why: fault.to_string() })?;
        if manifest.write()? == text { Ok(manifest) } else { Err(FormatError::OtherForm { what }) }
    }

    fn check(&self) -> Result<(), FormatError> {
        let fault = |why: &str| Err(FormatError::Json { what: names::MANIFEST, why: why.to_owned() });
        if self.format != FORMAT {
            return fault("another format");
        }
        if self.range.first > self.range.end {
            return fault("the range ends before it begins");
        }
        if !is_uuid(&self.report_id) || !is_uuid(&self.tenant_id) {
            return fault("an id is no UUID in lower case");
        }
        if !self.disclosed.is_sorted_by(|a, b| a < b) {
            return fault("disclosed fields are sorted");
        }
        if Hash::parse_hex(&self.signer.certificate_sha256).is_err() {
            return fault("the signer's hash");
        }
        if self.query_text.len() > QUERY_TEXT_MAX_BYTES {
            return fault("the text of the query is too long");
        }
        let listed =
            |name: &String| names::is_known(name) && !names::is_sealing(name) && name != names::MANIFEST;
        if !self.files.keys().all(listed) {
            return fault("a file that bundles do not have");
        }
        self.query.check()
    }
}

/// Whether the text is a UUID in lower case.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT.to_owned(),
            report_id: "0199c3a0-0000-7000-8000-000000000001".to_owned(),
            tenant_id: "0199c3a0-0000-7000-8000-000000000002".to_owned(),
            stream: "iam".to_owned(),
            origin: "audit.example.com/t/1/iam".to_owned(),
            kind: "custom".to_owned(),
            query: Query::everything(),
            query_text: "everything".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            created_at: Time::parse(b"2026-10-01T00:00:00.000000Z").expect("a time"),
            range: Range { first: 3, end: 9 },
            rows: 1,
            max_lateness_s: 60,
            late: 0,
            disclosed: vec![Field::DiffCommit],
            disclosures: 0,
            erasures: 0,
            signer: Signer { subject: "CN=x".to_owned(), certificate_sha256: "00".repeat(32) },
            tool: Tool { name: "matricula".to_owned(), version: "0.1.0".to_owned() },
            files: [(names::REPORT.to_owned(), 7)].into(),
        }
    }

    #[test]
    fn manifests_come_back_and_have_one_form() {
        let text = manifest().write().expect("has a form");
        assert_eq!(Manifest::parse(&text), Ok(manifest()));
        let text = String::from_utf8(text).expect("UTF-8");
        for bad in [
            text.trim_end().to_owned(),
            text.replace(':', ": "),
            text.replace("report/1", "report/2"),
            text.replace("\"rows\":1", "\"rows\":1,\"more\":1"),
            text.replace("\"rows\":1", "\"rows\":1,\"rows\":1"),
            text.replace("\"rows\":1", "\"rows\":1.0"),
            text.replace("\"rows\":1", "\"rows\":9007199254740993"),
            text.replace("\"kind\":\"custom\"", "\"kind\":\"\\u0063ustom\""),
            text.replace("\"rows\":1", "\"rows\":-1"),
            text.replace("\"first\":3", "\"first\":10"),
            text.replace("report.csv", "../report.csv"),
            text.replace("0199c3a0-0000-7000-8000-000000000001", "0199C3A0-0000-7000-8000-000000000001"),
            text.replace("\"and\":[]", "\"types\":[]"),
        ] {
            assert_ne!(bad, text);
            assert!(Manifest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
