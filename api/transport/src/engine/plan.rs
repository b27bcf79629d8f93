//! From parameters to an admitted request: the limits in their order, then cost, then the bucket.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_graphql::{Executor, Request, ServerError, Variables};
use async_graphql_parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql_parser::{Positioned, parse_query};
use async_graphql_value::ConstValue;
use output::Ledger;
use sha2::{Digest, Sha256};

use crate::engine::documents::{Document, conform};
use crate::engine::{Arrival, Engine};
use crate::error::{ErrorCode, Failure, Fault};
use crate::host::{Admission, Ask, Host};
use crate::idempotency::{self, RequestFacts};
use crate::limits::lexer::{self, TextBreach};
use crate::limits::survey::{self, Breach};
use crate::limits::{Limits, NESTING_MAX};
use crate::params::Params;
use crate::pricing::actual::Shape;
use crate::pricing::requested::price;
use crate::record::{DocumentUse, OperationInfo, OperationKind, Transport};

/// A request that may run.
pub(crate) struct Ready {
    pub(crate) request: Request,
    pub(crate) info: Arc<OperationInfo>,
    pub(crate) admission: Admission,
    pub(crate) shape: Shape,
    pub(crate) is_replay: Arc<AtomicBool>,
    pub(crate) document: DocumentUse,
    /// What to keep once the document has passed strict validation.
    pub(crate) to_keep: Option<(Arc<str>, Arc<Document>)>,
    /// What was written out; nothing of a mutation.
    pub(crate) ledger: Arc<Ledger>,
}

/// A request that may not, and what was known of it by then.
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    pub(crate) info: Option<Arc<OperationInfo>>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, info: None }
    }
}

/// A root field as far as planning needs it.
struct RootFields {
    /// Names, without repetition.
    names: Vec<String>,
    /// How many response keys they make.
    keys: usize,
}

/// The operation that is going to run.
struct Chosen<'a> {
    operation: &'a OperationDefinition,
    variables: &'a Variables,
    root_keys: usize,
}

impl<E: Executor, H: Host> Engine<E, H> {
    /// Checks, prices and charges a request.
    pub(crate) async fn plan(
        &self,
        caller: Option<&H::Caller>,
        params: Params,
        arrival: &Arrival,
    ) -> Result<Ready, Box<Refused>> {
        let boxed = |failure: Failure| Box::new(Refused::from(failure));
        let (source, is_trusted) = self.source(caller, &params).map_err(boxed)?;
        let limits = &self.config().limits;
        let (document, is_known) = self.read(&source).map_err(boxed)?;
        measure(&document.parsed, &params.variables, limits).map_err(boxed)?;
        let parsed = &document.parsed;
        let operation = choose(parsed, params.operation_name.as_deref()).map_err(boxed)?;
        let params = Params { variables: with_defaults(operation, params.variables), ..params };
        let roots = root_fields(parsed, &operation.selection_set.node);
        let mut info = OperationInfo {
            answer_id: arrival.answer_id,
            transport: arrival.transport,
            kind: operation.ty.into(),
            name: operation_name(parsed, params.operation_name.as_deref()),
            root_fields: roots.names,
            document_hash: document.hash.clone(),
            is_trusted,
            requested_cost: 0,
        };
        let chosen = Chosen { operation, variables: &params.variables, root_keys: roots.keys };
        let refused = |failure: Failure, info: &OperationInfo| {
            Box::new(Refused { failure, info: Some(Arc::new(info.clone())) })
        };
        self.check_operation(caller, parsed, &chosen, &info, arrival)
            .map_err(|failure| refused(failure, &info))?;

        info.requested_cost = price(&self.0.types, parsed, operation, &params.variables);
        if info.requested_cost > limits.cost {
            return Err(refused(too_dear(info.requested_cost, limits.cost), &info));
        }
        let ask =
            Ask { requested_cost: info.requested_cost, kind: info.kind, root_fields: &info.root_fields };
        let admission = self
            .host()
            .admit(caller, &ask)
            .await
            .map_err(|refusal| refused(Failure::from(refusal), &info))?;

        let shape = Shape::of(&self.0.types, parsed, operation, &params.variables);
        let use_of_document = match is_known {
            true if conform(operation, &params.variables) => DocumentUse::Known,
            true => DocumentUse::Rechecked,
            false => DocumentUse::New,
        };
        let is_to_keep = !is_known && self.0.documents.fits(&source, parsed, &params.variables);
        let is_single_mutation = info.kind == OperationKind::Mutation && roots.keys == 1;
        let is_replay = Arc::new(AtomicBool::new(false));
        let facts = RequestFacts {
            answer_id: arrival.answer_id,
            types: Arc::clone(&self.0.types),
            header_key: arrival.idempotency_key.clone().filter(|_| is_single_mutation),
            is_replay: Arc::clone(&is_replay),
        };
        let info = Arc::new(info);
        let ledger = Arc::new(Ledger::default());
        let mut request = Request::new(source.as_ref()).variables(params.variables).data(facts);
        // A mutation's answer may be kept and given again, as values.
        if info.kind != OperationKind::Mutation {
            request = request.data(Arc::clone(&ledger));
        }
        if let Some(name) = params.operation_name {
            request = request.operation_name(name);
        }
        request.set_parsed_query(document.parsed.clone());
        if !self.host().allow_introspection(caller) {
            request = request.disable_introspection();
        }
        let request = self.host().prepare(request, caller, &info);
        Ok(Ready {
            request,
            info,
            admission,
            shape,
            is_replay,
            document: use_of_document,
            to_keep: is_to_keep.then_some((source, document)),
            ledger,
        })
    }

