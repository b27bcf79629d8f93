//! Documents that were read and validated before: for each text the parsed document, nothing of who sent it or with
//! what values.
//!
//! Invariants: only text that passed strict validation is kept, as one query and nothing else, so that mutations and
//! subscriptions are always validated; no text is kept that has a value of its own in it (a string), since that may be
//! somebody's, and differs from caller to caller: values belong into variables; entries, texts and each text are bounded;
//! what is not used longest goes first.
//! Whether a caller may send free documents, introspect or pay is asked of every request anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_graphql::Variables;
use async_graphql_parser::Positioned;
use async_graphql_parser::types::{
    BaseType, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, Type,
    VariableDefinition,
};
use async_graphql_value::{ConstValue, Value};

/// Bounds on what is kept of documents.
#[derive(Clone, Debug)]
pub struct DocumentLimits {
    /// Most documents.
    pub entries: usize,
    /// Most bytes of text of all of them together. A parsed document takes ten times its text, and one made of the
    /// shortest fields there are a hundred times.
    pub bytes: usize,
    /// Longest text that is kept, in bytes.
    pub document_bytes: usize,
}

impl Default for DocumentLimits {
    fn default() -> Self {
        Self { entries: 1_000, bytes: 512 * 1024, document_bytes: 8 * 1024 }
    }
}

/// What of a document is the same for whoever sends it.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) parsed: ExecutableDocument,
    /// `sha256:` and the hash of the text, in hex.
    pub(crate) hash: String,
}

struct Entry {
    document: Arc<Document>,
    used_at: u64,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    bytes: usize,
    /// Counts uses, to tell which entry was not used longest.
    now: u64,
}

/// The documents kept.
pub(crate) struct Documents {
    state: Mutex<State>,
    limits: DocumentLimits,
}

impl Documents {
    pub(crate) fn new(limits: DocumentLimits) -> Self {
        Self { state: Mutex::default(), limits }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code under this lock panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, text: &str) -> Option<Arc<Document>> {
        // None so long is kept, and hashing it would hold up everybody.
        if text.len() > self.limits.document_bytes {
            return None;
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let entry = state.entries.get_mut(text)?;
        state.now += 1;
        entry.used_at = state.now;
        Some(Arc::clone(&entry.document))
    }

    /// Whether a document may be kept once it was validated with these variables.
    pub(crate) fn fits(&self, text: &str, document: &ExecutableDocument, variables: &Variables) -> bool {
        let mut operations = document.operations.iter();
        let (Some((_, operation)), None) = (operations.next(), operations.next()) else { return false };
        text.len() <= self.limits.document_bytes.min(self.limits.bytes)
            && self.limits.entries > 0
            && operation.node.ty == OperationType::Query
            && !has_text(document, &operation.node)
            && is_wholly_validated(document, &operation.node, variables)
    }

    /// Keeps a document that [`Self::fits`] and has passed strict validation.
    pub(crate) fn keep(&self, text: Arc<str>, document: Arc<Document>) {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.entries.contains_key(&text) {
            return;
        }
        while state.entries.len() >= self.limits.entries || state.bytes + text.len() > self.limits.bytes {
            let oldest = state.entries.iter().min_by_key(|(_, entry)| entry.used_at);
            let Some(oldest) = oldest.map(|(text, _)| Arc::clone(text)) else { return };
            state.entries.remove(&oldest);
            state.bytes -= oldest.len();
        }
        state.now += 1;
        state.bytes += text.len();
        state.entries.insert(text, Entry { document, used_at: state.now });
    }
}

/// Whether a string stands anywhere in a document.
fn has_text(document: &ExecutableDocument, operation: &OperationDefinition) -> bool {
    let says_text = |definition: &Positioned<VariableDefinition>| {
        let default = definition.node.default_value.as_ref();
        // Validation does not look at the directives of a definition.
        !definition.node.directives.is_empty()
            || default.is_some_and(|default| is_text(&default.node.clone().into_value()))
    };
    operation.variable_definitions.iter().any(says_text)
        || operation.directives.iter().any(|directive| has_text_argument(&directive.node.arguments))
        || operation.selection_set.node.items.iter().any(selects_text)
        || document.fragments.values().any(|fragment| {
            fragment.node.directives.iter().any(|directive| has_text_argument(&directive.node.arguments))
                || fragment.node.selection_set.node.items.iter().any(selects_text)
        })
}

/// The same of a selection. Spreads are not followed: fragments are looked at by themselves.
fn selects_text(selection: &Positioned<Selection>) -> bool {
    if selection.node.directives().iter().any(|directive| has_text_argument(&directive.node.arguments)) {
        return true;
    }
    let set = match &selection.node {
        Selection::Field(field) => {
            if has_text_argument(&field.node.arguments) {
                return true;
            }
            &field.node.selection_set
        }
        Selection::InlineFragment(inline) => &inline.node.selection_set,
        Selection::FragmentSpread(_) => return false,
    };
    set.node.items.iter().any(selects_text)
}

fn has_text_argument<N>(arguments: &[(N, Positioned<Value>)]) -> bool {
    arguments.iter().any(|(_, value)| is_text(&value.node))
}

fn is_text(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Binary(_) => true,
        Value::List(items) => items.iter().any(is_text),
        Value::Object(members) => members.values().any(is_text),
        Value::Variable(_) | Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Enum(_) => false,
    }
}

