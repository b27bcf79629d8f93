//! What is checked, by name.

use std::fmt;

use report_bundle::{manifest::Manifest, time::Time};

/// A thing that is checked. They are checked in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The zip or directory has the files of a bundle and nothing else.
    Container,
    /// `SHA256SUMS` is in its one form and lists exactly the files that are there.
    Sums,
    /// The signature over `SHA256SUMS` is CAdES and verifies.
    Signature,
    /// The timestamp over the signature verifies; tells the time that counts.
    Timestamp,
    /// The signer's certificate leads to a root that was given, may sign, and was good at that time.
    Chain,
    /// Every file has the hash that is listed.
    Hashes,
    /// The manifest is in its one form, and names this signer, tenant and log.
    Manifest,
    /// Checkpoints are signed by logs of the policy, cosigned as it demands, and follow from each other.
    Heads,
    /// The query is within bounds, and asked of the log that the report's name belongs to.
    Query,
    /// Every leaf is canonical JSON, of this tenant and log.
    Leaves,
    /// The leaves fold into the signed root: none is missing, none is another.
    Range,
    /// The CSV is the leaves that the query asks for, byte for byte.
    Rows,
    /// The columns are described as they are.
    Columns,
    /// Disclosed values open the commitments of rows, and are all there.
    Disclosures,
    /// What is said to be erased was erased by an event that is proven.
    Erasures,
    /// The manifest counts right, and `summary.html` and `VERIFY.txt` are made of it.
    Counts,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 16] = [
        Self::Container,
        Self::Sums,
        Self::Signature,
        Self::Timestamp,
        Self::Chain,
        Self::Hashes,
        Self::Manifest,
        Self::Heads,
        Self::Query,
        Self::Leaves,
        Self::Range,
        Self::Rows,
        Self::Columns,
        Self::Disclosures,
        Self::Erasures,
        Self::Counts,
    ];

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Sums => "sums",
            Self::Hashes => "hashes",
            Self::Signature => "signature",
            Self::Timestamp => "timestamp",
            Self::Chain => "chain",
            Self::Manifest => "manifest",
            Self::Heads => "heads",
            Self::Query => "query",
            Self::Leaves => "leaves",
            Self::Range => "range",
            Self::Rows => "rows",
            Self::Columns => "columns",
            Self::Disclosures => "disclosures",
            Self::Erasures => "erasures",
            Self::Counts => "counts",
        }
    }

    /// What the program exits with when this fails.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Container => 10,
            Self::Sums => 11,
            Self::Signature => 12,
            Self::Timestamp => 13,
            Self::Chain => 14,
            Self::Hashes => 15,
            Self::Manifest => 16,
            Self::Heads => 17,
            Self::Query => 18,
            Self::Leaves => 19,
            Self::Range => 20,
            Self::Rows => 21,
            Self::Columns => 22,
            Self::Disclosures => 23,
            Self::Erasures => 24,
            Self::Counts => 25,
        }
    }

    /// That it fails, and why.
    pub(crate) fn because(self, why: impl Into<String>) -> Refusal {
        Refusal { step: self, why: why.into() }
    }

    /// Makes an error the reason for which it fails.
    pub(crate) fn by<E: fmt::Display>(self) -> impl FnOnce(E) -> Refusal {
        move |fault| self.because(fault.to_string())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A step that failed. The reason names files, lines and fields; it quotes no personal value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub step: Step,
    /// Why.
    pub why: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.why)
    }
}

impl std::error::Error for Refusal {}

/// What a bundle that passes everything says.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What was asked and found, all of it checked.
    pub manifest: Manifest,
    /// The time that certificates were checked at.
    pub at: Time,
    /// The signer's subject (RFC 4514).
    pub signer: String,
    /// How many leaves were looked through.
    pub leaves: u64,
    /// Whether it is shown, by others than its maker, that these leaves are all of the period, and the query is what
    /// the report's name says.
    pub is_complete: bool,
    /// What was not proven.
    pub remarks: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_apart() {
        let mut codes: Vec<_> = Step::ALL.iter().map(|step| step.exit_code()).collect();
        assert!(codes.is_sorted() && Step::ALL.is_sorted());
        codes.dedup();
        assert_eq!(codes.len(), Step::ALL.len());
    }
}