    /// The document behind a text, and whether it was kept from before.
    fn read(&self, source: &str) -> Result<(Arc<Document>, bool), Failure> {
        if let Some(document) = self.0.documents.get(source) {
            return Ok((document, true));
        }
        let parsed = parse(source, &self.config().limits)?;
        Ok((Arc::new(Document { parsed, hash: document_hash(source) }), false))
    }

    /// The document's text, and whether it is a trusted one.
    fn source(&self, caller: Option<&H::Caller>, params: &Params) -> Result<(Arc<str>, bool), Failure> {
        if !self.host().can_record() {
            return Err(Failure::new(ErrorCode::Unavailable, "requests cannot be recorded just now"));
        }
        match (&params.document_id, &params.query) {
            (Some(id), _) => {
                self.host().trusted_document(id).map(|source| (source, true)).ok_or_else(|| {
                    Failure::new(ErrorCode::PersistedQueryNotFound, "no such trusted document")
                })
            }
            (None, Some(query)) if self.host().allow_free_documents(caller) => {
                Ok((query.as_str().into(), false))
            }
            (None, Some(_)) => {
                Err(Failure::new(ErrorCode::Forbidden, "only trusted documents: send `documentId`"))
            }
            (None, None) => Err(Failure::malformed("`query` or `documentId` is required")),
        }
    }

    /// Rules on the chosen operation that need no price.
    fn check_operation(
        &self,
        caller: Option<&H::Caller>,
        document: &ExecutableDocument,
        chosen: &Chosen<'_>,
        info: &OperationInfo,
        arrival: &Arrival,
    ) -> Result<(), Failure> {
        let is_introspection = |name: &String| name == "__schema" || name == "__type";
        if arrival.is_get && info.kind != OperationKind::Query {
            let message = format!("a {} needs POST", info.kind.as_str());
            return Err(Failure::at(Fault::MethodNotAllowed, ErrorCode::BadUserInput, message));
        }
        if info.kind == OperationKind::Subscription {
            if arrival.transport == Transport::Http {
                return Err(Failure::malformed(
                    "a subscription needs WebSocket or `Accept: text/event-stream`",
                ));
            }
            if chosen.root_keys != 1 || info.root_fields.iter().any(|name| name.starts_with("__")) {
                let message = "a subscription has exactly one root field";
                return Err(Failure::new(ErrorCode::GraphqlValidationFailed, message));
            }
        }
        if info.root_fields.iter().any(is_introspection) && !self.host().allow_introspection(caller) {
            let message = "introspection is not allowed";
            return Err(Failure::new(ErrorCode::GraphqlValidationFailed, message));
        }
        if arrival.idempotency_key.is_some() && info.kind == OperationKind::Mutation && chosen.root_keys != 1
        {
            let message = "`Idempotency-Key` needs exactly one mutation field; use `@idempotent` on each";
            return Err(Failure::new(ErrorCode::BadUserInput, message));
        }
        if info.kind != OperationKind::Mutation
            && idempotency::is_used(document, &chosen.operation.selection_set.node)
        {
            let message = "`@idempotent` belongs on a mutation's field";
            return Err(Failure::new(ErrorCode::GraphqlValidationFailed, message));
        }
        check_required(chosen.operation, chosen.variables)
    }
}

