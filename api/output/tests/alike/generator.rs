//! Documents nobody thought of.

use std::collections::HashMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

/// Most fragments in one another. With more, documents would meet the bounds on nesting, which are other tests' matter.
const WITHIN_MAX: usize = 8;

/// Makes a document from bytes: fields and fragments that fit, keys from so few that they meet. Zeros, and no bytes at
/// all, make what is plainest, so that a document that fails gets smaller with its bytes.
struct Builder<'a> {
    bytes: &'a [u8],
    fragments: Vec<(&'static str, String)>,
    variables: [bool; VARIABLES.len()],
    /// Fragments that are open.
    within: usize,
    /// Whether keys with selections may meet. Then no field fails where null is not allowed, and lists of lists have
    /// keys of their own: how async-graphql merges those is among the known differences.
    repeats: bool,
    /// How each field of a type was first written. Where keys may meet it is written so again, and they can be merged.
    heads: HashMap<(&'static str, &'static str), String>,
    keys: usize,
    /// The field whose key is `a`.
    alias: Option<&'static str>,
}

/// Variables and how they are declared. Those with defaults are never sent.
const VARIABLES: [(&str, &str); 5] =
    [("$yes", "Boolean!"), ("$no", "Boolean!"), ("$n", "Int!"), ("$d", "Int = 2"), ("$s", "Boolean = true")];

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
        "Item" => &[
            ("id", "", ""),
            ("name", "", ""),
            ("n", "", ""),
            ("ratio", "", ""),
            ("note", "", ""),
            ("tags", "", ""),
        ],
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
        "NodeI" => &["Account", "Item", "NodeI"],
        "Uni" => &["Account", "Item", "NodeI", "Uni"],
        "Query" => &["Query"],
        "AccountConnection" => &["AccountConnection"],
        "PlanConnection" => &["PlanConnection"],
        "Plan" => &["Plan"],
        _ => &["Shelf"],
    }
}

