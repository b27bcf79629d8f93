//! What the files of a bundle are called.

/// The sums.
pub const SUMS: &str = "SHA256SUMS";
/// The signature over the sums.
pub const SIGNATURE: &str = "SHA256SUMS.p7s";
/// The timestamp over the signature.
pub const TIMESTAMP: &str = "SHA256SUMS.tsr";
/// The rows.
pub const REPORT: &str = "report.csv";
/// What the columns mean.
pub const COLUMNS: &str = "report.columns.json";
/// Query, range and counts.
pub const MANIFEST: &str = "manifest.json";
/// Openings of commitments.
pub const DISCLOSURES: &str = "disclosures.jsonl";
/// Values that are gone.
pub const ERASURES: &str = "erasures.jsonl";
/// For people.
pub const SUMMARY: &str = "summary.html";
/// How to check with other people's tools.
pub const VERIFY: &str = "VERIFY.txt";
/// The tree before the range.
pub const BOUNDARY: &str = "range/boundary";
/// The tenant's checkpoint at the end of the range.
pub const CHECKPOINT: &str = "heads/checkpoint";
/// The tenant's checkpoint at its beginning.
pub const CHECKPOINT_BEFORE: &str = "heads/checkpoint-before";
/// From that to the other.
pub const CONSISTENCY: &str = "heads/consistency";
/// That the platform's log has the checkpoint at the end.
pub const PLATFORM_PROOF: &str = "heads/platform-proof";
/// That the platform's log has the checkpoint at the beginning.
pub const PLATFORM_PROOF_BEFORE: &str = "heads/platform-proof-before";
/// The policy as the log's keeper states it.
pub const POLICY: &str = "heads/log-policy";

/// Files that are always there, besides the sums and the signature.
pub const REQUIRED: [&str; 10] =
    [VERIFY, DISCLOSURES, ERASURES, CHECKPOINT, MANIFEST, BOUNDARY, COLUMNS, REPORT, SUMMARY, SUMS];

/// Files that may be there, besides segments, proofs of erasures and the timestamp.
pub const OPTIONAL: [&str; 5] =
    [CHECKPOINT_BEFORE, CONSISTENCY, PLATFORM_PROOF, PLATFORM_PROOF_BEFORE, POLICY];

/// How many leaves a file of the range may have.
pub const SEGMENT_LEAVES_MAX: u64 = 65_536;

const SEGMENT: (&str, &str) = ("range/", ".jsonl.gz");
const ERASURE_PROOF: (&str, &str) = ("erasures/", ".tlog-proof");

/// The file of the range whose first leaf is `first`.
pub fn segment(first: u64) -> String {
    format!("{}{first:020}{}", SEGMENT.0, SEGMENT.1)
}

/// The first leaf of a file of the range; `None` for any other file.
pub fn segment_first(name: &str) -> Option<u64> {
    numbered(name, SEGMENT)
}

/// The proof of the erasure at `index` of the tenant's `admin` log.
pub fn erasure_proof(index: u64) -> String {
    format!("{}{index:020}{}", ERASURE_PROOF.0, ERASURE_PROOF.1)
}

/// The index of an erasure's proof; `None` for any other file.
pub fn erasure_proof_index(name: &str) -> Option<u64> {
    numbered(name, ERASURE_PROOF)
}

fn numbered(name: &str, (prefix, suffix): (&str, &str)) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// Whether a bundle may have a file of that name. What it may not have at all needs no rule against `..`, backslashes
/// or another spelling.
pub fn is_known(name: &str) -> bool {
    is_sealing(name)
        || REQUIRED.contains(&name)
        || OPTIONAL.contains(&name)
        || segment_first(name).is_some()
        || erasure_proof_index(name).is_some()
}

/// Whether the file is one of the three that the sums do not list.
pub fn is_sealing(name: &str) -> bool {
    [SUMS, SIGNATURE, TIMESTAMP].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(segment_first(&segment(65_536)), Some(65_536));
        assert_eq!(segment_first(&segment(u64::MAX)), Some(u64::MAX));
        assert_eq!(erasure_proof_index(&erasure_proof(7)), Some(7));
        for bad in [
            "range/0.jsonl.gz",
            "range/+0000000000000000001.jsonl.gz",
            "range/99999999999999999999.jsonl.gz",
            "range/00000000000000000000.jsonl.gz/",
            "../range/00000000000000000000.jsonl.gz",
            "./manifest.json",
            "MANIFEST.json",
            "a\\b",
            "",
        ] {
            assert!(!is_known(bad), "{bad}");
        }
        assert!(REQUIRED.iter().chain(&OPTIONAL).all(|name| is_known(name)));
    }
}
