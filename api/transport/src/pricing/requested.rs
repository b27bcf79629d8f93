//! Cost of an operation before it runs.

use std::collections::HashMap;

use async_graphql::Variables;
use async_graphql_parser::Positioned;
use async_graphql_parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql_value::{ConstValue, Value};

use crate::pricing::type_map::{CompositeType, FieldDef, TypeId, TypeMap};
use crate::pricing::{CONNECTION, LIST_SIZE, MUTATION, OBJECT, PAGE_SIZE, introspection};
use crate::record::OperationKind;

/// Cost of a selection set. For a connection, what is paid per item is kept apart until the page size is known.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    once: u64,
    per_item: u64,
}

impl Cost {
    fn times(self, size: u64) -> u64 {
        self.once.saturating_add(self.per_item.saturating_mul(size))
    }
}

/// Values an operation is run with.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    operation: &'a OperationDefinition,
    variables: &'a Variables,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(operation: &'a OperationDefinition, variables: &'a Variables) -> Self {
        Self { operation, variables }
    }

    fn variable(&self, name: &str) -> Option<&'a ConstValue> {
        self.variables.get(name).or_else(|| {
            let definitions = &self.operation.variable_definitions;
            let definition = definitions.iter().find(|found| found.node.name.node == name)?;
            definition.node.default_value.as_ref().map(|default| &default.node)
        })
    }

    /// Whether `@skip` or `@include` removes a selection. Anything that is no boolean keeps it.
    pub(crate) fn is_skipped(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let removes_when = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => return false,
            };
            let condition = directive.node.get_argument("if").map(|condition| &condition.node);
            match condition {
                Some(Value::Boolean(value)) => *value == removes_when,
                Some(Value::Variable(name)) => {
                    matches!(self.variable(name), Some(ConstValue::Boolean(value)) if *value == removes_when)
                }
                _ => false,
            }
        })
    }

    /// A count given as an argument: a number, or the length of a list.
    fn count(&self, argument: Option<&Value>, default: Option<&ConstValue>) -> Option<u64> {
        let of_const = |value: &ConstValue| match value {
            ConstValue::Number(number) => Some(number.as_u64().unwrap_or(0)),
            ConstValue::List(items) => u64::try_from(items.len()).ok(),
            ConstValue::Null
            | ConstValue::String(_)
            | ConstValue::Boolean(_)
            | ConstValue::Binary(_)
            | ConstValue::Enum(_)
            | ConstValue::Object(_) => None,
        };
        match argument {
            Some(Value::Variable(name)) => self.variable(name).or(default).and_then(of_const),
            Some(Value::Number(number)) => Some(number.as_u64().unwrap_or(0)),
            Some(Value::List(items)) => u64::try_from(items.len()).ok(),
            Some(_) => None,
            None => default.and_then(of_const),
        }
    }

    /// How many items a field will return at most.
    fn page_size(&self, field: &Field, def: &FieldDef, is_connection: bool) -> u64 {
        let names: &[&str] = if is_connection { &["first", "last"] } else { &["first", "last", "ids"] };
        let given = names.iter().filter_map(|name| {
            let def = def.arguments.iter().find(|argument| argument.name == *name)?;
            let argument = field.get_argument(name).map(|value| &value.node);
            self.count(argument, def.default.as_ref())
        });
        let fallback = if is_connection { PAGE_SIZE } else { LIST_SIZE };
        given.max().or(def.assumed_size).unwrap_or(fallback)
    }
}

struct Pricing<'a> {
    types: &'a TypeMap,
    document: &'a ExecutableDocument,
    inputs: Inputs<'a>,
    is_mutation: bool,
    /// By address of the selection set and type: fragments are priced once per type, not once per spread.
    known: HashMap<(*const SelectionSet, TypeId), Cost>,
}

