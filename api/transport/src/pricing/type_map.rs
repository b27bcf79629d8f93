//! The schema, reduced to what prices and argument defaults need; built once from its SDL.

use std::collections::HashMap;

use async_graphql_parser::types::{
    BaseType, ConstDirective, FieldDefinition, InputValueDefinition, ServiceDocument, Type, TypeKind,
    TypeSystemDefinition,
};
use async_graphql_parser::{Positioned, parse_schema};
use async_graphql_value::{ConstValue, Name};

use crate::record::OperationKind;

/// Index of a composite type.
pub(crate) type TypeId = usize;

/// Why an SDL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It does not parse.
    #[error("the schema's SDL is not usable")]
    Sdl(#[from] async_graphql_parser::Error),
    /// Values of bytes are taken for text of the answer.
    #[error("the schema has the scalar `Bytes`, whose values can't be told from written text")]
    Bytes,
}

#[derive(Debug)]
pub(crate) struct TypeMap {
    ids: HashMap<Name, TypeId>,
    types: Vec<CompositeType>,
    inputs: HashMap<Name, Vec<InputValue>>,
    roots: [Option<TypeId>; 3],
}

#[derive(Debug, Default)]
pub(crate) struct CompositeType {
    pub(crate) fields: HashMap<Name, FieldDef>,
    /// The object types this one can be; itself for an object.
    pub(crate) possible: Vec<TypeId>,
    pub(crate) is_connection: bool,
}

#[derive(Debug)]
pub(crate) struct FieldDef {
    /// `None` for a scalar or enum.
    pub(crate) composite: Option<TypeId>,
    pub(crate) is_list: bool,
    pub(crate) weight: Option<u64>,
    pub(crate) assumed_size: Option<u64>,
    pub(crate) arguments: Vec<InputValue>,
}

/// An argument or a field of an input object.
#[derive(Clone, Debug)]
pub(crate) struct InputValue {
    pub(crate) name: Name,
    /// The named type under lists and non-nulls.
    pub(crate) ty: Name,
    pub(crate) default: Option<ConstValue>,
}

impl TypeMap {
    pub(crate) fn parse(sdl: &str) -> Result<Self, SchemaError> {
        let document = parse_schema(sdl)?;
        let mut map =
            Self { ids: HashMap::new(), types: Vec::new(), inputs: HashMap::new(), roots: [None; 3] };
        for definition in type_definitions(&document) {
            if matches!(definition.kind, TypeKind::Scalar) && definition.name.node == "Bytes" {
                return Err(SchemaError::Bytes);
            }
            if composite_fields(&definition.kind).is_some() {
                map.ids.insert(definition.name.node.clone(), map.types.len());
                map.types.push(CompositeType::default());
            }
        }
        for definition in type_definitions(&document) {
            map.fill(&definition.name.node, &definition.kind);
        }
        map.find_roots(&document);
        Ok(map)
    }

    pub(crate) fn root(&self, kind: OperationKind) -> Option<TypeId> {
        match kind {
            OperationKind::Query => self.roots[0],
            OperationKind::Mutation => self.roots[1],
            OperationKind::Subscription => self.roots[2],
        }
    }

    pub(crate) fn get(&self, id: TypeId) -> &CompositeType {
        &self.types[id]
    }

    pub(crate) fn id(&self, name: &str) -> Option<TypeId> {
        self.ids.get(name).copied()
    }

    /// Whether an object of type `object` fits a fragment on `condition`.
    pub(crate) fn fits(&self, object: TypeId, condition: &str) -> bool {
        self.id(condition).is_some_and(|id| id == object || self.types[id].possible.contains(&object))
    }

    /// Fields of an input object type.
    pub(crate) fn input(&self, name: &str) -> Option<&[InputValue]> {
        self.inputs.get(name).map(Vec::as_slice)
    }

