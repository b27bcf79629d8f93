//! Cost of an answer: the requested cost's rules, with the lists as long as they turned out.

use async_graphql::Variables;
use async_graphql_parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet};
use async_graphql_value::ConstValue;
use output::Count;

use crate::pricing::introspection;
use crate::pricing::requested::{Inputs, own_cost};
use crate::pricing::type_map::{TypeId, TypeMap};
use crate::record::OperationKind;

/// The priced parts of a document, as they will stand in the answer. A list of plain objects has no children here,
/// so it is counted, not walked.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    own: u64,
    children: Vec<(String, Shape)>,
}

impl Shape {
    pub(crate) fn of(
        types: &TypeMap,
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Self {
        let kind = OperationKind::from(operation.ty);
        let mut shape = Self::default();
        if let Some(root) = types.root(kind) {
            let builder = Builder { types, document, inputs: Inputs::new(operation, variables) };
            builder.fill(&mut shape, &operation.selection_set.node, root, kind == OperationKind::Mutation);
        }
        shape
    }

    /// The cost of `value`. Parts that are written out cost nothing here: see [`Self::written`].
    pub(crate) fn cost(&self, value: &ConstValue) -> u64 {
        match value {
            ConstValue::Null | ConstValue::Binary(_) => 0,
            ConstValue::Number(_) | ConstValue::String(_) | ConstValue::Boolean(_) | ConstValue::Enum(_) => {
                self.own
            }
            ConstValue::List(items) => {
                items.iter().fold(0_u64, |sum, item| sum.saturating_add(self.cost(item)))
            }
            ConstValue::Object(members) => self.children.iter().fold(self.own, |sum, (key, child)| {
                sum.saturating_add(members.get(key.as_str()).map_or(0, |member| child.cost(member)))
            }),
        }
    }

    /// The cost of what was written out, by how often each place of the answer was.
    pub(crate) fn written(&self, count: &Count) -> u64 {
        self.children.iter().fold(self.own.saturating_mul(count.times), |sum, (key, child)| {
            sum.saturating_add(count.get(key).map_or(0, |count| child.written(count)))
        })
    }
}

struct Builder<'a> {
    types: &'a TypeMap,
    document: &'a ExecutableDocument,
    inputs: Inputs<'a>,
}

impl Builder<'_> {
    /// Adds the selections of `set` on type `parent`. Expands fragments, which the limits have bounded.
    fn fill(&self, shape: &mut Shape, set: &SelectionSet, parent: TypeId, is_mutation: bool) {
        for selection in &set.items {
            if self.inputs.is_skipped(selection.node.directives()) {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.as_str();
                    let name = field.node.name.node.as_str();
                    let mut child = Shape::default();
                    match self.types.get(parent).fields.get(name) {
                        None => child.own = introspection(name),
                        Some(def) => match def.composite {
                            None => child.own = def.weight.unwrap_or(0),
                            Some(composite) => {
                                let parent = self.types.get(parent);
                                child.own = own_cost(self.types, parent, name, def, is_mutation);
                                self.fill(&mut child, &field.node.selection_set.node, composite, false);
                            }
                        },
                    }
                    if child.own > 0 || !child.children.is_empty() {
                        shape.children.push((key.to_owned(), child));
                    }
                }
                Selection::InlineFragment(inline) => {
                    let condition = inline.node.type_condition.as_ref();
                    let on =
                        condition.map_or(Some(parent), |condition| self.types.id(&condition.node.on.node));
                    if let Some(on) = on {
                        self.fill(shape, &inline.node.selection_set.node, on, is_mutation);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                    let found = fragment.and_then(|fragment| {
                        Some((fragment, self.types.id(&fragment.node.type_condition.node.on.node)?))
                    });
                    if let Some((fragment, on)) = found {
                        self.fill(shape, &fragment.node.selection_set.node, on, is_mutation);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql_parser::parse_query;

    use super::*;

    const SDL: &str = "
        type Post { id: ID! author: User }
        type User { name: String rank: Int @cost(weight: 7) }
        type PageInfo { hasNextPage: Boolean! }
        type PostEdge { node: Post }
        type PostConnection { edges: [PostEdge] nodes: [Post] pageInfo: PageInfo }
        type Payload { post: Post }
        type Query { posts(first: Int): PostConnection me: User }
        type Mutation { createPost: Payload }
    ";

    fn check(source: &str, data: serde_json::Value, expected: u64) {
        let types = TypeMap::parse(SDL).unwrap();
        let document = parse_query(source).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let shape = Shape::of(&types, &document, &operation.node, &Variables::default());
        assert_eq!(shape.cost(&ConstValue::from_json(data).unwrap()), expected, "{source}");
    }

    #[test]
    fn only_what_was_returned_is_counted() {
        let json = |text: &str| serde_json::from_str(text).unwrap();
        check("{ posts { nodes { id } } }", json(r#"{"posts":{"nodes":[{"id":1},{"id":2},null]}}"#), 2 + 2);
        check("{ posts { nodes { id } } }", json(r#"{"posts":null}"#), 0);
        check(
            "{ p: posts { edges { node { author { rank } } } pageInfo { hasNextPage } } }",
            json(
                r#"{"p":{"edges":[{"node":{"author":{"rank":1}}},{"node":{"author":null}}],"pageInfo":{}}}"#,
            ),
            2 + (1 + 1 + 7) + 1,
        );
        check("mutation { createPost { post { id } } }", json(r#"{"createPost":{"post":{"id":1}}}"#), 11);
        check("{ ...F } fragment F on Query { me { name } }", json(r#"{"me":{"name":"a"}}"#), 1);
    }

    #[test]
    fn written_out_parts_are_counted_by_place() {
        let types = TypeMap::parse(SDL).unwrap();
        let source = "{ p: posts { edges { node { author { rank name } } } } me { rank } }";
        let document = parse_query(source).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let shape = Shape::of(&types, &document, &operation.node, &Variables::default());
        let value = async_graphql::value!({ "me": { "rank": 1 } });
        let ConstValue::Object(mut members) = value else { panic!("an object") };
        members.insert(async_graphql::Name::new("p"), ConstValue::Binary("{}".into()));
        assert_eq!(shape.cost(&ConstValue::Object(members)), 1 + 7);
        let place = |key: &str, times, below| (key.to_owned(), Count { times, below });
        let author = place("author", 2, vec![place("rank", 1, vec![])]);
        let edges = place("edges", 3, vec![place("node", 3, vec![author])]);
        let count = Count { times: 0, below: vec![place("p", 1, vec![edges])] };
        assert_eq!(shape.written(&count), 2 + 3 + 2 + 7, "a connection, three posts, two authors, one rank");
        assert_eq!(shape.written(&Count::default()), 0);
    }
}
