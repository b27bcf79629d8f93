//! Everything that looks random, computed from the seed: identifiers, secrets, verdicts, figures.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

/// The source of all chance. It has no state: the same seed and label always say the same.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    seed: u64,
}

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    fn digest(&self, label: &str, parts: &[&str]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(label.as_bytes());
        for part in parts {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
        hash.finalize().into()
    }

    /// `length` characters of 0-9 and a-f; at most 64.
    pub(crate) fn hex(&self, label: &str, parts: &[&str], length: usize) -> String {
        let mut text = hex(&self.digest(label, parts));
        text.truncate(length);
        text
    }

    /// Shaped like a UUID, as open_ids and union_ids are.
    pub(crate) fn uuid(&self, label: &str, parts: &[&str]) -> String {
        let text = self.hex(label, parts, 32);
        let piece = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-9{}-{}", piece(0, 8), piece(8, 12), piece(13, 16), piece(17, 20), piece(20, 32))
    }

    /// An opaque identifier: begins with `@` and holds `+`, `/` and `=`, which have to be escaped in a query.
    pub(crate) fn opaque(&self, label: &str, parts: &[&str]) -> String {
        let bytes = self.digest(label, parts);
        let (first, second) = bytes.split_at(16);
        let (first, second) = (STANDARD.encode(first), STANDARD.encode(second));
        format!(
            "@{}+{}/{}==",
            first.get(..11).unwrap_or_default(),
            first.get(11..22).unwrap_or_default(),
            second.get(..11).unwrap_or_default()
        )
    }

    /// A number from 0 to 2^62.
    pub(crate) fn number(&self, label: &str, parts: &[&str]) -> i64 {
        let digest = self.digest(label, parts);
        let head = digest.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_be_bytes(head) & (i64::MAX >> 1)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&self, label: &str, parts: &[&str], low: i64, high: i64) -> i64 {
        low + self.number(label, parts) % (high - low + 1).max(1)
    }

    /// Whether something of this likelihood happens.
    pub(crate) fn happens(&self, label: &str, parts: &[&str], permille: i64) -> bool {
        self.between(label, parts, 0, 999) < permille
    }
}

/// Lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
