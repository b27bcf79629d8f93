//! A memoised walk over a parsed document that measures its expansion without expanding it.
//!
//! Every selection set is walked once; a spread adds the totals of its fragment. So the walk is linear in the
//! text, while the numbers are those of the fully expanded document.

use std::collections::HashMap;

use async_graphql::Variables;
use async_graphql_parser::Positioned;
use async_graphql_parser::types::{
    Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Name, Value};

use crate::limits::{Limits, NESTING_MAX};

/// Most values copied while arguments are checked: the library clones a variable each time it is used.
const COPIED_VALUES_MAX: u64 = 100_000;

/// Most introspection lists inside one another: `types { fields { args } }` is what tools need.
const INTROSPECTION_LISTS_MAX: u32 = 3;

/// Which bound a document breaks; the number is the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    FragmentCycle(String),
    ExpandedSelections(u64),
    Nesting(u32),
    Depth(u32),
    Aliases(u64),
    RootFields(usize),
    Directives(usize),
    IntrospectionLists(u32),
    VariablesTooLarge,
}

/// Totals of one selection set with its fragments expanded.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    selections: u64,
    aliases: u64,
    depth: u32,
    nesting: u32,
    root_fields: usize,
    introspection_lists: u32,
}

impl Totals {
    fn add(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
        self.root_fields = self.root_fields.saturating_add(other.root_fields);
        self.introspection_lists = self.introspection_lists.max(other.introspection_lists);
    }
}

enum Visit {
    Open,
    Done(Totals),
}

struct Survey<'a> {
    limits: &'a Limits,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    visits: HashMap<&'a str, Visit>,
    sizes: HashMap<&'a str, u64>,
    copied: u64,
}

/// Measures all operations and fragments of `document`.
pub(crate) fn check(
    document: &ExecutableDocument,
    variables: &Variables,
    limits: &Limits,
) -> Result<(), Breach> {
    let mut survey = Survey {
        limits,
        fragments: &document.fragments,
        visits: HashMap::with_capacity(document.fragments.len()),
        sizes: variables.iter().map(|(name, value)| (name.as_str(), size(value))).collect(),
        copied: 0,
    };
    let mut selections = 0_u64;
    for (_, operation) in document.operations.iter() {
        let totals = survey.operation(&operation.node)?;
        selections = selections.saturating_add(totals.selections);
    }
    // The library also visits fragments nobody spreads.
    for name in document.fragments.keys() {
        if !survey.visits.contains_key(name.as_str()) {
            selections = selections.saturating_add(survey.fragment(name, 0)?.selections);
        }
    }
    if selections > limits.expanded_selections {
        return Err(Breach::ExpandedSelections(limits.expanded_selections));
    }
    Ok(())
}

