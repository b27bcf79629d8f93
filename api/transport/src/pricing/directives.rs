//! The type directives that carry weights in the schema file. The product attaches them to fields:
//! `#[graphql(directive = cost::apply(10))]`, `#[graphql(directive = list_size::apply(50))]`.

use async_graphql::TypeDirective;

/// What the field itself costs, in points, instead of 0 for a scalar, 1 for an object, 2 for a connection or 10 for
/// a mutation.
#[TypeDirective(location = "FieldDefinition")]
pub fn cost(weight: i32) {}

/// How many items the list is taken to have when the client names no size.
#[TypeDirective(location = "FieldDefinition", name = "listSize")]
pub fn list_size(assumed_size: i32) {}
