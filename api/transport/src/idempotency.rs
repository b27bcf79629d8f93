//! `@idempotent(key:)` and the `Idempotency-Key` header, as resolvers see them.
//!
//! Absent on purpose: storing keys and answers. That has to happen in the transaction of the effect, so it is the
//! product's.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::{Context, Error, ErrorExtensions};
use async_graphql_parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql_value::{ConstValue, Name};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::ErrorCode;
use crate::pricing::type_map::{InputValue, TypeMap};
use crate::record::OperationKind;

/// Longest key, in bytes.
const KEY_MAX_BYTES: usize = 255;

pub use directive::idempotent;

mod directive {
    #![expect(
        missing_docs,
        unreachable_pub,
        reason = "the macro adds a type without documentation of its own"
    )]

    use async_graphql::{CustomDirective, Directive};

    struct NoEffect;

    impl CustomDirective for NoEffect {}

    /// Marks a mutation as safe to send again: the same key and arguments get the first answer.
    #[Directive(location = "Field")]
    pub fn idempotent(
        #[graphql(
            desc = "Chosen by the client, unique per intended effect: 1 to 255 visible ASCII characters."
        )]
        key: String,
    ) -> impl CustomDirective {
        drop(key);
        NoEffect
    }
}

/// Whether `set` or a fragment it spreads holds the directive. Outside mutations it has no effect but to keep fields from
/// being asked for together.
pub(crate) fn is_used(document: &ExecutableDocument, set: &SelectionSet) -> bool {
    fn search<'a>(
        document: &'a ExecutableDocument,
        set: &'a SelectionSet,
        seen: &mut HashSet<&'a str>,
    ) -> bool {
        set.items.iter().any(|selection| {
            let mut directives = selection.node.directives().iter();
            if directives.any(|directive| directive.node.name.node == "idempotent") {
                return true;
            }
            match &selection.node {
                Selection::Field(field) => search(document, &field.node.selection_set.node, seen),
                Selection::InlineFragment(inline) => search(document, &inline.node.selection_set.node, seen),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = document.fragments.get(name).filter(|_| seen.insert(name.as_str()));
                    fragment.is_some_and(|fragment| search(document, &fragment.node.selection_set.node, seen))
                }
            }
        })
    }
    search(document, set, &mut HashSet::new())
}

/// What the transport attaches to every request, for the functions of this module.
pub(crate) struct RequestFacts {
    pub(crate) answer_id: Uuid,
    pub(crate) types: Arc<TypeMap>,
    /// `Idempotency-Key`, when the operation is a mutation with exactly one root field.
    pub(crate) header_key: Option<String>,
    pub(crate) is_replay: Arc<AtomicBool>,
}

/// A key and what it was used with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's key: 1 to 255 visible ASCII characters.
    pub key: String,
    /// Name of the mutation field.
    pub field: String,
    /// SHA-256 of the field's name and arguments, with variables and defaults filled in. Equal for a literal and a
    /// variable of the same value, and for any order of the members of input objects.
    pub arguments_hash: [u8; 32],
}

/// The idempotency key of the mutation field being resolved; `None` when the client gave none.
///
/// # Errors
/// `BAD_USER_INPUT` when the key is empty, too long or not visible ASCII, or when directive and header differ.
pub fn idempotency_key(ctx: &Context<'_>) -> Result<Option<IdempotencyKey>, Error> {
    let facts = ctx.data_opt::<RequestFacts>();
    let header = facts.and_then(|facts| facts.header_key.as_deref());
    let directive = key_of_directive(ctx)?;
    let key = match (directive, header) {
        (Some(key), Some(header)) if key != header => {
            return Err(refused("`@idempotent` and `Idempotency-Key` hold different keys"));
        }
        (Some(key), _) => key,
        (None, Some(header)) => header.to_owned(),
        (None, None) => return Ok(None),
    };
    if key.is_empty() || key.len() > KEY_MAX_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused("an idempotency key has 1 to 255 visible ASCII characters"));
    }
    let field = ctx.field();
    let arguments = field.arguments().map_err(|error| refused(error.message))?;
    let types = facts.map(|facts| facts.types.as_ref());
    let arguments_hash = hash(types, field.name(), arguments);
    Ok(Some(IdempotencyKey { key, field: field.name().to_owned(), arguments_hash }))
}

/// Sets `extensions.idempotentReplay: true` on the answer: the effect had happened before.
pub fn mark_replay(ctx: &Context<'_>) {
    if let Some(facts) = ctx.data_opt::<RequestFacts>() {
        facts.is_replay.store(true, Ordering::Relaxed);
    }
}

/// The ID of the answer being made; `None` when the schema is executed without the transport.
pub fn answer_id(ctx: &Context<'_>) -> Option<Uuid> {
    ctx.data_opt::<RequestFacts>().map(|facts| facts.answer_id)
}

