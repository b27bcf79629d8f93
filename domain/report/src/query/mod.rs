//! What a report asks of a log: a filter over the clear fields of leaves, as data with one JSON form.
//!
//! Invariants: a query has at most [`NODES_MAX`] parts, [`DEPTH_MAX`] deep; whether a leaf is asked for depends on
//! the leaf alone, so that anybody with the leaves finds the same rows.
//!
//! Absent on purpose: personal fields, of which a leaf has commitments only: a filter on one could not be checked
//! without opening it for every leaf. Ordering, paging, sums: a report has all rows, in the log's order.

mod filter;
mod kinds;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{FormatError, time::Time};
pub use filter::Filter;
pub use kinds::{CUSTOM, Kind};

/// How deep parts may stand in each other.
pub const DEPTH_MAX: usize = 8;
/// How many parts a query may have.
pub const NODES_MAX: usize = 128;
/// How many words a list may have.
pub const WORDS_MAX: usize = 128;
/// How long a word may be, in bytes.
pub const WORD_MAX_BYTES: usize = 256;
/// How many names a path may have.
pub const PATH_MAX: usize = 4;

/// A filter. In JSON an object with one member, as `{"types":["sign_in"]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Query {
    /// All of these hold; of none, always.
    And(Vec<Query>),
    /// One of these holds; of none, never.
    Or(Vec<Query>),
    /// This does not hold.
    Not(Box<Query>),
    /// The event's `type` is one of these, which are sorted.
    Types(Vec<String>),
    /// The event's `outcome` is one of these, which are sorted.
    Outcomes(Vec<String>),
    /// Who did it.
    Actor(Party),
    /// What it was done to.
    Target(Party),
    /// When it happened (`occurred_at`).
    Period(Period),
    /// A clear field has a value.
    Field(FieldIs),
}

/// Somebody or something, by kind, by id or by both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The kind, as `member`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The id, in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// From `since` on and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// The first moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// The first moment after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// The value at a path of names is this one. A field that is not there has no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldIs {
    /// Names from the leaf inwards, as `["geo", "country"]`.
    pub path: Vec<String>,
    /// The value.
    pub is: Scalar,
}

/// A value that a field may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Query {
    /// What asks for every leaf.
    pub const fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Checks bounds and sense.
    ///
    /// # Errors
    /// `QueryTooLarge`, `Query`.
    pub fn check(&self) -> Result<(), FormatError> {
        let mut nodes = 0;
        self.check_at(1, &mut nodes)?;
        if self.bounds().len() > 1 {
            return Err(FormatError::Query("one period bounds all rows; a second would be overlooked"));
        }
        Ok(())
    }

    /// The periods that bound all rows: that of the query itself, or of parts that must hold.
    fn bounds(&self) -> Vec<Period> {
        match self {
            Self::Period(period) => vec![*period],
            Self::And(parts) => parts.iter().flat_map(Self::bounds).collect(),
            Self::Or(_)
            | Self::Not(_)
            | Self::Types(_)
            | Self::Outcomes(_)
            | Self::Actor(_)
            | Self::Target(_)
            | Self::Field(_) => Vec::new(),
        }
    }

    /// The types of which every leaf that is asked for is one; `None` when it may be of any.
    pub fn types(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::Types(words) => Some(words.iter().map(String::as_str).collect()),
            Self::And(parts) => {
                let types = parts.iter().filter_map(Self::types);
                types.reduce(|left, right| left.intersection(&right).copied().collect())
            }
            Self::Or(parts) => {
                let types: Option<Vec<_>> = parts.iter().map(Self::types).collect();
                Some(types?.into_iter().flatten().collect())
            }
            Self::Not(_)
            | Self::Outcomes(_)
            | Self::Actor(_)
            | Self::Target(_)
            | Self::Period(_)
            | Self::Field(_) => None,
        }
    }

    fn check_at(&self, depth: usize, nodes: &mut usize) -> Result<(), FormatError> {
        *nodes += 1;
        if depth > DEPTH_MAX {
            return Err(FormatError::QueryTooLarge("depth"));
        }
        if *nodes > NODES_MAX {
            return Err(FormatError::QueryTooLarge("parts"));
        }
        match self {
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().try_for_each(|part| part.check_at(depth + 1, nodes))
            }
            Self::Not(part) => part.check_at(depth + 1, nodes),
            Self::Types(words) | Self::Outcomes(words) => check_words(words),
            Self::Actor(party) | Self::Target(party) => match (&party.kind, &party.id) {
                (None, None) => Err(FormatError::Query("a party needs a kind or an id")),
                (kind, id) => [kind, id].into_iter().flatten().try_for_each(|word| check_word(word)),
            },
            Self::Period(period) => match (period.since, period.until) {
                (None, None) => Err(FormatError::Query("a period needs a beginning or an end")),
                (Some(since), Some(until)) if since >= until => {
                    Err(FormatError::Query("a period ends after it begins"))
                }
                (_, _) => Ok(()),
            },
            Self::Field(field) => {
                if field.path.is_empty() || field.path.len() > PATH_MAX {
                    return Err(FormatError::QueryTooLarge("path"));
                }
                field.path.iter().try_for_each(|name| check_word(name))?;
                match &field.is {
                    Scalar::Text(text) if text.len() > WORD_MAX_BYTES => {
                        Err(FormatError::QueryTooLarge("text"))
                    }
                    Scalar::Text(_) | Scalar::Flag(_) | Scalar::Number(_) => Ok(()),
                }
            }
        }
    }

    /// The period that bounds all rows: that of the query itself, or of a part that must hold.
    pub fn period(&self) -> Option<Period> {
        self.bounds().first().copied()
    }
}

fn check_words(words: &[String]) -> Result<(), FormatError> {
    if words.len() > WORDS_MAX {
        return Err(FormatError::QueryTooLarge("words"));
    }
    if words.is_empty() || !words.is_sorted_by(|a, b| a < b) {
        return Err(FormatError::Query("words are sorted, each is there once, and there is one"));
    }
    words.iter().try_for_each(|word| check_word(word))
}

fn check_word(word: &str) -> Result<(), FormatError> {
    if word.is_empty() {
        return Err(FormatError::Query("a word is empty"));
    }
    if word.len() > WORD_MAX_BYTES { Err(FormatError::QueryTooLarge("word")) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