impl<'a> Survey<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition) -> Result<Totals, Breach> {
        for definition in &operation.variable_definitions {
            if let Some(default) = &definition.node.default_value {
                let size = size(&default.node);
                let entry = self.sizes.entry(&definition.node.name.node).or_default();
                *entry = (*entry).max(size);
            }
        }
        self.directives(&operation.directives)?;
        let totals = self.set(&operation.selection_set.node, 0)?;
        let limits = self.limits;
        if totals.selections > limits.expanded_selections {
            return Err(Breach::ExpandedSelections(limits.expanded_selections));
        }
        if totals.depth > limits.depth {
            return Err(Breach::Depth(limits.depth));
        }
        if totals.aliases > limits.aliases {
            return Err(Breach::Aliases(limits.aliases));
        }
        if totals.root_fields > limits.root_fields {
            return Err(Breach::RootFields(limits.root_fields));
        }
        Ok(totals)
    }

    fn set(&mut self, set: &'a SelectionSet, level: u32) -> Result<Totals, Breach> {
        if level > NESTING_MAX {
            return Err(Breach::Nesting(NESTING_MAX));
        }
        let mut totals = Totals::default();
        for selection in &set.items {
            self.directives(selection.node.directives())?;
            totals.add(match &selection.node {
                Selection::Field(field) => self.field(&field.node, level)?,
                Selection::InlineFragment(inline) => {
                    let inner = self.set(&inline.node.selection_set.node, level + 1)?;
                    Totals {
                        selections: inner.selections.saturating_add(1),
                        nesting: inner.nesting + 1,
                        ..inner
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let inner = self.fragment(&spread.node.fragment_name.node, level + 1)?;
                    Totals {
                        selections: inner.selections.saturating_add(1),
                        nesting: inner.nesting + 1,
                        ..inner
                    }
                }
            });
        }
        if level + totals.nesting > NESTING_MAX {
            return Err(Breach::Nesting(NESTING_MAX));
        }
        Ok(totals)
    }

    fn field(&mut self, field: &'a Field, level: u32) -> Result<Totals, Breach> {
        for (_, value) in &field.arguments {
            self.copy(&value.node)?;
        }
        let inner = self.set(&field.selection_set.node, level + 1)?;
        let name = field.name.node.as_str();
        let is_introspection = matches!(name, "__schema" | "__type");
        let is_list = matches!(name, "fields" | "interfaces" | "possibleTypes" | "inputFields");
        let introspection_lists = inner.introspection_lists + u32::from(is_list);
        if is_introspection && introspection_lists >= INTROSPECTION_LISTS_MAX {
            return Err(Breach::IntrospectionLists(INTROSPECTION_LISTS_MAX));
        }
        Ok(Totals {
            selections: inner.selections.saturating_add(1),
            aliases: inner.aliases.saturating_add(u64::from(field.alias.is_some())),
            depth: if is_introspection { 1 } else { inner.depth + 1 },
            nesting: if field.selection_set.node.items.is_empty() { 0 } else { inner.nesting + 1 },
            root_fields: 1,
            introspection_lists,
        })
    }

    fn fragment(&mut self, name: &str, level: u32) -> Result<Totals, Breach> {
        if level > NESTING_MAX {
            return Err(Breach::Nesting(NESTING_MAX));
        }
        // An unknown fragment is left to validation.
        let Some((name, fragment)) = self.fragments.get_key_value(name) else { return Ok(Totals::default()) };
        match self.visits.get(name.as_str()) {
            Some(Visit::Open) => return Err(Breach::FragmentCycle(name.to_string())),
            Some(Visit::Done(totals)) => return Ok(*totals),
            None => {}
        }
        self.visits.insert(name, Visit::Open);
        self.directives(&fragment.node.directives)?;
        let totals = self.set(&fragment.node.selection_set.node, level)?;
        self.visits.insert(name, Visit::Done(totals));
        Ok(totals)
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) -> Result<(), Breach> {
        if directives.len() > self.limits.directives {
            return Err(Breach::Directives(self.limits.directives));
        }
        for directive in directives {
            for (_, value) in &directive.node.arguments {
                self.copy(&value.node)?;
            }
        }
        Ok(())
    }

    /// Counts what cloning this argument with its variables filled in would copy.
    fn copy(&mut self, value: &Value) -> Result<(), Breach> {
        if let Value::Variable(name) = value {
            let size = self.sizes.get(name.as_str()).copied().unwrap_or(1);
            self.copied = self.copied.saturating_add(size);
        } else if let Value::List(items) = value {
            for item in items {
                self.copy(item)?;
            }
        } else if let Value::Object(members) = value {
            for member in members.values() {
                self.copy(member)?;
            }
        }
        if self.copied > COPIED_VALUES_MAX { Err(Breach::VariablesTooLarge) } else { Ok(()) }
    }
}

/// Values in a value, long strings counting as more than one.
fn size(value: &ConstValue) -> u64 {
    match value {
        ConstValue::Null | ConstValue::Number(_) | ConstValue::Boolean(_) | ConstValue::Enum(_) => 1,
        ConstValue::String(text) => 1 + bytes(text.len()),
        ConstValue::Binary(data) => 1 + bytes(data.len()),
        ConstValue::List(items) => items.iter().map(size).fold(1, u64::saturating_add),
        ConstValue::Object(members) => members.values().map(size).fold(1, u64::saturating_add),
    }
}

