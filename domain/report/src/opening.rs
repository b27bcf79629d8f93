//! What stands behind commitments of rows: values that are disclosed, and values that are gone.

use std::fmt;

use audit_log::{
    commitment::Commitment,
    jcs::{canonical, parse_strict},
    merkle::Hash,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{FormatError, csv, names};

/// The longest line of `disclosures.jsonl` or `erasures.jsonl`, in bytes. Larger values are committed to by hash.
pub const LINE_MAX_BYTES: usize = 1 << 20;

/// By how much clocks of those who write one log may differ, in seconds: what an erasure explains was written down so long
/// after it at the most.
pub const CLOCKS_DIFFER_S: i64 = 60;

/// The type of the event that says that a subject's values were erased. Its `target` is that subject, and it stands in
/// the tenant's `admin` log.
pub const ERASURE_TYPE: &str = "erase_subject";

/// A field of leaves that holds a commitment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// What changed.
    DiffCommit,
    /// What was there before.
    PrevStateCommit,
}

impl Field {
    /// All of them, in order.
    pub const ALL: [Self; 2] = [Self::DiffCommit, Self::PrevStateCommit];

    /// The name in the leaf.
    pub const fn in_leaf(self) -> &'static str {
        match self {
            Self::DiffCommit => "diff_commit",
            Self::PrevStateCommit => "prev_state_commit",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_leaf())
    }
}

/// What a row shows of one commitment.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// The value.
    Opened {
        /// The salt.
        salt: [u8; 32],
        /// The value.
        value: Value,
    },
    /// That it is gone.
    Erased {
        /// The index of the erasure in the tenant's `admin` log.
        by: u64,
    },
}

impl Shown {
    /// The cell, before it is made neutral: canonical JSON, also of a text, so that no value looks like another or like
    /// what stands in place of one.
    ///
    /// # Errors
    /// `Strict` when the value has no canonical form.
    pub fn cell(&self) -> Result<String, FormatError> {
        match self {
            Self::Opened { value, .. } => Ok(String::from_utf8_lossy(&canonical(value)?).into_owned()),
            Self::Erased { by } => Ok(format!("[erased: {by}]")),
        }
    }
}

/// A line of `disclosures.jsonl`: canonical JSON. Lines are in the order of `(index, field)`, each there once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disclosure {
    /// The row's index in the log.
    pub index: u64,
    /// The field.
    pub field: Field,
    /// The salt, 64 lower-case hexadecimal digits.
    pub salt: String,
    /// The value.
    pub value: Value,
}

impl Disclosure {
    /// Whether this opens the commitment, given in hexadecimal.
    ///
    /// # Errors
    /// `Json` when salt or commitment are malformed; `Strict`.
    pub fn opens(&self, commitment: &str) -> Result<bool, FormatError> {
        let what = names::DISCLOSURES;
        let fault = |why: &str| FormatError::Json { what, why: why.to_owned() };
        let commitment = Commitment::parse_hex(commitment).map_err(|_| fault("a commitment"))?;
        Ok(commitment.opens_to(&self.value, &self.salt()?)?)
    }

    /// The salt.
    ///
    /// # Errors
    /// `Json`.
    pub fn salt(&self) -> Result<[u8; 32], FormatError> {
        let fault = |_| FormatError::Json { what: names::DISCLOSURES, why: "a salt".to_owned() };
        Hash::parse_hex(&self.salt).map(|salt| salt.0).map_err(fault)
    }
}

/// A line of `erasures.jsonl`: canonical JSON, in the order of `(index, field)`, each there once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Erasure {
    /// The row's index in the log.
    pub index: u64,
    /// The field.
    pub field: Field,
    /// The index of the erasure in the tenant's `admin` log; its proof is [`names::erasure_proof`].
    pub by: u64,
}

/// A line, without its newline.
///
/// # Errors
/// `Strict` when a value has no canonical form, `Json`.
pub fn write_line<T: Serialize>(what: &'static str, line: &T) -> Result<Vec<u8>, FormatError> {
    let value =
        serde_json::to_value(line).map_err(|fault| FormatError::Json { what, why: fault.to_string() })?;
    Ok(canonical(&value)?)
}

/// Reads what [`write_line`] wrote and nothing else.
///
/// # Errors
/// `Strict`, `Json`, `OtherForm`.
pub fn parse_line<T: Serialize + for<'d> Deserialize<'d>>(
    what: &'static str,
    line: &[u8],
) -> Result<T, FormatError> {
    let value = parse_strict(line)?;
    let read: T =
        serde_json::from_value(value).map_err(|fault| FormatError::Json { what, why: fault.to_string() })?;
    if write_line(what, &read)? == line { Ok(read) } else { Err(FormatError::OtherForm { what }) }
}

/// The value behind a cell of a disclosed value, as a reader of the CSV gets it back; `None` for a cell that shows
/// none.
pub fn value_of_cell(cell: &str) -> Option<Value> {
    parse_strict(csv::plain(cell).as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_come_back_and_have_one_form() {
        let line = Disclosure {
            index: 7,
            field: Field::DiffCommit,
            salt: Hash([3; 32]).to_hex(),
            value: json!({"b": 1, "a": ["x"]}),
        };
        let bytes = write_line("d", &line).expect("has a form");
        assert_eq!(parse_line::<Disclosure>("d", &bytes), Ok(line.clone()));
        let text = String::from_utf8(bytes).expect("UTF-8");
        for bad in [
            text.replace(':', ": "),
            text.replace("diff_commit", "other"),
            text.replace("\"index\":7", "\"index\":-7"),
            text.replace("\"index\":7", "\"index\":7,\"more\":1"),
            text.replace("\"b\":1", "\"b\":1,\"b\":1"),
            text.replace("\"b\":1", "\"b\":1.0"),
        ] {
            assert!(parse_line::<Disclosure>("d", bad.as_bytes()).is_err(), "{bad}");
        }
        let commitment = Commitment::to(&line.value, &[3; 32]).expect("has a form").to_string();
        assert_eq!(line.opens(&commitment), Ok(true));
        let other = Disclosure { value: json!("x"), ..line.clone() };
        assert_eq!(other.opens(&commitment), Ok(false));
        let bad = Disclosure { salt: "x".to_owned(), ..line };
        assert!(bad.opens(&commitment).is_err());
    }

    #[test]
    fn cells_give_their_values_back_and_no_value_looks_like_another() {
        let values =
            [json!("=1,@x"), json!("[withheld]"), json!("{\"a\":1}"), json!({"a": 1}), json!("1"), json!(1)];
        let mut cells = Vec::new();
        for value in values {
            let cell = Shown::Opened { salt: [0; 32], value: value.clone() }.cell().expect("has a form");
            let cell = csv::neutral(&cell).into_owned();
            assert_eq!(value_of_cell(&cell), Some(value));
            assert!(!cells.contains(&cell));
            cells.push(cell);
        }
        assert_eq!(value_of_cell("[withheld]"), None);
        assert_eq!(value_of_cell(&Shown::Erased { by: 7 }.cell().expect("has a form")), None);
    }
}