/// Whether strict validation has looked at all there is. It passes over an argument whose value holds a variable that
/// was not sent, and with it over what else stands in that value.
fn is_wholly_validated(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> bool {
    let are_all_sent = operation
        .variable_definitions
        .iter()
        .all(|definition| variables.contains_key(&definition.node.name.node));
    let has_compound = |set: &SelectionSet| set.items.iter().any(has_compound_variable);
    are_all_sent
        || !(has_compound(&operation.selection_set.node)
            || document.fragments.values().any(|fragment| has_compound(&fragment.node.selection_set.node)))
}

/// Whether below a selection a variable stands inside a list or object. Spreads are not followed.
fn has_compound_variable(selection: &Positioned<Selection>) -> bool {
    let mut arguments = selection.node.directives().iter().flat_map(|directive| &directive.node.arguments);
    if arguments.any(|(_, value)| is_compound_variable(&value.node)) {
        return true;
    }
    let set = match &selection.node {
        Selection::Field(field) => {
            if field.node.arguments.iter().any(|(_, value)| is_compound_variable(&value.node)) {
                return true;
            }
            &field.node.selection_set
        }
        Selection::InlineFragment(inline) => &inline.node.selection_set,
        Selection::FragmentSpread(_) => return false,
    };
    set.node.items.iter().any(has_compound_variable)
}

fn is_compound_variable(value: &Value) -> bool {
    fn holds(value: &Value) -> bool {
        match value {
            Value::Variable(_) => true,
            Value::List(items) => items.iter().any(holds),
            Value::Object(members) => members.values().any(holds),
            Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Binary(_)
            | Value::Enum(_) => false,
        }
    }
    !matches!(value, Value::Variable(_)) && holds(value)
}

/// Whether strict validation is sure to accept these values for a document it has accepted before. Where that would
/// take the schema to know, the answer is no.
pub(crate) fn conform(operation: &OperationDefinition, variables: &Variables) -> bool {
    operation.variable_definitions.iter().all(|Positioned { node: definition, .. }| {
        variables.get(&definition.name.node).is_none_or(|value| is_of(value, &definition.var_type.node))
    })
}

fn is_of(value: &ConstValue, ty: &Type) -> bool {
    match (&ty.base, value) {
        (BaseType::List(item), ConstValue::List(items)) => items.iter().all(|value| is_of(value, item)),
        (BaseType::Named(name), ConstValue::Number(number)) => name == "Int" && number.is_i64(),
        (BaseType::Named(name), ConstValue::String(_)) => name == "String" || name == "ID",
        (BaseType::Named(name), ConstValue::Boolean(_)) => name == "Boolean",
        // Null may be more than the position allows; the rest is the schema's to judge.
        (BaseType::List(_) | BaseType::Named(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql_parser::parse_query;
    use serde_json::json;

    use super::*;

    fn documents(entries: usize, bytes: usize) -> Documents {
        Documents::new(DocumentLimits { entries, bytes, document_bytes: 100 })
    }

    fn keep(documents: &Documents, text: &str) {
        let document = Document { parsed: parse_query(text).unwrap(), hash: text.to_owned() };
        documents.keep(text.into(), Arc::new(document));
    }

    #[test]
    fn what_is_not_used_longest_goes_first() {
        let documents = documents(2, 1_000);
        keep(&documents, "{ a }");
        keep(&documents, "{ b }");
        assert_eq!(documents.get("{ a }").map(|found| found.hash.clone()), Some("{ a }".to_owned()));
        keep(&documents, "{ c }");
        assert!(documents.get("{ b }").is_none());
        assert!(documents.get("{ a }").is_some() && documents.get("{ c }").is_some());
    }

    #[test]
    fn entries_and_bytes_are_bounded_whatever_is_sent() {
        let documents = documents(10, 64);
        for n in 0..1_000 {
            keep(&documents, &format!("{{ f{n} }}"));
            let state = documents.state();
            let bytes: usize = state.entries.keys().map(|text| text.len()).sum();
            assert!(state.entries.len() <= 10 && bytes <= 64);
            assert_eq!(state.bytes, bytes);
        }
        assert!(documents.get("{ f999 }").is_some());
    }

    #[test]
    fn only_one_short_query_is_kept() {
        let check = |text: &str, variables: serde_json::Value, expected: bool| {
            let variables = Variables::from_json(variables);
            let fits = documents(1, 1_000).fits(text, &parse_query(text).unwrap(), &variables);
            assert_eq!(fits, expected, "{text}");
        };
        check("{ a }", json!({}), true);
        check("query Q { a }", json!({}), true);
        check("mutation { a }", json!({}), false);
        check("subscription { a }", json!({}), false);
        check("query A { a } query B { b }", json!({}), false);
        check(&format!("{{ {} }}", "a ".repeat(60)), json!({}), false);
        check("{ a(b: \"x\") }", json!({}), false);
        check("{ a(b: [{ c: \"x\" }]) }", json!({}), false);
        check("{ a @d(b: \"x\") }", json!({}), false);
        check("query @d(b: \"x\") { a }", json!({}), false);
        check("query($v: String = \"x\") { a(b: $v) }", json!({}), false);
        check("{ ...F } fragment F on Q { a { ... { b(c: \"\") } } }", json!({}), false);
        check("{ a(b: 1, c: [true, null, E], d: { e: 1.5 }) }", json!({}), true);
        check("query($v: Int) { a(b: $v) }", json!({}), true);
        check("query($v: Int) { a(b: [$v]) }", json!({}), false);
        check("query($v: Int) { a(b: [$v]) }", json!({ "v": 1 }), true);
        check("query($v: Int) { a { ... { b(c: { d: [$v] }) } } }", json!({}), false);
        check("query($v: Int) { ...F } fragment F on Q { b(c: { d: $v }) }", json!({}), false);
        check("query($v: Int) { a(b: $v) @x(y: [$v]) }", json!({}), false);
    }

    #[test]
    fn values_conform_when_that_is_certain() {
        let check = |ty: &str, value: serde_json::Value, expected: bool| {
            let document = parse_query(format!("query($v: {ty}) {{ a }}")).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            let variables = Variables::from_json(json!({ "v": value }));
            assert_eq!(conform(&operation.node, &variables), expected, "{ty} {value}");
        };
        check("Int!", json!(1), true);
        check("Int", json!(1.5), false);
        check("Int", json!("1"), false);
        check("Int", json!(null), false);
        check("Int = 1", json!(null), false);
        check("Float", json!(1.5), false);
        check("String", json!("x"), true);
        check("String", json!(1), false);
        check("ID", json!("x"), true);
        check("ID", json!(1), false);
        check("Boolean!", json!(true), true);
        check("[Int!]!", json!([1, 2]), true);
        check("[Int!]!", json!([1, null]), false);
        check("[Int!]!", json!(1), false);
        check("[[ID]]", json!([["a"], []]), true);
        check("Role", json!("OWNER"), false);
        check("Filter", json!({}), false);
        let document = parse_query("query($v: Int!) { a }").unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        assert!(conform(&operation.node, &Variables::from_json(json!({ "other": {} }))));
    }
}