fn bytes(len: usize) -> u64 {
    u64::try_from(len / 256).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use async_graphql_parser::parse_query;
    use proptest::prelude::*;

    use super::*;

    fn run_with(source: &str, variables: serde_json::Value) -> Result<(), Breach> {
        check(&parse_query(source).unwrap(), &Variables::from_json(variables), &Limits::default())
    }

    fn run(source: &str) -> Result<(), Breach> {
        run_with(source, serde_json::json!({}))
    }

    #[test]
    fn fragments_are_expanded_without_being_walked_again() {
        let mut source = "{ ...F0 } fragment F30 on Q { a }".to_owned();
        for i in 0..30 {
            let spreads = format!("...F{} ", i + 1).repeat(30);
            write!(source, " fragment F{i} on Q {{ {spreads} }}").unwrap();
        }
        // 30^30 selections, 900 spreads.
        assert_eq!(run(&source), Err(Breach::ExpandedSelections(10_000)));
    }

    #[test]
    fn cycles_are_found_wherever_they_are() {
        let check = |source: &str| assert!(matches!(run(source), Err(Breach::FragmentCycle(_))), "{source}");
        check("{ ...A } fragment A on Q { ...A }");
        check("{ ...A } fragment A on Q { b { ...B } } fragment B on Q { ... on Q { ...A } }");
        check("{ a } fragment A on Q { ...B } fragment B on Q { ...A }");
    }

    #[test]
    fn unused_fragments_count() {
        let mut source = format!("{{ a }} fragment F on Q {{ {} }}", "a ".repeat(1_000));
        for i in 0..20 {
            write!(source, " fragment G{i} on Q {{ ...F }}").unwrap();
        }
        assert_eq!(run(&source), Err(Breach::ExpandedSelections(10_000)));
    }

    #[test]
    fn each_bound_is_exact() {
        let nested = |n: usize| format!("{}{}", "{a".repeat(n), "}".repeat(n));
        assert_eq!(run(&nested(12)), Ok(()));
        assert_eq!(run(&nested(13)), Err(Breach::Depth(12)));
        let aliases = |n: usize| format!("{{ r {{ {} }} }}", "x: a ".repeat(n));
        assert_eq!(run(&aliases(30)), Ok(()));
        assert_eq!(run(&aliases(31)), Err(Breach::Aliases(30)));
        let roots = |n: usize| format!("{{ ...F }} fragment F on Q {{ {} }}", "a ".repeat(n));
        assert_eq!(run(&roots(20)), Ok(()));
        assert_eq!(run(&roots(21)), Err(Breach::RootFields(20)));
        let directives = |n: usize| format!("{{ a {} }}", "@d ".repeat(n));
        assert_eq!(run(&directives(10)), Ok(()));
        assert_eq!(run(&directives(11)), Err(Breach::Directives(10)));
        let chain = |n: usize| {
            let links = (0..n).map(|i| format!(" fragment F{i} on Q {{ ...F{} }}", i + 1));
            format!("{{ ...F0 }} fragment F{n} on Q {{ a }}{}", links.collect::<String>())
        };
        assert_eq!(run(&chain(30)), Ok(()));
        assert_eq!(run(&chain(40)), Err(Breach::Nesting(32)));
        assert_eq!(run(&chain(600)), Err(Breach::Nesting(32)));
    }

    #[test]
    fn introspection_may_be_deep_but_not_wide() {
        let of_type = format!("{}{}", "ofType { ".repeat(9), "}".repeat(9)).replace("{ }", "{ name }");
        let tools = format!(
            "{{ __schema {{ types {{ fields {{ args {{ type {{ kind {of_type} }} }} }} possibleTypes {{ name }} }} }} }}"
        );
        assert_eq!(run(&tools), Ok(()));
        let wide = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        assert_eq!(run(wide), Err(Breach::IntrospectionLists(3)));
        // Product fields of the same name are none of this rule's business.
        assert_eq!(run("{ form { fields { fields { fields { name } } } } }"), Ok(()));
    }

    #[test]
    fn a_large_variable_cannot_be_used_often() {
        let uses = |n: usize| format!("query($v: [Int!]) {{ r {{ {} }} }}", "a(x: [$v]) ".repeat(n));
        let large = serde_json::json!({ "v": vec![1; 20_000] });
        assert_eq!(run_with(&uses(4), large.clone()), Ok(()));
        assert_eq!(run_with(&uses(5), large), Err(Breach::VariablesTooLarge));
        let text = serde_json::json!({ "v": "x".repeat(250_000) });
        assert_eq!(run_with(&uses(500), text), Err(Breach::VariablesTooLarge));
    }

    fn expand(sets: &[Vec<usize>], index: usize) -> u64 {
        let inner = |target: usize| {
            if target > index && target < sets.len() { expand(sets, target) } else { 0 }
        };
        sets[index].iter().map(|target| 1 + inner(*target)).sum()
    }

    proptest! {
        /// Against a walk that really expands, on random acyclic fragments.
        #[test]
        fn totals_equal_those_of_the_expanded_document(
            sets in proptest::collection::vec(proptest::collection::vec(0_usize..8, 1..4), 1..6),
        ) {
            let body = |index: usize, set: &Vec<usize>| set.iter().map(|target| {
                if *target > index && *target < sets.len() { format!("...F{target} ") } else { "a ".to_owned() }
            }).collect::<String>();
            let mut source = "{ r { ...F0 } }".to_owned();
            for (index, set) in sets.iter().enumerate() {
                write!(source, " fragment F{index} on Q {{ {} }}", body(index, set)).unwrap();
            }
            let document = parse_query(&source).unwrap();
            let limits = Limits::default();
            let mut survey = Survey {
                limits: &limits,
                fragments: &document.fragments,
                visits: HashMap::new(),
                sizes: HashMap::new(),
                copied: 0,
            };
            let (_, operation) = document.operations.iter().next().unwrap();
            let totals = survey.operation(&operation.node).unwrap();
            prop_assert_eq!(totals.selections, 2 + expand(&sets, 0));
        }
    }
}