/// The cost of `operation`, which must have passed the limits on documents. Fields unknown to the schema cost
/// nothing: validation refuses them next.
pub(crate) fn price(
    types: &TypeMap,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> u64 {
    let kind = OperationKind::from(operation.ty);
    let Some(root) = types.root(kind) else { return 0 };
    let mut pricing = Pricing {
        types,
        document,
        inputs: Inputs::new(operation, variables),
        is_mutation: kind == OperationKind::Mutation,
        known: HashMap::new(),
    };
    pricing.of_set(&operation.selection_set.node, root).once
}

impl<'a> Pricing<'a> {
    /// The dearest of the types `on` can be.
    fn of_set(&mut self, set: &'a SelectionSet, on: TypeId) -> Cost {
        let types = self.types;
        let mut dearest = Cost::default();
        for object in &types.get(on).possible {
            let cost = self.of_object(set, *object);
            dearest.once = dearest.once.max(cost.once);
            dearest.per_item = dearest.per_item.max(cost.per_item);
        }
        dearest
    }

    fn of_object(&mut self, set: &'a SelectionSet, object: TypeId) -> Cost {
        let key = (std::ptr::from_ref(set), object);
        if let Some(cost) = self.known.get(&key) {
            return *cost;
        }
        let (types, document) = (self.types, self.document);
        let mut total = Cost::default();
        for selection in &set.items {
            if self.inputs.is_skipped(selection.node.directives()) {
                continue;
            }
            let cost = match &selection.node {
                Selection::Field(field) => self.of_field(&field.node, object),
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let fits = condition.is_none_or(|condition| types.fits(object, &condition.node.on.node));
                    if fits {
                        self.of_object(&inline.node.selection_set.node, object)
                    } else {
                        Cost::default()
                    }
                }
                Selection::FragmentSpread(spread) => {
                    match document.fragments.get(&spread.node.fragment_name.node) {
                        Some(fragment) if types.fits(object, &fragment.node.type_condition.node.on.node) => {
                            self.of_object(&fragment.node.selection_set.node, object)
                        }
                        _ => Cost::default(),
                    }
                }
            };
            total.once = total.once.saturating_add(cost.once);
            total.per_item = total.per_item.saturating_add(cost.per_item);
        }
        self.known.insert(key, total);
        total
    }

    fn of_field(&mut self, field: &'a Field, parent: TypeId) -> Cost {
        let types = self.types;
        let parent_type = types.get(parent);
        let name = field.name.node.as_str();
        let Some(def) = parent_type.fields.get(name) else {
            return Cost { once: introspection(name), per_item: 0 };
        };
        let Some(composite) = def.composite else {
            return Cost { once: def.weight.unwrap_or(0), per_item: 0 };
        };
        let below = self.of_set(&field.selection_set.node, composite);
        let is_mutation = self.is_mutation && types.root(OperationKind::Mutation) == Some(parent);
        let own = own_cost(types, parent_type, name, def, is_mutation);
        if items_of_connection(parent_type, name) {
            return Cost { once: 0, per_item: own.saturating_add(below.once) };
        }
        let target = types.get(composite);
        let once = if target.is_connection {
            own.saturating_add(below.times(self.inputs.page_size(field, def, true)))
        } else if def.is_list {
            own.saturating_add(below.once).saturating_mul(self.inputs.page_size(field, def, false))
        } else {
            own.saturating_add(below.once)
        };
        Cost { once, per_item: 0 }
    }
}

fn items_of_connection(parent: &CompositeType, name: &str) -> bool {
    parent.is_connection && matches!(name, "edges" | "nodes")
}