impl Builder<'_> {
    fn choose(&mut self, of: usize) -> usize {
        let Some((first, others)) = self.bytes.split_first() else { return 0 };
        self.bytes = others;
        usize::from(*first) % of
    }

    fn variable(&mut self, index: usize) -> &'static str {
        self.variables[index] = true;
        VARIABLES[index].0
    }

    fn directive(&mut self) -> String {
        match self.choose(32) {
            1 => "@skip(if: true)".to_owned(),
            2 => "@include(if: false)".to_owned(),
            3 => format!("@skip(if: {})", self.variable(1)),
            4 => format!("@include(if: {})", self.variable(0)),
            5 => format!("@include(if: {}) @skip(if: {})", self.variable(0), self.variable(0)),
            6 => format!("@include(if: {})", self.variable(1)),
            7 => format!("@include(if: {})", self.variable(4)),
            8 => format!("@skip(if: {})", self.variable(4)),
            _ => String::new(),
        }
    }

    /// A field with its arguments.
    fn head(&mut self, name: &str, arguments: &str) -> String {
        if arguments.is_empty() {
            return name.to_owned();
        }
        let number = match self.choose(12) {
            10 => self.variable(2),
            11 if arguments.contains('?') => self.variable(3),
            index => ["0", "1", "2", "3", "1", "2", "3", "1", "2", "5"][index % 10],
        };
        format!("{name}({})", arguments.replace(['#', '?'], number))
    }

    fn field(&mut self, ty: &'static str, depth: usize) -> String {
        let fails_hard = |name: &str| ["boom", "brokenHard", "hardItems"].contains(&name);
        // Below the last level only leaves.
        let fits = |field: &&(&str, &str, &str)| {
            (depth > 0 || field.2.is_empty()) && !(self.repeats && fails_hard(field.0))
        };
        let fit: Vec<_> = fields(ty).iter().filter(fits).collect();
        if fit.is_empty() || self.choose(8) == 0 {
            return "__typename".to_owned();
        }
        let is_deep = |field: &&&(&str, &str, &str)| fields(field.2).iter().any(|below| !below.2.is_empty());
        let deep: Vec<_> = fit.iter().filter(is_deep).copied().collect();
        // Half of all fields lead on, or few documents would go deep.
        let from = if deep.is_empty() || self.choose(2) == 0 { fit } else { deep };
        let (name, arguments, below) = *from[self.choose(from.len())];
        let made = self.head(name, arguments);
        let head = if self.repeats { self.heads.entry((ty, name)).or_insert(made).clone() } else { made };
        let has_own_key = !self.repeats || name == "grid" || (ty == "Query" && self.choose(4) > 0);
        let key = if !below.is_empty() && has_own_key {
            self.keys += 1;
            format!("k{}: ", self.keys)
        } else {
            match self.choose(10) {
                // A key of one field in all the document: of two, one is too many, and async-graphql does not find that through
                // fragments (specification section 5.3.2).
                8 if *self.alias.get_or_insert(name) == name => "a: ".to_owned(),
                9 => format!("{name}2: "),
                _ => String::new(),
            }
        };
        let head = key + &head;
        let mut text = head.clone() + &self.directive();
        if !below.is_empty() {
            text.push_str(&self.set(below, depth - 1));
            if !has_own_key && self.choose(3) == 1 {
                let again = head + &self.directive() + &self.set(below, depth - 1);
                text = format!("{text} {again}");
            }
        }
        text
    }

    fn set(&mut self, ty: &'static str, depth: usize) -> String {
        let mut text = "{ ".to_owned();
        for left in (1..=1 + self.choose(4)).rev() {
            // At the root each gets its share; below, what comes first may use up all there is, and so go deep.
            let share = if ty == "Query" { self.bytes.len() / left } else { self.bytes.len() };
            let (bytes, others) = self.bytes.split_at(share);
            self.bytes = bytes;
            let kind = if self.within < WITHIN_MAX { self.choose(7) } else { 0 };
            let part = match kind {
                4 => {
                    let on = conditions(ty)[self.choose(conditions(ty).len())];
                    let directive = self.directive();
                    format!("... on {on} {directive} {}", self.within(on, depth))
                }
                5 if !["Uni", "NodeI"].contains(&ty) => {
                    let directive = self.directive();
                    format!("... {directive} {}", self.within(ty, depth))
                }
                6 => self.spread(ty, depth),
                _ => self.field(ty, depth),
            };
            if ty == "Query" {
                self.bytes = others;
            }
            text.push_str(&part);
            text.push(' ');
        }
        text + "}"
    }

    /// What a fragment selects.
    fn within(&mut self, ty: &'static str, depth: usize) -> String {
        self.within += 1;
        let text = self.set(ty, depth);
        self.within -= 1;
        text
    }

    fn spread(&mut self, ty: &'static str, depth: usize) -> String {
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
        let body = self.within(on, depth.min(1));
        self.fragments.push((on, body));
        format!("...F{} {directive}", self.fragments.len() - 1)
    }
}

/// The document that these bytes stand for.
pub(crate) fn document(bytes: &[u8]) -> String {
    let mut builder = Builder {
        bytes,
        fragments: Vec::new(),
        variables: [false; VARIABLES.len()],
        within: 0,
        repeats: false,
        heads: HashMap::new(),
        keys: 0,
        alias: None,
    };
    builder.repeats = builder.choose(2) == 0;
    let body = builder.set("Query", 6);
    let mut text = "query".to_owned();
    let used: Vec<_> = (0..VARIABLES.len()).filter(|index| builder.variables[*index]).collect();
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

/// What is sent with any of them.
pub(crate) fn variables(n: i32) -> Value {
    json!({ "yes": true, "no": false, "n": n })
}

/// Documents with their variables.
pub(crate) fn requests() -> impl Strategy<Value = (String, Value)> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..400);
    (bytes, 0..4).prop_map(|(bytes, n)| (document(&bytes), variables(n)))
}