/// Lexes and parses a document.
fn parse(source: &str, limits: &Limits) -> Result<ExecutableDocument, Failure> {
    let text = lexer::check(source, limits.tokens).map_err(|breach| match breach {
        TextBreach::Tokens => parse_failed(format!("the document has more than {} tokens", limits.tokens)),
        TextBreach::Nesting => parse_failed(format!("the document nests more than {NESTING_MAX} brackets")),
        TextBreach::Strings => {
            parse_failed("the document holds more than 64 KiB of strings; send long texts as variables")
        }
        TextBreach::Word => parse_failed("the document has a name or number of more than 255 characters"),
    })?;
    parse_query(text)
        .map_err(|error| Failure::document(ErrorCode::GraphqlParseFailed, vec![ServerError::from(error)]))
}

/// Measures a document, with the values it is run with.
fn measure(document: &ExecutableDocument, variables: &Variables, limits: &Limits) -> Result<(), Failure> {
    survey::check(document, variables, limits).map_err(|breach| {
        let message = match breach {
            Breach::FragmentCycle(name) => format!("the fragment `{name}` contains itself"),
            Breach::ExpandedSelections(max) => {
                format!("the document has more than {max} selections once its fragments are expanded")
            }
            Breach::Nesting(max) => format!("the document nests more than {max} selection sets"),
            Breach::Depth(max) => format!("the operation is more than {max} fields deep"),
            Breach::Aliases(max) => format!("the operation has more than {max} aliases"),
            Breach::RootFields(max) => format!("the operation has more than {max} root fields"),
            Breach::Directives(max) => format!("a selection has more than {max} directives"),
            Breach::IntrospectionLists(max) => {
                format!("introspection nests {max} or more lists of fields or types")
            }
            Breach::VariablesTooLarge => "the variables are too large for how often they are used".to_owned(),
        };
        Failure::new(ErrorCode::GraphqlValidationFailed, message)
    })
}

fn parse_failed(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::GraphqlParseFailed, message)
}

fn too_dear(requested: u64, max: u64) -> Failure {
    let message = format!("the operation costs {requested} points; one request may cost {max}");
    Failure::new(ErrorCode::CostExceeded, message)
        .with("requestedQueryCost", &requested)
        .with("maximumQueryCost", &max)
}

fn choose<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, Failure> {
    let mut operations = document.operations.iter();
    let chosen = match name {
        Some(name) => operations.find(|(found, _)| found.is_some_and(|found| found == name)),
        None => operations.next().filter(|_| document.operations.iter().count() == 1),
    };
    chosen.map(|(_, operation)| &operation.node).ok_or_else(|| {
        let message = match name {
            Some(_) => "`operationName` names no operation of the document",
            None => "the document has several operations: `operationName` is required",
        };
        Failure::new(ErrorCode::OperationResolutionFailure, message)
    })
}

fn operation_name(document: &ExecutableDocument, asked: Option<&str>) -> Option<String> {
    let own = || document.operations.iter().next().and_then(|(name, _)| name).map(ToString::to_string);
    asked.map(str::to_owned).or_else(own)
}

fn root_fields(document: &ExecutableDocument, set: &SelectionSet) -> RootFields {
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    collect(document, set, &mut |field| {
        let (name, key) = (field.name.node.as_str(), field.response_key().node.as_str());
        if !names.iter().any(|found| found == name) {
            names.push(name.to_owned());
        }
        if !keys.iter().any(|found| found == key) {
            keys.push(key.to_owned());
        }
    });
    RootFields { names, keys: keys.len() }
}

