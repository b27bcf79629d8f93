//! Documents nobody thought of.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use crate::answers::check;

/// Makes a document from bytes: fields and fragments that fit, keys from so few that they meet.
struct Builder<'a> {
    bytes: std::slice::Iter<'a, u8>,
    fragments: Vec<(&'static str, String)>,
    variables: [bool; 4],
    /// Whether keys with selections may meet. Then no field fails where null is not allowed, and lists of lists have
    /// keys of their own: how async-graphql merges those is among the known differences.
    repeats: bool,
    keys: usize,
}

/// Variables, their declarations, and the types they are of.
const VARIABLES: [(&str, &str); 4] =
    [("$yes", "Boolean!"), ("$no", "Boolean!"), ("$n", "Int!"), ("$d", "Int = 2")];

/// Fields of a type: name, arguments (`#` is a number), and the type of what is selected.
fn fields(ty: &str) -> &'static [(&'static str, &'static str, &'static str)] {
    match ty {
        "Query" => &[
            ("items", "first: #", "Item"),
            ("accounts", "first: #", "AccountConnection"),
            ("emb", "first: #", "Account"),
            ("embOpt", "first: ?", "Account"),
            ("one", "", "Account"),
            ("node", "i: #", "NodeI"),
            ("unis", "", "Uni"),
            ("shelves", "", "Shelf"),
        ],
        "AccountConnection" => {
            &[("nodes", "", "Account"), ("optional", "", "Account"), ("grid", "", "Account")]
        }
        "Account" => &[
            ("id", "", ""),
            ("nickname", "", ""),
            ("status", "", ""),
            ("guarded", "", ""),
            ("firstItem", "", "Item"),
            ("plans", "first: #", "PlanConnection"),
            ("plans", "", "PlanConnection"),
            ("peer", "", "Account"),
            ("boom", "at: #", ""),
            ("soft", "at: #", "Item"),
            ("hardItems", "at: #", "Item"),
            ("broken", "", "Item"),
            ("brokenHard", "", "Item"),
        ],
        "PlanConnection" => &[("nodes", "", "Plan"), ("size", "", ""), ("totalCount", "", "")],
        "Plan" => &[
            ("id", "", ""),
            ("key", "", ""),
            ("title", "", ""),
            ("status", "", ""),
            ("dueAt", "", ""),
            ("owner", "", "Account"),
        ],
        "Item" => &[("id", "", ""), ("name", "", ""), ("n", "", ""), ("note", "", ""), ("tags", "", "")],
        "NodeI" => &[("id", "", "")],
        "Shelf" => &[("label", "", ""), ("items", "", "Item")],
        _ => &[],
    }
}

/// Types a fragment inside `ty` may be on. Unions inside objects are among the known differences.
fn conditions(ty: &str) -> &'static [&'static str] {
    match ty {
        "Account" => &["Account", "NodeI"],
        "Item" => &["Item", "NodeI"],
        "NodeI" | "Uni" => &["Account", "Item", "NodeI"],
        "Query" => &["Query"],
        "AccountConnection" => &["AccountConnection"],
        "PlanConnection" => &["PlanConnection"],
        "Plan" => &["Plan"],
        _ => &["Shelf"],
    }
}