fn key_of_directive(ctx: &Context<'_>) -> Result<Option<String>, Error> {
    let directives = ctx.field().directives().map_err(|error| refused(error.message))?;
    let found = directives.iter().find(|directive| directive.name.node == "idempotent");
    let Some(argument) = found.and_then(|directive| directive.get_argument("key")) else { return Ok(None) };
    if let ConstValue::String(key) = &argument.node {
        Ok(Some(key.clone()))
    } else {
        Err(refused("the key of `@idempotent` must be a string"))
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", ErrorCode::BadUserInput.as_str());
    })
}

fn hash(types: Option<&TypeMap>, field: &str, arguments: Vec<(Name, ConstValue)>) -> [u8; 32] {
    let root = types.and_then(|types| Some((types, types.root(OperationKind::Mutation)?)));
    let declared = root.and_then(|(types, root)| types.get(root).fields.get(field));
    let mut members: async_graphql::indexmap::IndexMap<_, _> = arguments.into_iter().collect();
    if let (Some(types), Some(declared)) = (types, declared) {
        fill_defaults(types, &declared.arguments, &mut members);
    }
    let mut hasher = Sha256::new();
    feed_text(&mut hasher, b'f', field);
    feed(&mut hasher, &ConstValue::Object(members));
    hasher.finalize().into()
}

/// Puts in the defaults of arguments and of input fields, as the library will.
fn fill_defaults(
    types: &TypeMap,
    declared: &[InputValue],
    members: &mut async_graphql::indexmap::IndexMap<Name, ConstValue>,
) {
    for input in declared {
        if let (None, Some(default)) = (members.get(&input.name), &input.default) {
            members.insert(input.name.clone(), default.clone());
        }
        if let (Some(value), Some(fields)) = (members.get_mut(&input.name), types.input(&input.ty)) {
            fill_value(types, fields, value);
        }
    }
}

fn fill_value(types: &TypeMap, fields: &[InputValue], value: &mut ConstValue) {
    if let ConstValue::Object(members) = value {
        fill_defaults(types, fields, members);
    } else if let ConstValue::List(items) = value {
        for item in items {
            fill_value(types, fields, item);
        }
    }
}

/// Feeds a value so that no two different values give the same bytes: each starts with its kind and length.
fn feed(hasher: &mut Sha256, value: &ConstValue) {
    match value {
        ConstValue::Null => hasher.update(b"n"),
        ConstValue::Boolean(value) => hasher.update(if *value { b"t" } else { b"u" }),
        ConstValue::Number(number) => feed_text(hasher, b'd', &number.to_string()),
        // A variable brings an enum value as a string.
        ConstValue::String(text) => feed_text(hasher, b's', text),
        ConstValue::Enum(name) => feed_text(hasher, b's', name),
        ConstValue::Binary(data) => {
            feed_len(hasher, b'b', data.len());
            hasher.update(data);
        }
        ConstValue::List(items) => {
            feed_len(hasher, b'l', items.len());
            for item in items {
                feed(hasher, item);
            }
        }
        ConstValue::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            feed_len(hasher, b'o', members.len());
            for (name, value) in members {
                feed_text(hasher, b'k', name);
                feed(hasher, value);
            }
        }
    }
}

fn feed_text(hasher: &mut Sha256, kind: u8, text: &str) {
    feed_len(hasher, kind, text.len());
    hasher.update(text.as_bytes());
}

fn feed_len(hasher: &mut Sha256, kind: u8, len: usize) {
    hasher.update([kind]);
    hasher.update(len.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    const SDL: &str = "
        enum Visibility { PUBLIC PRIVATE }
        input PostInput { title: String! visibility: Visibility = PUBLIC, tags: [TagInput!] }
        input TagInput { name: String!, weight: Int = 1 }
        type Query { a: Int }
        type Mutation { createPost(input: PostInput!, dry: Boolean = false): Int }
    ";

    fn hash_of(arguments: ConstValue) -> [u8; 32] {
        let types = TypeMap::parse(SDL).unwrap();
        let ConstValue::Object(members) = arguments else { panic!("an object") };
        hash(Some(&types), "createPost", members.into_iter().collect())
    }

    #[test]
    fn spelled_out_defaults_order_and_enum_spelling_do_not_matter() {
        let short = hash_of(value!({ "input": { "title": "a", "tags": [{ "name": "x" }] } }));
        let long = hash_of(value!({
            "dry": false,
            "input": { "tags": [{ "weight": 1, "name": "x" }], "visibility": "PUBLIC", "title": "a" }
        }));
        assert_eq!(short, long);
    }

    #[test]
    fn other_arguments_hash_otherwise() {
        let base = value!({ "input": { "title": "a" } });
        for other in [
            value!({ "input": { "title": "b" } }),
            value!({ "input": { "title": "a", "visibility": "PRIVATE" } }),
            value!({ "input": { "title": "a" }, "dry": true }),
            value!({ "input": { "title": "a", "tags": [] } }),
        ] {
            assert_ne!(hash_of(base.clone()), hash_of(other));
        }
        // Neighbouring texts cannot run into one another.
        let two = |a: &str, b: &str| hash(None, "f", vec![(Name::new("x"), value!([a, b]))]);
        assert_ne!(two("ab", "c"), two("a", "bc"));
    }
}