/// Calls `found` for every root field. The limits have bounded how many there are, but not how many empty
/// fragments lie in between; those the expansion bound covers.
fn collect(
    document: &ExecutableDocument,
    set: &SelectionSet,
    found: &mut impl FnMut(&async_graphql_parser::types::Field),
) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => found(&field.node),
            Selection::InlineFragment(inline) => collect(document, &inline.node.selection_set.node, found),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    collect(document, &fragment.node.selection_set.node, found);
                }
            }
        }
    }
}

/// The variables sent and, for those that were not, their defaults: the library leaves them out where it decides on
/// `@skip` and `@include`, and what is priced has to be what is run.
fn with_defaults(operation: &OperationDefinition, mut variables: Variables) -> Variables {
    for Positioned { node: definition, .. } in &operation.variable_definitions {
        if let Some(default) = &definition.default_value {
            variables.entry(definition.name.node.clone()).or_insert_with(|| default.node.clone());
        }
    }
    variables
}

/// The library lets a missing non-null variable through when nothing uses it.
fn check_required(operation: &OperationDefinition, variables: &Variables) -> Result<(), Failure> {
    for Positioned { node: definition, .. } in &operation.variable_definitions {
        let value = variables.get(&definition.name.node);
        let is_missing = match value {
            None => definition.default_value.is_none(),
            Some(value) => *value == ConstValue::Null,
        };
        if is_missing && !definition.var_type.node.nullable {
            let (name, ty) = (&definition.name.node, &definition.var_type.node);
            return Err(Failure::new(
                ErrorCode::BadUserInput,
                format!("`${name}` of type `{ty}` is required"),
            ));
        }
    }
    Ok(())
}

fn document_hash(source: &str) -> String {
    use std::fmt::Write;
    Sha256::digest(source.as_bytes()).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pricing::type_map::TypeMap;

    /// Pieces that make documents, and some that break them.
    const PIECES: [&str; 36] = [
        "{",
        "}",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ":",
        "!",
        "$",
        "@",
        "=",
        "...",
        "...F",
        "... on Query",
        "query Q",
        "mutation",
        "subscription",
        "fragment F on Query",
        "fragment G on Query",
        "...G",
        "hello",
        "posts",
        "nodes",
        "x:",
        "(first: 3)",
        "(first: $v)",
        "($v: Int = 2)",
        "@include(if: $v)",
        "@skip(if: true)",
        "\"text\"",
        "\"\"\"block\"\"\"",
        "# note\n",
        "-1.5e3",
        "__schema",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Nothing a client can write panics on its way to a price.
        #[test]
        fn any_text_is_refused_or_priced(
            pieces in proptest::collection::vec(0_usize..PIECES.len(), 0..60),
            variable in -2_i64..50,
        ) {
            let source: String = pieces.iter().flat_map(|piece| [PIECES[*piece], " "]).collect();
            let types = TypeMap::parse(
                "type Post { id: ID } type PostConnection { nodes: [Post] }
                 type Query { hello: Int posts(first: Int): PostConnection }",
            ).unwrap();
            let variables = Variables::from_json(serde_json::json!({ "v": variable }));
            let read = parse(&source, &Limits::default())
                .and_then(|document| measure(&document, &variables, &Limits::default()).map(|()| document));
            if let Ok(document) = read {
                for (name, _) in document.operations.iter() {
                    let operation = choose(&document, name.map(async_graphql::Name::as_str));
                    if let Ok(operation) = operation {
                        price(&types, &document, operation, &variables);
                        root_fields(&document, &operation.selection_set.node);
                    }
                }
            }
        }
    }

    #[test]
    fn hashes_are_of_the_text_as_sent() {
        assert_eq!(
            document_hash("{ a }"),
            "sha256:1c7e1e347f726166b5b1c55afd61f278cc9b45e00c108ec33d540a566379811b"
        );
    }
}