impl Builder<'_> {
    fn choose(&mut self, of: usize) -> usize {
        usize::from(self.bytes.next().copied().unwrap_or(0)) % of
    }

    fn variable(&mut self, index: usize) -> &'static str {
        self.variables[index] = true;
        VARIABLES[index].0
    }

    fn directive(&mut self) -> String {
        match self.choose(12) {
            0 => "@skip(if: true)".to_owned(),
            1 => "@include(if: false)".to_owned(),
            2 => format!("@skip(if: {})", self.variable(1)),
            3 => format!("@include(if: {})", self.variable(0)),
            4 => format!("@include(if: {}) @skip(if: {})", self.variable(0), self.variable(0)),
            5 => format!("@include(if: {})", self.variable(1)),
            _ => String::new(),
        }
    }

    fn field(&mut self, ty: &str, depth: usize) -> String {
        let all = fields(ty);
        // Below the last level only leaves.
        let fails_hard = |name: &str| ["boom", "brokenHard", "hardItems"].contains(&name);
        let fits = |field: &&(&str, &str, &str)| {
            (depth > 0 || field.2.is_empty()) && !(self.repeats && fails_hard(field.0))
        };
        let fit: Vec<_> = all.iter().filter(fits).collect();
        if fit.is_empty() || self.choose(8) == 0 {
            return "__typename".to_owned();
        }
        let (name, arguments, below) = fit[self.choose(fit.len())];
        let mut text = ["", "", "", "", "", "", "", "", "a: ", "b: "][self.choose(10)].to_owned();
        if !below.is_empty() && (!self.repeats || *name == "grid") {
            self.keys += 1;
            text = format!("k{}: ", self.keys);
        }
        text.push_str(name);
        if !arguments.is_empty() {
            let number = match self.choose(6) {
                4 => self.variable(2).to_owned(),
                5 if arguments.contains('?') => self.variable(3).to_owned(),
                number => number.to_string(),
            };
            let _ = write!(text, "({})", arguments.replace(['#', '?'], &number));
        }
        text.push_str(&self.directive());
        if !below.is_empty() {
            text.push_str(&self.set(below, depth - 1));
        }
        text
    }

    fn set(&mut self, ty: &str, depth: usize) -> String {
        let mut text = "{ ".to_owned();
        for _ in 0..=self.choose(4) {
            let part = match self.choose(7) {
                4 => {
                    let on = conditions(ty)[self.choose(conditions(ty).len())];
                    let directive = self.directive();
                    format!("... on {on} {directive} {}", self.set(on, depth))
                }
                5 if !["Uni", "NodeI"].contains(&ty) => {
                    let directive = self.directive();
                    format!("... {directive} {}", self.set(ty, depth))
                }
                6 => self.spread(ty, depth),
                _ => self.field(ty, depth),
            };
            text.push_str(&part);
            text.push(' ');
        }
        text + "}"
    }

    fn spread(&mut self, ty: &str, depth: usize) -> String {
        let known: Vec<_> = (0..self.fragments.len())
            .filter(|index| conditions(ty).contains(&self.fragments[*index].0) && depth > 1)
            .collect();
        let directive = self.directive();
        if self.repeats && !known.is_empty() && self.choose(2) == 0 {
            let index = known[self.choose(known.len())];
            return format!("...F{index} {directive}");
        }
        let on = conditions(ty)[self.choose(conditions(ty).len())];
        // Made before it is known, so that no fragment contains itself.
        let body = self.set(on, depth.min(1));
        self.fragments.push((on, body));
        format!("...F{} {directive}", self.fragments.len() - 1)
    }
}

fn document(bytes: &[u8]) -> String {
    let mut builder = Builder {
        bytes: bytes.iter(),
        fragments: Vec::new(),
        variables: [false; 4],
        repeats: false,
        keys: 0,
    };
    builder.repeats = builder.choose(2) == 0;
    let body = builder.set("Query", 6);
    let mut text = "query".to_owned();
    let used: Vec<_> = (0..4).filter(|index| builder.variables[*index]).collect();
    if !used.is_empty() {
        let declared: Vec<_> =
            used.iter().map(|index| format!("{}: {}", VARIABLES[*index].0, VARIABLES[*index].1)).collect();
        let _ = write!(text, "({})", declared.join(", "));
    }
    text.push_str(&body);
    for (index, (on, body)) in builder.fragments.iter().enumerate() {
        let _ = write!(text, " fragment F{index} on {on} {body}");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_is_answered_alike(bytes in proptest::collection::vec(any::<u8>(), 0..220), n in 0..4) {
        check(&document(&bytes), &json!({ "yes": true, "no": false, "n": n }));
    }
}

/// The generator would be worth little if what it makes were mostly refused, or mostly left.
#[test]
fn most_generated_documents_are_written_out() {
    let (mut valid, mut written) = (0, 0);
    for seed in 0..400_u32 {
        // A small generator of its own: the figures must not change from run to run.
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state.to_be_bytes()[0]
            })
            .collect();
        let answer = check(&document(&bytes), &json!({ "yes": true, "no": false, "n": 2 }));
        valid += u32::from(answer.errors.iter().all(|error| !error.path.is_empty()));
        written += u32::from(answer.ledger.written() > 0);
    }
    assert!(valid >= 200 && written >= 80, "{valid} valid, {written} written out, of 400");
}