/// What a composite field costs besides its selection, per object. Edges and page information are part of their
/// connection.
pub(crate) fn own_cost(
    types: &TypeMap,
    parent: &CompositeType,
    name: &str,
    def: &FieldDef,
    is_mutation: bool,
) -> u64 {
    let is_part = parent.is_connection && matches!(name, "edges" | "pageInfo");
    let usual = if is_part {
        0
    } else if is_mutation {
        MUTATION
    } else if def.composite.is_some_and(|composite| types.get(composite).is_connection) {
        CONNECTION
    } else {
        OBJECT
    };
    def.weight.unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use async_graphql_parser::parse_query;

    use super::*;

    const SDL: &str = r"
        interface Node { id: ID! }
        type Post implements Node { id: ID! title: String author: User comments(first: Int = 3): CommentConnection }
        type User implements Node { id: ID! name: String rank: Int @cost(weight: 7) posts(first: Int, last: Int): PostConnection tags: [Tag!]! }
        type Tag { name: String }
        type Comment { text: String }
        type CommentConnection { nodes: [Comment!]! }
        type PostEdge { cursor: String! node: Post! }
        type PageInfo { hasNextPage: Boolean! }
        type PostConnection { edges: [PostEdge!]! nodes: [Post!]! pageInfo: PageInfo! totalCount: Int @cost(weight: 10) }
        type Payload { post: Post complianceId: ID! }
        union Either = Post | User
        type Query {
            hello: String
            me: User
            posts(first: Int, last: Int): PostConnection
            top: PostConnection @listSize(assumedSize: 50)
            nodes(ids: [ID!]!): [Node]!
            node(id: ID!): Node
            either: Either
            heavy: Post @cost(weight: 40)
        }
        type Mutation { createPost(title: String): Payload  purge: Boolean @cost(weight: 30) }
        type Subscription { posted: Post }
        schema { query: Query mutation: Mutation subscription: Subscription }
    ";

    fn price_of(source: &str, name: Option<&str>, variables: serde_json::Value) -> u64 {
        let types = TypeMap::parse(SDL).unwrap();
        let document = parse_query(source).unwrap();
        let chosen = |found: Option<&async_graphql_value::Name>| {
            name.is_none_or(|name| found.is_some_and(|n| n == name))
        };
        let (_, operation) = document.operations.iter().find(|(found, _)| chosen(*found)).unwrap();
        price(&types, &document, &operation.node, &Variables::from_json(variables))
    }

    fn check(source: &str, expected: u64) {
        assert_eq!(price_of(source, None, serde_json::json!({})), expected, "{source}");
    }

    #[test]
    fn scalars_objects_and_connections() {
        check("{ hello __typename }", 0);
        check("{ me { name } }", 1);
        check("{ me { name rank } }", 8);
        check("{ posts { nodes { id } } }", 2 + 20);
        check("{ posts(first: 5) { nodes { id author { name } } } }", 2 + 5 * 2);
        check("{ posts(first: 5) { edges { cursor node { id } } pageInfo { hasNextPage } } }", 2 + 5);
        check("{ posts(first: 5) { totalCount } }", 2 + 10);
        check("{ posts(first: 2, last: 7) { nodes { id } } }", 2 + 7);
        check("{ top { nodes { id } } }", 2 + 50);
        check("{ posts(first: 10) { nodes { comments { nodes { text } } } } }", 2 + 10 * (1 + 2 + 3));
        check("{ nodes(ids: [1, 2, 3]) { id } }", 3);
        check("{ me { tags { name } } }", 2);
        check("{ heavy { id author { name } } }", 41);
        check("{ __schema { types { name } } }", 100);
        check("{ unknown { a } posts(first: 1) { nodes { unknown { x } } } }", 3);
    }

    #[test]
    fn mutations_and_subscriptions() {
        check("mutation { createPost(title: \"a\") { post { id author { name } } complianceId } }", 12);
        check("mutation { a: purge b: purge }", 60);
        check("subscription { posted { id } }", 1);
    }

    #[test]
    fn the_dearest_type_counts() {
        check("{ either { ... on Post { author { name } } ... on User { rank } } }", 1 + 7);
        check("{ node(id: 1) { id ... on User { posts(first: 3) { nodes { id } } } } }", 1 + 5);
        check("{ node(id: 1) { ... on Node { ... on Post { author { name } } } } }", 2);
    }

    #[test]
    fn fragments_share_their_price_but_not_their_page_size() {
        check(
            "{ a: posts(first: 2) { ...C } b: posts(first: 9) { ...C } } fragment C on PostConnection { nodes { id } }",
            (2 + 2) + (2 + 9),
        );
    }

    #[test]
    fn variables_and_defaults_give_sizes() {
        let source = "query($n: Int = 4) { posts(first: $n) { nodes { id } } }";
        assert_eq!(price_of(source, None, serde_json::json!({})), 2 + 4);
        assert_eq!(price_of(source, None, serde_json::json!({ "n": 6 })), 2 + 6);
        assert_eq!(price_of(source, None, serde_json::json!({ "n": null })), 2 + 20);
        assert_eq!(price_of(source, None, serde_json::json!({ "n": -5 })), 2);
        let ids = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        assert_eq!(price_of(ids, None, serde_json::json!({ "ids": ["a", "b"] })), 2);
    }

    #[test]
    fn skipped_parts_and_other_operations_are_free() {
        let source = "query A($s: Boolean!) { me @skip(if: $s) { rank } hello @include(if: true) } query B { heavy { id } }";
        assert_eq!(price_of(source, Some("A"), serde_json::json!({ "s": true })), 0);
        assert_eq!(price_of(source, Some("A"), serde_json::json!({ "s": false })), 8);
        assert_eq!(price_of(source, Some("B"), serde_json::json!({})), 40);
    }

    #[test]
    fn sums_saturate() {
        let nested = "posts(first: 2147483647) { nodes { author { ".repeat(4);
        let source = format!("{{ me {{ {nested} name {} }} }}", "} } }".repeat(4));
        check(&source, u64::MAX);
    }
}