    fn fill(&mut self, name: &Name, kind: &TypeKind) {
        if let TypeKind::InputObject(input) = kind {
            self.inputs.insert(name.clone(), input.fields.iter().map(input_value).collect());
        }
        let (Some(id), Some(fields)) = (self.id(name), composite_fields(kind)) else { return };
        let fields: HashMap<_, _> =
            fields.iter().map(|field| (field.node.name.node.clone(), self.field(&field.node))).collect();
        self.types[id].is_connection =
            name.ends_with("Connection") && (fields.contains_key("edges") || fields.contains_key("nodes"));
        self.types[id].fields = fields;
        match kind {
            TypeKind::Object(object) => {
                self.types[id].possible.push(id);
                for interface in &object.implements {
                    if let Some(interface) = self.id(&interface.node) {
                        self.types[interface].possible.push(id);
                    }
                }
            }
            TypeKind::Union(union) => {
                self.types[id].possible =
                    union.members.iter().filter_map(|member| self.id(&member.node)).collect();
            }
            TypeKind::Interface(_) | TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_) => {}
        }
    }

    fn field(&self, field: &FieldDefinition) -> FieldDef {
        FieldDef {
            composite: self.id(named(&field.ty.node)),
            is_list: matches!(field.ty.node.base, BaseType::List(_)),
            weight: directive_number(&field.directives, "cost", "weight"),
            assumed_size: directive_number(&field.directives, "listSize", "assumedSize"),
            arguments: field.arguments.iter().map(input_value).collect(),
        }
    }

    fn find_roots(&mut self, document: &ServiceDocument) {
        let explicit = document.definitions.iter().find_map(|definition| match definition {
            TypeSystemDefinition::Schema(schema) => Some(&schema.node),
            TypeSystemDefinition::Type(_) | TypeSystemDefinition::Directive(_) => None,
        });
        self.roots = match explicit {
            Some(schema) => [&schema.query, &schema.mutation, &schema.subscription]
                .map(|root| root.as_ref().and_then(|name| self.id(&name.node))),
            None => ["Query", "Mutation", "Subscription"].map(|name| self.id(name)),
        };
    }
}

fn type_definitions(
    document: &ServiceDocument,
) -> impl Iterator<Item = &async_graphql_parser::types::TypeDefinition> {
    document.definitions.iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(&definition.node),
        TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
    })
}

/// The fields of an object, interface or union; `None` for types without selections.
fn composite_fields(kind: &TypeKind) -> Option<&[Positioned<FieldDefinition>]> {
    match kind {
        TypeKind::Object(object) => Some(&object.fields),
        TypeKind::Interface(interface) => Some(&interface.fields),
        TypeKind::Union(_) => Some(&[]),
        TypeKind::Scalar | TypeKind::Enum(_) | TypeKind::InputObject(_) => None,
    }
}

fn input_value(value: &Positioned<InputValueDefinition>) -> InputValue {
    InputValue {
        name: value.node.name.node.clone(),
        ty: named(&value.node.ty.node).clone(),
        default: value.node.default_value.as_ref().map(|default| default.node.clone()),
    }
}

fn named(ty: &Type) -> &Name {
    let mut base = &ty.base;
    loop {
        match base {
            BaseType::Named(name) => return name,
            BaseType::List(inner) => base = &inner.base,
        }
    }
}

fn directive_number(
    directives: &[Positioned<ConstDirective>],
    directive: &str,
    argument: &str,
) -> Option<u64> {
    let directive = directives.iter().find(|found| found.node.name.node == directive)?;
    match &directive.node.get_argument(argument)?.node {
        ConstValue::Number(number) => number.as_u64(),
        ConstValue::Null
        | ConstValue::String(_)
        | ConstValue::Boolean(_)
        | ConstValue::Binary(_)
        | ConstValue::Enum(_)
        | ConstValue::List(_)
        | ConstValue::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_weights_and_possible_types_are_read() {
        let map = TypeMap::parse(
            r#"
            interface Node { id: ID! }
            type Post implements Node { id: ID!, rank: Int @cost(weight: 7) }
            type User implements Node { id: ID! }
            union Either = Post | User
            type PostConnection { edges: [PostEdge!]! }
            type PostEdge { node: Post! }
            input Filter { tag: String = "a", inner: Filter }
            type Root { posts(first: Int = 5, filter: Filter): PostConnection @listSize(assumedSize: 50) }
            schema { query: Root }
            "#,
        )
        .unwrap();
        let root = map.get(map.root(OperationKind::Query).unwrap());
        assert_eq!(map.root(OperationKind::Mutation), None);
        let posts = &root.fields["posts"];
        assert_eq!(posts.assumed_size, Some(50));
        assert_eq!(posts.arguments[0].default, Some(ConstValue::Number(5.into())));
        assert!(map.get(posts.composite.unwrap()).is_connection);
        let [post, user] = ["Post", "User"].map(|name| map.id(name).unwrap());
        assert_eq!(map.get(post).fields["rank"].weight, Some(7));
        assert!(map.fits(post, "Node") && map.fits(user, "Either") && !map.fits(user, "Post"));
        assert_eq!(map.input("Filter").unwrap()[1].ty, "Filter");
    }
}
