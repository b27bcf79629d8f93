//! Asking a query of leaves.

use serde_json::Value;

use super::{Party, Period, Query, Scalar};
use crate::{
    FormatError,
    leaf::{Leaf, canonical_text},
};

/// A query made ready to be asked of many leaves: what it compares with is spelled as leaves spell it.
#[derive(Clone, Debug)]
pub struct Filter(Part);

#[derive(Clone, Debug)]
enum Part {
    And(Vec<Part>),
    Or(Vec<Part>),
    Not(Box<Part>),
    /// The value at the path is spelled as one of these.
    Is(Vec<Vec<u8>>, Vec<Vec<u8>>),
    Period(Period),
}

impl Filter {
    /// Makes a query ready.
    ///
    /// # Errors
    /// Those of [`Query::check`].
    pub fn new(query: &Query) -> Result<Self, FormatError> {
        query.check()?;
        Ok(Self(part(query)))
    }

    /// Whether the query asks for this leaf.
    pub fn asks_for(&self, leaf: &Leaf<'_>) -> bool {
        holds(&self.0, leaf)
    }
}

fn part(query: &Query) -> Part {
    let all = |queries: &[Query]| queries.iter().map(part).collect();
    match query {
        Query::And(inner) => Part::And(all(inner)),
        Query::Or(inner) => Part::Or(all(inner)),
        Query::Not(inner) => Part::Not(Box::new(part(inner))),
        Query::Types(words) => one_of("type", words),
        Query::Outcomes(words) => one_of("outcome", words),
        Query::Actor(party) => party_is("actor", party),
        Query::Target(party) => party_is("target", party),
        Query::Period(period) => Part::Period(*period),
        Query::Field(field) => {
            let value = match &field.is {
                Scalar::Flag(flag) => flag.to_string().into_bytes(),
                Scalar::Number(number) => number.to_string().into_bytes(),
                Scalar::Text(text) => canonical_text(text),
            };
            Part::Is(field.path.iter().map(|name| spelled_name(name)).collect(), vec![value])
        }
    }
}

fn one_of(name: &str, words: &[String]) -> Part {
    Part::Is(vec![spelled_name(name)], words.iter().map(|word| canonical_text(word)).collect())
}

fn party_is(name: &str, party: &Party) -> Part {
    let is = |inner: &str, word: &Option<String>| {
        word.as_ref()
            .map(|word| Part::Is(vec![spelled_name(name), spelled_name(inner)], vec![canonical_text(word)]))
    };
    Part::And([is("kind", &party.kind), is("id", &party.id)].into_iter().flatten().collect())
}

/// A name as it is written, without its quotes.
fn spelled_name(name: &str) -> Vec<u8> {
    let quoted = canonical_text(name);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

fn holds(part: &Part, leaf: &Leaf<'_>) -> bool {
    match part {
        Part::And(parts) => parts.iter().all(|part| holds(part, leaf)),
        Part::Or(parts) => parts.iter().any(|part| holds(part, leaf)),
        Part::Not(part) => !holds(part, leaf),
        Part::Is(path, values) => {
            let mut names: [&[u8]; super::PATH_MAX] = [&[]; super::PATH_MAX];
            for (name, given) in names.iter_mut().zip(path) {
                *name = given;
            }
            let names = names.get(..path.len()).unwrap_or_default();
            leaf.get(names).is_some_and(|is| values.iter().any(|value| value == is))
        }
        Part::Period(period) => {
            let at = leaf.occurred_at();
            period.since.is_none_or(|since| since <= at) && period.until.is_none_or(|until| at < until)
        }
    }
}

/// Reads the JSON form.
impl TryFrom<&Value> for Query {
    type Error = FormatError;

    fn try_from(value: &Value) -> Result<Self, FormatError> {
        let query: Self = serde_json::from_value(value.clone())
            .map_err(|fault| FormatError::Json { what: "the query", why: fault.to_string() })?;
        query.check()?;
        if query.to_json() == *value { Ok(query) } else { Err(FormatError::OtherForm { what: "the query" }) }
    }
}

impl Query {
    /// The JSON form.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}
